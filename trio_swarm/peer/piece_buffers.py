"""The memory that pieces are put together in, and what of it is lent to arriving blocks."""

from collections.abc import Sequence
from mmap import mmap
from pathlib import Path

from trio_swarm.identities import PieceIndex
from trio_swarm.protocol.wire.block_place import BlockPlace
from trio_swarm.storage.disk_memory import map_file

MOST_IN_MEMORY = 32 * 1024 * 1024
"""Bytes of a piece that is kept in memory: torrents for everyday use have none larger."""


class PieceBuffers:
    """Reused buffers of one piece each: fresh ones cost page faults.

    A block may be received straight into its piece: `lend` gives its place to one connection, and
    nobody else writes there without taking it back first. So bytes never change under a piece that
    is being verified, whatever a peer still sends.

    Pieces above MOST_IN_MEMORY lie in a nameless file in `folder`, if it can hold one.
    """

    def __init__(self, piece_length: int, folder: Path | None = None) -> None:
        self._length = piece_length
        self._folder = folder if piece_length > MOST_IN_MEMORY else None
        # Views, since a slice of a bytearray is assigned by way of a second copy.
        self._free: list[memoryview] = []
        self._of_piece: dict[int, memoryview] = {}
        self._lent: dict[int, list[BlockPlace]] = {}

    def of(self, piece: int) -> memoryview:
        """Return the buffer of a piece in flight, taking one if it has none."""
        buffer = self._of_piece.get(piece)
        if buffer is None:
            buffer = self._free.pop() if self._free else self._new_buffer()
            self._of_piece[piece] = buffer
        return buffer

    def lend(self, piece: PieceIndex, begin: int, length: int) -> BlockPlace | None:
        """Lend the place of a block that is about to arrive; None if some of it is lent already."""
        lent = self._lent.setdefault(piece, [])
        end = begin + length
        if any(place.overlaps(begin, end) for place in lent):
            return None
        place = BlockPlace(piece, begin, self.of(piece)[begin:end])
        lent.append(place)
        return place

    def end_loan(self, place: BlockPlace) -> None:
        """Note that a block is whole, or will never be: nobody writes to its place any more."""
        lent = self._lent.get(place.piece)
        if lent is not None and place in lent:
            lent.remove(place)
            if not lent:
                del self._lent[place.piece]

    def write(
        self, piece: PieceIndex, begin: int, data: memoryview, following: Sequence[memoryview] = ()
    ) -> None:
        """Copy blocks behind each other to their places, taking back what of them was lent."""
        buffer = self.of(piece)
        blocks = (data, *following)
        if piece in self._lent:
            self._take_back(piece, begin, begin + sum(map(len, blocks)))
        for block in blocks:
            end = begin + len(block)
            buffer[begin:end] = block
            begin = end

    def _take_back(self, piece: PieceIndex, begin: int, end: int) -> None:
        for place in list(self._lent[piece]):
            if place.overlaps(begin, end):
                place.take_back()
                self.end_loan(place)

    def release(self, piece: int) -> None:
        """Take back the buffer of a piece, if it has one, and what was lent of it."""
        for place in self._lent.pop(piece, ()):
            place.take_back()
        buffer = self._of_piece.pop(piece, None)
        if buffer is not None:
            self._free.append(buffer)

    def _new_buffer(self) -> memoryview:
        """Return memory of its own pages, so that it lies in them as bytes lie in a file's pages.

        Files are served and written by the page. Where the two addresses of a copy differ by a few
        bytes in their place within a page, as they do for any other memory, some processors (AMD's
        Zen) copy at a fraction of their speed: it cost a leecher 0.2 to 0.3 s per GiB.
        """
        mapped = None if self._folder is None else map_file(self._length, self._folder)
        return memoryview(mmap(-1, self._length) if mapped is None else mapped)

    def clear(self) -> None:
        """Give all memory back."""
        for piece in list(self._of_piece):
            self.release(piece)
        self._free.clear()
