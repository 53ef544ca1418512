"""All arithmetic on pieces and blocks: how many there are and how long each is.

A *piece* is what the metainfo hashes; a *block* is the unit of request, 16 KiB, counted from the
start of its piece, so the last block of a piece may be short (BEP 3, "request"). The blocks of one
piece as a set are an int with bit i for block i, like a `PieceSet`.
"""

from typing import Final, NamedTuple

from trio_swarm.compiler_hints import mypyc_attr

BLOCK_LENGTH: Final = 16384
"""Bytes of a block; what every client accepts as a request (BEP 3, "request")."""

BLOCK_SHIFT: Final = 14
"""log2 of `BLOCK_LENGTH`: shifting beats dividing where it is done for each block."""

BlockSet = int
"""Bit i = block i of one piece; never negative."""


class BlockRun(NamedTuple):
    """Adjacent blocks of one piece; `begin` and `length` in bytes."""

    piece: int
    begin: int
    length: int


@mypyc_attr(acyclic=True)
class Lengths:
    """The sizes of one torrent: `length` bytes cut into pieces of `piece_length` bytes.

    The last piece holds what is left: it is never empty, and is a full one if `length` is an exact
    multiple. A torrent of no bytes has no pieces.
    """

    __slots__ = ("_last_size", "blocks_per_piece", "length", "piece_count", "piece_length")

    def __init__(self, *, length: int, piece_length: int) -> None:
        if length < 0 or piece_length < 1:
            raise ValueError(f"impossible lengths: {length} bytes in pieces of {piece_length}")
        self.length = length
        self.piece_length = piece_length
        self.piece_count = -(-length // piece_length)
        self.blocks_per_piece = -(-piece_length // BLOCK_LENGTH)
        self._last_size = length - max(0, self.piece_count - 1) * piece_length

    def __repr__(self) -> str:
        return f"Lengths(length={self.length}, piece_length={self.piece_length})"

    def piece_size(self, piece: int) -> int:
        """Return the bytes of `piece`."""
        if not 0 <= piece < self.piece_count:
            raise IndexError(f"no piece {piece} among {self.piece_count}")
        return self._last_size if piece == self.piece_count - 1 else self.piece_length

    def block_count(self, piece: int) -> int:
        """Return how many blocks `piece` has, at least 1."""
        return (self.piece_size(piece) + BLOCK_LENGTH - 1) >> BLOCK_SHIFT

    def block_size(self, piece: int, block: int) -> int:
        """Return the bytes of one block."""
        return min(BLOCK_LENGTH, self.piece_size(piece) - (block << BLOCK_SHIFT))

    def all_blocks(self, piece: int) -> BlockSet:
        """Return the set of every block of `piece`."""
        return (1 << self.block_count(piece)) - 1

    def size_of(self, piece: int, blocks: BlockSet) -> int:
        """Return the bytes of some blocks of `piece`."""
        size = blocks.bit_count() << BLOCK_SHIFT
        last = self.block_count(piece) - 1
        if blocks >> last & 1:
            size -= BLOCK_LENGTH - self.block_size(piece, last)
        return size

    def blocks_between(self, piece: int, begin: int, length: int) -> BlockSet:
        """Return the blocks that bytes `begin` … `begin + length` are; 0 if not whole blocks."""
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
        """Return the runs of adjacent blocks that make up `blocks`, lowest first."""
        size = self.piece_size(piece)
        runs = []
        while blocks:
            lowest = blocks & -blocks
            # Adding the lowest carries through its run and sets the bit above it.
            rest = blocks & (blocks + lowest)
            begin = lowest.bit_length() - 1 << BLOCK_SHIFT
            length = (blocks ^ rest).bit_count() << BLOCK_SHIFT
            runs.append(BlockRun(piece, begin, min(length, size - begin)))
            blocks = rest
        return runs


def _run_length(blocks: BlockSet) -> int:
    """Return how many ones `blocks`, which is odd, ends in."""
    # Adding one carries through the run and sets the bit above it.
    return (~blocks & (blocks + 1)).bit_length() - 1


def lowest_blocks(blocks: BlockSet, count: int) -> BlockSet:
    """Return the `count` lowest blocks of the set, or all if it has no more."""
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
    """Return the `count` highest blocks of the set, or all if it has no more."""
    spare = blocks.bit_count() - count
    return blocks & ~lowest_blocks(blocks, spare) if spare > 0 else blocks
