"""One thing that is to be done at a time which changes often."""

import math

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.lab.simulator.timeline import Timeline, TimelineEvent


@mypyc_attr(allow_interpreted_subclasses=True)
class Alarm(TimelineEvent):
    """Calls `ring` at the time it was set to, and sometimes too early: it is to look whether.

    A timeline takes nothing back. So that thousands of alarms that are put off again and again do
    not fill it, none is set while one that is earlier is still to come.
    """

    __slots__ = ("_next", "_others", "_timeline")

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        # Most have one time to come at most, which is an object less if it is no tuple's.
        self._next = math.inf
        self._others: tuple[float, ...] = ()  # to come after it, the earliest last

    def set(self, when: float) -> None:
        """Have it ring at `when` at the latest; inf: that is never."""
        if when < self._next:
            when = max(when, self._timeline.now)
            if self._next < math.inf:
                self._others = (*self._others, self._next)
            self._next = when
            self._timeline.add(when, self)

    def happen(self) -> None:
        """Ring."""
        others = self._others
        if others:
            self._next = others[-1]
            self._others = others[:-1]
        else:
            self._next = math.inf
        self.ring()

    def ring(self) -> None:
        """Do it, if it is time."""
        raise NotImplementedError
