"""How many connected peers hold each piece, kept as piece sets.

`rarity[n]` is the set of pieces held by exactly n peers. The counts themselves are kept as bit
planes (bit p of plane k is bit k of the count of piece p), so that a peer joining with thousands of
pieces is a few operations on ints, and a HAVE finds its piece's count with one test per plane.
"""

from trio_swarm.piece_sets import PieceSet, full_set


class Availability:
    """Counts of holders of `piece_count` pieces; `rarity` partitions all pieces."""

    __slots__ = ("_planes", "rarity")

    def __init__(self, piece_count: int) -> None:
        self.rarity: list[PieceSet] = [full_set(piece_count)]
        """rarity[n] = pieces held by exactly n peers; one entry for each peer, and one for 0."""
        self._planes: list[PieceSet] = []

    def add_peer(self) -> None:
        """Make room for one more peer, which holds nothing yet."""
        self.rarity.append(0)
        if len(self.rarity).bit_length() > len(self._planes):
            self._planes.append(0)

    def remove_peer(self, pieces: PieceSet) -> None:
        """Forget a peer that holds `pieces`."""
        self.remove(pieces)
        self.rarity.pop()

    def count(self, piece: int) -> int:
        """Return how many peers hold `piece`."""
        count = 0
        weight = 1
        for plane in self._planes:
            if plane >> piece & 1:
                count += weight
            weight <<= 1
        return count

    def add_piece(self, piece: int) -> None:
        """Count one more holder of one piece: a HAVE."""
        bit = 1 << piece
        planes = self._planes
        count = 0
        carry = True
        for index, plane in enumerate(planes):
            if plane & bit:
                count |= 1 << index
                if carry:
                    planes[index] = plane ^ bit
            elif carry:
                planes[index] = plane ^ bit
                carry = False
        self.rarity[count] ^= bit
        self.rarity[count + 1] ^= bit

    def add(self, pieces: PieceSet) -> None:
        """Count one more holder of each of `pieces`: a bitfield."""
        rarity = self.rarity
        moved = 0
        for level, held in enumerate(rarity):
            leaving = held & pieces
            rarity[level] = held ^ leaving | moved
            moved = leaving
        planes = self._planes
        carry = pieces
        for index, plane in enumerate(planes):
            if not carry:
                break
            planes[index] = plane ^ carry
            carry &= plane

    def remove(self, pieces: PieceSet) -> None:
        """Count one holder less of each of `pieces`."""
        rarity = self.rarity
        moved = 0
        for level in range(len(rarity) - 1, -1, -1):
            held = rarity[level]
            leaving = held & pieces
            rarity[level] = held ^ leaving | moved
            moved = leaving
        planes = self._planes
        borrow = pieces
        for index, plane in enumerate(planes):
            if not borrow:
                break
            planes[index] = plane ^ borrow
            borrow &= ~plane
