"""The heartbeat of one torrent: keeps its trackers told (BEP 12, "Order of Processing").

One tracker of each tier is kept told, by a beat of its own (`heartbeats`); tiers that BEP 12 would
keep as mere backups are used too, so that a swarm spread over several trackers finds itself. Within
a tier a tracker that fails gives way to the next at once, and one that is silent after a moment.
A private torrent is told to one tracker at a time (BEP 27).
"""

import math
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import trio
from msgspec.structs import replace

from trio_swarm.announcing.clients import TrackerClients
from trio_swarm.announcing.heartbeats import AT_ONCE, Beat, Heartbeats
from trio_swarm.announcing.politeness import MAX_BACKOFF, gap_of, interval_of, wait_after
from trio_swarm.announcing.racing import SILENT_AFTER
from trio_swarm.errors import (
    ConfigError,
    TrackerError,
    TrackerRefusedError,
    TrackerUnreachableError,
)
from trio_swarm.protocol.trackers.announces import AnnounceAnswer, AnnounceEvent, AnnounceRequest
from trio_swarm.protocol.trackers.urls import parse_tracker_url

MAX_TRACKERS = 64
"""Trackers of one torrent that are used: metainfo files with hundreds exist, most of them dead."""

STEP_IN = 3.0
"""Seconds of silence after which the next tracker of a tier is told, too: a lost datagram is sent
again after 2."""

STEP_IN_ALONE = 10.0
"""The same where one tracker at a time may know of us, and so the silent one is left."""

UNHEARD_STOP = 0.5
"""Seconds for telling a tracker that we stopped if it never answered: it may list us, if its answer
is on its way, but most likely it is not there."""


class _Tracker:
    """One tracker: whether it lists us, and when it may be asked again."""

    __slots__ = (
        "failures",
        "interval",
        "may_list_us",
        "not_before",
        "owed_completed",
        "refusals",
        "took_start",
        "tracker_id",
        "url",
    )

    def __init__(self, url: str) -> None:
        self.url = url
        self.may_list_us = False
        self.took_start = False
        self.owed_completed = False
        self.tracker_id: bytes | None = None
        self.not_before = -math.inf
        self.refusals = 0
        self.failures = 0
        """Times in a row that it could not be reached."""
        self.interval = MAX_BACKOFF

    def next_event(self) -> AnnounceEvent:
        """Return the event to announce next."""
        if not self.took_start:
            # `completed` is for trackers that knew us as a leecher (BEP 3, "trackers").
            self.owed_completed = False
            return AnnounceEvent.STARTED
        return AnnounceEvent.COMPLETED if self.owed_completed else AnnounceEvent.NONE

    def answered(self, event: AnnounceEvent, answer: AnnounceAnswer) -> None:
        """Note what the tracker answered to `event`, and when to announce next."""
        self.took_start = True
        self.failures = self.refusals = 0
        self.interval = interval_of(answer)
        if event is AnnounceEvent.COMPLETED:
            self.owed_completed = False
        # An answer without one does not take back an earlier one (BEP 3, "tracker id").
        self.tracker_id = answer.tracker_id or self.tracker_id

    def failed(self, error: TrackerError, now: float) -> float:
        """Note its failure; return in how many seconds it may be asked again."""
        if not self.took_start:
            self.may_list_us = False
        is_refusal = isinstance(error, TrackerRefusedError)
        times = self.refusals if is_refusal else self.failures
        wait = wait_after(error, times=times, interval=self.interval)
        self.refusals = times + 1 if is_refusal else 0
        self.failures = 0 if is_refusal else times + 1
        self.not_before = now + wait
        return wait


_Told = tuple[_Tracker, AnnounceAnswer]


