"""Piece sets as Python ints: bit i set means piece i is in the set. All bit tricks live here.

On the wire a bitfield has piece 0 in the high bit of its first byte (BEP 3, "bitfield"); an int
has it in its low bit, so that `wanted & peer & rare` is one machine-speed operation.
"""

import random
from collections.abc import Iterable, Iterator
from typing import Final

PieceSet = int
"""Bit i = piece i; never negative."""

_DENSE: Final = 4
"""A set is dense if one position in so many is in it: then trying is cheaper than counting."""

_MOST_TRIES: Final = 16
"""Then it is counted after all: the result is uniform either way."""

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
    """Return the set a wire bitfield holds; spare bits come out as pieces beyond the last."""
    return int.from_bytes(bytes(bitfield).translate(_REVERSED), "little")


def to_bitfield(pieces: PieceSet, count: int) -> bytes:
    """Return the wire form of `pieces` for a torrent of `count` pieces: ceil(count / 8) bytes."""
    return pieces.to_bytes((count + 7) // 8, "little").translate(_REVERSED)


def lowest(pieces: PieceSet) -> int:
    """Return the lowest piece of a non-empty set."""
    return (pieces & -pieces).bit_length() - 1


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

    In a dense set it tries positions until one is in it; in a sparse one it selects the k-th set
    bit by halving the width: O(log bits) big-int operations. (Rotating and taking the lowest bit
    would favour pieces that follow gaps.)
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
