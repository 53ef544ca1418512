"""When to look for ended leases in which swarm: a calendar of short times, each with its swarms.

Renewing a lease must cost nothing here, for nearly every announce does it. So a swarm stands in the
calendar once, at a time before which none of its leases can end, and is looked through then. Who
gets a lease that ends sooner than all others, since leases differ, says so with `hasten`.
"""

import heapq
from math import ceil

from trio_swarm.tracker.store.compact_peers import TICKS, Bucket, CompactPeers


class ExpiryCalendar:
    """Peers of swarms by the time at which they are to be swept.

    A time stays in the calendar until it has passed, even if all swarms have left it: there are at
    most TICKS of them for each second of a lease.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, Bucket] = {}
        self._ticks: list[int] = []
        """The keys of `_buckets`, as a heap."""

    def schedule(self, peers: CompactPeers, when: float) -> None:
        """Put peers that are not in the calendar at `when`, or up to a tick later."""
        tick = ceil(when * TICKS)
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = Bucket(tick)
            heapq.heappush(self._ticks, tick)
        peers.bucket = bucket
        bucket[peers] = None

    def hasten(self, peers: CompactPeers, when: float) -> None:
        """See to it that peers in the calendar, or just taken from it, are due at `when`."""
        bucket = peers.bucket
        if bucket.tick > when * TICKS and peers in bucket:
            del bucket[peers]
            self.schedule(peers, when)

    def forget(self, peers: CompactPeers) -> None:
        """Take peers out if they are in the calendar."""
        peers.bucket.pop(peers, None)

    def take_due(self, now: float) -> CompactPeers | None:
        """Take out peers whose time has come; None if there are none."""
        while self._ticks and self._ticks[0] <= now * TICKS:
            bucket = self._buckets[self._ticks[0]]
            if bucket:
                return bucket.popitem()[0]
            del self._buckets[heapq.heappop(self._ticks)]
        return None

    def put_back(self, peers: CompactPeers) -> None:
        """Let the peers that were just taken be due at once."""
        peers.bucket[peers] = None

    def next_time(self) -> float | None:
        """Return when peers will be due, or may be; None: there are none."""
        return self._ticks[0] / TICKS if self._ticks else None
