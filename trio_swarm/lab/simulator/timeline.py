"""The virtual clock: what is due, in the order of its time, and among equals as it was planned."""

import heapq
from collections.abc import Callable

from trio_swarm.compiler_hints import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class TimelineEvent:
    """What is to happen at some time.

    Those there are thousands of have a class of their own: an object that knows what to do takes a
    quarter of the memory of a method and its arguments.
    """

    __slots__ = ()

    def happen(self) -> None:
        """Do it; called once, when it is due."""
        raise NotImplementedError


class _Call(TimelineEvent):
    """Calls a function with some arguments."""

    __slots__ = ("_action", "_arguments")

    def __init__(self, action: Callable[..., None], arguments: tuple[object, ...]) -> None:
        self._action = action
        self._arguments = arguments

    def happen(self) -> None:
        """Call it."""
        self._action(*self._arguments)


class Timeline:
    """Has events happen when they are due; `now` is in seconds and moves only from one to the next.

    Many are due at one time: a piece is told to dozens of peers. So each time is in the heap only
    once, and has a list.
    """

    __slots__ = ("_due", "_is_over", "_times", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._due: dict[float, list[TimelineEvent]] = {}
        self._times: list[float] = []  # the keys of `_due`, as a heap
        self._is_over = False

    def at(self, when: float, action: Callable[..., None], *arguments: object) -> None:
        """Call `action(*arguments)` at `when`, at once if that has passed."""
        self.add(when, _Call(action, arguments))

    def add(self, when: float, event: TimelineEvent) -> None:
        """Have an event happen at `when`, at once if that has passed."""
        now = self.now
        if when < now:  # noqa: PLR1730  max is a call, and this is the busiest line of all
            when = now
        due = self._due.get(when)
        if due is None:
            self._due[when] = [event]
            heapq.heappush(self._times, when)
        else:
            due.append(event)

    def run(self, settle: Callable[[], None], *, until: float) -> None:
        """Play what is due until nothing is, or until the given time.

        `settle` is called after the last event of each moment; what it plans for the same moment
        is played at the same time.
        """
        times = self._times
        while times:
            when = heapq.heappop(times)
            if when > until:
                self.now = until
                return
            self.now = when
            # What is planned for this moment meanwhile is played, too, and settled after.
            for event in self._due.pop(when):
                event.happen()
                if self._is_over:
                    return
            if not times or times[0] > when:
                settle()
                if self._is_over:
                    return

    def stop(self) -> None:
        """Play nothing more than the present event."""
        self._is_over = True
