"""Dialling the peers a torrent knows of."""

import math
from typing import Protocol

import trio

from trio_swarm import events
from trio_swarm.announcing.lookups import is_ip_address
from trio_swarm.identities import InfoHash
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.peer_set import PeerSet
from trio_swarm.peer.transport.errors import PEER_ERRORS, describe
from trio_swarm.peer.transport.handshaking import Established, open_handshake
from trio_swarm.peer.transport.streams import connect, look_up
from trio_swarm.protocol.addresses import Address, format_address

MAX_DIALLING = 50
"""Connections of one torrent being opened at once. Most addresses of a large swarm's list may lead
nowhere, and each such one takes CONNECT_FIRST seconds: so dozens of them are passed over every
second and a live peer behind hundreds is met in seconds. More would look like a port scan."""

CONNECT_FIRST = 4.0
"""Seconds a peer that never failed has to take the connection. The kernel asks at 0, 1 and 3, so a
lost packet or two are forgiven; a live peer answers within one round trip."""

CONNECT_AGAIN = 10.0
"""The same from the second try on, when those that answer quickly have had their turn."""


class DialledTorrent(Protocol):
    """What dialling needs of a torrent; its info-hashes may change once its metadata is known."""

    context: NodeContext
    peer_set: PeerSet
    info_hash: InfoHash

    @property
    def twin_hash(self) -> bytes | None:
        """The other info-hash of a hybrid torrent (20 bytes); empty while it may have any."""
        ...

    @property
    def offers_v2(self) -> bool:
        """Whether a peer may go on by the version 2 info-hash."""
        ...


async def dial_peers(torrent: DialledTorrent) -> None:
    """Dial whoever is due, for as long as the torrent lives."""
    limit = trio.CapacityLimiter(MAX_DIALLING)
    peer_set = torrent.peer_set
    places = torrent.context.places
    with places.waking(peer_set.dial_wakeup):
        async with trio.open_nursery() as nursery:
            while True:
                now = trio.current_time()
                while limit.available_tokens > 0 and places.room_for_dial() <= now:
                    address = peer_set.candidates.take_due(now)
                    if address is None:
                        break
                    if peer_set.is_connected_to(address):
                        continue
                    token = object()
                    limit.acquire_on_behalf_of_nowait(token)
                    places.begin_dial()
                    nursery.start_soon(_dial, torrent, address, limit, token)
                # Each end of a dial and of a peer leads here, too.
                peer_set.tell_changed()
                due = peer_set.candidates.next_due()
                if limit.available_tokens == 0:
                    due = math.inf
                with trio.move_on_at(max(due, places.room_for_dial(), now)):
                    await peer_set.dial_wakeup.wait()


async def _dial(
    torrent: DialledTorrent, address: Address, limit: trio.CapacityLimiter, token: object
) -> None:
    context = torrent.context
    candidates = torrent.peer_set.candidates
    refusal: str | None = None
    try:
        dialled = None
        try:
            if is_ip_address(address[0]):
                patience = CONNECT_AGAIN if candidates.failures(address) else CONNECT_FIRST
                dialled = await _dial_once(torrent, address, patience)
            else:
                await _look_up(torrent, address)
        finally:
            context.places.end_dial()
        if dialled is not None:
            refusal = torrent.peer_set.admit(dialled, is_outgoing=True)
    except PEER_ERRORS as error:
        refusal = describe(error)
    finally:
        limit.release_on_behalf_of(token)
        torrent.peer_set.dial_wakeup.set()
    if refusal is not None:
        candidates.lost(address, trio.current_time())
        torrent.peer_set.outcomes.failed(address, refusal)
        context.emit(
            events.PeerLost(
                info_hash=torrent.info_hash.hex(),
                address=format_address(address),
                reason=f"could not connect: {refusal}",
            )
        )


async def _look_up(torrent: DialledTorrent, address: Address) -> None:
    """Put the IP addresses of a named peer in its place; the name is looked up again much later."""
    now = trio.current_time()
    for found in await look_up(address):
        torrent.peer_set.candidates.add(found, now)
    torrent.peer_set.candidates.lost(address, now, useless=True)


async def _dial_once(torrent: DialledTorrent, address: Address, patience: float) -> Established:
    context = torrent.context
    stream = await connect(address, patience, source_host=context.source_host)
    try:
        return await open_handshake(
            stream,
            peer_id=context.peer_id,
            info_hash=torrent.info_hash,
            twin_hash=torrent.twin_hash,
            offers_v2=torrent.offers_v2,
        )
    except BaseException:
        stream.close()
        raise
