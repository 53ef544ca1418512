"""The assignments of one call while they are made: the free blocks and the room that are left.

Every built-in download strategy uses a `Draft`, and plugins may. In whatever order it picks peers
and pieces, the resulting assignments keep the contract.
"""

import random
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.piece_sets import PieceSet, choose_uniformly, from_pieces
from trio_swarm.schedulers.api import Assignment, PeerView, SwarmView
from trio_swarm.schedulers.rarity import Rarity


@mypyc_attr(allow_interpreted_subclasses=True)
class Draft:
    """A view, and the assignments made from it so far.

    It stores only the pieces and peers that assignments changed, so making one costs the same for
    any number of pieces and peers.
    """

    __slots__ = ("_free", "_room", "_view", "assignments", "started", "wanted")

    def __init__(self, view: SwarmView) -> None:
        self._view = view
        self._free: dict[int, int] = {}
        self._room: dict[int, int] = {}
        self.wanted: PieceSet = view.wanted
        """Pieces that still have a free block."""
        self.started: PieceSet = view.wanted & view.started
        """The pieces of `wanted` that were started before, or are started by this draft."""
        self.assignments: list[Assignment] = []

    def room(self, peer: PeerView) -> int:
        """Return how many more blocks `peer` may be given."""
        return self._room.get(peer.key, peer.room)

    def free(self, piece: int) -> int:
        """Return the number of free blocks of `piece`, which must be in `wanted`."""
        free = self._free.get(piece)
        return self._view.blocks_of(piece) if free is None else free

    def candidates(self, peer: PeerView) -> PieceSet:
        """Return the pieces that may be assigned to `peer` now; the empty set if it has no room."""
        return self.wanted & peer.pieces if self.room(peer) > 0 else 0

    def give(self, peer: PeerView, piece: int, most: int | None = None) -> int:
        """Assign blocks of `piece`, one of `candidates(peer)`, and return how many.

        As many as the piece and the peer's room allow, but at most `most`.
        """
        key = peer.key
        room = self._room.get(key, peer.room)
        free = self._free.get(piece)
        if free is None:
            free = self._view.blocks_of(piece)
        blocks = min(room, free)
        if most is None or most >= blocks:
            # None instead of the number: the last piece may have fewer blocks than the view says.
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


SLOW_BELOW: Final = 0.25
"""Part of the fastest peer's rate below which a peer leaves what readers want to faster ones, as
long as it can be asked for anything else: a reader would wait for its blocks."""


class Urgent:
    """The pieces of a view that readers want, the most urgent first; made only if there are any."""

    __slots__ = ("_left_to_fast", "_pieces", "_set", "_slow_rate")

    def __init__(self, view: SwarmView) -> None:
        self._pieces = list(view.deadlines)
        self._set = from_pieces(self._pieces)
        everybody = [*view.peers, *view.busy]
        self._slow_rate = SLOW_BELOW * max([peer.rate for peer in everybody], default=0.0)
        self._left_to_fast: PieceSet = 0
        for peer in everybody:
            if peer.rate >= self._slow_rate:
                self._left_to_fast |= peer.pieces & self._set

    def first(self, peer: PeerView, candidates: PieceSet) -> int | None:
        """Return the piece of `candidates` to ask `peer` for first; None: none is urgent."""
        wanted = candidates & self._set
        if peer.rate < self._slow_rate:
            wanted &= ~self._left_to_fast
        if wanted:
            for piece in self._pieces:
                if wanted >> piece & 1:
                    return piece
        return None

    def others(self, peer: PeerView, candidates: PieceSet) -> PieceSet:
        """Return the pieces of `candidates` to choose from when none is to be asked for first."""
        if peer.rate < self._slow_rate:
            return (candidates & ~self._left_to_fast) or candidates
        return candidates


class Levels:
    """The wanted pieces of a view, by the number of peers that have them, rarest first."""

    __slots__ = ("_counted", "_levels")

    def __init__(self, view: SwarmView) -> None:
        rarity = view.rarity
        self._counted = rarity if isinstance(rarity, Rarity) else None
        # The levels are not reduced to the wanted pieces: of many levels a call reads only the
        # first few.
        self._levels = [] if self._counted is not None else [level for level in rarity if level]

    def rarest(self, candidates: PieceSet) -> PieceSet:
        """Return the rarest of some wanted pieces, at least one; all of them equally rare."""
        if self._counted is not None:
            return self._counted.rarest(candidates)
        for level in self._levels:
            found = level & candidates
            if found:
                return found
        return candidates


def begun_first(candidates: PieceSet, started: PieceSet, rng: random.Random) -> int:
    """Return a piece of a non-empty set, a started one if there is any; ties break uniformly."""
    return choose_uniformly((candidates & started) or candidates, rng)
