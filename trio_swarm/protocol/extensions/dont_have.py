"""The lt_donthave message: a peer takes a HAVE back (BEP 54)."""

import struct
from typing import Protocol

from trio_swarm.errors import RemoteProtocolError

LT_DONTHAVE = "lt_donthave"
"""The extension's name in the handshake's "m" (BEP 54, "Protocol encoding")."""

_INDEX = struct.Struct(">I")


class DontHaveListener(Protocol):
    """A connection whose peer may take HAVEs back."""

    def piece_taken_back(self, piece: int) -> int:
        """Note that the peer no longer has a piece; return how many useless messages it counts as.

        Raises RemoteProtocolError for a piece that the torrent does not have.
        """
        ...


def hear_dont_have(listener: DontHaveListener, payload: bytes) -> int:
    """Handle the message; return how many useless messages it counts as.

    Raises RemoteProtocolError for a message that is not valid.
    """
    return listener.piece_taken_back(parse_dont_have(payload))


def encode_dont_have(piece: int) -> bytes:
    """Return the payload that takes a HAVE back (BEP 54, "Protocol encoding")."""
    return _INDEX.pack(piece)


def parse_dont_have(payload: bytes) -> int:
    """Return the piece that a peer no longer has; raises RemoteProtocolError if it is invalid."""
    if len(payload) != _INDEX.size:
        raise RemoteProtocolError(f"lt_donthave of {len(payload)} bytes")
    piece: int = _INDEX.unpack(payload)[0]
    return piece
