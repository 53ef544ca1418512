"""One thing that is to be done at a time which changes often."""

import math
from collections.abc import Callable

from trio_swarm.simulator.timeline import Timeline


class Alarm:
    """Calls `action` at the time it was set to, and sometimes too early: it is to look whether.

    A timeline takes nothing back. So that thousands of alarms that are put off again and again do
    not fill it, none is set while one that is earlier is still to come.
    """

    __slots__ = ("_action", "_timeline", "_times")

    def __init__(self, timeline: Timeline, action: Callable[[], None]) -> None:
        self._timeline = timeline
        self._action = action
        self._times: list[float] = []  # to come, the earliest last

    def set(self, when: float) -> None:
        """Have it ring at `when` at the latest; inf: that is never."""
        times = self._times
        if when < math.inf and (not times or when < times[-1]):
            when = max(when, self._timeline.now)
            times.append(when)
            self._timeline.at(when, self._ring)

    def _ring(self) -> None:
        del self._times[-1]
        self._action()
