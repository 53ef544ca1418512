"""The virtual clock: what is due, in the order of its time, and among equals as it was planned."""

import heapq
from collections.abc import Callable


class Timeline:
    """Calls actions when they are due; `now` is in seconds and moves only from one to the next."""

    __slots__ = ("_due", "_is_over", "_serial", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._serial = 0
        self._is_over = False

    def at(self, when: float, action: Callable[..., None], *arguments: object) -> None:
        """Call `action(*arguments)` at `when`, at once if that has passed."""
        self._serial += 1
        heapq.heappush(self._due, (when, self._serial, action, arguments))

    def run(self, settle: Callable[[], None], *, until: float) -> None:
        """Play what is due until nothing is, or until the given time.

        `settle` is called after the last action of each moment; what it plans for the same moment
        is played at the same time.
        """
        due = self._due
        pop = heapq.heappop
        while due and not self._is_over:
            when, _, action, arguments = pop(due)
            if when > until:
                self.now = until
                return
            self.now = max(self.now, when)
            action(*arguments)
            if not due or due[0][0] > self.now:
                settle()

    def stop(self) -> None:
        """Play nothing more than the present action."""
        self._is_over = True
