"""How many searches may wait for their answer, and whose."""

import socket
from collections import Counter

from trio_swarm.tracker.store.registry import HOSTS_PER_NETWORK
from trio_swarm.tracker.udp.batch import SocketAddress

MAX_SEARCHES = 64
"""Searches waiting at one socket; one more is met with silence, and its client asks again."""

MAX_PER_HOST = 8
"""Of one IPv4 address or IPv6 /64, so that no one host can keep others from searching. An IPv6 /48
has HOSTS_PER_NETWORK times as many."""


class WaitingSearches:
    """Counts the searches that wait: at most MAX_SEARCHES, and not all of one host or network."""

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()
        """By packed IPv4 address, IPv6 /64 and IPv6 /48."""
        self._total = 0

    def admit(self, source: SocketAddress) -> bool:
        """Count a search of the sender if it may wait; else return False."""
        places = _places(source)
        if self._total >= MAX_SEARCHES or any(
            self._counts[place] >= most for place, most in places
        ):
            return False
        self._total += 1
        self._counts.update(place for place, _ in places)
        return True

    def answered(self, source: SocketAddress) -> None:
        """Count a search of the sender no longer."""
        self._total -= 1
        for place, _ in _places(source):
            self._counts[place] -= 1
            if not self._counts[place]:
                del self._counts[place]


def _places(source: SocketAddress) -> list[tuple[bytes, int]]:
    """Return what a search of the sender counts for, and how many each may have."""
    if len(source) == 2:
        return [(socket.inet_aton(source[0]), MAX_PER_HOST)]
    host = socket.inet_pton(socket.AF_INET6, source[0].partition("%")[0])
    return [(host[:8], MAX_PER_HOST), (host[:6], HOSTS_PER_NETWORK * MAX_PER_HOST)]
