"""The peers of one torrent: who is let in, who is supervised, who is banned."""

import math
from collections.abc import Collection, Iterable
from typing import Protocol

import trio

from trio_swarm import events
from trio_swarm.engine.known_peers.candidates import Candidates
from trio_swarm.engine.known_peers.crowding import is_given_up
from trio_swarm.errors import IdleTalkError
from trio_swarm.identities import InfoHash
from trio_swarm.peer.connection import PeerConnection, PeersTorrent
from trio_swarm.peer.standstill import Outcomes
from trio_swarm.peer.transport.errors import LEAVING, PEER_ERRORS, describe, first_leaf
from trio_swarm.peer.transport.handshaking import Established
from trio_swarm.peer.transport.streams import PeerStream
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.protocol.addresses import Address, format_address, parse_host_port
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.protocol.wire.messages import WireEvent

KEEP_ALIVE = 80.0
"""Seconds of silence of ours after which a keep-alive goes out. BEP 3 lets peers close after 120,
and libtorrent does; with `HOUSEKEEPING` it is less."""

IDLE_LIMIT = 180.0
"""Seconds without a byte from a peer after which it is taken for dead."""

HOUSEKEEPING = 30.0
"""Seconds between looks at who is idle."""

STAY = 20.0
"""Seconds after which a peer that leaves was no failure. One that leaves at once has no place for
us, but clients part with whoever moves nothing (aria2 1.36 after 30 s, Transmission 4 after 60)."""


class PopulatedTorrent(PeersTorrent, Protocol):
    """The torrent that the peers are of."""

    @property
    def info_hash(self) -> InfoHash:
        """The info-hash that people know it by."""

    @property
    def name(self) -> str:
        """The torrent's name, for people."""

    def get_up(self) -> None:
        """Be active, if it rests."""

    def peer_left(self, connection: PeerConnection) -> None:
        """Take a gone peer out of everything that counts on it."""


