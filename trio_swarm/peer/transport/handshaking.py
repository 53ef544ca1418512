"""The handshake of either direction (BEP 3, "peer protocol"): a stream in, a peer to talk to out.

Nothing here knows what kind of stream it is. Each function returns the stream to go on with, which
for an encrypted handshake is another one than it was given.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import trio

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.identities import InfoHash, PeerId
from trio_swarm.peer.transport.streams import PeerStream
from trio_swarm.protocol.wire.handshake import supports_v2
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.protocol.wire.messages import HandshakeReceived, WireEvent

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for a peer to send its 68 bytes: long for any link, short for whoever holds us up."""


UpgradeOf = Callable[[InfoHash], InfoHash | None]
"""Returns the version 2 info-hash of a hybrid by the other; None: there is none."""


def no_upgrade(_info_hash: InfoHash) -> InfoHash | None:
    """Return None: the default, for torrents of one version."""


class Established(NamedTuple):
    """A peer whose handshake is done."""

    stream: PeerStream
    wire: PeerWire
    info_hash: InfoHash
    """The one the connection was opened with, as the handshake of its initiator says."""
    events: list[WireEvent]
    """What came right behind the handshake."""


async def open_handshake(
    stream: PeerStream,
    *,
    peer_id: PeerId,
    info_hash: InfoHash,
    twin_hash: bytes | None,
    offers_v2: bool = False,
) -> Established:
    """Shake hands with a peer that we dialled; `twin_hash` may be its answer as well (`PeerWire`).

    `offers_v2` asks for that answer (BEP 52, "Upgrade Path"). Raises one of `PEER_ERRORS`; the
    caller closes the stream then.
    """
    wire = PeerWire(peer_id=peer_id, info_hash=info_hash, is_initiator=True, twin_hash=twin_hash)
    wire.send_handshake(info_hash, offers_v2=offers_v2)
    with trio.fail_after(HANDSHAKE_TIMEOUT):
        await _send_pending(stream, wire)
        _handshake, events = await receive_handshake(stream, wire)
    return Established(stream, wire, info_hash, events)


async def answer_handshake(
    stream: PeerStream,
    *,
    peer_id: PeerId,
    info_hashes: Collection[InfoHash],
    upgrade_of: UpgradeOf = no_upgrade,
) -> Established:
    """Shake hands with a peer that dialled us, for any of `info_hashes`.

    A peer that offers version 2 of a hybrid is answered with that info-hash (BEP 52, "Upgrade
    Path"), which `upgrade_of` returns. Raises one of `PEER_ERRORS`; the caller closes the stream
    then. How long it may take is the caller's matter, too: it knows how many others wait
    (`Admission`).
    """
    wire = PeerWire(peer_id=peer_id, info_hash=None, is_initiator=False)
    handshake, events = await receive_handshake(stream, wire)
    if handshake.info_hash not in info_hashes:
        raise RemoteProtocolError("it asks for a torrent that is not here")
    upgrade = upgrade_of(handshake.info_hash) if supports_v2(handshake.reserved) else None
    wire.send_handshake(handshake.info_hash, upgrade=upgrade)
    await _send_pending(stream, wire)
    return Established(stream, wire, handshake.info_hash, events)


async def _send_pending(stream: PeerStream, wire: PeerWire) -> None:
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
        events = wire.received(count)
        if events:
            first = events[0]
            assert isinstance(first, HandshakeReceived)
            return first, events[1:]
        if count == 0:
            raise RemoteProtocolError("it closed the connection before its handshake")
