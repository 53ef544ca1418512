"""What limits the reading from the peers of one torrent: the node's bucket, and one of its own."""

from typing import Final

import trio

from trio_swarm.engine.lengths import BLOCK_LENGTH
from trio_swarm.engine.token_bucket import TokenBucket

LIMITED_READ_SECONDS: Final = 0.05
"""Under a limit one read takes at most what the limit allows in this time."""


class ReadLimit:
    """The limits of one torrent's downloads, one on top of the other; rates are bytes/s.

    `shared` is the node's bucket. A connection reads `most` and waits only if that is a number.
    """

    __slots__ = ("_own", "_shared", "_waiting", "most")

    def __init__(self, shared: TokenBucket) -> None:
        self._shared = shared
        # Few torrents of a node have a limit of their own, and a node may have thousands.
        self._own: TokenBucket | None = None
        self._waiting: trio.lowlevel.ParkingLot | None = None
        self.most: int | None = None
        """Bytes that one read may take; None: there is no limit."""
        self.review()

    @property
    def rate(self) -> float | None:
        """The torrent's own limit; None: the node's alone."""
        return None if self._own is None else self._own.rate

    def set_rate(self, rate: float | None, now: float) -> None:
        """Change the torrent's own limit, also for those that wait because of it."""
        if self._own is None:
            self._own = TokenBucket(None)
        self._own.change_rate(rate, now)
        if rate is None:
            self._own = None
        self.review()

    def review(self) -> None:
        """Note that a limit is another now, and have those look again that wait."""
        rates = [rate for rate in (self._shared.rate, self.rate) if rate is not None]
        most = min(rates, default=None)
        self.most = None if most is None else max(BLOCK_LENGTH, int(most * LIMITED_READ_SECONDS))
        if self._waiting is not None:
            self._waiting.unpark_all()

    async def pay(self, count: int, now: float) -> bool:
        """Wait until `count` bytes that were read are paid for; return whether that took a wait."""
        pause = self._shared.take(count, now)
        if self._own is not None:
            pause = max(pause, self._own.take(count, now))
        if pause <= 0.0:
            return False
        if self._waiting is None:
            self._waiting = trio.lowlevel.ParkingLot()
        while pause > 0.0:
            with trio.move_on_after(pause) as scope:
                await self._waiting.park()
            # Paid for by now, or a limit is another.
            pause = 0.0 if scope.cancelled_caught else self._debt(trio.current_time())
        return True

    def _debt(self, now: float) -> float:
        own = 0.0 if self._own is None else self._own.wait(now)
        return max(self._shared.wait(now), own)