class _Tier(Beat):
    """Trackers of which one is told, the one that worked last first."""

    __slots__ = ("_announcer", "earliest", "is_told", "trackers")

    def __init__(self, trackers: list[_Tracker], announcer: "Announcer") -> None:
        super().__init__()
        self._announcer = announcer
        self.trackers = trackers
        self.is_told = False
        """Whether one answered the last time."""
        self.earliest = -math.inf
        """When `announce_now` may have its next announce."""

    @property
    def tracker(self) -> str:
        """The URL of the tracker that is told first."""
        return self.trackers[0].url if self.trackers else ""

    async def run(self) -> None:
        """Tell one."""
        await self._announcer.keep_told(self)

    def run_quickly(
        self, answered: Callable[[], None], failed: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Tell one that most likely answers."""
        return self._announcer.tell_quickly(self, answered, failed)

    def wake(self, due: float) -> None:
        """Announce at `due` if that is sooner; while no tracker answers, politeness decides."""
        if self.is_told and due < self.due:
            self.at(due)

    def next_due(self) -> float:
        """Return when a tracker may be asked again after none answered; inf: never."""
        return min((tracker.not_before for tracker in self.trackers), default=math.inf)


class Announcer:
    """Keeps the trackers of one torrent told, from `begin` to `end`; then `stop`.

    `make_request` gives the torrent's numbers as of now. `on_answer(url, answer)` gets every
    answer, `on_failure(url, error, retry_in)` every failure and in how many seconds the tracker is
    tried again (inf: not in this run). `on_silence(url, seconds)` is called for trackers that have
    not answered for so long, while none has. `rng` shuffles the trackers within each tier.
    `one_at_a_time`: the tiers are taken one after the other, and a tracker is told only when the
    one before has failed.
    """

    __slots__ = (
        "_clients",
        "_has_answer",
        "_hearts",
        "_make_request",
        "_on_answer",
        "_on_failure",
        "_on_silence",
        "_one_at_a_time",
        "_tiers",
        "_unusable",
    )

    def __init__(
        self,
        clients: TrackerClients,
        tiers: Sequence[Sequence[str]],
        *,
        make_request: Callable[[AnnounceEvent], AnnounceRequest],
        on_answer: Callable[[str, AnnounceAnswer], None],
        on_failure: Callable[[str, TrackerError, float], None],
        on_silence: Callable[[str, float], None] = lambda _url, _seconds: None,
        rng: random.Random | None = None,
        one_at_a_time: bool = False,
    ) -> None:
        self._clients = clients
        self._make_request = make_request
        self._on_answer = on_answer
        self._on_failure = on_failure
        self._on_silence = on_silence
        self._one_at_a_time = one_at_a_time
        self._has_answer = False
        self._hearts: Heartbeats | None = None
        rng = rng or random.Random()
        seen: set[str] = set()
        self._unusable: list[TrackerError] = []
        usable_tiers: list[list[_Tracker]] = []
        for urls in tiers:
            usable: list[_Tracker] = []
            for url in urls:
                if url in seen or len(seen) >= MAX_TRACKERS:
                    continue
                seen.add(url)
                try:
                    parse_tracker_url(url)
                except ConfigError as error:
                    self._unusable.append(TrackerUnreachableError(str(error), tracker=url[:200]))
                else:
                    usable.append(_Tracker(url))
            rng.shuffle(usable)
            usable_tiers.append(usable)
        if one_at_a_time:
            usable_tiers = [[tracker for tier in usable_tiers for tracker in tier]]
        self._tiers = [_Tier(each, self) for each in usable_tiers if each]

    def begin(self, hearts: Heartbeats) -> None:
        """Announce `started`, and then at the trackers' intervals, until `end`.

        A tracker that cannot be reached is tried again after 1, 2, 4 ... seconds, at most after
        min(MAX_BACKOFF, its interval): one that comes back lists us one heartbeat later. One that
        refuses us is left alone for longer, and for as long as it says (`politeness`).
        """
        self._hearts = hearts
        for error in self._unusable:
            self._on_failure(error.tracker, error, math.inf)
        self._unusable = []
        for tier in self._tiers:
            tier.begin(hearts)

    def end(self) -> None:
        """Announce nothing more, and give up what is on its way; `stop` may follow."""
        for tier in self._tiers:
            tier.end()

    def completed(self) -> None:
        """Tell the trackers that listed us as a leecher that we have everything, now."""
        for tier in self._tiers:
            for tracker in tier.trackers:
                tracker.owed_completed |= tracker.may_list_us
            tier.wake(-math.inf)

    def announce_now(self) -> None:
        """Announce soon, for new peers: at most every MIN_GAP seconds (or the tracker's minimum).

        Does nothing while a tier's trackers are gone: they are tried again anyway.
        """
        for tier in self._tiers:
            tier.wake(tier.earliest)

    def hand_over(self, successor: "Announcer") -> None:
        """Leave to `successor` the trackers that it has, too, with the state of each.

        Call it before the successor begins; `stop` then tells the others.
        """
        known = {tracker.url: tracker for tier in self._tiers for tracker in tier.trackers}
        for tier in successor._tiers:  # noqa: SLF001 - of its own class
            tier.trackers = [known.pop(each.url, each) for each in tier.trackers]
        for tier in self._tiers:
            tier.trackers = [each for each in tier.trackers if each.url in known]

    async def stop(self) -> None:
        """Tell every tracker that may list us that we stopped, all at once, one try each.

        Call it after `end`. Failures are ignored: the lease ends anyway. A dead tracker takes as
        long as one try; the caller sets a deadline.
        """
        await part(self.partings())

    def partings(self) -> list["Parting"]:
        """Return what `stop` tells, to be told by `part` together with that of other torrents."""
        told = [each for tier in self._tiers for each in tier.trackers if each.may_list_us]
        partings = []
        for tracker in told:
            patience = math.inf if tracker.took_start else UNHEARD_STOP
            tracker.may_list_us = tracker.took_start = False
            partings.append(Parting(tracker.url, partial(self._part, tracker, patience)))
        return partings

    async def keep_told(self, tier: _Tier) -> None:
        """Tell a tracker of the tier, and say when one is to be told again."""
        told = await self._announce(tier)
        tier.is_told = told is not None
        if told is None:
            tier.at(tier.next_due())
        else:
            self._is_told(tier, *told)

    def tell_quickly(
        self, tier: _Tier, answered: Callable[[], None], failed: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Tell the one tracker of a tier without a task; see `Beat.run_quickly`.

        Of several, others step in for one that fails, which takes tasks.
        """
        if len(tier.trackers) != 1 or tier.trackers[0].not_before > trio.current_time():
            return None
        (tracker,) = tier.trackers
        event = tracker.next_event()

        def heard(answer: AnnounceAnswer) -> None:
            tracker.answered(event, answer)
            self._answered(tier, tracker, answer)
            tier.is_told = True
            self._is_told(tier, tracker, answer)
            answered()

        request = self._request(tracker, event)
        give_up = self._clients.announce_soon(tracker.url, request, heard, failed)
        if give_up is not None:
            tracker.may_list_us = True
        return give_up

    def _is_told(self, tier: _Tier, tracker: _Tracker, answer: AnnounceAnswer) -> None:
        """Say when a tier is to be told again, one of which has answered."""
        now = trio.current_time()
        tier.earliest = now + gap_of(answer)
        # It may have been completed while the answer was on its way.
        tier.at(now if tracker.owed_completed else now + tracker.interval)

    async def _announce(self, tier: _Tier) -> _Told | None:
        """Tell the first tracker of the tier that answers, and move it to the front.

        Return it and its answer; None if none did.
        """
        now = trio.current_time()
        willing = [tracker for tracker in tier.trackers if tracker.not_before <= now]
        told = await (self._tell_in_turn if self._one_at_a_time else self._tell_first)(willing)
        if told is not None:
            self._answered(tier, *told)
        return told

    def _answered(self, tier: _Tier, tracker: _Tracker, answer: AnnounceAnswer) -> None:
        tier.trackers.remove(tracker)
        tier.trackers.insert(0, tracker)
        self._has_answer = True
        self._on_answer(tracker.url, answer)

    def _request(self, tracker: _Tracker, event: AnnounceEvent) -> AnnounceRequest:
        request = self._make_request(event)
        if tracker.tracker_id is None:
            return request
        return replace(request, tracker_id=tracker.tracker_id)

    async def _tell_first(self, trackers: Sequence[_Tracker]) -> _Told | None:
        """Tell one after the other until one answers; the silent ones are heard meanwhile."""
        if len(trackers) == 1:
            answer = await self._tell(trackers[0])
            return None if answer is None else (trackers[0], answer)
        told: _Told | None = None
        async with trio.open_nursery() as nursery:

            async def tell(tracker: _Tracker, has_failed: trio.Event) -> None:
                nonlocal told
                answer = await self._tell(tracker)
                if answer is None:
                    has_failed.set()
                elif told is None:
                    told = tracker, answer
                    nursery.cancel_scope.cancel()

            for number, tracker in enumerate(trackers, 1):
                has_failed = trio.Event()
                nursery.start_soon(tell, tracker, has_failed)
                with trio.move_on_after(STEP_IN if number < len(trackers) else math.inf):
                    await has_failed.wait()
        return told

    async def _tell_in_turn(self, trackers: Sequence[_Tracker]) -> _Told | None:
        """Tell one after the other until one answers; a silent one is left for the next."""
        for number, tracker in enumerate(trackers, 1):
            patience = STEP_IN_ALONE if number < len(trackers) else math.inf
            with trio.move_on_after(patience) as scope:
                answer = await self._tell(tracker)
                if answer is not None:
                    return tracker, answer
            if scope.cancelled_caught:
                self._failed(
                    tracker,
                    TrackerUnreachableError(
                        f"no answer in {patience:g} seconds; the next tracker is told",
                        tracker=tracker.url,
                    ),
                )
        return None

    async def _tell(self, tracker: _Tracker) -> AnnounceAnswer | None:
        """Announce to one tracker; None if it failed, which is reported."""
        event = tracker.next_event()
        request = self._request(tracker, event)
        tracker.may_list_us = True
        assert self._hearts is not None
        alarm = self._hearts.alarm(SILENT_AFTER, partial(self._is_silent, tracker))
        try:
            answer = await self._clients.announce(tracker.url, request)
        except TrackerError as error:
            self._failed(tracker, error)
            return None
        finally:
            alarm.off()
        tracker.answered(event, answer)
        return answer

    def _failed(self, tracker: _Tracker, error: TrackerError) -> None:
        self._on_failure(tracker.url, error, tracker.failed(error, trio.current_time()))

    def _is_silent(self, tracker: _Tracker) -> None:
        if not self._has_answer and not tracker.failures:
            self._on_silence(tracker.url, SILENT_AFTER)

    async def _part(self, tracker: _Tracker, patience: float) -> None:
        request = self._request(tracker, AnnounceEvent.STOPPED)
        with trio.move_on_after(patience), suppress(TrackerError):
            await self._clients.announce(tracker.url, request, tries=1)


class Parting(NamedTuple):
    """A tracker that is to be told that a torrent has stopped, and how."""

    tracker: str
    tell: Callable[[], Awaitable[None]]


async def part(partings: Iterable[Parting]) -> None:
    """Tell trackers that torrents have stopped; the caller sets a deadline.

    A tracker is told AT_ONCE at a time: what thousands said in one moment would be lost on its way.
    """
    by_tracker: dict[str, list[Parting]] = {}
    for parting in partings:
        by_tracker.setdefault(parting.tracker, []).append(parting)

    async def work(waiting: list[Parting]) -> None:
        while waiting:
            await waiting.pop().tell()

    async with trio.open_nursery() as nursery:
        for waiting in by_tracker.values():
            for _ in range(min(AT_ONCE, len(waiting))):
                nursery.start_soon(work, waiting)
