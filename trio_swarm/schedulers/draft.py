"""The assignments of one call while they are made: what is still wanted, who still has room.

Every built-in download strategy works on a `Draft`, and plugins may: whatever order it picks peers
and pieces in, what comes out keeps the contract.
"""

import random

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.piece_sets import PieceSet, choose_uniformly
from trio_swarm.schedulers.api import Assignment, PeerView, SwarmView
from trio_swarm.schedulers.rarity import Rarity


@mypyc_attr(allow_interpreted_subclasses=True)
class Draft:
    """A snapshot, and the assignments made of it so far.

    Counts only what assignments touch, so that making one costs nothing per piece or peer.
    """

    __slots__ = ("_free", "_room", "_view", "assignments", "started", "wanted")

    def __init__(self, view: SwarmView) -> None:
        self._view = view
        self._free: dict[int, int] = {}
        self._room: dict[int, int] = {}
        self.wanted: PieceSet = view.wanted
        """Pieces with a block still to give out."""
        self.started: PieceSet = view.wanted & view.started
        """The subset of `wanted` that was begun before, or is begun by this draft."""
        self.assignments: list[Assignment] = []

    def room(self, peer: PeerView) -> int:
        """Return how many more blocks `peer` may be given."""
        return self._room.get(peer.key, peer.room)

    def free(self, piece: int) -> int:
        """Return how many blocks of `piece` are still to give out; only for wanted pieces."""
        free = self._free.get(piece)
        return self._view.blocks_of(piece) if free is None else free

    def candidates(self, peer: PeerView) -> PieceSet:
        """Return the pieces `peer` may be given now: empty if it has no room."""
        return self.wanted & peer.pieces if self.room(peer) > 0 else 0

    def give(self, peer: PeerView, piece: int, most: int | None = None) -> int:
        """Assign blocks of `piece`, one of `candidates(peer)`; return how many.

        All that the piece and the peer's room allow, or `most` if that is fewer.
        """
        key = peer.key
        room = self._room.get(key, peer.room)
        free = self._free.get(piece)
        if free is None:
            free = self._view.blocks_of(piece)
        blocks = min(room, free)
        if most is None or most >= blocks:
            # None rather than the number: a last piece may have fewer blocks than the view tells.
            self.assignments.append(Assignment(key, piece))
        else:
            blocks = most
            self.assignments.append(Assignment(key, piece, blocks))
        self._room[key] = room - blocks
        self._free[piece] = free - blocks
        bit = 1 << piece
        if blocks >= free:
            self.wanted ^= bit
            if self.started & bit:
                self.started ^= bit
        else:
            self.started |= bit
        return blocks


class Levels:
    """The wanted pieces of a snapshot by how many peers hold them, rarest first."""

    __slots__ = ("_counted", "_levels")

    def __init__(self, view: SwarmView) -> None:
        rarity = view.rarity
        self._counted = rarity if isinstance(rarity, Rarity) else None
        # Not cut down to what is wanted: of many levels a call looks at the first few only.
        self._levels = [] if self._counted is not None else [level for level in rarity if level]

    def rarest(self, candidates: PieceSet) -> PieceSet:
        """Return the rarest of some wanted pieces, at least one: non-empty, all equally rare."""
        if self._counted is not None:
            return self._counted.rarest(candidates)
        for level in self._levels:
            found = level & candidates
            if found:
                return found
        return candidates


def begun_first(candidates: PieceSet, started: PieceSet, rng: random.Random) -> int:
    """Return a piece of a non-empty set: one that is begun if there is any; ties are uniform."""
    return choose_uniformly((candidates & started) or candidates, rng)
