"""How long decisions took, counted by length: cheap to keep, and enough for a quantile."""

from bisect import bisect_left
from typing import Final

BOUNDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5)
"""Seconds: most decisions take 50 µs to 2 ms; the guard's budget is 20 ms and a little more."""


class DecisionTimes:
    """Counts of decisions by the seconds that they took."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        """counts[n] = decisions that took at most BOUNDS[n], and more than the bound before; the
        last one counts those above all bounds."""
        self.seconds = 0.0
        """Seconds that they took together."""

    def note(self, seconds: float) -> None:
        """Count one decision."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
