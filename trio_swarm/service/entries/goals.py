"""How long an entry is seeded: which goal counts, and when it is reached."""

import math

from msgspec import Struct

from trio_swarm.service.entries.limits import NO_GOAL, EntryLimits, NodeLimits
from trio_swarm.settings import FetchSettings, ShareSettings


class Goal(Struct, frozen=True):
    """Seeding ends at this ratio or after these seconds, whichever comes first; inf: never."""

    ratio: float = math.inf
    seconds: float = math.inf

    @property
    def is_endless(self) -> bool:
        """Whether it is never reached."""
        return self == ENDLESS

    def reached(self, *, ratio: float, seconds: float) -> str:
        """Return in words which part of it is reached; empty if none is."""
        if ratio >= self.ratio:
            return f"it was given {self.ratio:g} times"
        if seconds >= self.seconds:
            return f"it was seeded for {self.seconds:g} s"
        return ""


ENDLESS = Goal()


def goal_of(settings: ShareSettings | FetchSettings, own: EntryLimits, node: NodeLimits) -> Goal:
    """Return the goal that counts: the entry's own, or else its settings', or else the node's.

    A share is offered without end unless it has a goal of its own.
    """
    if isinstance(settings, ShareSettings):
        return Goal(_first(own.seed_ratio), _first(own.seed_for))
    if not settings.seed and own.seed_ratio is None and own.seed_for is None:
        return Goal(seconds=0.0)
    return Goal(
        _first(own.seed_ratio, settings.seed_ratio, node.seed_ratio),
        _first(own.seed_for, settings.seed_for, node.seed_for),
    )


def _first(*goals: float | None) -> float:
    chosen = next((goal for goal in goals if goal is not None), NO_GOAL)
    return math.inf if chosen >= NO_GOAL else chosen
