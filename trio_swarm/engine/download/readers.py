"""Where the readers of a download are in its bytes, and which pieces they want by when.

A reader reads on: what follows the bytes that it waits for is wanted soon. Who has got its bytes is
expected to go on behind them for a while.
"""

from typing import Final

from trio_swarm.piece_sets import PieceSet

AHEAD: Final = 16 * 1024 * 1024
"""Bytes behind a reader's that are fetched before others: what a film takes in some ten seconds."""

MOST_AHEAD: Final = 256
"""Pieces behind a reader's that are fetched before others, however small they are: strategies look
at all of them."""

PACE: Final = 1024 * 1024
"""Bytes/s at which a reader is expected to go on: a film in high definition."""

STAYS: Final = 10.0
"""Seconds for which a reader that has got its bytes is expected to go on behind them."""

MOST_READERS: Final = 64
"""Readers of one torrent at once: people who watch, each with a few connections."""


class Reader:
    """One reader: it waits for the bytes from `begin` up to `end`, or has got them."""

    __slots__ = ("begin", "end", "is_waiting", "since")

    def __init__(self, begin: int, end: int, now: float) -> None:
        self.begin = begin
        self.end = end
        self.is_waiting = True
        self.since = now
        """When it began to wait, or had its bytes; seconds."""


class Readers:
    """The readers of one torrent with pieces of `piece_length` bytes; times are seconds."""

    def __init__(self, piece_length: int, piece_count: int) -> None:
        self._piece_length = piece_length
        self._piece_count = piece_count
        self._readers: list[Reader] = []

    def begin(self, begin: int, end: int, now: float) -> Reader | None:
        """Note that somebody waits for some bytes; None: there are too many readers."""
        self._readers = [
            each for each in self._readers if each.is_waiting or now - each.since < STAYS
        ]
        for each in self._readers:
            if each.end == begin and not each.is_waiting:  # it goes on
                self._readers.remove(each)
                break
        if len(self._readers) >= MOST_READERS:
            idle = [each for each in self._readers if not each.is_waiting]
            if not idle:
                return None
            self._readers.remove(idle[0])
        reader = Reader(begin, end, now)
        self._readers.append(reader)
        return reader

    def got(self, reader: Reader, now: float) -> None:
        """Note that a reader has its bytes."""
        reader.is_waiting = False
        reader.since = now

    def leave(self, reader: Reader) -> None:
        """Forget a reader that gave up."""
        if reader in self._readers:
            self._readers.remove(reader)

    def deadlines(self, have: PieceSet) -> dict[int, float]:
        """Return when each missing piece is wanted that any reader wants; the most urgent first."""
        found: dict[int, float] = {}
        for reader in self._readers:
            self._add(reader, have, found)
        return dict(sorted(found.items(), key=_by_time))

    def _add(self, reader: Reader, have: PieceSet, found: dict[int, float]) -> None:
        length = self._piece_length
        first = (reader.begin if reader.is_waiting else reader.end) // length
        last = (reader.end - 1) // length
        ahead = max(1, min(MOST_AHEAD, -(-AHEAD // length)))
        for piece in range(first, min(self._piece_count, last + 1 + ahead)):
            if have >> piece & 1:
                continue
            when = reader.since + max(0, piece * length - reader.end) / PACE
            if when < found.get(piece, float("inf")):
                found[piece] = when


def _by_time(item: tuple[int, float]) -> tuple[float, int]:
    return item[1], item[0]
