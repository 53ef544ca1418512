# ruff: noqa: INP001 - a plugin in one file belongs to no package
"""zone-first: fetch from near (or cheap) peers, and from far (or dear) ones only what must be.

For a company with several sites, a cluster with racks, or a laptop on a metered link: the traffic
between zones shrinks to about one copy. Name this file in the configuration and choose the
strategy:

    [plugins]
    paths = ["plugins/zone_first.py"]

    [scheduler]
    name = "zone-first"

    [scheduler.options]
    near_ms = 5.0                 # peers this close by round trip are near (a LAN is below 2)
    help_below_mbit = 20.0        # far peers help as long as the near ones are slower than this
    near = ["rack1", "rack2"]     # where peers have labels: best first, all other zones after them
    label = "zone"                # which label tells the zone

A peer without the label is judged by its round trip. With `near` empty the label is a number, a
cost per byte for instance, and the cheapest are nearest.

What it does: peers are in tiers. A piece is asked of the nearest tier that has it, even if all
peers of that tier are busy now: they will have room soon. Far peers fetch what no nearer peer has,
rarest first, and so bring it into the zone. If the nearer tiers that have pieces we want are slower
together than `help_below_mbit`, the next tier joins in for everything.
"""

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import Assignment, PeerView, SchedulerFactory, SwarmView
from trio_swarm.schedulers.draft import Draft, Levels, begun_first
from trio_swarm.schedulers.hookspecs import hookimpl

BYTES_PER_MBIT = 125_000


@hookimpl
def trio_swarm_schedulers() -> Mapping[str, SchedulerFactory]:
    """Return the strategy by its name."""
    return {"zone-first": ZoneFirst}


@dataclass
class ZoneFirst:
    """Near or cheap peers first; far ones fetch only what no nearer peer has."""

    near: tuple[str, ...] = ()
    """Values of the label, the best first; empty: the label is a number and the least is best."""
    label: str = "zone"
    """Which label of a peer to look at."""
    near_ms: float = 5.0
    """A peer without the label is near if its round trip takes no longer than this, ms."""
    help_below_mbit: float = 0.0
    """Let the next tier help with everything while the nearer ones give less than this, Mbit/s."""

    def __post_init__(self) -> None:
        """Refuse impossible options."""
        if not self.label:
            raise ValueError("label must not be empty")
        for name in ("near_ms", "help_below_mbit"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more")

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Go from the nearest tier outwards; within one, rarest first, fastest peers first."""
        draft = Draft(view)
        levels = Levels(view)
        tiers: dict[float, list[PeerView]] = {}
        for peer in (*view.peers, *view.busy):
            tiers.setdefault(self._distance(peer), []).append(peer)
        nearer: PieceSet = 0
        """What tiers nearer than the one at hand have."""
        rate = 0.0
        enough = self.help_below_mbit * BYTES_PER_MBIT
        for distance in sorted(tiers):
            tier = tiers[distance]
            left_to_nearer = nearer if rate >= enough else 0
            for peer in sorted(tier, key=lambda peer: peer.rate, reverse=True):
                while candidates := draft.candidates(peer) & ~left_to_nearer:
                    piece = begun_first(levels.rarest(candidates), draft.started, rng)
                    draft.give(peer, piece)
            for peer in tier:
                nearer |= peer.pieces
                if view.wanted & peer.pieces:
                    rate += peer.rate
        return draft.assignments

    def _distance(self, peer: PeerView) -> float:
        """Return the peer's tier, 0 the nearest."""
        value = peer.labels.get(self.label)
        if value is None:
            # An unknown round trip is 0.0: such a peer is asked, and so becomes known.
            return 0.0 if peer.rtt * 1000 <= self.near_ms else math.inf
        if self.near:
            return self.near.index(value) if value in self.near else len(self.near)
        try:
            cost = float(value)
        except ValueError:
            return math.inf
        return math.inf if math.isnan(cost) else cost
