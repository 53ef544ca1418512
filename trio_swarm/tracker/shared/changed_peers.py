"""Which peers other trackers must be told of, each once, however often it changed meanwhile."""

from itertools import islice
from typing import Final

MAX_CHANGED: Final = 100_000
"""Peers, 150 bytes each: those of ten seconds at 10,000 changes a second without an engine. Beyond
it all are forgotten, and the others load a snapshot instead."""


class ChangedPeers:
    """Peers (info-hash and compact address) whose claim changed, with flags of what happened."""

    def __init__(self, most: int = MAX_CHANGED) -> None:
        self._most = most
        self._flags: dict[bytes, int] = {}
        self.are_lost = False
        """Some were forgotten, as there were too many; who has made up for that says so here."""

    def __len__(self) -> int:
        return len(self._flags)

    def note(self, info_hash: bytes, address: bytes, flags: int) -> None:
        """Remember a peer; flags of several changes add up."""
        peer = info_hash + address
        changed = self._flags
        changed[peer] = changed.get(peer, 0) | flags
        if len(changed) > self._most:
            changed.clear()
            self.are_lost = True

    def take(self, count: int) -> list[tuple[bytes, bytes, int]]:
        """Take out up to `count` peers, the oldest changes first: info-hash, address, flags."""
        taken = list(islice(self._flags, count))
        return [(peer[:20], peer[20:], self._flags.pop(peer)) for peer in taken]
