"""How many bytes of each piece were sent, in four bytes of memory a piece (a dict takes 70)."""

from array import array
from collections.abc import Iterable, Iterator, Mapping

from trio_swarm.schedulers.api import UploadRequest


class SentBytes(Mapping[int, int]):
    """A live mapping: piece → bytes of it sent to any peer, without pieces never sent."""

    __slots__ = ("_bytes",)

    def __init__(self, piece_count: int) -> None:
        self._bytes = array("I", bytes(4 * piece_count))

    def add(self, blocks: Iterable[UploadRequest]) -> int:
        """Count blocks that were sent; return their length in bytes."""
        counts = self._bytes
        total = 0
        for piece, _, nbytes in blocks:
            total += nbytes
            try:
                counts[piece] += nbytes
            except OverflowError:  # 4 GiB of one piece were sent
                self._bytes = counts = array("Q", counts)
                counts[piece] += nbytes
        return total

    def __getitem__(self, piece: int) -> int:
        if 0 <= piece < len(self._bytes) and self._bytes[piece]:
            return self._bytes[piece]
        raise KeyError(piece)

    def __iter__(self) -> Iterator[int]:
        return (piece for piece, sent in enumerate(self._bytes) if sent)

    def __len__(self) -> int:
        return sum(1 for sent in self._bytes if sent)
