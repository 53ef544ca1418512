"""The trace of a run as one digest: equal digests mean that the same happened at the same times."""

import hashlib
from collections.abc import Callable
from struct import Struct
from typing import Final

_RECORD: Final = Struct("<BdIIIII")

_BATCH: Final = 1 << 16
"""Bytes hashed at a time."""

BLOCK: Final = 0
PIECE: Final = 1
LEFT: Final = 2
"""Kinds of records."""

Sink = Callable[[int, float, int, int, int, int, int], None]
"""Given what happened: kind, seconds, peer, receiver, piece, begin and length in bytes."""


class Trace:
    """Hashes what happens, in order, and passes it on to `sink` if there is one."""

    __slots__ = ("_hash", "_pending", "_sink", "blocks", "events")

    def __init__(self, sink: Sink | None = None) -> None:
        self.events = 0
        self.blocks = 0
        """Of the events, how many were arrivals of blocks."""
        self._hash = hashlib.sha256()
        self._pending = bytearray()
        self._sink = sink

    def block(  # noqa: PLR0917  one record
        self, now: float, sender: int, receiver: int, piece: int, begin: int, length: int
    ) -> None:
        """Note that blocks of a piece arrived whole."""
        self.blocks += 1
        self._add(BLOCK, now, sender, receiver, piece, begin, length)

    def piece(self, now: float, peer: int, piece: int) -> None:
        """Note that a peer has verified a piece."""
        self._add(PIECE, now, peer, 0, piece, 0, 0)

    def left(self, now: float, peer: int) -> None:
        """Note that a peer is gone."""
        self._add(LEFT, now, peer, 0, 0, 0, 0)

    def _add(  # noqa: PLR0917  one record
        self, kind: int, now: float, peer: int, to: int, piece: int, begin: int, length: int
    ) -> None:
        self.events += 1
        pending = self._pending
        pending += _RECORD.pack(kind, now, peer, to, piece, begin, length)
        if len(pending) >= _BATCH:
            self._hash.update(pending)
            pending.clear()
        if self._sink is not None:
            self._sink(kind, now, peer, to, piece, begin, length)

    def digest(self) -> str:
        """Return the SHA-256 of all records so far, in hex."""
        self._hash.update(self._pending)
        self._pending.clear()
        return self._hash.hexdigest()
