"""round-robin: the peers take turns."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from trio_swarm.piece_sets import lowest
from trio_swarm.schedulers.api import Assignment, PeerView, SwarmView
from trio_swarm.schedulers.draft import Draft, begun_first


@dataclass
class RoundRobin:
    """Peers with room get one chunk each in turn; equal seeders carry equal load.

    The turn goes to whoever was served longest ago. A peer that is slow to make room just takes
    fewer turns: shares are never fixed.
    """

    chunk_kib: int = 256
    """Most to give to one peer in one turn, KiB; at least one block is given."""
    pieces: Literal["random", "in-order"] = "random"
    """Which piece to begin next; those begun are finished first."""
    _turns: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    """When each peer was last served, in turns."""
    _turn: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse impossible options."""
        if self.chunk_kib < 1:
            raise ValueError("chunk_kib must be 1 or more")

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Go round the peers until nobody has room or nothing is left."""
        draft = Draft(view)
        chunk = max(1, self.chunk_kib * 1024 // view.block_length)
        turns = self._turns
        waiting = sorted(view.peers, key=lambda peer: turns.get(peer.key, -1))
        while waiting:
            served: list[PeerView] = []
            # Alone it has every turn: they may as well be one.
            most = chunk if len(waiting) > 1 else None
            for peer in waiting:
                candidates = draft.candidates(peer)
                if not candidates:
                    continue
                if self.pieces == "in-order":
                    piece = lowest((candidates & draft.started) or candidates)
                else:
                    if peer.suggested:
                        candidates = (candidates & peer.suggested) or candidates
                    piece = begun_first(candidates, draft.started, rng)
                draft.give(peer, piece, most)
                turns[peer.key] = self._turn
                self._turn += 1
                served.append(peer)
            waiting = served
        self._forget_the_gone(view)
        return draft.assignments

    def _forget_the_gone(self, view: SwarmView) -> None:
        """Keep the memory in proportion to the peers there are."""
        if len(self._turns) > 64 + 4 * (len(view.peers) + len(view.busy)):
            here = {peer.key for peer in (*view.peers, *view.busy)}
            self._turns = {key: turn for key, turn in self._turns.items() if key in here}
