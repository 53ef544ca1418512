"""rarest-first: fetch what fewest peers hold, so that it is not lost with them."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import Assignment, SwarmView
from trio_swarm.schedulers.draft import Draft, Levels, begun_first

_by_rate = attrgetter("rate")


@dataclass
class RarestFirst:
    """The piece that fewest peers hold comes first; keeps the swarm whole when peers leave.

    The first few pieces are picked at random: the first of all should come fast, from anybody, so
    that there is something to trade. Among equally rare pieces those begun come first, then chance
    decides. When very many pieces are begun, finishing them comes before rarity. What a peer
    suggests comes before what else it has.
    """

    random_first_pieces: int = 4
    """Pick at random until about so many pieces are had; 0 never does."""
    begun_per_peer: float = 1.5
    """Once more than this many begun pieces per peer have free blocks, finish those first."""

    def __post_init__(self) -> None:
        """Refuse impossible options."""
        if self.random_first_pieces < 0:
            raise ValueError("random_first_pieces must be 0 or more")
        if self.begun_per_peer < 0:
            raise ValueError("begun_per_peer must be 0 or more")

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Fill the room of each peer, the fastest first, with the rarest pieces it holds."""
        draft = Draft(view)
        levels: Levels | None = None
        beginning = _pieces_had(view) < self.random_first_pieces
        peers = view.peers
        if len(peers) > 1:
            peers = sorted(peers, key=_by_rate, reverse=True)
        for peer in peers:
            room = peer.room
            while room > 0 and (candidates := draft.wanted & peer.pieces):
                begun = candidates & draft.started
                if begun and (beginning or self._is_much_begun(draft.started, view)):
                    candidates = begun
                elif peer.suggested:
                    candidates = (candidates & peer.suggested) or candidates
                if not beginning:
                    if levels is None:
                        levels = Levels(view)
                    candidates = levels.rarest(candidates)
                room -= draft.give(peer, begun_first(candidates, draft.started, rng))
        return draft.assignments

    def _is_much_begun(self, started: PieceSet, view: SwarmView) -> bool:
        count = started.bit_count()
        # Whoever serves us counts; but it takes a while to find out who is busy.
        return count > self.begun_per_peer * len(view.peers) and count > self.begun_per_peer * (
            len(view.peers) + len(view.busy)
        )


def _pieces_had(view: SwarmView) -> int:
    """Return how many pieces' worth of blocks is received, one too many at most."""
    return view.piece_count - view.remaining // view.piece_length
