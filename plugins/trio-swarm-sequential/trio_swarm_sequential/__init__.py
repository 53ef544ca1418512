"""Fetch pieces in order, for watching while downloading: a strategy for trio-swarm."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from trio_swarm.piece_sets import PieceSet, full_set, lowest
from trio_swarm.schedulers.api import Assignment, SchedulerFactory, SwarmView
from trio_swarm.schedulers.draft import Draft, Levels, begun_first
from trio_swarm.schedulers.hookspecs import hookimpl


@hookimpl
def trio_swarm_schedulers() -> Mapping[str, SchedulerFactory]:
    """Return the strategy by its name."""
    return {"sequential": Sequential}


@dataclass
class Sequential:
    """Pieces in order within a moving window, for watching while downloading.

    Beyond the window the rarest pieces come first. Slow peers do not get the most urgent pieces.
    """

    window_mib: float = 16.0
    """Size of the window after the first missing piece, MiB; at least two pieces."""
    tail_mib: float = 1.0
    """How much of the end to fetch right after the first piece, MiB: video files have an index
    there. 0 for none."""
    slow_below: float = 0.25
    """A peer with less than this fraction of the fastest peer's rate leaves the urgent half of the
    window to others. 0 lets every peer fetch everything."""
    start_percent: float = 0.0
    """Where to begin, per cent of the torrent; pieces before it are fetched last."""

    def __post_init__(self) -> None:
        """Raise ValueError for a wrong option."""
        if self.window_mib <= 0:
            raise ValueError("window_mib must be above 0")
        if self.tail_mib < 0:
            raise ValueError("tail_mib must be 0 or more")
        if not 0 <= self.slow_below <= 1:
            raise ValueError("slow_below must be between 0 and 1")
        if not 0 <= self.start_percent < 100:
            raise ValueError("start_percent must be 0 or more, and below 100")

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Assign urgent pieces to the fastest peers first, and fill all room."""
        if not view.wanted:
            return ()
        draft = Draft(view)
        order = self._order(view)
        everybody = (*view.peers, *view.busy)
        slow_rate = self.slow_below * max((peer.rate for peer in everybody), default=0.0)
        left_to_fast: PieceSet = 0
        for peer in everybody:
            if peer.rate >= slow_rate:
                left_to_fast |= peer.pieces & order.urgent
        for peer in sorted(view.peers, key=attrgetter("rate"), reverse=True):
            avoided = left_to_fast if peer.rate < slow_rate else 0
            while candidates := draft.candidates(peer) & ~avoided:
                draft.give(peer, order.first(candidates, draft.started, rng))
        return draft.assignments

    def _order(self, view: SwarmView) -> "_Order":
        start = int(view.piece_count * self.start_percent / 100)
        position = lowest((view.wanted >> start << start) or view.wanted)
        window = max(2, _pieces_of(self.window_mib, view))
        tail = min(view.piece_count, _pieces_of(self.tail_mib, view))
        parts = (
            1 << position,
            full_set(tail) << (view.piece_count - tail),
            full_set((window + 1) // 2) << position,
            full_set(window) << position,
        )
        return _Order(parts, parts[0] | parts[1] | parts[2], position, Levels(view))


class _Order(NamedTuple):
    """The order in which to fetch pieces, at one moment."""

    parts: tuple[PieceSet, ...]
    """First piece, tail, near half of the window, whole window; each in order."""
    urgent: PieceSet
    """Pieces that slow peers leave to fast ones."""
    position: int
    levels: Levels

    def first(self, candidates: PieceSet, started: PieceSet, rng: random.Random) -> int:
        """Return the most urgent piece of a non-empty set."""
        for part in self.parts:
            if candidates & part:
                return lowest(candidates & part)
        # Pieces before the position were skipped on purpose, and come last.
        ahead = candidates >> self.position << self.position
        return begun_first(self.levels.rarest(ahead or candidates), started, rng)


def _pieces_of(mib: float, view: SwarmView) -> int:
    """Return `mib` MiB as a number of pieces, rounded up."""
    return -int(-mib * 1024 * 1024 // view.piece_length)
