"""How many connected peers have each piece, kept up to date.

The counts are bit planes (see `schedulers/rarity.py`), so that a joining peer with thousands of
pieces takes a few operations on ints, and so does a HAVE.
"""

from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.schedulers.rarity import Rarity


class Availability:
    """Counts the peers that have each piece; `rarity` is a view of the counts for strategies."""

    __slots__ = ("_every", "_peers", "_pending", "_planes", "_rarity")

    def __init__(self, piece_count: int) -> None:
        self._every = full_set(piece_count)
        self._peers = 0
        self._planes: list[PieceSet] = []
        # HAVEs of different pieces are counted together when the counts are read, which halves the
        # work.
        self._pending: PieceSet = 0
        self._rarity: Rarity | None = None

    @property
    def rarity(self) -> Rarity:
        """The counts at this moment, as a value that later changes do not affect."""
        rarity = self._rarity
        if rarity is None:
            self._count_pending()
            rarity = Rarity(tuple(self._planes), every=self._every, peers=self._peers)
            self._rarity = rarity
        return rarity

    def add_peer(self) -> None:
        """Add a peer that has no pieces yet."""
        self._peers += 1
        if self._peers.bit_length() > len(self._planes):
            self._planes.append(0)
        self._rarity = None

    def remove_peer(self, pieces: PieceSet) -> None:
        """Remove a peer that has `pieces`."""
        self.remove(pieces)
        self._peers -= 1
        if self._peers.bit_length() < len(self._planes):
            self._planes.pop()
        self._rarity = None

    def add(self, pieces: PieceSet) -> None:
        """Count one more peer with each of `pieces`: a bitfield, or a HAVE."""
        self._rarity = None
        pending = self._pending
        if pending & pieces:
            self._count_pending()
            self._pending = pieces
        else:
            self._pending = pending | pieces

    def _count_pending(self) -> None:
        pieces = self._pending
        self._pending = 0
        planes = self._planes
        index = 0
        while pieces:
            plane = planes[index]
            planes[index] = plane ^ pieces
            pieces &= plane
            index += 1

    def remove(self, pieces: PieceSet) -> None:
        """Count one peer less with each of `pieces`."""
        self._count_pending()
        planes = self._planes
        index = 0
        while pieces:
            plane = planes[index]
            planes[index] = plane ^ pieces
            pieces &= ~plane
            index += 1
        self._rarity = None
