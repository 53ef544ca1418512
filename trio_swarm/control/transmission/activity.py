"""Which torrents changed of late, and which are gone: what `recently-active` means.

Nobody is told of changes here: torrents are looked at whenever a client asks, and compared with the
look before. A change is told for a minute after it was noticed. So it costs nothing while no client
asks, and a client that was away for a while misses nothing that an earlier one did not see.
"""

from collections.abc import Hashable, Mapping
from typing import Final

RECENT: Final = 60.0
"""Seconds for which a change is told, as in Transmission."""


class Activity:
    """What was seen of each torrent, by its id."""

    def __init__(self) -> None:
        self._marks: dict[int, Hashable] = {}
        self._changed_at: dict[int, float] = {}
        self._removed_at: dict[int, float] = {}

    def look(self, now: float, marks: Mapping[int, Hashable]) -> list[int]:
        """Note how all torrents are now; return those that are gone and were not gone before."""
        for each, mark in marks.items():
            if self._marks.get(each, self) != mark:
                self._changed_at[each] = now
        gone = [each for each in self._marks if each not in marks]
        for each in gone:
            self._removed_at[each] = now
            self._changed_at.pop(each, None)
        self._marks = dict(marks)
        self._removed_at = {
            each: at
            for each, at in self._removed_at.items()
            if now - at <= RECENT and each not in marks
        }
        return gone

    def changed(self, now: float) -> set[int]:
        """Return the torrents that changed within the last minute."""
        return {each for each, at in self._changed_at.items() if now - at <= RECENT}

    def removed(self) -> list[int]:
        """Return the torrents that went within the last minute."""
        return list(self._removed_at)
