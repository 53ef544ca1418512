"""An estimate of a transfer rate: accurate at a steady rate, quick to follow a change."""

import math
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr

_BUCKET: Final = 0.25
"""Seconds of one bucket of the window; also the least time that a rate is computed over."""

_BUCKETS: Final = 8
"""Buckets in the window, 2 s: long enough to smooth bursts, short enough to follow a link that
changes."""

_TRICKLE: Final = 65536
"""Bytes in the window below which single blocks would make the rate jump: a trickle."""

_TRICKLE_SPAN: Final = 20.0
"""Seconds over which the rate of a trickle is averaged, exponentially."""


_WIDTH: Final = 42
_DIGIT: Final = (1 << _WIDTH) - 1
_WINDOW: Final = (1 << _WIDTH * (_BUCKETS - 1)) - 1
"""Mask of the finished buckets, which are the digits of one int, the latest lowest. A swarm has two
estimates for each connection, and lists would take most of its memory. A digit does not overflow:
no link transfers 4 TB in two seconds."""


@mypyc_attr(acyclic=True)
class RateEstimate:
    """Bytes/s over the last two seconds; for a trickle, over about the last twenty.

    `now` is in seconds on a monotonic clock; if it goes back, no time has passed.
    """

    __slots__ = (
        "_current",
        "_finished",
        "_index",
        "_last",
        "_last_bytes",
        "_long",
        "_start",
        "_sum",
        "total",
    )

    def __init__(self) -> None:
        self.total = 0
        """Bytes added so far."""
        self._start = math.inf  # when the first bytes came
        self._index = 0  # number of the current bucket, counted from time 0
        self._current = 0  # bytes in the current bucket
        self._finished = 0  # bytes of the buckets before the current one; see _WIDTH
        self._sum = 0  # sum of `_finished`
        self._last = 0.0  # time of the latest bytes
        self._last_bytes = 0  # number of the latest bytes
        self._long = 0.0  # exponential average up to the current bucket, bytes/s

    def add(self, nbytes: int, now: float) -> None:
        """Count `nbytes` that arrived at `now`."""
        if now != self._last:
            index = int(now * 4.0)
            if index > self._index:
                self._advance(index, now)
            self._last = now
            self._last_bytes = nbytes
        else:
            self._last_bytes += nbytes
        self._current += nbytes
        self.total += nbytes

    def rate(self, now: float) -> float:
        """Return bytes/s at `now`; 0.0 before anything was added."""
        start = self._start
        if start == math.inf:
            return 0.0
        index = int(now * 4.0)
        if index > self._index:
            self._advance(index, now)
        recent = self._sum + self._current
        into_bucket = max(0.0, now - self._index * _BUCKET)
        window = (_BUCKETS - 1) * _BUCKET + into_bucket
        age = now - start
        if age < window:
            return recent / max(age, _BUCKET)
        if recent >= _TRICKLE:
            return recent / window
        average = self._long * math.exp(-into_bucket / _TRICKLE_SPAN)
        average += self._current / _TRICKLE_SPAN
        average /= 1.0 - math.exp(-age / _TRICKLE_SPAN)
        # A pause counts, too: a source that stops must not keep its average for long.
        silence = now - self._last
        return min(average, self._last_bytes / silence) if silence > _BUCKET else average

    def _advance(self, index: int, now: float) -> None:
        """Close the current bucket and open the one numbered `index`."""
        if self._start == math.inf:
            self._start = now
            self._index = index
            return
        passed = index - self._index
        self._long = (self._long + self._current / _TRICKLE_SPAN) * math.exp(
            -passed * _BUCKET / _TRICKLE_SPAN
        )
        if passed >= _BUCKETS:
            self._finished = self._sum = 0
        else:
            # The current bucket is finished, and so are any empty buckets after it.
            finished = (self._finished << _WIDTH | self._current) << _WIDTH * (passed - 1) & _WINDOW
            self._finished = finished
            self._sum = finished % _DIGIT  # the sum of the digits, by casting out nines
        self._index = index
        self._current = 0
