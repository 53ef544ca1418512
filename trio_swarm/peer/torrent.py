"""One torrent of a node: the nursery of its peers, and its way from metadata to seeding."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from trio_swarm import events
from trio_swarm.announcing.announcer import Announcer
from trio_swarm.errors import (
    BencodeError,
    MetainfoError,
    RemoteProtocolError,
    StorageError,
    TrackerError,
    TrioSwarmError,
)
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.peer.connection import PeerClosedError, PeerConnection
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.dialing import dial_peers
from trio_swarm.peer.leeching import Download
from trio_swarm.peer.metadata import MetadataExchange
from trio_swarm.peer.seeding import Upload
from trio_swarm.peer.strategies import choker_for, scheduler_for, uploader_for
from trio_swarm.peer.streams import PeerStream
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.progress import PeerProgress, Progress, State
from trio_swarm.protocol.addresses import Address, parse_host_port
from trio_swarm.protocol.announces import AnnounceAnswer, AnnounceEvent, AnnounceRequest
from trio_swarm.protocol.magnet import Magnet
from trio_swarm.protocol.metainfo import Info, Metainfo
from trio_swarm.protocol.peer_messages import WireEvent
from trio_swarm.protocol.peer_wire import PeerWire
from trio_swarm.storage.torrent_files import TorrentFiles
from trio_swarm.swarm.candidates import Candidates

PEER_ERRORS: Final = (
    RemoteProtocolError,
    BencodeError,
    PeerClosedError,
    OSError,
    trio.BrokenResourceError,
    trio.TooSlowError,
)
"""What may end one peer; anything else is a bug, or the torrent's own failure."""

KEEP_ALIVE = 100.0
"""Seconds of silence of ours after which a keep-alive goes out (BEP 3: peers close after 120)."""

IDLE_LIMIT = 180.0
"""Seconds without a byte from a peer after which it is taken for dead."""

HOUSEKEEPING = 30.0
"""Seconds between looks at who is idle."""

STOP_DEADLINE = 2.5
"""Seconds for saying `stopped` and closing files; the node must be gone within 5."""

UNKNOWN_LEFT = 1 << 40
"""What `left` says while the size is unknown: we are a leecher, not a seeder."""

