"""Merkle trees of version 2: hashes of blocks, of pieces, of files, and proofs (BEP 52).

The leaves of a file's tree are the SHA-256 digests of its blocks of 16 KiB; each hash above covers
the two below it. The tree is as wide as the next power of two, and leaves behind the end of the
file are zeros. A *layer* is all hashes of one height; height 0 is the leaves. Hashes of a layer are
joined, 32 bytes each, without those that cover nothing of the file.
"""

import hashlib
from functools import cache
from typing import Final

BLOCK_LENGTH: Final = 16 * 2**10
"""Bytes that a leaf covers; pieces of version 2 are this or a larger power of two."""
HASH_LENGTH: Final = 32
"""Bytes of a SHA-256 digest."""


def leaf_hashes(data: bytes | bytearray | memoryview) -> bytes:
    """Return the leaves of `data`, which begins at a block, joined; the last block may be short."""
    view = memoryview(data)
    sha256 = hashlib.sha256
    return b"".join(
        [
            sha256(view[begin : begin + BLOCK_LENGTH]).digest()
            for begin in range(0, len(view), BLOCK_LENGTH)
        ]
    )


def tree_width(count: int) -> int:
    """Return the next power of two: how wide a layer is that has `count` hashes; at least 1."""
    return 1 << (count - 1).bit_length() if count > 1 else 1


def height_of(piece_length: int) -> int:
    """Return the height of the layer whose hashes cover `piece_length` bytes each."""
    return (piece_length // BLOCK_LENGTH).bit_length() - 1


@cache
def hash_of_nothing(height: int) -> bytes:
    """Return the hash at `height` that covers nothing of the file; 32 zeros for a leaf."""
    if height == 0:
        return bytes(HASH_LENGTH)
    below = hash_of_nothing(height - 1)
    return hashlib.sha256(below + below).digest()


def layer_above(layer: bytes, height: int) -> bytes:
    """Return the layer above `layer`, which has the given height."""
    if len(layer) // HASH_LENGTH % 2:
        layer += hash_of_nothing(height)
    sha256 = hashlib.sha256
    return b"".join(
        [
            sha256(layer[begin : begin + 2 * HASH_LENGTH]).digest()
            for begin in range(0, len(layer), 2 * HASH_LENGTH)
        ]
    )


def root_of(layer: bytes, *, width: int, height: int = 0) -> bytes:
    """Return the one hash above `layer`, which is `width` (a power of two) hashes wide.

    A layer of no hash has the root that covers nothing.
    """
    while width > 1:
        layer = layer_above(layer, height)
        width >>= 1
        height += 1
    return layer or hash_of_nothing(height)


def file_root(layer: bytes, height: int = 0) -> bytes:
    """Return the root of a file, whose whole layer of the given height is `layer`."""
    return root_of(layer, width=tree_width(len(layer) // HASH_LENGTH), height=height)


def piece_hash(leaves: bytes, piece_length: int, *, is_whole_file: bool) -> bytes:
    """Return the hash of a piece, from the leaves of its content.

    It belongs to the piece layer, but for a file within one piece it is the file's root.
    """
    if is_whole_file:
        return file_root(leaves)
    return root_of(leaves, width=piece_length // BLOCK_LENGTH)


def proof(
    layer: bytes, index: int, length: int, *, height: int, width: int | None = None
) -> list[bytes]:
    """Return what proves hashes `index` … `index + length` of `layer`, from below to its root.

    The list has the hash beside each of their ancestors. `length` is a power of two, and divides
    `index`. The layer is `width` hashes wide, or as wide as that of a whole file.
    """
    if width is None:
        width = tree_width(len(layer) // HASH_LENGTH)
    while length > 1:
        layer = layer_above(layer, height)
        length, index, width, height = length >> 1, index >> 1, width >> 1, height + 1
    uncles: list[bytes] = []
    while width > 1:
        begin = (index ^ 1) * HASH_LENGTH
        uncles.append(layer[begin : begin + HASH_LENGTH] or hash_of_nothing(height))
        layer = layer_above(layer, height)
        index, width, height = index >> 1, width >> 1, height + 1
    return uncles


def proven_root(hashes: bytes, index: int, uncles: list[bytes], *, height: int = 0) -> bytes:
    """Return the root that `hashes` at `index` of the layer have, if `uncles` are their proof.

    The number of hashes is a power of two, and divides `index`. They are proven if the result is
    the root that was known before.
    """
    count = len(hashes) // HASH_LENGTH
    above = root_of(hashes, width=count, height=height)
    index //= count
    for uncle in uncles:
        above = hashlib.sha256(uncle + above if index & 1 else above + uncle).digest()
        index >>= 1
    return above
