"""Where a torrent's bytes are: the one place that maps byte ranges to ranges of files.

A torrent is one byte string cut into pieces; its files follow each other in that string (BEP 3,
"info dictionary"). A pad file (BEP 47) has its place in the string, but is not stored on the disk.

A file that nobody wants has bytes in pieces of its neighbours. They are kept in one sparse file for
all such files, the *border file*, at their place in that string: so a file that nobody wants never
appears. To everybody else it is one more file of the torrent, after the last.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from trio_swarm.identities import PieceIndex
from trio_swarm.piece_sets import PieceSet, from_pieces, full_set, iterate
from trio_swarm.protocol.metainfo.selection import joined_pieces
from trio_swarm.protocol.metainfo.torrent import Info

BORDER_NAME: Final = ".trio-swarm-border"
"""The name of the border file, in the torrent's folder."""

NO_FILES: Final[frozenset[int]] = frozenset()


class FileSpan(NamedTuple):
    """`length` bytes from `offset` of file number `file` (its index in `info.files`)."""

    file: int
    offset: int
    length: int


class Layout:
    """The file spans of any byte range of one torrent, in O(log files + spans).

    With `border` there is a border file, whose number is that of files; a single file needs none,
    and nor do empty ones.
    """

    __slots__ = (
        "_aside",
        "_aside_pieces",
        "_ends",
        "_indices",
        "_length",
        "_piece_count",
        "_piece_length",
        "_short",
        "_starts",
        "border",
        "info",
        "lengths",
        "stored",
    )

    def __init__(self, info: Info, *, border: bool = False) -> None:
        self.info = info
        has_border = border and not info.is_single_file and info.length > 0
        self.border = len(info.files) if has_border else -1
        """The number of the border file; -1: there is none."""
        self._aside = NO_FILES
        self._aside_pieces: PieceSet = 0
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
        if self.border >= 0:
            self.lengths += (info.length,)
            self.stored += (True,)

    @property
    def aside(self) -> frozenset[int]:
        """The files whose bytes are in the border file; they have no place of their own."""
        return self._aside

    def put_aside(self, files: frozenset[int]) -> None:
        """Have the bytes of these files, and of no others, in the border file."""
        stored = self.stored
        self._aside = frozenset(file for file in files if stored[file] and self.lengths[file])
        if self.border < 0:
            self._aside = NO_FILES
        self._aside_pieces = joined_pieces(self.info, self._aside)

    def has_place(self, file: int) -> bool:
        """Whether a file is to be on the disk once its pieces are: padding and such are not."""
        if file == self.border:
            return bool(self._aside)
        return self.stored[file] and file not in self._aside

    def path_of(self, file: int) -> tuple[str, ...]:
        """Return the path of a file, of the border file as well."""
        if file != self.border:
            return self.info.files[file].path
        name = BORDER_NAME
        while any(entry.path[:1] == (name,) for entry in self.info.files):
            name += "~"
        return (name,)

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
        aside = self._aside
        if end <= self._ends[at]:
            file = self._indices[at]
            if file in aside:
                return [FileSpan(self.border, start, length)]
            return [FileSpan(file, start - self._starts[at], length)]
        result: list[FileSpan] = []
        while start < end:
            file = self._indices[at]
            stop = min(end, self._ends[at])
            if file not in aside:
                result.append(FileSpan(file, start - self._starts[at], stop - start))
            elif result and result[-1].file == self.border:
                before = result[-1]
                result[-1] = before._replace(length=before.length + stop - start)
            else:
                result.append(FileSpan(self.border, start, stop - start))
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
        is_border_told = False
        for at in range(first, last):
            index = self._indices[at]
            if index in self._aside:
                if not is_border_told:
                    is_border_told = True
                    yield self.border
            elif self.stored[index]:
                yield index

    def pieces_of(self, file: int) -> range:
        """Return the pieces that have a byte of a file of the torrent; none if it is empty."""
        return self.info.pieces_of(self.info.files[file])

    def piece_set_of(self, file: int) -> PieceSet:
        """Return the pieces that have a byte which is kept in a file: none if it is put aside."""
        if file in {self.border, -1}:
            return self._aside_pieces
        if file in self._aside:
            return 0
        pieces = self.pieces_of(file)
        return full_set(len(pieces)) << pieces.start

    def start_of(self, file: int) -> int:
        """Return the place in the torrent of the first byte of a file; 0 for the border file."""
        return 0 if file == self.border else self.info.files[file].offset

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