class PeerSet:
    """Owns the connections and candidate addresses; every peer is a task in its nursery."""

    __slots__ = (
        "_arrived",
        "_changed",
        "_context",
        "_is_called",
        "_is_over",
        "_nursery",
        "_torrent",
        "alone_since",
        "candidates",
        "connections",
        "dial_wakeup",
        "had_any",
        "outcomes",
    )

    def __init__(self, torrent: PopulatedTorrent) -> None:
        self.connections: dict[int, PeerConnection] = {}
        self.candidates = Candidates()
        self.dial_wakeup = Wakeup()
        self.outcomes = Outcomes()
        self.alone_since = trio.current_time()
        """When the latest peer left."""
        self.had_any = False
        """Some peer was connected before."""
        self._torrent = torrent
        self._context = torrent.context
        self._nursery: trio.Nursery | None = None
        self._arrived: list[Established] = []
        """Peers that came while there was nobody to supervise them."""
        self._is_over = False
        self._is_called = False
        self._changed: trio.Event | None = None

    @property
    def changed(self) -> trio.Event:
        """Set when a peer left or an address was dialled; another takes its place then."""
        if self._changed is None:
            self._changed = trio.Event()
        return self._changed

    def tell_changed(self) -> None:
        """Wake whoever waits for a change."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Supervise and keep alive the peers until cancelled; then all are closed."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._is_called = False
            try:
                nursery.start_soon(self._keep_house, name=f"keep house of {self._torrent.name}")
                arrived, self._arrived = self._arrived, []
                for established in arrived:
                    self.admit(established, is_outgoing=False)
                task_status.started()
                await trio.sleep_forever()
            finally:
                # Here, and not after the nursery: a closed one would not take an incoming peer.
                self._nursery = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody has come or calls, or an address is known."""
        return bool(self._arrived) or self._is_called or self.candidates.next_due() < math.inf

    def call(self) -> None:
        """End `rest`: somebody uses the torrent."""
        self._is_called = True
        self.dial_wakeup.set()

    async def rest(self) -> None:
        """Wait until a peer comes, or one is to be dialled; return if no address is known."""
        while not (self._arrived or self._is_called):
            due = self.candidates.next_due()
            if due == math.inf or due <= trio.current_time():
                return
            with trio.move_on_at(due):
                await self.dial_wakeup.wait()

    def shut(self) -> None:
        """Let nobody in before `run` is called again: it is about to be cancelled."""
        self._nursery = None

    def is_idle_until(self, when: float) -> bool:
        """Whether nobody is connected or being dialled, and nobody is to be dialled until then."""
        candidates = self.candidates
        return not (self.connections or candidates.busy() or candidates.next_due() <= when)

    def end(self) -> None:
        """Let nobody in any more; call it when `run` has ended."""
        self._is_over = True
        for established in self._arrived:
            established.stream.close()
        self._arrived.clear()

    def wake(self) -> None:
        """Have every peer told what is new."""
        for connection in self.connections.values():
            connection.wakeup.set()

    # --- letting in -----------------------------------------------------------------------------

    def admit(self, established: Established, *, is_outgoing: bool) -> str | None:
        """Let a peer in whose handshake is done; it lives in this set's nursery.

        Returns why not, if not; the stream is closed then. One that comes while the torrent rests
        is let in as soon as it has got up.
        """
        if self._nursery is None and not self._is_over:
            self._arrived.append(established)
            self.dial_wakeup.set()
            self._torrent.get_up()
            return None
        now = trio.current_time()
        stream, wire = established.stream, established.wire
        refusal = self._refusal(stream, wire, now, is_outgoing=is_outgoing)
        if refusal is not None or self._nursery is None:
            stream.close()
            return refusal or "the torrent is ending"
        connection = PeerConnection(
            self._torrent,
            stream,
            wire,
            key=self._context.new_connection_key(),
            is_outgoing=is_outgoing,
            now=now,
        )
        if not self._context.places.take(connection, now):
            stream.close()
            return "no place is free"
        self.connections[connection.key] = connection
        self.had_any = True
        if is_outgoing:
            self._context.tally.dialled += 1
            self.outcomes.connected(stream.remote)
        else:
            self._context.tally.accepted += 1
        self._nursery.start_soon(
            self._supervise, connection, established.events, name=f"peer {connection.address}"
        )
        return None

    def _refusal(
        self, stream: PeerStream, wire: PeerWire, now: float, *, is_outgoing: bool
    ) -> str | None:
        own = self._context.peer_id
        remote = wire.peer_id
        assert remote is not None
        if remote == own:
            if is_outgoing:
                self.candidates.forget(stream.remote)
            return "it is ourselves"
        if self.candidates.is_banned(stream.remote):
            return "banned"
        for other in self.connections.values():
            if other.wire.peer_id != remote or other.is_closing:
                continue
            if other.remote[0] != stream.remote[0]:
                # Peer ids are no secret: one from elsewhere ends no connection, and keeps others
                # out only if it has proved itself.
                if other.downloaded or other.uploaded:
                    return "it is connected already"
                continue
            if is_given_up(
                joined_at=other.joined_at,
                heard_at=other.last_received,
                moved_at=other.moved_at,
                now=now,
            ):
                self._context.places.release(other)
                other.close("the peer came again")
                continue
            # Both sides may have dialled at once. Both keep the connection that the smaller peer
            # id opened, so that they agree without talking.
            initiator = own if is_outgoing else remote
            other_initiator = own if other.is_outgoing else remote
            if initiator >= other_initiator:
                return "it is connected already"
            other.close("it is connected twice")
        return None

    def is_connected_to(self, address: Address) -> bool:
        """Whether a peer that listens at `address` is connected."""
        return any(c.listen_address == address for c in self.connections.values())

    def learned_listen_address(self, connection: PeerConnection, address: Address) -> None:
        """Note where an incoming peer listens: it need not be dialled."""
        if self.candidates.is_banned(address):
            connection.close("banned")
            return
        connection.listens_at(address)
        self.candidates.add(address, trio.current_time())
        self.candidates.connected(address)

    # --- supervising ----------------------------------------------------------------------------

    async def _supervise(self, connection: PeerConnection, wire_events: list[WireEvent]) -> None:
        """Run one peer; whatever its failure, it ends that peer only."""
        info_hash = self._torrent.info_hash.hex()
        self._context.emit(
            events.PeerConnected(
                info_hash=info_hash,
                address=format_address(connection.remote),
                client=connection.client,
                outgoing=connection.is_outgoing,
            )
        )
        reason = "stopped"
        has_left = False
        try:
            try:
                await connection.run(wire_events)
            except* PEER_ERRORS as group:
                error = first_leaf(group)
                reason = describe(error)
                if isinstance(error, IdleTalkError):
                    self._context.talkative.strike(connection.host, trio.current_time())
                has_left = isinstance(error, LEAVING) and not connection.is_closing
        finally:
            self._left(connection, reason, has_left=has_left)
            self._context.emit(
                events.PeerLost(
                    info_hash=info_hash, address=format_address(connection.remote), reason=reason
                )
            )

    def _left(self, connection: PeerConnection, reason: str, *, has_left: bool) -> None:
        """Forget a connection; `has_left`: the peer ended it, and did nothing wrong."""
        now = self.alone_since = trio.current_time()
        del self.connections[connection.key]
        self._context.places.release(connection)
        address = connection.listen_address
        if address is not None and not self.is_connected_to(address):
            self.outcomes.failed(address, reason)
            if connection.downloaded or connection.uploaded:
                self.candidates.succeeded(address)
            is_complete = self._torrent.is_complete
            if has_left and not is_complete and now - connection.joined_at >= STAY:
                self.candidates.parted(address, now)
            else:
                useless = is_complete and connection.wants_nothing
                self.candidates.lost(address, now, useless=useless)
        self.dial_wakeup.set()
        self._torrent.peer_left(connection)

    def part_seeders(self) -> None:
        """Once we have everything, end connections to peers that want nothing."""
        if self._torrent.is_complete:
            for connection in self.connections.values():
                if connection.wants_nothing:
                    connection.close("both sides have everything")

    def keep_only(self, addresses: Collection[Address]) -> None:
        """Leave all peers but those that listen at `addresses`, and forget where others are."""
        self.candidates.keep_only(addresses)
        for connection in self.connections.values():
            if connection.listen_address not in addresses:
                connection.close("a private torrent's peers come from one of its trackers")

    def ban(self, identities: Iterable[str]) -> None:
        """Never talk again to peers that sent wrong bytes, named by `host:port`."""
        for identity in identities:
            culprits = [c for c in self.connections.values() if c.identity == identity]
            # One that came in is named by where it came from, and must not be dialled either.
            listening = [c.listen_address for c in culprits if c.listen_address is not None]
            if not self.candidates.ban(parse_host_port(identity), *listening):
                continue  # Pieces it had sent before are still being judged.
            self._context.tally.banned += 1
            client = ""
            for connection in culprits:
                client = connection.client
                connection.close("banned: it sent wrong bytes")
            self._context.emit(
                events.PeerBanned(
                    info_hash=self._torrent.info_hash.hex(),
                    address=identity,
                    client=client,
                    reason="it sent bytes that do not match the piece's hash",
                )
            )

    async def _keep_house(self) -> None:
        """Keep quiet connections alive (BEP 3) and drop dead ones."""
        while True:
            await trio.sleep(HOUSEKEEPING)
            now = trio.current_time()
            for connection in self.connections.values():
                if now - connection.last_received > IDLE_LIMIT:
                    connection.close("it was silent for too long")
                elif now - connection.last_sent > KEEP_ALIVE:
                    connection.keep_alive()
