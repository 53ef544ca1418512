"""Whose turn it is to put blocks out, where all may put out a given number of bytes a second.

Start-time fair queueing (Goyal, Vin and Cheng): those that have something to send get turns in
proportion to their weights, and nobody's share waits for one that has nothing to send.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from trio_swarm.engine.token_bucket import TokenBucket

LEAST_WEIGHT: Final = 0.05
"""Part of the mean weight that everybody counts for at least: a block that was promised must
end."""

TURN_SECONDS: Final = 0.006
"""Seconds of the rate that are put out in one turn, if a request is not longer."""


def even_out(weights: Sequence[float]) -> list[float]:
    """Return weights whose mean is 1, each LEAST_WEIGHT / 2 at least; all 1 if none is above 0."""
    total = sum(weights)
    mean = total / max(1, len(weights))
    if not 0.0 < mean <= total < math.inf:  # none, or none that can be divided by
        return [1.0] * len(weights)
    raised = [max(weight / mean, LEAST_WEIGHT) for weight in weights]
    mean = sum(raised) / len(raised)
    return [weight / mean for weight in raised]


class Turns:
    """The turns of those who send; keys name them. Times in seconds, rates in bytes/s.

    Who has something to send says so by `ask`, is told by `give` that it is its turn, and says by
    `put_out` what it has sent, or by `pass_on` that there is nothing to send any more.
    """

    def __init__(self) -> None:
        self._bucket = TokenBucket(None)
        self._weights: Mapping[int, float] = {}
        self._clock = 0.0  # virtual: bytes for each unit of weight
        self._ended: dict[int, float] = {}  # when the last turn of each ended, by that clock
        self._asking: dict[int, float] = {}  # when the turn of each would begin
        self._paid: dict[int, int] = {}  # bytes that were taken for a turn that is given
        self._expected = 0

    @property
    def rate(self) -> float:
        """Bytes/s that may be put out by all together; inf: nobody need ask."""
        return math.inf if self._bucket.rate is None else self._bucket.rate

    @property
    def length(self) -> int:
        """The bytes to put out in one turn, about."""
        return max(1, int(min(self.rate, 1e12) * TURN_SECONDS))

    @property
    def _next_length(self) -> int:
        return max(self.length, self._expected)

    @property
    def is_anybody_asking(self) -> bool:
        """Whether somebody waits for a turn."""
        return bool(self._asking)

    def set_rate(self, rate: float) -> None:
        """Change the rate; inf: everybody may put out as much as it likes."""
        self._bucket.set_rate(None if rate == math.inf else rate)

    def change_rate(self, rate: float, now: float) -> None:
        """Change the rate, also for bytes that were put out ahead of it."""
        self._bucket.change_rate(None if rate == math.inf else rate, now)

    def set_weights(self, weights: Mapping[int, float]) -> None:
        """Set the weights, above 0; whoever is not among them has the weight 1."""
        self._weights = weights

    def ask(self, key: int) -> None:
        """Ask for a turn; without effect if it waits for one or has one."""
        if key in self._asking or key in self._paid:
            return
        ended = self._ended.get(key)
        if ended is None:
            # As if it had just had one: newcomers without end would always be first otherwise.
            ended = self._clock + self._next_length / self._weights.get(key, 1.0)
        self._asking[key] = max(self._clock, ended)

    def wait(self, now: float) -> float:
        """Return the seconds until a turn may be given."""
        return self._bucket.wait(now)

    def give(self, now: float) -> int | None:
        """Return whose turn it is now, if it is anybody's."""
        if not self._asking or self._bucket.wait(now) > 0.0:
            return None
        key = min(self._asking, key=self._asking.__getitem__)
        begins = self._asking.pop(key)
        self._clock = max(self._clock, begins)
        expected = self._next_length
        self._bucket.take(expected, now)
        self._paid[key] = expected
        self._ended[key] = begins + expected / self._weights.get(key, 1.0)
        return key

    def has_turn(self, key: int) -> bool:
        """Whether it is this one's turn."""
        return key in self._paid

    def put_out(self, key: int, nbytes: int, now: float) -> None:
        """Note that one has put out `nbytes` in its turn, which ends."""
        paid = self._paid.pop(key, 0)
        more = nbytes - paid
        self._expected = nbytes
        self._bucket.take(more, now)
        begins = self._ended.get(key, self._clock)
        self._ended[key] = begins + more / self._weights.get(key, 1.0)

    def pass_on(self, key: int, now: float) -> bool:
        """Note that one has nothing to send; return whether that leaves a turn to the others.

        They have its bytes at once: what they may send is not to depend on who asks in vain. For
        its own next turn it counts as used; who asks in vain again and again would always be first.
        """
        self._asking.pop(key, None)
        paid = self._paid.pop(key, 0)
        if not paid:
            return False
        self._bucket.take(-paid, now)
        return True

    def leave(self, key: int, now: float) -> bool:
        """Forget one that will send nothing more; return whether that leaves a turn to others."""
        is_left = self.pass_on(key, now)
        self._ended.pop(key, None)
        return is_left

    def free(self) -> list[int]:
        """Forget all turns, and return who was waiting for one."""
        waiting = list(self._asking)
        self._asking.clear()
        self._paid.clear()
        self._ended.clear()
        self._clock = 0.0
        return waiting
