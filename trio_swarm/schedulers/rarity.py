"""How many connected peers have each piece, at one moment: the `rarity` of a view.

The counts are stored as bit planes: bit p of plane k is bit k of the count of piece p. So finding
the rarest pieces of a set takes one or two operations for each plane, and a swarm of a thousand
peers has ten planes. A set of equally rare pieces is made only when it is read.
"""

from collections.abc import Iterator, Sequence
from typing import overload

from trio_swarm.piece_sets import PieceSet, to_bytes_each


class Rarity(Sequence[PieceSet]):
    """Item n is the set of pieces that exactly n peers have; the items partition all pieces.

    Its length is the number of connected peers plus one, for n = 0.
    """

    __slots__ = ("_every", "_levels", "_peers", "_planes")

    def __init__(self, planes: tuple[PieceSet, ...], *, every: PieceSet, peers: int) -> None:
        self._planes = planes
        self._every = every
        self._peers = peers
        self._levels: list[PieceSet] | None = None

    def rarest(self, candidates: PieceSet) -> PieceSet:
        """Return the pieces of `candidates` that the fewest peers have; empty only if it is."""
        for plane in reversed(self._planes):
            held = candidates & plane
            if held != candidates:
                candidates ^= held
        return candidates

    def holders_of(self, piece: int) -> int:
        """Return how many peers have a piece."""
        return sum([(plane >> piece & 1) << index for index, plane in enumerate(self._planes)])

    def split(self, count: int) -> tuple[PieceSet, PieceSet]:
        """Return the pieces that fewer than `count` peers have, and those that as many have."""
        fewer, equal = 0, self._every
        for index in range(len(self._planes) - 1, -1, -1):
            held = equal & self._planes[index]
            if count >> index & 1:
                fewer |= equal ^ held
                equal = held
            else:
                equal ^= held
        return fewer, equal

    def counts(self) -> bytes:
        """Return a byte for each piece: how many peers have it; 255 is that many or more."""
        pieces = self._every.bit_length()
        total = high = 0
        for index, plane in enumerate(self._planes):
            if index < 8:
                total |= int.from_bytes(to_bytes_each(plane, pieces), "little") << index
            else:
                high |= plane
        if high:
            total |= int.from_bytes(to_bytes_each(high, pieces), "little") * 255
        return total.to_bytes(pieces, "little")

    def __len__(self) -> int:
        return self._peers + 1

    @overload
    def __getitem__(self, index: int) -> PieceSet: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PieceSet]: ...
    def __getitem__(self, index: int | slice) -> PieceSet | Sequence[PieceSet]:
        if self._levels is not None or isinstance(index, slice):
            return self.levels()[index]
        peers = self._peers
        count = index + peers + 1 if index < 0 else index
        if not 0 <= count <= peers:
            raise IndexError(f"there are {peers} peers")
        pieces = self._every
        for plane in self._planes:
            pieces &= plane if count & 1 else ~plane
            count >>= 1
        return pieces

    def __iter__(self) -> Iterator[PieceSet]:
        return iter(self.levels())

    def __reversed__(self) -> Iterator[PieceSet]:
        return reversed(self.levels())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rarity):
            return NotImplemented
        return (
            self._planes == other._planes
            and self._every == other._every
            and self._peers == other._peers
        )

    def __hash__(self) -> int:
        return hash((self._planes, self._every, self._peers))

    def levels(self) -> list[PieceSet]:
        """Return all items as a list, which the caller must not change."""
        levels = self._levels
        if levels is None:
            levels = [self._every]
            for plane in reversed(self._planes):
                rest = self._every ^ plane
                levels = [part for held in levels for part in (held & rest, held & plane)]
            del levels[self._peers + 1 :]
            self._levels = levels
        return levels
