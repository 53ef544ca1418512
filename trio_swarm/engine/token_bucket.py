"""A rate limit as a debt: a user first takes bytes, and then waits."""

from typing import Final

BURST_SECONDS: Final = 0.05
"""Seconds of the rate that may be used at once after a pause. So ten seconds hold at most 0.5 %
more than the rate."""


class TokenBucket:
    """Limits a flow to `rate` bytes/s in the long run; None means no limit.

    A user takes the bytes that it is about to move (or has just moved), and then waits for the
    returned time. Debts queue up: several users of one bucket are served in the order in which they
    took, each in proportion to what it takes. After a pause `burst` bytes may be taken at once; the
    default is `BURST_SECONDS` of the rate.
    """

    __slots__ = ("_burst", "_paid_at", "_rate")

    def __init__(self, rate: float | None, burst: float | None = None) -> None:
        self._paid_at = float("-inf")  # when all bytes taken are paid for
        self._rate: float | None = None
        self._burst = 0.0
        self.set_rate(rate, burst)

    @property
    def rate(self) -> float | None:
        """The limit in bytes/s, or None for no limit."""
        return self._rate

    def set_rate(self, rate: float | None, burst: float | None = None) -> None:
        """Change the limit for bytes that are taken from now on."""
        if rate is not None and rate <= 0:
            raise ValueError(f"a rate must be positive, not {rate}")
        self._rate = rate
        self._burst = burst if burst is not None else (rate or 0.0) * BURST_SECONDS

    def change_rate(self, rate: float | None, now: float) -> None:
        """Change the limit, also for bytes that are taken and not paid for yet.

        Who waits is to call `wait` again: a debt of a low rate is paid soon at a high one.
        """
        owed = max(0.0, self._paid_at - now) * (self._rate or 0.0)
        self.set_rate(rate)
        self._paid_at = now + owed / rate if rate is not None and owed > 0.0 else float("-inf")

    def take(self, n: int, now: float) -> float:
        """Take `n` bytes at `now`; return the seconds to wait before the next take."""
        rate = self._rate
        if rate is None:
            return 0.0
        paid_at = max(self._paid_at, now - self._burst / rate) + n / rate
        self._paid_at = paid_at
        return max(0.0, paid_at - now)

    def wait(self, now: float) -> float:
        """Return the seconds until all bytes taken are paid for, without taking any."""
        if self._rate is None:
            return 0.0
        return max(0.0, self._paid_at - now)
