"""rarest-first: a download strategy that fetches the pieces first that the fewest peers have."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import Assignment, SwarmView
from trio_swarm.schedulers.draft import Draft, Levels, Urgent, begun_first

_by_rate = attrgetter("rate")


@dataclass
class RarestFirst:
    """The piece that the fewest peers have comes first, so that it is not lost when peers leave.

    The first few pieces are picked at random, because the very first piece should arrive quickly,
    from any peer, so that we can upload it to others. Among equally rare pieces, started pieces
    come first, then the choice is random. When very many pieces are started, finishing them comes
    before rarity. Pieces that a peer suggests come before its other pieces, and pieces that
    somebody waits for who reads the files come before all.
    """

    random_first_pieces: int = 4
    """Pick at random until about this many pieces are received; 0: never pick at random."""
    begun_per_peer: float = 1.5
    """With more started pieces than this for each peer, finish started pieces first."""

    def __post_init__(self) -> None:
        if self.random_first_pieces < 0:
            raise ValueError("random_first_pieces must be 0 or more")
        if self.begun_per_peer < 0:
            raise ValueError("begun_per_peer must be 0 or more")

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Fill the room of each peer, the fastest first, with the rarest pieces it has."""
        draft = Draft(view)
        levels: Levels | None = None
        beginning = _pieces_had(view) < self.random_first_pieces
        peers = view.peers
        urgent = Urgent(view) if view.deadlines else None
        if len(peers) > 1:
            peers = sorted(peers, key=_by_rate, reverse=True)
        for peer in peers:
            room = peer.room
            while room > 0 and (candidates := draft.wanted & peer.pieces):
                if urgent is not None:
                    first = urgent.first(peer, candidates)
                    if first is not None:
                        room -= draft.give(peer, first)
                        continue
                    candidates = urgent.others(peer, candidates)
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
        # Every peer that serves us counts; but it takes a while to find out which peers are busy.
        return count > self.begun_per_peer * len(view.peers) and count > self.begun_per_peer * (
            len(view.peers) + len(view.busy)
        )


def _pieces_had(view: SwarmView) -> int:
    """Return the number of pieces that the received blocks would fill, at most one too high."""
    return view.piece_count - view.remaining // view.piece_length
