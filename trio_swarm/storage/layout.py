"""Where a torrent's bytes are: the one place that maps byte ranges to ranges of files.

A torrent is one byte string cut into pieces; its files follow each other in that string (BEP 3,
"info dictionary"). A pad file (BEP 47) has its place in the string, but is not stored on the disk.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from trio_swarm.identities import PieceIndex
from trio_swarm.piece_sets import PieceSet, from_pieces, iterate
from trio_swarm.protocol.metainfo.torrent import Info


class FileSpan(NamedTuple):
    """`length` bytes from `offset` of file number `file` (its index in `info.files`)."""

    file: int
    offset: int
    length: int


class Layout:
    """The file spans of any byte range of one torrent, in O(log files + spans)."""

    __slots__ = (
        "_ends",
        "_indices",
        "_length",
        "_piece_count",
        "_piece_length",
        "_short",
        "_starts",
        "info",
        "lengths",
        "stored",
    )

    def __init__(self, info: Info) -> None:
        self.info = info
        # Copied here, because each served block needs them and nested attributes take time.
        self._length = info.length
        self._piece_length = info.piece_length
        self._piece_count = info.piece_count
        # Files of length 0 are in no range, and would make the bisection ambiguous.
        files = info.files
        self._indices = tuple([i for i, entry in enumerate(files) if entry.length])
        self._starts = tuple([files[i].offset for i in self._indices])
        self._ends = tuple([files[i].offset + files[i].length for i in self._indices])
        self.lengths = tuple([entry.length for entry in files])
        self._short: PieceSet | None = None
        self.stored = tuple([not entry.padding for entry in files])

    def spans(self, start: int, length: int) -> list[FileSpan]:
        """Return the spans of bytes `start` … `start + length - 1` of the torrent, in order.

        Pad files are included: see `stored[span.file]`. Raises ValueError for a range that is not
        inside the torrent.
        """
        end = start + length
        if start < 0 or length < 0 or end > self._length:
            raise ValueError(f"bytes {start} to {end} are not inside {self._length} bytes")
        if not length:
            return []
        at = bisect_right(self._starts, start) - 1
        if end <= self._ends[at]:
            return [FileSpan(self._indices[at], start - self._starts[at], length)]
        result = []
        while start < end:
            offset = start - self._starts[at]
            stop = min(end, self._ends[at])
            result.append(FileSpan(self._indices[at], offset, stop - start))
            start = stop
            at += 1
        return result

    def block_spans(self, piece: PieceIndex, begin: int, length: int) -> list[FileSpan]:
        """Return the spans of the `length` bytes from byte `begin` of `piece`, in order.

        Raises ValueError if the block is not inside the piece.
        """
        if not 0 <= piece < self._piece_count:
            raise ValueError(f"there is no piece {piece}")
        start = piece * self._piece_length + begin
        if begin < 0 or begin + length > self._piece_length or start + length > self._length:
            raise ValueError(f"bytes {begin} to {begin + length} are not inside piece {piece}")
        return self.spans(start, length)

    def piece_spans(self, piece: int) -> list[FileSpan]:
        """Return the spans of one whole piece."""
        return self.spans(piece * self.info.piece_length, self.info.piece_size(piece))

    def files_of(self, piece: int) -> Iterator[int]:
        """Yield the files on the disk that have a byte of `piece`."""
        start = piece * self.info.piece_length
        first = bisect_right(self._starts, start) - 1
        last = bisect_left(self._starts, start + self.info.piece_size(piece))
        for at in range(first, last):
            index = self._indices[at]
            if self.stored[index]:
                yield index

    def pieces_of(self, file: int) -> range:
        """Return the pieces that have a byte of the file; empty for a file of length 0."""
        return self.info.pieces_of(self.info.files[file])

    def count_bytes(self, pieces: PieceSet) -> int:
        """Return the length of the pieces together, in bytes."""
        info = self.info
        total = pieces.bit_count() * info.piece_length
        last = info.piece_count - 1
        if last >= 0 and pieces >> last & 1:
            total -= info.piece_length - info.padded_size(last)
        if self._short is None:
            self._short = from_pieces(info.short_pieces)
        for piece in iterate(pieces & self._short):
            total -= info.padded_size(piece) - info.piece_size(piece)
        return total
