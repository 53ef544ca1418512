"""Answering peers that ask for hashes of merkle trees (BEP 52, "hash request").

Piece layers are known; leaves are hashed anew from the pieces that they are of.
"""

from trio_swarm.protocol.extensions.hash_fetch import proof_length
from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.info import FileEntry, Info
from trio_swarm.protocol.wire.messages import HASH_LENGTH, MAX_HASHES, MAX_PROOF, HashRange

MAX_HASHED = 16 * 2**20
"""Most bytes that are read and hashed for one answer: 512 leaves are 8 MiB, and a proof needs whole
pieces. Leaves of longer pieces are not given out."""


class HashAnswers:
    """What can be answered for one torrent whose piece layers are known; used by one thread."""

    def __init__(self, info: Info) -> None:
        self._info = info
        self._height = merkle.height_of(info.piece_length)
        self._files = {file.root: file for file in info.files if file.root}
        self._upper: dict[bytes, bytes] = {}  # of long layers: one hash over MAX_HASHES each

    def pieces_of(self, asked: HashRange) -> range | None:
        """Return the pieces whose content is needed for an answer; None: it is to be rejected."""
        file = self._files.get(asked.root)
        if file is None:
            return None
        pieces = self._info.pieces_of(file)
        is_layer = asked.base == self._height and len(pieces) > 1
        if not is_layer and asked.base != 0:
            return None
        each = 1 if is_layer else self._info.piece_length // merkle.BLOCK_LENGTH
        count = len(pieces) if is_layer else -(-file.length // merkle.BLOCK_LENGTH)
        if not _is_possible(asked, count):
            return None
        if is_layer:
            return range(0)
        wanted = pieces[asked.index // each : (asked.index + asked.length - 1) // each + 1]
        return wanted if len(wanted) * self._info.piece_length <= MAX_HASHED else None

    def answer(self, asked: HashRange, content: bytes) -> bytes:
        """Return the hashes and their proof; `content` is that of `pieces_of`, in one."""
        file = self._files[asked.root]
        if not content:
            hashes = self._layer(file)[asked.index * HASH_LENGTH :][: asked.length * HASH_LENGTH]
            hashes = _filled(hashes, asked.length, self._height)
            uncles = self._layer_proof(file, asked.index, asked.length)
        else:
            hashes, uncles = self._leaves(file, asked, content)
        return hashes + b"".join(uncles[: proof_length(asked)])

    def _leaves(
        self, file: FileEntry, asked: HashRange, content: bytes
    ) -> tuple[bytes, list[bytes]]:
        leaves = merkle.leaf_hashes(content)
        each = self._info.piece_length // merkle.BLOCK_LENGTH
        is_small = file.length <= self._info.piece_length
        first = asked.index // each
        within = asked.index - first * each
        width = merkle.tree_width(len(leaves) // HASH_LENGTH) if is_small else each
        width = max(width, asked.length)
        uncles = merkle.proof(leaves, within, asked.length, height=0, width=width)
        if not is_small:
            uncles += self._layer_proof(file, first, width // each)
        hashes = leaves[within * HASH_LENGTH :][: asked.length * HASH_LENGTH]
        return _filled(hashes, asked.length, 0), uncles

    def _layer(self, file: FileEntry) -> bytes:
        pieces = self._info.pieces_of(file)
        hashes = self._info.v2_piece_hashes
        return hashes[pieces.start * HASH_LENGTH : pieces.stop * HASH_LENGTH]

    def _layer_proof(self, file: FileEntry, index: int, length: int) -> list[bytes]:
        """Return what proves hashes of the piece layer, with what is kept of long ones."""
        layer = self._layer(file)
        count = len(layer) // HASH_LENGTH
        if count <= MAX_HASHES:
            return merkle.proof(layer, index, length, height=self._height)
        size = MAX_HASHES * HASH_LENGTH
        upper = self._upper.get(file.root)
        if upper is None:
            upper = self._upper[file.root] = b"".join(
                [
                    merkle.root_of(layer[at : at + size], width=MAX_HASHES, height=self._height)
                    for at in range(0, len(layer), size)
                ]
            )
        part, within = divmod(index, MAX_HASHES)
        near = layer[part * size : (part + 1) * size]
        above = self._height + MAX_HASHES.bit_length() - 1
        return merkle.proof(
            near, within, length, height=self._height, width=MAX_HASHES
        ) + merkle.proof(upper, part, 1, height=above)


def _is_possible(asked: HashRange, count: int) -> bool:
    """Whether a layer of `count` hashes has those asked for, and so many that prove them."""
    width, length = merkle.tree_width(count), asked.length
    return (
        2 <= length <= min(width, MAX_HASHES)
        and not length & (length - 1)
        and not asked.index % length
        and asked.index < count
        and asked.proof <= MAX_PROOF
        and proof_length(asked) <= width.bit_length() - length.bit_length()
    )


def _filled(hashes: bytes, count: int, height: int) -> bytes:
    """Return `count` hashes: those behind the end of the file cover nothing."""
    missing = count - len(hashes) // HASH_LENGTH
    return hashes + merkle.hash_of_nothing(height) * missing
