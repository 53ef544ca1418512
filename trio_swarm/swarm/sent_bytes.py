"""How many bytes of each piece were put out: four bytes a piece, where a dict takes seventy."""

from array import array
from collections.abc import Iterator, Mapping


class SentBytes(Mapping[int, int]):
    """Piece → bytes of it that were put out to anybody; live, and without pieces never sent."""

    __slots__ = ("_bytes",)

    def __init__(self, piece_count: int) -> None:
        self._bytes = array("I", bytes(4 * piece_count))

    def add(self, piece: int, nbytes: int) -> None:
        """Count bytes of a piece."""
        try:
            self._bytes[piece] += nbytes
        except OverflowError:  # 4 GiB of one piece
            self._bytes = array("Q", self._bytes)
            self._bytes[piece] += nbytes

    def __getitem__(self, piece: int) -> int:
        if 0 <= piece < len(self._bytes) and self._bytes[piece]:
            return self._bytes[piece]
        raise KeyError(piece)

    def __iter__(self) -> Iterator[int]:
        return (piece for piece, sent in enumerate(self._bytes) if sent)

    def __len__(self) -> int:
        return sum(1 for sent in self._bytes if sent)
