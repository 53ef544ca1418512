# ruff: noqa: INP001 - a plugin in one file belongs to no package
"""zone-first: fetch from near (or cheap) peers, and from far (or expensive) ones only if necessary.

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
    label = "zone"                # the label that holds the zone

For a peer without the label, its round-trip time counts. If `near` is empty, the label is a number,
for instance a cost per byte, and the cheapest peers are nearest.

The peers form tiers. A piece is requested from the nearest tier that has it, even if all peers of
that tier are busy now, because they will have room soon. Pieces that no nearer peer has are
requested from far peers, rarest first, and so come into the zone. If the nearer tiers with pieces
that we want are slower together than `help_below_mbit`, all pieces are also requested from the next
tier.
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
    """Near or cheap peers first; far peers only for pieces that no nearer peer has."""

    near: tuple[str, ...] = ()
    """Values of the label, the best first; empty: the label is a number, and the lowest is best."""
    label: str = "zone"
    """Name of the label that holds a peer's zone."""
    near_ms: float = 5.0
    """A peer without the label is near if its round trip takes at most this long, ms."""
    help_below_mbit: float = 0.0
    """Also request all pieces from the next tier while nearer ones are slower than this, Mbit/s."""

    def __post_init__(self) -> None:
        """Raise ValueError for a wrong option."""
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
        """Pieces of the tiers before this one."""
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
