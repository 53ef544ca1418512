"""How fast something is done while there is something to do."""

import math
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr

LEAST: Final = 1e-6
"""The least rate, so that nobody divides by 0."""

MEMORY: Final = 2.0
"""Busy seconds after which a measurement counts for a third. With a third of it or three times as
much simulated swarms end at the same time. Without an end a leecher that passed on much for an hour
and stops would be known as fast for an hour."""


@mypyc_attr(acyclic=True)
class BusyRate:
    """Bytes/s while there was something to do: a rate that says what can be done.

    An idle link or leecher is not a slow one, so idle time does not count. At first some `trial`
    bytes count as done at the usual rate.
    """

    __slots__ = ("_busy", "_done", "_trial")

    def __init__(self, trial: float) -> None:
        self._trial = trial
        self._done = 0.0
        self._busy = 0.0

    def note(self, nbytes: float, seconds: float) -> None:
        """Count bytes that were done in some busy seconds."""
        left = math.exp(-seconds / MEMORY)
        self._trial *= left
        self._done = self._done * left + nbytes
        self._busy = self._busy * left + MEMORY * (1.0 - left)

    def rate(self, usual: float) -> float:
        """Return how much is done in a busy second, above 0; `usual`: what is assumed at first."""
        busy = self._busy + self._trial / usual
        return max(LEAST, (self._done + self._trial) / busy) if busy else usual
