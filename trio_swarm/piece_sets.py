"""Piece sets as Python ints: bit i is set if piece i is in the set. All bit tricks are here.

In a bitfield on the wire, piece 0 is the high bit of the first byte (BEP 3, "bitfield"). In an int
it is the low bit, so that `wanted & peer & rare` is a single fast operation.
"""

import random
from collections.abc import Iterable, Iterator
from typing import Final

PieceSet = int
"""A set of piece indexes: bit i stands for piece i; never negative."""

_DENSE: Final = 4
"""A set is dense if at least one position in four is in it. Then random tries are faster than
selecting by counting bits."""

_MOST_TRIES: Final = 16
"""Random tries before the piece is selected by counting bits after all; both ways are uniform."""

_DIGITS: Final = bytes(byte & 1 for byte in range(256))
"""From the digits 0 and 1 to the numbers."""

_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def full_set(count: int) -> PieceSet:
    """Return the set of pieces 0 … count - 1."""
    return (1 << count) - 1


def from_pieces(pieces: Iterable[int]) -> PieceSet:
    """Return the set of the given piece indices."""
    result = 0
    for piece in pieces:
        result |= 1 << piece
    return result


def from_bitfield(bitfield: bytes | bytearray | memoryview) -> PieceSet:
    """Return the set that a wire bitfield holds; spare bits become pieces beyond the last."""
    return int.from_bytes(bytes(bitfield).translate(_REVERSED), "little")


def to_bitfield(pieces: PieceSet, count: int) -> bytes:
    """Return the wire form of `pieces` for a torrent of `count` pieces: ceil(count / 8) bytes."""
    return pieces.to_bytes((count + 7) // 8, "little").translate(_REVERSED)


def to_bytes_each(pieces: PieceSet, count: int) -> bytes:
    """Return a byte for each of `count` pieces: 1 if it is in the set, else 0."""
    if not count:
        return b""
    return f"{pieces:0{count}b}".encode().translate(_DIGITS)[::-1]


def lowest(pieces: PieceSet) -> int:
    """Return the lowest piece of a non-empty set."""
    return (pieces & -pieces).bit_length() - 1


def first_missing(pieces: PieceSet, start: int) -> int:
    """Return the lowest piece from `start` on that is not in the set."""
    rest = pieces >> start
    return start + (~rest & (rest + 1)).bit_length() - 1


def iterate(pieces: PieceSet) -> Iterator[int]:
    """Yield the pieces of the set in ascending order."""
    # Going byte by byte is linear; clearing the lowest bit of a big int each time is quadratic.
    for index, byte in enumerate(pieces.to_bytes((pieces.bit_length() + 7) // 8, "little")):
        base = index * 8
        rest = byte
        while rest:
            bit = rest & -rest
            yield base + bit.bit_length() - 1
            rest ^= bit


def choose_uniformly(pieces: PieceSet, rng: random.Random) -> int:
    """Return one piece of a non-empty set, each with the same probability.

    In a dense set it tries random positions. In a sparse set it selects the k-th set bit by halving
    the width: O(log bits) big-int operations. (Rotating the set and taking the lowest bit would
    favour pieces that follow a gap.)
    """
    count = pieces.bit_count()
    width = pieces.bit_length()
    if count == 1:
        return width - 1
    if count * _DENSE >= width:
        for _ in range(_MOST_TRIES):
            piece = int(rng.random() * width)
            if pieces >> piece & 1:
                return piece
    k = int(rng.random() * count)
    offset = 0
    while width > 1:
        half = width >> 1
        low = pieces & ((1 << half) - 1)
        in_low = low.bit_count()
        if k < in_low:
            pieces = low
            width = half
        else:
            k -= in_low
            pieces >>= half
            offset += half
            width -= half
    return offset
