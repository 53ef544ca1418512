"""All arithmetic of pieces and blocks: how many there are, and the length of each.

A *piece* is the unit that the metainfo hashes. A *block* is the unit of a request: 16 KiB, counted
from the start of its piece, so the last block of a piece can be shorter (BEP 3, "request"). A set
of blocks of one piece is an int: bit i is set for block i, as in a `PieceSet`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.piece_sets import PieceSet, from_pieces, iterate

BLOCK_LENGTH: Final = 16384
"""Bytes of a block: the request length that every client accepts (BEP 3, "request")."""

BLOCK_SHIFT: Final = 14
"""log2 of `BLOCK_LENGTH`: for work done on each block, a shift is faster than a division."""

BlockSet = int
"""A set of blocks of one piece: bit i stands for block i; never negative."""


class BlockRun(NamedTuple):
    """Adjacent blocks of one piece; `begin` and `length` in bytes."""

    piece: int
    begin: int
    length: int


@mypyc_attr(acyclic=True)
class Lengths:
    """The sizes of one torrent: `length` bytes in pieces of `piece_length` bytes.

    The last piece holds the rest. It is never empty, and is a full piece if `length` is an exact
    multiple of `piece_length`. A torrent of 0 bytes has no pieces. `short_pieces` are the sizes of
    pieces that end with padding, without it (BEP 47): nobody is asked for padding.
    """

    __slots__ = (
        "_last_size",
        "_short",
        "blocks_per_piece",
        "length",
        "piece_count",
        "piece_length",
        "short_pieces",
    )

    def __init__(
        self, *, length: int, piece_length: int, short_pieces: Mapping[int, int] | None = None
    ) -> None:
        if length < 0 or piece_length < 1:
            raise ValueError(f"impossible lengths: {length} bytes in pieces of {piece_length}")
        self.piece_length = piece_length
        self.piece_count = -(-length // piece_length)
        self.blocks_per_piece = -(-piece_length // BLOCK_LENGTH)
        self.short_pieces = dict(short_pieces or {})
        self._short: PieceSet = 0
        self._last_size = length - max(0, self.piece_count - 1) * piece_length
        for piece, size in self.short_pieces.items():
            whole = self._last_size if piece == self.piece_count - 1 else piece_length
            if not (0 <= piece < self.piece_count and 0 < size < whole):
                raise ValueError(f"impossible lengths: {size} bytes in piece {piece}")
            length -= whole - size
        self.length = length
        """Bytes of all pieces together."""
        if self.short_pieces:
            self._short = from_pieces(self.short_pieces)

    def __repr__(self) -> str:
        return f"Lengths(length={self.length}, piece_length={self.piece_length})"

    def piece_size(self, piece: int) -> int:
        """Return the length of `piece` in bytes; raises IndexError if there is no such piece."""
        if not 0 <= piece < self.piece_count:
            raise IndexError(f"no piece {piece} among {self.piece_count}")
        if self._short:
            short = self.short_pieces.get(piece)
            if short is not None:
                return short
        return self._last_size if piece == self.piece_count - 1 else self.piece_length

    def bytes_in(self, pieces: PieceSet) -> int:
        """Return the length of some pieces together, in bytes."""
        total = pieces.bit_count() * self.piece_length
        last = self.piece_count - 1
        if last >= 0 and pieces >> last & 1:
            total -= self.piece_length - self._last_size
        for piece in iterate(pieces & self._short):
            whole = self._last_size if piece == last else self.piece_length
            total -= whole - self.short_pieces[piece]
        return total

    def block_count(self, piece: int) -> int:
        """Return the number of blocks of `piece`, at least 1."""
        return (self.piece_size(piece) + BLOCK_LENGTH - 1) >> BLOCK_SHIFT

    def block_size(self, piece: int, block: int) -> int:
        """Return the length of `block` of `piece` in bytes."""
        return min(BLOCK_LENGTH, self.piece_size(piece) - (block << BLOCK_SHIFT))

    def all_blocks(self, piece: int) -> BlockSet:
        """Return the set of all blocks of `piece`."""
        return (1 << self.block_count(piece)) - 1

    def size_of(self, piece: int, blocks: BlockSet) -> int:
        """Return the length of some blocks of `piece` together, in bytes."""
        size = blocks.bit_count() << BLOCK_SHIFT
        last = self.block_count(piece) - 1
        if blocks >> last & 1:
            size -= BLOCK_LENGTH - self.block_size(piece, last)
        return size

    def blocks_between(self, piece: int, begin: int, length: int) -> BlockSet:
        """Return the blocks at bytes `begin` … `begin + length`; 0 if they are not whole blocks."""
        if begin & (BLOCK_LENGTH - 1) or begin < 0 or length <= 0:
            return 0
        if not 0 <= piece < self.piece_count:
            return 0
        end = begin + length
        size = self.piece_size(piece)
        if end > size or (end & (BLOCK_LENGTH - 1) and end != size):
            return 0
        first = begin >> BLOCK_SHIFT
        count = (length + BLOCK_LENGTH - 1) >> BLOCK_SHIFT
        return ((1 << count) - 1) << first

    def runs(self, piece: int, blocks: BlockSet) -> list[BlockRun]:
        """Return `blocks` as runs of adjacent blocks, lowest first."""
        size = self.piece_size(piece)
        runs = []
        while blocks:
            lowest = blocks & -blocks
            # Adding the lowest bit clears its run and sets the bit above it.
            rest = blocks & (blocks + lowest)
            begin = lowest.bit_length() - 1 << BLOCK_SHIFT
            length = (blocks ^ rest).bit_count() << BLOCK_SHIFT
            runs.append(BlockRun(piece, begin, min(length, size - begin)))
            blocks = rest
        return runs


def _run_length(blocks: BlockSet) -> int:
    """Return the number of adjacent ones at the low end of `blocks`, which is odd."""
    # Adding one clears the run and sets the bit above it.
    return (~blocks & (blocks + 1)).bit_length() - 1


def lowest_blocks(blocks: BlockSet, count: int) -> BlockSet:
    """Return the `count` lowest blocks of a set, or the whole set if it has fewer."""
    run = ((1 << count) - 1) * (blocks & -blocks) if count > 0 else 0
    if blocks & run == run:
        return run
    taken = 0
    while blocks and count > 0:
        first = (blocks & -blocks).bit_length() - 1
        length = min(_run_length(blocks >> first), count)
        run = ((1 << length) - 1) << first
        taken |= run
        blocks ^= run
        count -= length
    return taken


def highest_blocks(blocks: BlockSet, count: int) -> BlockSet:
    """Return the `count` highest blocks of a set, or the whole set if it has fewer."""
    spare = blocks.bit_count() - count
    return blocks & ~lowest_blocks(blocks, spare) if spare > 0 else blocks
