"""A rate limit as a debt: take first, wait afterwards."""

from typing import Final

BURST_SECONDS: Final = 0.05
"""Of its rate: may go at once after a pause. So ten seconds hold no more than 0.5 % extra."""


class TokenBucket:
    """Lets `rate` bytes/s through in the long run; None lets everything through.

    A user takes what it is about to move (or has just moved) and then waits as long as it is told.
    Debts queue up, so several users of one bucket are served in the order in which they took, each
    in proportion to what it takes at a time. `burst` bytes may go at once after a pause; the
    default is `BURST_SECONDS` of it.
    """

    __slots__ = ("_burst", "_paid_at", "_rate")

    def __init__(self, rate: float | None, burst: float | None = None) -> None:
        self._paid_at = float("-inf")  # when all that was taken will have been paid for
        self._rate: float | None = None
        self._burst = 0.0
        self.set_rate(rate, burst)

    @property
    def rate(self) -> float | None:
        """Bytes/s, or None for no limit."""
        return self._rate

    def set_rate(self, rate: float | None, burst: float | None = None) -> None:
        """Change the limit for what is taken from now on."""
        if rate is not None and rate <= 0:
            raise ValueError(f"a rate must be positive, not {rate}")
        self._rate = rate
        self._burst = burst if burst is not None else (rate or 0.0) * BURST_SECONDS

    def take(self, n: int, now: float) -> float:
        """Take `n` bytes at `now`; return the seconds to wait before the next take."""
        rate = self._rate
        if rate is None:
            return 0.0
        paid_at = max(self._paid_at, now - self._burst / rate) + n / rate
        self._paid_at = paid_at
        return max(0.0, paid_at - now)

    def wait(self, now: float) -> float:
        """Return the seconds until what was taken is paid for, taking nothing."""
        if self._rate is None:
            return 0.0
        return max(0.0, self._paid_at - now)
