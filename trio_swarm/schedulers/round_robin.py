"""round-robin: a download strategy that assigns one chunk to each peer in turn."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from trio_swarm.piece_sets import lowest
from trio_swarm.schedulers.api import Assignment, PeerView, SwarmView
from trio_swarm.schedulers.draft import Draft, Urgent, begun_first


@dataclass
class RoundRobin:
    """Each peer with room gets one chunk in turn, so that equal seeders carry equal load.

    The next turn goes to the peer whose last turn was longest ago. A slow peer gets room less often
    and so takes fewer turns: the shares are not fixed. Pieces that somebody waits for who reads the
    files come before all others.
    """

    chunk_kib: int = 256
    """Size of a turn in KiB, rounded down to blocks; at least one block."""
    pieces: Literal["random", "in-order"] = "random"
    """Which piece to start next; started pieces are always finished first."""
    _turns: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    """Peer key → number of its latest turn."""
    _turn: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.chunk_kib < 1:
            raise ValueError("chunk_kib must be 1 or more")

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Give turns to the peers until none has room or no free block is left."""
        draft = Draft(view)
        chunk = max(1, self.chunk_kib * 1024 // view.block_length)
        turns = self._turns
        urgent = Urgent(view) if view.deadlines else None
        waiting = sorted(view.peers, key=lambda peer: turns.get(peer.key, -1))
        while waiting:
            served: list[PeerView] = []
            # A peer that is alone gets every turn, so one turn without a limit does the same.
            most = chunk if len(waiting) > 1 else None
            for peer in waiting:
                candidates = draft.candidates(peer)
                first = None
                if urgent is not None:
                    first = urgent.first(peer, candidates)
                    candidates = urgent.others(peer, candidates)
                if not candidates:
                    continue
                if first is not None:
                    piece = first
                elif self.pieces == "in-order":
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
        """Remove peers that left, so that the memory stays in proportion to the connected peers."""
        if len(self._turns) > 64 + 4 * (len(view.peers) + len(view.busy)):
            here = {peer.key for peer in (*view.peers, *view.busy)}
            self._turns = {key: turn for key, turn in self._turns.items() if key in here}
