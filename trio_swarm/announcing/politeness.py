"""When a tracker is asked again: as it wants, within limits that no tracker can move."""

import math

from trio_swarm.errors import TrackerError, TrackerRefusedError
from trio_swarm.protocol.trackers.announces import AnnounceAnswer

DEFAULT_INTERVAL = 1800.0
"""Seconds between announces to a tracker that does not say; most trackers ask for this."""

MIN_INTERVAL = 1.0
MAX_INTERVAL = 86_400.0
"""Seconds between announces that a tracker may ask for, in any field. More than a day would be a
mistake, or meant to keep us away for good."""

MIN_GAP = 5.0
"""Seconds between announces to a tracker that only `announce_now` asks for."""

MAX_BACKOFF = 30.0
"""Seconds between tries while a tracker cannot be reached, at most; less if its interval was less,
so that it has us back one heartbeat after it is back."""

FIRST_REFUSAL = 120.0
LAST_REFUSAL = 7200.0
"""Seconds until a tracker that refused us is asked again, if it does not say: 2 minutes, 4, 8 …,
two hours. It is there, and asking again is of no use until somebody changes the tracker."""


def interval_of(answer: AnnounceAnswer) -> float:
    """Return the seconds until the next announce: the longer of the intervals it told."""
    return _bounded(max(answer.interval, answer.min_interval) or DEFAULT_INTERVAL)


def gap_of(answer: AnnounceAnswer) -> float:
    """Return the seconds until an announce that only we need: `min interval` (BEP 3)."""
    return _bounded(max(answer.min_interval, MIN_GAP))


def wait_after(error: TrackerError, *, times: int, interval: float) -> float:
    """Return the seconds until a tracker that failed is asked again; inf: not by itself.

    `times` it had failed in the same way before; `interval` it asked for when it last answered. A
    time that it told with its failure counts only if that is longer.
    """
    # The exponent is capped because a tracker may be gone for weeks.
    doubled = 2.0 ** min(times, 20)
    if isinstance(error, TrackerRefusedError):
        wait = min(FIRST_REFUSAL * doubled, LAST_REFUSAL)
    else:
        wait = min(doubled, MAX_BACKOFF, interval)
    if error.retry_in is None:
        return wait
    return math.inf if error.retry_in == math.inf else max(wait, _bounded(error.retry_in))


def _bounded(seconds: float) -> float:
    return min(max(seconds, MIN_INTERVAL), MAX_INTERVAL)
