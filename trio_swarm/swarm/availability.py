"""How many connected peers hold each piece.

The counts are kept as bit planes (bit p of plane k is bit k of the count of piece p), so that a
peer joining with thousands of pieces is a few operations on ints, and so is a HAVE. The sets of
equally rare pieces are made of them when somebody looks: there are many HAVEs between two looks.
"""

from collections.abc import Sequence
from typing import overload

from trio_swarm.piece_sets import PieceSet, full_set


class Availability(Sequence[PieceSet]):
    """Item n is the set of pieces held by exactly n peers; together they partition all pieces.

    It has an item for each peer and one for 0, and is live: a copy is a snapshot.
    """

    __slots__ = ("_every", "_peers", "_planes", "_rarity")

    def __init__(self, piece_count: int) -> None:
        self._every = full_set(piece_count)
        self._peers = 0
        self._planes: list[PieceSet] = []
        self._rarity: list[PieceSet] | None = None

    def __len__(self) -> int:
        return self._peers + 1

    @overload
    def __getitem__(self, index: int) -> PieceSet: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PieceSet]: ...
    def __getitem__(self, index: int | slice) -> PieceSet | Sequence[PieceSet]:
        return self.levels()[index]

    def levels(self) -> list[PieceSet]:
        """Return the items as a list, which is not to be changed."""
        rarity = self._rarity
        if rarity is not None:
            return rarity
        rarity = [self._every]
        for plane in reversed(self._planes):
            rest = self._every ^ plane
            rarity = [part for held in rarity for part in (held & rest, held & plane)]
        del rarity[self._peers + 1 :]
        self._rarity = rarity
        return rarity

    def add_peer(self) -> None:
        """Make room for one more peer, which holds nothing yet."""
        self._peers += 1
        if self._peers.bit_length() > len(self._planes):
            self._planes.append(0)
        self._rarity = None

    def remove_peer(self, pieces: PieceSet) -> None:
        """Forget a peer that holds `pieces`."""
        self.remove(pieces)
        self._peers -= 1
        if self._peers.bit_length() < len(self._planes):
            self._planes.pop()
        self._rarity = None

    def add(self, pieces: PieceSet) -> None:
        """Count one more holder of each of `pieces`: a bitfield, or a HAVE."""
        planes = self._planes
        index = 0
        while pieces:
            plane = planes[index]
            planes[index] = plane ^ pieces
            pieces &= plane
            index += 1
        self._rarity = None

    def remove(self, pieces: PieceSet) -> None:
        """Count one holder less of each of `pieces`."""
        planes = self._planes
        index = 0
        while pieces:
            plane = planes[index]
            planes[index] = plane ^ pieces
            pieces &= ~plane
            index += 1
        self._rarity = None
