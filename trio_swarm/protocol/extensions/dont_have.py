"""Taking a HAVE back: the lt_donthave message (BEP 54)."""

import struct
from typing import Protocol

from trio_swarm.errors import RemoteProtocolError

LT_DONTHAVE = "lt_donthave"
"""The extension's name in the handshake's "m" (BEP 54, "Protocol encoding")."""

_INDEX = struct.Struct(">I")


class DontHaveListener(Protocol):
    """A connection whose peer may take HAVEs back."""

    def piece_taken_back(self, piece: int) -> int:
        """Act on a piece that the peer has no longer; returns what that is charged.

        Raises RemoteProtocolError for a piece that no torrent has, or this one has not.
        """
        ...


def hear_dont_have(listener: DontHaveListener, payload: bytes) -> int:
    """Act on a message of a peer; returns what it is charged. Raises RemoteProtocolError."""
    return listener.piece_taken_back(parse_dont_have(payload))


def encode_dont_have(piece: int) -> bytes:
    """Return the payload that takes a HAVE back (BEP 54, "Protocol encoding")."""
    return _INDEX.pack(piece)


def parse_dont_have(payload: bytes) -> int:
    """Return the piece that a peer has no longer; raises RemoteProtocolError for another length."""
    if len(payload) != _INDEX.size:
        raise RemoteProtocolError(f"lt_donthave of {len(payload)} bytes")
    piece: int = _INDEX.unpack(payload)[0]
    return piece
