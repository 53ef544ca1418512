"""Counting the decisions of download strategies and measuring their time."""

import random
from collections.abc import Callable, Iterable

from trio_swarm.schedulers.api import Assignment, Scheduler, SwarmView


class DecisionCount:
    """The number of decisions (`calls`) and their time in all (`seconds`).

    `timer` returns seconds. Counting does not change what is decided.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self.calls = 0
        self.seconds = 0.0
        self._timer = timer

    def of(self, strategy: Scheduler) -> Scheduler:
        """Return a strategy that decides as `strategy` does and counts its decisions here."""
        return _Counted(strategy, self, self._timer)


class _Counted:
    def __init__(
        self, strategy: Scheduler, count: DecisionCount, timer: Callable[[], float]
    ) -> None:
        self._strategy = strategy
        self._count = count
        self._timer = timer

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Return the assignments of the counted strategy, and add the call to the count."""
        count = self._count
        count.calls += 1
        started = self._timer()
        # The list is made inside the measured time, because a strategy may be a generator.
        assignments = list(self._strategy.assign(view, rng))
        count.seconds += self._timer() - started
        return assignments
