"""Which of the trackers' troubles a person has not heard of yet.

Each torrent tells of its own trackers. Thirty shares with one tracker that is down are one piece of
news, not thirty, and each further try is none.
"""

from trio_swarm.events import Announced, TrackerFailed, TrackerSilent

RETRY_GROWTH = 4.0
"""A failure is told again when the next try is so many times farther off than was told before: an
outage of a night is three or four lines."""
MAX_TOLD = 1_000
"""Trackers and reasons that are kept, which may be strangers' words; then all are news again."""


class TrackerNews:
    """Memory of the troubles with trackers that a person was told of."""

    def __init__(self) -> None:
        self._waits: dict[tuple[str, str], float] = {}
        """Seconds until the next try that were told, by tracker and reason."""
        self._silent: set[str] = set()
        self._failing: dict[str, set[str]] = {}
        """Info-hashes that each tracker did not take."""

    def is_news(self, event: TrackerFailed | TrackerSilent) -> bool:
        """Whether to tell of a failure; takes note that it was told."""
        if len(self._waits) + len(self._silent) + len(self._failing) >= MAX_TOLD:
            self._waits.clear()
            self._silent.clear()
            self._failing.clear()
        if event.info_hash:
            self._failing.setdefault(event.tracker, set()).add(event.info_hash)
        if isinstance(event, TrackerSilent):
            is_new = event.tracker not in self._silent
            self._silent.add(event.tracker)
            return is_new
        told = self._waits.get((event.tracker, event.reason))
        wait = event.retry_in or 0.0
        if told is not None and wait < max(RETRY_GROWTH * told, 1.0):
            return False
        self._waits[event.tracker, event.reason] = wait
        return True

    def works_again(self, event: Announced) -> bool:
        """Whether this answer is the end of the trouble that was told of, for all torrents."""
        failing = self._failing.get(event.tracker)
        if failing is None:
            return False
        failing.discard(event.info_hash)
        if failing:
            return False
        del self._failing[event.tracker]
        self._silent.discard(event.tracker)
        self._waits = {key: wait for key, wait in self._waits.items() if key[0] != event.tracker}
        return True
