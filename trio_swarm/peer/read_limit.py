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

    __slots__ = ("_lot", "_own", "_shared", "most")

    def __init__(self, shared: TokenBucket) -> None:
        self._shared = shared
        self._own = TokenBucket(None)
        self._lot = trio.lowlevel.ParkingLot()
        self.most: int | None = None
        """Bytes that one read may take; None: there is no limit."""
        self.review()

    @property
    def rate(self) -> float | None:
        """The torrent's own limit; None: the node's alone."""
        return self._own.rate

    def set_rate(self, rate: float | None, now: float) -> None:
        """Change the torrent's own limit, also for those that wait because of it."""
        self._own.change_rate(rate, now)
        self.review()

    def review(self) -> None:
        """Note that a limit is another now, and have those look again that wait."""
        rates = [each.rate for each in (self._shared, self._own) if each.rate is not None]
        most = min(rates, default=None)
        self.most = None if most is None else max(BLOCK_LENGTH, int(most * LIMITED_READ_SECONDS))
        self._lot.unpark_all()

    async def pay(self, count: int, now: float) -> bool:
        """Wait until `count` bytes that were read are paid for; return whether that took a wait."""
        pause = max(self._shared.take(count, now), self._own.take(count, now))
        if pause <= 0.0:
            return False
        while pause > 0.0:
            with trio.move_on_after(pause):
                await self._lot.park()
                # A limit is another now.
                now = trio.current_time()
                pause = max(self._shared.wait(now), self._own.wait(now))
                continue
            pause = 0.0
        return True
