"""Taking a HAVE back: the lt_donthave message (BEP 54)."""

import struct

from trio_swarm.errors import RemoteProtocolError

LT_DONTHAVE = "lt_donthave"
"""The extension's name in the handshake's "m" (BEP 54, "Protocol encoding")."""

_INDEX = struct.Struct(">I")


def encode_dont_have(piece: int) -> bytes:
    """Return the payload that takes a HAVE back (BEP 54, "Protocol encoding")."""
    return _INDEX.pack(piece)


def parse_dont_have(payload: bytes, piece_count: int) -> int:
    """Return the piece a peer no longer has (BEP 54).

    Raises RemoteProtocolError unless it is one index inside the torrent.
    """
    if len(payload) != _INDEX.size:
        raise RemoteProtocolError(f"lt_donthave of {len(payload)} bytes")
    piece: int = _INDEX.unpack(payload)[0]
    if piece >= piece_count:
        raise RemoteProtocolError(f"lt_donthave of piece {piece} of {piece_count}")
    return piece
