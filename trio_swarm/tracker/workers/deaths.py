"""How soon a worker that died is replaced, and when that is no use any more."""

from typing import Final

LIVED: Final = 5.0
"""Seconds; a worker that served so long is replaced at once, however many were before."""

MOST_QUICK_DEATHS: Final = 8
"""One after another: what kills a worker as soon as it serves is not going to end."""

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class QuickDeaths:
    """Counts the deaths of one worker and its successors that did not live long."""

    def __init__(self) -> None:
        self._count = 0

    def pause_after(self, lived: float) -> float | None:
        """Return the seconds until a successor may start, None if there is to be none."""
        if lived >= LIVED:
            self._count = 0
            return 0.0
        self._count += 1
        if self._count > MOST_QUICK_DEATHS:
            return None
        if self._count == 1:
            return 0.0
        return float(min(_FIRST_PAUSE * 2 ** (self._count - 2), _LONGEST_PAUSE))
