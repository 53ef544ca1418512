"""How many peers each host has, packed: most hosts have one, and there may be as many as peers."""

from typing import Final

_PER_BUCKET: Final = 32
"""Hosts in a bucket when there are as many as there may be: finding one of them takes 0.1 µs."""

_MOST_BUCKETS: Final = 2**17
"""Empty ones take 1 MiB, however high a limit is set."""

_COUNT: Final = 4
"""Bytes of a count."""


class HostCounts:
    """Counts by packed IP address or prefix of `host_size` bytes, for `most` hosts or so.

    A dict of ints takes 75 to 115 bytes a host, this 10 to 15: a fixed number of buckets hold hosts
    and their counts one after another. A keyed hash (Python's of bytes) chooses a host's bucket, so
    strangers cannot choose addresses that fill one.
    """

    __slots__ = ("_buckets", "_host_size", "_stride")

    def __init__(self, host_size: int, most: int) -> None:
        self._host_size = host_size
        self._stride = host_size + _COUNT
        number = min(most // _PER_BUCKET + 1, _MOST_BUCKETS)
        self._buckets: list[bytearray | None] = [None] * number

    def __getitem__(self, host: bytes) -> int:
        bucket = self._buckets[hash(host) % len(self._buckets)]
        at = -1 if bucket is None else self._find(bucket, host)
        if bucket is None or at < 0:
            return 0
        return int.from_bytes(bucket[at + self._host_size : at + self._stride], "big")

    def add(self, host: bytes, change: int) -> None:
        """Change a host's count, which must not become negative; one of 0 takes no memory."""
        number = hash(host) % len(self._buckets)
        bucket = self._buckets[number]
        if bucket is None:
            bucket = self._buckets[number] = bytearray()
        at = self._find(bucket, host)
        if at < 0:
            bucket += host + change.to_bytes(_COUNT, "big")
            return
        place = slice(at + self._host_size, at + self._stride)
        count = int.from_bytes(bucket[place], "big") + change
        if count:
            bucket[place] = count.to_bytes(_COUNT, "big")
        else:
            del bucket[at : at + self._stride]
            if not bucket:
                self._buckets[number] = None

    def _find(self, bucket: bytearray, host: bytes) -> int:
        """Return where a host begins in its bucket, -1 if it is not there."""
        at = bucket.find(host)
        # The end of one host and the beginning of the next may look like a third.
        while at > 0 and at % self._stride:
            at = bucket.find(host, at + 1)
        return at
