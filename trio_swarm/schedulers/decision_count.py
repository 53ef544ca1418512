"""How many decisions download strategies make, and how long they take."""

import random
from collections.abc import Callable, Iterable

from trio_swarm.schedulers.api import Assignment, Scheduler, SwarmView


class DecisionCount:
    """Counts decisions, and adds up their `seconds`; what is decided does not depend on it.

    `timer` returns seconds.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self.calls = 0
        self.seconds = 0.0
        self._timer = timer

    def of(self, strategy: Scheduler) -> Scheduler:
        """Return a strategy that decides as this one does, and is counted here."""
        return _Counted(strategy, self, self._timer)


class _Counted:
    def __init__(
        self, strategy: Scheduler, count: DecisionCount, timer: Callable[[], float]
    ) -> None:
        self._strategy = strategy
        self._count = count
        self._timer = timer

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Decide, and count."""
        count = self._count
        count.calls += 1
        started = self._timer()
        # All of it, because a strategy may be a generator.
        assignments = list(self._strategy.assign(view, rng))
        count.seconds += self._timer() - started
        return assignments
