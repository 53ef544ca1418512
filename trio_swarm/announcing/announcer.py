"""The heartbeat of one torrent: keeps its trackers told (BEP 12, "Order of Processing").

Every tier is a task of its own, and one tracker of each tier is kept told; tiers that BEP 12 would
keep as mere backups are used too, so that a swarm spread over several trackers finds itself.
"""

import math
import random
from collections.abc import Callable, Sequence

import trio

from trio_swarm.announcing.clients import TrackerClients
from trio_swarm.errors import ConfigError, TrackerError, TrackerUnreachableError
from trio_swarm.protocol.announces import AnnounceAnswer, AnnounceEvent, AnnounceRequest
from trio_swarm.protocol.tracker_urls import parse_tracker_url

MAX_TRACKERS = 64
"""Trackers of one torrent that are used: metainfo files with hundreds exist, most of them dead."""

MIN_INTERVAL = 1.0
MAX_INTERVAL = 3600.0
"""Seconds: what a tracker may ask for as the time between announces."""

MAX_BACKOFF = 30.0
"""Seconds between tries while a tracker is gone, at most; less if its interval was less."""

MIN_GAP = 5.0
"""Seconds between announces to a tier that only `announce_now` asks for."""


class _Tier:
    """Trackers of which one is told, the one that worked last first."""

    def __init__(self, urls: list[str]) -> None:
        self.urls = urls
        self.due = -math.inf
        self.earliest = -math.inf
        """When `announce_now` may have its next announce."""
        self.failures = 0
        self.interval = MAX_BACKOFF
        self.changed = trio.Event()
        self.told: set[str] = set()
        """Trackers that may list us."""
        self.answered: set[str] = set()
        """Trackers that took our `started`."""
        self.owed_completed: set[str] = set()

    def wake(self, due: float) -> None:
        """Announce at `due` if that is sooner; while the trackers are gone, backoff decides."""
        if not self.failures and due < self.due:
            self.due = due
            self.changed.set()


class Announcer:
    """Keeps the trackers of one torrent told. One task: `run`; then `stop`.

    `make_request` gives the torrent's numbers as of now. `on_answer(url, answer)` gets every
    answer, `on_failure(url, error, retry_in)` every failure and in how many seconds the tier is
    tried again if none of its trackers works (inf: never, the URL is of no use). `rng` shuffles the
    trackers within each tier.
    """

    def __init__(
        self,
        clients: TrackerClients,
        tiers: Sequence[Sequence[str]],
        *,
        make_request: Callable[[AnnounceEvent], AnnounceRequest],
        on_answer: Callable[[str, AnnounceAnswer], None],
        on_failure: Callable[[str, TrackerError, float], None],
        rng: random.Random | None = None,
    ) -> None:
        self._clients = clients
        self._make_request = make_request
        self._on_answer = on_answer
        self._on_failure = on_failure
        rng = rng or random.Random()
        seen: set[str] = set()
        self._tiers: list[_Tier] = []
        self._unusable: list[TrackerError] = []
        for urls in tiers:
            usable: list[str] = []
            for url in urls:
                if url in seen or len(seen) >= MAX_TRACKERS:
                    continue
                seen.add(url)
                try:
                    parse_tracker_url(url)
                except ConfigError as error:
                    self._unusable.append(TrackerUnreachableError(str(error), tracker=url[:200]))
                else:
                    usable.append(url)
            rng.shuffle(usable)
            if usable:
                self._tiers.append(_Tier(usable))

    async def run(self) -> None:
        """Announce `started`, then at the trackers' intervals, until cancelled.

        A tier without a working tracker is tried again after 1, 2, 4 ... seconds, at most after
        min(MAX_BACKOFF, its interval): a tracker that comes back lists us one heartbeat later.
        Returns at once if there is no tracker.
        """
        for error in self._unusable:
            self._on_failure(error.tracker, error, math.inf)
        async with trio.open_nursery() as nursery:
            for tier in self._tiers:
                nursery.start_soon(self._keep_told, tier)

    def completed(self) -> None:
        """Tell the trackers that listed us as a leecher that we have everything, now."""
        for tier in self._tiers:
            tier.owed_completed |= tier.told
            tier.wake(-math.inf)

    def announce_now(self) -> None:
        """Announce soon, for new peers: at most every MIN_GAP seconds (or the tracker's minimum).

        Does nothing while a tier's trackers are gone: they are tried again anyway.
        """
        for tier in self._tiers:
            tier.wake(tier.earliest)

    async def stop(self) -> None:
        """Tell every tracker that may list us that we stopped, all at once, one try each.

        Call it when `run` has been cancelled. Failures are ignored: the lease ends anyway. A dead
        tracker takes as long as one try; the caller sets a deadline.
        """
        async with trio.open_nursery() as nursery:
            for tier in self._tiers:
                for url in tier.told:
                    nursery.start_soon(self._announce_stopped, url)
                tier.told = set()
                tier.answered = set()

    async def _keep_told(self, tier: _Tier) -> None:
        while True:
            answer = await self._announce(tier)
            now = trio.current_time()
            if answer is None:
                tier.due = now + _backoff(tier)
                tier.failures += 1
            else:
                tier.failures = 0
                tier.interval = min(max(answer.interval, MIN_INTERVAL), MAX_INTERVAL)
                tier.due = now + tier.interval
                tier.earliest = now + min(max(MIN_GAP, answer.min_interval), MAX_INTERVAL)
                if tier.urls[0] in tier.owed_completed:
                    # It was completed while the answer was on its way.
                    tier.due = now
            while trio.current_time() < tier.due:
                tier.changed = trio.Event()
                with trio.move_on_at(tier.due):
                    await tier.changed.wait()

    async def _announce(self, tier: _Tier) -> AnnounceAnswer | None:
        """Tell the first tracker of the tier that works, and move it to the front."""
        for url in list(tier.urls):
            if url not in tier.answered:
                # `completed` is for trackers that knew us as a leecher (BEP 3, "trackers").
                event = AnnounceEvent.STARTED
                tier.owed_completed.discard(url)
            elif url in tier.owed_completed:
                event = AnnounceEvent.COMPLETED
            else:
                event = AnnounceEvent.NONE
            tier.told.add(url)
            try:
                answer = await self._clients.announce(url, self._make_request(event))
            except TrackerError as error:
                if url not in tier.answered:
                    tier.told.discard(url)
                self._on_failure(url, error, _backoff(tier))
                continue
            tier.answered.add(url)
            if event is AnnounceEvent.COMPLETED:
                tier.owed_completed.discard(url)
            tier.urls.remove(url)
            tier.urls.insert(0, url)
            self._on_answer(url, answer)
            return answer
        return None

    async def _announce_stopped(self, url: str) -> None:
        try:
            await self._clients.announce(url, self._make_request(AnnounceEvent.STOPPED), tries=1)
        except TrackerError:
            return


def _backoff(tier: _Tier) -> float:
    """Return how many seconds to wait if no tracker of the tier works."""
    # The exponent is capped because a tracker may be gone for weeks.
    return min(2.0 ** min(tier.failures, 10), MAX_BACKOFF, tier.interval)