NO_PEERS_PATIENCE = 3.0
"""Seconds without any peer before a download says that it waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentPlan:
    """What a torrent is to become; made by the node from a share or a fetch."""

    info_hash: bytes
    name: str
    """The name it is registered and asked for by."""
    size: int | None
    metainfo: Metainfo | None
    """None: fetched from peers (BEP 9)."""
    open_files: Callable[[Info], TorrentFiles]
    """Blocking; run in a thread."""
    tiers: Sequence[Sequence[str]]
    peers: Sequence[Address] = ()
    scheduler: str | None = None
    scheduler_options: dict[str, object] | None = None


class Torrent:
    """A swarm this node takes part in, as seeder or leecher.

    Made by `Node.share` and `Node.fetch`. Public: `info_hash`, `name`, `metainfo`, `path`,
    `progress()`, `peers()`, `magnet()`, `wait_complete()`, `wait_failed()`, `remove()`.
    """

    def __init__(self, context: NodeContext, plan: TorrentPlan) -> None:
        self.context = context
        self.info_hash = plan.info_hash
        self.name = plan.name
        self.metainfo = plan.metainfo
        self.files: TorrentFiles | None = None
        self.download: Download | None = None
        self.candidates = Candidates()
        self.dial_wakeup = Wakeup()
        self.connections: dict[int, PeerConnection] = {}
        self.error: TrioSwarmError | None = None
        self.metadata = MetadataExchange(self)
        self._plan = plan
        self._scheduler = scheduler_for(context, plan.scheduler, plan.scheduler_options)
        self.upload = Upload(
            uploader=uploader_for(context),
            choker=choker_for(context),
            rng=context.rng,
            slots=context.settings.upload_slots,
            connections=self.connections,
        )
        self._announcer = Announcer(
            context.clients,
            plan.tiers,
            make_request=self._announce_request,
            on_answer=self._announced,
            on_failure=self._announce_failed,
        )
        self._announce_key = context.rng.getrandbits(32)
        self._state: State = "metadata" if plan.metainfo is None else "checking"
        self._checked = (0, 0)
        self._started_at = trio.current_time()
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._complete = trio.Event()
        self._over = trio.Event()
        self._peer_ids: dict[bytes, PeerConnection] = {}
        for address in plan.peers:
            self.candidates.add(address, self._started_at)

    # --- what a program asks --------------------------------------------------------------------

    @property
    def info(self) -> Info | None:
        """The info dictionary, once known."""
        return self.metainfo.info if self.metainfo is not None else None

    @property
    def is_complete(self) -> bool:
        """Every piece is verified and the data has its final name."""
        return self._complete.is_set() and self.error is None

    @property
    def path(self) -> Path | None:
        """Where the data is now; None until the metadata is known."""
        return self.files.root if self.files is not None else None

    async def wait_complete(self) -> Path:
        """Wait until every piece is verified, synced and under its final name; return its path.

        Raises what ended the torrent: StorageError (DiskFullError), MetainfoError; or
        TrioSwarmError if it was removed first.
        """
        await self._complete.wait()
        if self.error is not None:
            raise self.error
        assert self.files is not None
        return self.files.root

    async def wait_over(self) -> None:
        """Wait until the torrent was removed or failed."""
        await self._over.wait()

    def magnet(self) -> str:
        """Return the magnet link, with our trackers (BEP 9)."""
        return Magnet(
            info_hash=self.info_hash,
            name=self.info.name if self.info is not None else self.name,
            trackers=tuple(url for tier in self._plan.tiers for url in tier),
            peers=(),
            length=self.info.length if self.info is not None else self._plan.size,
        ).to_uri()

    def progress(self) -> Progress:
        """Return how far the torrent is."""
        now = trio.current_time()
        info = self.info
        download = self.download
        size = info.length if info is not None else (self._plan.size or 0)
        have = pieces_have = 0
        rate = 0.0
        downloaded = duplicate = 0
        eta: float | None = None
        if download is not None and info is not None:
            ledger = download.ledger
            pieces_have = ledger.have.bit_count()
            have = download.have_bytes()
            downloaded, duplicate = ledger.received_bytes, ledger.duplicate_bytes
            rate = 0.0 if self.is_complete else download.rate.rate(now)
            if self.is_complete:
                eta = 0.0
            elif rate > 0:
                eta = ledger.remaining / rate
        elif self._state == "checking":
            have = self._checked[0]
        return Progress(
            state=self._state,
            size=size,
            have=have,
            pieces=info.piece_count if info is not None else 0,
            pieces_have=pieces_have,
            download_rate=rate,
            upload_rate=self.upload.rate.rate(now),
            eta=eta,
            downloaded=downloaded,
            uploaded=self.upload.uploaded,
            duplicate=duplicate,
            peers=len(self.connections),
            seeders=sum(c.is_seeder for c in self.connections.values()),
            ratio=self.upload.uploaded / max(1, downloaded, size),
        )

    def peers(self) -> list[PeerProgress]:
        """Return the connected peers, in the order they joined."""
        now = trio.current_time()
        return [self._peer_progress(c, now) for c in self.connections.values()]

    def _peer_progress(self, connection: PeerConnection, now: float) -> PeerProgress:
        download = self.download if connection.is_attached else None
        rate = 0.0
        share = 0.0
        in_flight = 0
        snubbed = False
        if download is not None:
            stats = download.ledger.stats(connection.key)
            rate, in_flight = stats.rate, stats.in_flight
            snubbed = download.ledger.snubbed(connection.key, now)
            pieces = download.ledger.pieces_of(connection.key)
            share = pieces.bit_count() / max(1, download.info.piece_count)
        return PeerProgress(
            address=connection.address,
            client=connection.client,
            outgoing=connection.is_outgoing,
            download_rate=rate,
            upload_rate=connection.upload_rate.rate(now),
            downloaded=connection.downloaded,
            uploaded=connection.uploaded,
            share=share,
            is_seeder=connection.is_seeder,
            choking_us=connection.wire.peer_choking,
            interested=connection.wire.peer_interested,
            unchoked=not connection.wire.am_choking,
            in_flight=in_flight,
            snubbed=snubbed,
        )

    async def remove(self) -> None:
        """Leave the swarm: announce `stopped`, save, close. The data stays where it is."""
        self._scope.cancel()
        await self._over.wait()

    # --- its life -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take part in the swarm until removed, cancelled, or ended by a failure of its own."""
        try:
            try:
                with self._scope:
                    await self._take_part()
            except* (StorageError, MetainfoError) as group:
                self._fail(_first_leaf(group))
        finally:
            if self.error is None and not self._complete.is_set():
                self.error = TrioSwarmError(f"{self.name}: removed before it was complete")
            self._complete.set()
            if self._state != "failed":
                self._state = "removed"
            self._over.set()

    async def _take_part(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._announcer.run, name=f"announce {self.name}")
                nursery.start_soon(dial_peers, self, name=f"dial for {self.name}")
                nursery.start_soon(self._keep_house, name=f"keep house of {self.name}")
                nursery.start_soon(self._say_when_lonely, name=f"watch peers of {self.name}")
                if self.metainfo is None:
                    self.metainfo = await self.metadata.wait()
                    self._emit_metadata()
                await self._open()
                nursery.start_soon(self.upload.run, name=f"choke for {self.name}")
                await self._fetch()
        finally:
            self._nursery = None
            for connection in self.connections.values():
                connection.stream.close()
            with trio.move_on_after(STOP_DEADLINE, shield=True):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._announcer.stop)
                    nursery.start_soon(self._close_files)

    async def _open(self) -> None:
        info = self.info
        assert info is not None
        self._state = "checking"
        files = await trio.to_thread.run_sync(self._plan.open_files, info)
        self.files = files

        def note(done: int, total: int) -> None:
            self._checked = (done, total)

        result = await run_stoppable(lambda should_stop: files.check(note, should_stop))
        download = Download(
            info,
            files,
            result.have,
            scheduler=self._scheduler,
            rng=self.context.rng,
            piece_memory=self.context.settings.piece_memory,
            disk=self.context.disk,
            connections=self.connections,
            piece_verified=self._piece_verified,
            piece_failed=self._piece_failed,
            peers_banned=self._peers_banned,
        )
        self.download = download
        self.upload.download = download
        self.context.emit(
            events.Checked(
                info_hash=self.info_hash.hex(),
                share_name=self.name,
                have=download.have_bytes(),
                size=info.length,
                hashed=result.hashed,
            )
        )
        for connection in self.connections.values():
            connection.attach()

    async def _fetch(self) -> None:
        """Download what is missing, give the data its final name, and go on as a seeder."""
        download, files, info = self.download, self.files, self.info
        assert download is not None
        assert files is not None
        assert info is not None
        was_complete = download.ledger.is_complete
        if not was_complete:
            self._state = "downloading"
            await download.run()
            self._state = "finishing"
        if not was_complete or not files.is_complete:
            await trio.to_thread.run_sync(files.finish)
        self._state = "seeding"
        self._complete.set()
        if not was_complete:
            self._announcer.completed()
        self.context.emit(
            events.Completed(
                info_hash=self.info_hash.hex(),
                share_name=self.name,
                path=str(files.root),
                size=info.length,
                downloaded=download.ledger.received_bytes,
                duplicate=download.ledger.duplicate_bytes,
                seconds=trio.current_time() - self._started_at,
                sources=dict(download.sources),
            )
        )
        self.upload.wakeup.set()
        for connection in list(self.connections.values()):
            self.seeder_seen(connection)
            connection.wakeup.set()

    async def _close_files(self) -> None:
        if self.download is not None:
            await self.download.drain()
        if self.files is not None:
            await trio.to_thread.run_sync(self.files.close)

    def _fail(self, error: TrioSwarmError) -> None:
        self.error = error
        self._state = "failed"
        self.context.emit(
            events.TorrentFailed(
                info_hash=self.info_hash.hex(), share_name=self.name, reason=str(error)
            )
        )

    # --- peers ------------------------------------------------------------------------------------

    def start_peer(
        self,
        stream: PeerStream,
        wire: PeerWire,
        wire_events: list[WireEvent],
        *,
        is_outgoing: bool,
    ) -> str | None:
        """Let a peer in whose handshake is done; it lives in this torrent's nursery.

        Returns why not, if not; the stream is closed then.
        """
        refusal = self._refusal(stream, wire, is_outgoing=is_outgoing)
        if refusal is not None or self._nursery is None:
            stream.close()
            return refusal or "the torrent is ending"
        connection = PeerConnection(
            self,
            stream,
            wire,
            key=self.context.new_connection_key(),
            is_outgoing=is_outgoing,
            now=trio.current_time(),
        )
        self.connections[connection.key] = connection
        assert wire.peer_id is not None
        self._peer_ids[wire.peer_id] = connection
        self._nursery.start_soon(
            self._supervise, connection, wire_events, name=f"peer {connection.address}"
        )
        return None

    def _refusal(self, stream: PeerStream, wire: PeerWire, *, is_outgoing: bool) -> str | None:
        own = self.context.peer_id
        remote = wire.peer_id
        assert remote is not None
        if remote == own:
            if is_outgoing:
                self.candidates.forget(stream.remote)
            return "it is ourselves"
        if self.candidates.is_banned(stream.remote):
            return "banned"
        other = self._peer_ids.get(remote)
        if other is None:
            return None

        # Both sides dialled at once: both keep the connection of the smaller peer id, so that
        # they agree without talking.
        def initiator(outgoing: bool) -> bytes:  # noqa: FBT001 - local
            return own if outgoing else remote

        if initiator(is_outgoing) < initiator(other.is_outgoing):
            other.close("it is connected twice")
            return None
        return "it is connected already"

    async def _supervise(self, connection: PeerConnection, wire_events: list[WireEvent]) -> None:
        """Run one peer; whatever its failure, it ends that peer only."""
        context = self.context
        context.connections += 1
        context.emit(
            events.PeerConnected(
                info_hash=self.info_hash.hex(),
                address=connection.address,
                client=connection.client,
                outgoing=connection.is_outgoing,
            )
        )
        reason = "stopped"
        try:
            await connection.run(wire_events)
        except* PEER_ERRORS as group:
            reason = describe(_first_leaf(group))
        finally:
            context.connections -= 1
            self._peer_left(connection, reason)

    def _peer_left(self, connection: PeerConnection, reason: str) -> None:
        now = trio.current_time()
        del self.connections[connection.key]
        remote_id = connection.wire.peer_id
        if remote_id is not None and self._peer_ids.get(remote_id) is connection:
            del self._peer_ids[remote_id]
        useless = self.is_complete and connection.is_seeder
        if self.download is not None and connection.is_attached:
            self.download.ledger.remove_peer(connection.key)
            self.download.wakeup.set()
        if connection.listen_address is not None:
            if connection.downloaded or connection.uploaded:
                self.candidates.succeeded(connection.listen_address)
            self.candidates.lost(connection.listen_address, now, useless=useless)
        self.metadata.peer_left(connection)
        self.upload.wakeup.set()
        self.dial_wakeup.set()
        if not self.connections and not self.is_complete:
            self._announcer.announce_now()
        self.context.emit(
            events.PeerLost(
                info_hash=self.info_hash.hex(), address=connection.address, reason=reason
            )
        )

    def learned_listen_address(self, connection: PeerConnection, address: Address) -> None:
        """Note where an incoming peer listens: it need not be dialled."""
        if self.candidates.is_banned(address):
            connection.close("banned")
            return
        connection.listen_address = address
        self.candidates.add(address, trio.current_time())
        self.candidates.connected(address)

    def seeder_seen(self, connection: PeerConnection) -> None:
        """Two seeders have nothing to say to each other."""
        if self.is_complete and connection.is_seeder:
            connection.close("both sides have everything")

    def is_connected_to(self, address: Address) -> bool:
        """Whether a peer that listens at `address` is connected."""
        return any(c.listen_address == address for c in self.connections.values())

    def _peers_banned(self, identities: Iterable[str]) -> None:
        for identity in identities:
            address = parse_host_port(identity)
            self.candidates.ban(address)
            client = ""
            for connection in list(self.connections.values()):
                if connection.address == identity:
                    client = connection.client
                    connection.close("banned: it sent wrong bytes")
            self.context.emit(
                events.PeerBanned(
                    info_hash=self.info_hash.hex(),
                    address=identity,
                    client=client,
                    reason="it sent bytes that do not match the piece's hash",
                )
            )

    def _piece_verified(self, piece: int) -> None:
        self.context.emit(events.PieceVerified(info_hash=self.info_hash.hex(), piece=piece))

    def _piece_failed(self, piece: int, contributors: Iterable[str]) -> None:
        self.context.emit(
            events.PieceFailed(
                info_hash=self.info_hash.hex(), piece=piece, peers=sorted(contributors)
            )
        )

    async def _keep_house(self) -> None:
        """Keep quiet connections alive (BEP 3) and drop dead ones."""
        while True:
            await trio.sleep(HOUSEKEEPING)
            now = trio.current_time()
            for connection in list(self.connections.values()):
                if now - connection.last_received > IDLE_LIMIT:
                    connection.close("it was silent for too long")
                elif now - connection.last_sent > KEEP_ALIVE:
                    connection.wire.send_keep_alive()
                    connection.wakeup.set()

    async def _say_when_lonely(self) -> None:
        await trio.sleep(NO_PEERS_PATIENCE)
        if not self.connections and self._state in ("metadata", "downloading"):
            self.context.emit(
                events.Waiting(
                    info_hash=self.info_hash.hex(),
                    share_name=self.name,
                    reason="no peer yet; waiting for one to appear",
                )
            )

    # --- trackers ---------------------------------------------------------------------------------

    def _announce_request(self, event: AnnounceEvent) -> AnnounceRequest:
        download = self.download
        if download is not None:
            left = download.missing_bytes()
        else:
            left = (self.info.length if self.info is not None else self._plan.size) or UNKNOWN_LEFT
        if not self.is_complete:
            left = max(1, left)
        size = self.info.length if self.info is not None else self._plan.size
        return AnnounceRequest(
            info_hash=self.info_hash,
            peer_id=self.context.peer_id,
            port=self.context.port,
            uploaded=self.upload.uploaded,
            downloaded=download.ledger.received_bytes if download is not None else 0,
            left=left,
            event=event,
            key=self._announce_key,
            share_name=self.name or None,
            size=size,
        )

    def _announced(self, tracker: str, answer: AnnounceAnswer) -> None:
        now = trio.current_time()
        for address in answer.peers:
            self.candidates.add(address, now)
        self.dial_wakeup.set()
        self.context.emit(
            events.Announced(
                info_hash=self.info_hash.hex(),
                tracker=tracker,
                seeders=answer.seeders,
                leechers=answer.leechers,
                peers=len(answer.peers),
                interval=answer.interval,
            )
        )

    def _announce_failed(self, tracker: str, error: TrackerError, retry_in: float) -> None:
        self.context.emit(
            events.TrackerFailed(
                info_hash=self.info_hash.hex(),
                tracker=tracker,
                reason=str(error),
                retry_in=retry_in,
            )
        )

    def _emit_metadata(self) -> None:
        info = self.info
        assert info is not None
        if not self.name:
            self.name = info.name
        self.context.emit(
            events.MetadataReceived(
                info_hash=self.info_hash.hex(),
                share_name=self.name,
                size=info.length,
                pieces=info.piece_count,
                files=sum(not entry.padding for entry in info.files),
            )
        )


def _first_leaf(group: BaseExceptionGroup[BaseException]) -> TrioSwarmError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error  # type: ignore[return-value]  # except* let through only what it names


def describe(error: BaseException) -> str:
    """Return one line for people about what ended a peer."""
    if isinstance(error, trio.TooSlowError):
        return "it took too long"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, trio.BrokenResourceError):
        return "the connection broke"
    return str(error)
