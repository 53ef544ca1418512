"""Dialling the peers a torrent knows of, and the handshake of either direction."""

import math
import os
from typing import TYPE_CHECKING

import trio

from trio_swarm import events
from trio_swarm.announcing.lookups import is_ip_address
from trio_swarm.errors import RemoteProtocolError
from trio_swarm.foreign_text import shown
from trio_swarm.peer.transport.streams import PeerStream, connect, look_up
from trio_swarm.protocol.addresses import Address, format_address
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.protocol.wire.messages import HandshakeReceived, WireEvent

if TYPE_CHECKING:
    from trio_swarm.peer.torrent import Torrent

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for a peer to send its 68 bytes: long for any link, short for whoever holds us up."""

MAX_DIALLING = 50
"""Connections of one torrent being opened at once. Most addresses of a large swarm's list may lead
nowhere, and each such one takes CONNECT_FIRST seconds: so dozens of them are passed over every
second and a live peer behind hundreds is met in seconds. More would look like a port scan."""

CONNECT_FIRST = 4.0
"""Seconds a peer that never failed has to take the connection. The kernel asks at 0, 1 and 3, so a
lost packet or two are forgiven; a live peer answers within one round trip."""

CONNECT_AGAIN = 10.0
"""The same from the second try on, when those that answer quickly have had their turn."""


async def dial_peers(torrent: "Torrent") -> None:
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
    torrent: "Torrent", address: Address, limit: trio.CapacityLimiter, token: object
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
            refusal = torrent.peer_set.admit(*dialled, is_outgoing=True)
    except (OSError, trio.TooSlowError, RemoteProtocolError, trio.BrokenResourceError) as error:
        refusal = shown(_describe(error))
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


def _describe(error: Exception) -> str:
    if isinstance(error, trio.TooSlowError):
        return "no answer"
    if isinstance(error, OSError):
        # Trio's own text names the address again.
        return os.strerror(error.errno) if error.errno else str(error)
    return str(error) or "the connection broke"


async def _look_up(torrent: "Torrent", address: Address) -> None:
    """Put the IP addresses of a named peer in its place; the name is looked up again much later."""
    now = trio.current_time()
    for found in await look_up(address):
        torrent.peer_set.candidates.add(found, now)
    torrent.peer_set.candidates.lost(address, now, useless=True)


async def _dial_once(
    torrent: "Torrent", address: Address, patience: float
) -> tuple[PeerStream, PeerWire, list[WireEvent]]:
    context = torrent.context
    stream = await connect(address, patience, source_host=context.source_host)
    try:
        wire = PeerWire(
            peer_id=context.peer_id,
            info_hash=torrent.info_hash,
            is_initiator=True,
            twin_hash=torrent.twin_hash,
        )
        wire.send_handshake(torrent.info_hash)
        with trio.fail_after(HANDSHAKE_TIMEOUT):
            await send_pending(stream, wire)
            _handshake, wire_events = await receive_handshake(stream, wire)
    except BaseException:
        stream.close()
        raise
    return stream, wire, wire_events


async def send_pending(stream: PeerStream, wire: PeerWire) -> None:
    """Send what the wire has, which before the torrent is joined holds no file blocks."""
    for segment in wire.data_to_send():
        assert isinstance(segment, bytes)
        await stream.send_all(segment)


async def receive_handshake(
    stream: PeerStream, wire: PeerWire
) -> tuple[HandshakeReceived, list[WireEvent]]:
    """Receive until the peer's handshake is there; return it and what came after it.

    Raises RemoteProtocolError, OSError or trio.BrokenResourceError.
    """
    while True:
        count = await stream.receive_into(wire.receive_buffers())
        wire_events = wire.received(count)
        if wire_events:
            first = wire_events[0]
            assert isinstance(first, HandshakeReceived)
            return first, wire_events[1:]
        if count == 0:
            raise RemoteProtocolError("it closed the connection before its handshake")
