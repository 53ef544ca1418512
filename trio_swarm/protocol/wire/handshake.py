"""The handshake that opens a peer connection (BEP 3, "peer protocol"), parsed as it arrives."""

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.identities import InfoHash, PeerId
from trio_swarm.protocol.wire.messages import HANDSHAKE_LENGTH, PROTOCOL_PREFIX, HandshakeReceived

_FAST_BYTE, _FAST_BIT = 7, 0x04
_EXTENSION_BYTE, _EXTENSION_BIT = 5, 0x10
_V2_BYTE, _V2_BIT = 7, 0x10

OUR_RESERVED = bytes((0, 0, 0, 0, 0, _EXTENSION_BIT, 0, _FAST_BIT))
"""The reserved bytes we send: Fast Extension (BEP 6) and extension protocol (BEP 10), no DHT."""


def supports_fast(reserved: bytes) -> bool:
    """Return whether these reserved bytes include the Fast Extension (BEP 6)."""
    return bool(reserved[_FAST_BYTE] & _FAST_BIT)


def supports_extensions(reserved: bytes) -> bool:
    """Return whether these reserved bytes include the extension protocol (BEP 10)."""
    return bool(reserved[_EXTENSION_BYTE] & _EXTENSION_BIT)


def supports_v2(reserved: bytes) -> bool:
    """Return whether these reserved bytes offer version 2 of a hybrid (BEP 52, "Upgrade Path").

    They say so beside the version 1 info-hash only; the other one says it by itself.
    """
    return bool(reserved[_V2_BYTE] & _V2_BIT)


def encode_handshake(info_hash: InfoHash, peer_id: PeerId, *, offers_v2: bool = False) -> bytes:
    """Return our handshake, 68 bytes (BEP 3, "peer protocol").

    With `offers_v2` the peer may answer with the version 2 info-hash of a hybrid.
    """
    reserved = bytearray(OUR_RESERVED)
    if offers_v2:
        reserved[_V2_BYTE] |= _V2_BIT
    return PROTOCOL_PREFIX + reserved + info_hash + peer_id


def parse_handshake(
    data: memoryview, info_hash: InfoHash | None, twin_hash: bytes | None = None
) -> HandshakeReceived | None:
    """Return the handshake at the start of `data`; None while it is incomplete.

    Raises RemoteProtocolError at the first byte that cannot belong to a handshake, and for an
    info-hash other than `info_hash` and `twin_hash` as soon as it has arrived. So a stranger that
    speaks another protocol is not waited for.
    """
    prefix = data[: len(PROTOCOL_PREFIX)]
    if prefix != PROTOCOL_PREFIX[: len(prefix)]:
        raise RemoteProtocolError("what it sent is not a BitTorrent handshake")
    if (
        len(data) >= 48
        and info_hash is not None
        and twin_hash != b""
        and bytes(data[28:48]) not in {info_hash, twin_hash}
    ):
        raise RemoteProtocolError("it answered for another info-hash")
    if len(data) < HANDSHAKE_LENGTH:
        return None
    return HandshakeReceived(
        info_hash=InfoHash(bytes(data[28:48])),
        peer_id=PeerId(bytes(data[48:68])),
        reserved=bytes(data[20:28]),
    )
