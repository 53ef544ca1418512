"""Places of which no one host or network may have all."""

from collections import Counter
from typing import Final

from trio_swarm.tracker.store.registry import HOSTS_PER_NETWORK

MAX_SEARCHES: Final = 64
"""Searches waiting at one socket. UDP meets one more with silence, and its client asks again."""

MAX_SEARCHES_PER_HOST: Final = 8
"""Of one IPv4 address or IPv6 /64, so that no one host can keep others from searching."""


class HostPlaces:
    """Counts who has a place: at most `most`, `per_host` of them of one IPv4 address or IPv6 /64.

    An IPv6 /48 has HOSTS_PER_NETWORK times as many as a host. A host is a packed IP address.
    """

    def __init__(self, most: int, *, per_host: int) -> None:
        self._most = most
        self._per_host = per_host
        self._counts: Counter[bytes] = Counter()
        """By packed IPv4 address, IPv6 /64 and IPv6 /48."""
        self._total = 0

    def take(self, host: bytes) -> bool:
        """Give the host a place if it may have one; else return False."""
        limits = self._limits(host)
        counts = self._counts
        if self._total >= self._most or any(counts[place] >= most for place, most in limits):
            return False
        self._total += 1
        counts.update(place for place, _ in limits)
        return True

    def leave(self, host: bytes) -> None:
        """Take back a place that the host was given."""
        self._total -= 1
        for place, _ in self._limits(host):
            self._counts[place] -= 1
            if not self._counts[place]:
                del self._counts[place]

    def _limits(self, host: bytes) -> list[tuple[bytes, int]]:
        """Return what a place of the host counts for, and how many each may have."""
        if len(host) == 4:
            return [(host, self._per_host)]
        return [(host[:8], self._per_host), (host[:6], HOSTS_PER_NETWORK * self._per_host)]
