"""When a torrent's trackers are told what: on a virtual clock, and against a real tracker."""

import math
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio

from beating_hearts import announcing
from trio_swarm.announcing.announcer import MAX_TRACKERS, Announcer
from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.errors import TrackerError, TrackerRefusedError, TrackerUnreachableError
from trio_swarm.protocol.trackers.announces import AnnounceAnswer, AnnounceEvent, AnnounceRequest
from trio_swarm.tracker.server import TrackerHandle, serve_tracker
from trio_swarm.tracker.settings import TrackerSettings

A, B, C = "udp://127.0.0.1:1/a", "udp://127.0.0.1:1/b", "udp://127.0.0.1:1/c"
NONE, COMPLETED, STARTED, STOPPED = AnnounceEvent


def request(event: AnnounceEvent) -> AnnounceRequest:
    return AnnounceRequest(
        info_hash=b"h" * 20, peer_id=b"p" * 20, port=7000, left=0, key=1, event=event
    )


class Trackers:
    """Stands in for TrackerClients: answers by URL, and notes who was told what when."""

    def __init__(
        self, interval: float = 30.0, *, takes: float = 0.0, min_interval: float = 0.0
    ) -> None:
        self.answer = AnnounceAnswer(
            interval=interval, seeders=0, leechers=0, peers=(), min_interval=min_interval
        )
        self.takes = takes
        self.dead: set[str] = set()
        self.told: list[tuple[float, str, AnnounceEvent]] = []
        self.began = trio.current_time()

    async def announce(
        self, url: str, request: AnnounceRequest, *, tries: int | None = None
    ) -> AnnounceAnswer:
        assert (tries == 1) == (request.event is STOPPED)
        self.told.append((round(trio.current_time() - self.began, 3), url, request.event))
        await trio.sleep(self.takes)
        if url in self.dead:
            raise TrackerUnreachableError("dead", tracker=url)
        return self.answer

    def announce_soon(self, *_: object) -> None:
        """Leave it to a task."""

    def times(self) -> list[float]:
        return [at for at, _, _ in self.told]

    def events(self, url: str) -> list[AnnounceEvent]:
        return [event for _, told, event in self.told if told == url]


class Heard:
    """What the announcer's owner hears."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.failures: list[tuple[str, type[TrackerError], float]] = []

    def fail(self, url: str, error: TrackerError, retry_in: float) -> None:
        self.failures.append((url, type(error), retry_in))


@asynccontextmanager
async def running(
    trackers: Trackers | TrackerClients, tiers: Sequence[Sequence[str]], heard: Heard | None = None
) -> AsyncIterator[Announcer]:
    heard = heard or Heard()
    announcer = Announcer(
        trackers,  # type: ignore[arg-type]  # Trackers stands in
        tiers,
        make_request=request,
        on_answer=lambda url, _answer: heard.answers.append(url),
        on_failure=heard.fail,
        rng=random.Random(1),
    )
    async with announcing(announcer):
        await trio.testing.wait_all_tasks_blocked()
        yield announcer


@pytest.mark.parametrize(
    ("asked", "kept"),
    [(30.0, 30.0), (0.5, 1.0), (0.0, 1800.0), (10**9, 86_400.0), (1e30, 86_400.0), (2.5, 2.5)],
)
async def test_it_starts_and_then_keeps_the_trackers_interval(
    autojump_clock: object, asked: float, kept: float
) -> None:
    trackers = Trackers(asked)
    async with running(trackers, [[A]]):
        await trio.sleep(kept * 2.5)
    assert trackers.told == [(0, A, STARTED), (kept, A, NONE), (2 * kept, A, NONE)]


async def test_one_tracker_of_every_tier_is_told_and_tiers_do_not_wait_for_each_other(
    autojump_clock: object,
) -> None:
    trackers = Trackers(takes=1.0)
    trackers.dead = {A, B}
    async with running(trackers, [[A], [B], [C, A]]):
        await trio.sleep(0.5)
    assert sorted(trackers.told) == [(0, A, STARTED), (0, B, STARTED), (0, C, STARTED)]


async def test_the_next_tracker_of_a_tier_steps_in_and_stays_in_front(
    autojump_clock: object,
) -> None:
    trackers, heard = Trackers(), Heard()
    async with running(trackers, [[A, B, C]], heard):
        (first,) = heard.answers
        trackers.dead = {first}
        await trio.sleep(31)
        second = heard.answers[-1]
        assert second != first
        assert heard.failures == [(first, TrackerUnreachableError, 1.0)]
        # It does not know us yet, whatever the other one was told.
        assert trackers.events(second) == [STARTED]
        trackers.dead = set()
        await trio.sleep(60)
        assert heard.answers == [first, second, second, second]
        trackers.dead = {second}
        await trio.sleep(30)
        # BEP 12: the front is tried first, then the others in their order.
        assert heard.answers[-1] == first


async def test_trackers_of_a_tier_are_shuffled(autojump_clock: object) -> None:
    firsts = set()
    for seed in range(40):
        trackers = Trackers()
        announcer = Announcer(
            trackers,  # type: ignore[arg-type]  # Trackers stands in
            [[A, B, C]],
            make_request=request,
            on_answer=lambda *_: None,
            on_failure=lambda *_: None,
            rng=random.Random(seed),
        )
        async with announcing(announcer):
            await trio.sleep(1)
        firsts.add(trackers.told[0][1])
    assert firsts == {A, B, C}


async def test_a_dead_tier_is_tried_again_with_growing_gaps(autojump_clock: object) -> None:
    trackers, heard = Trackers(), Heard()
    trackers.dead = {A}
    async with running(trackers, [[A]], heard) as announcer:
        await trio.sleep(100)
        announcer.announce_now()
        await trio.sleep(22)
        assert trackers.times() == [0, 1, 3, 7, 15, 31, 61, 91, 121]
        assert [retry for _, _, retry in heard.failures[:7]] == [1, 2, 4, 8, 16, 30, 30]
        assert set(trackers.events(A)) == {STARTED}
        trackers.dead = set()
        await trio.sleep(31)
        assert heard.answers == [A]


async def test_a_tracker_that_dies_is_missed_for_no_longer_than_its_interval(
    autojump_clock: object,
) -> None:
    trackers = Trackers(interval=3)
    async with running(trackers, [[A]]):
        await trio.sleep(1)
        trackers.dead = {A}
        await trio.sleep(99)
        trackers.dead = set()
        gaps = [b - a for a, b in zip(trackers.times(), trackers.times()[1:], strict=False)]
        assert gaps[:3] == [3, 1, 2]
        assert set(gaps[3:]) == {3}


async def test_completed_is_said_at_once_and_once(autojump_clock: object) -> None:
    trackers = Trackers()
    async with running(trackers, [[A], [B]]) as announcer:
        await trio.sleep(7)
        announcer.completed()
        await trio.sleep(33)
    assert trackers.events(A) == trackers.events(B) == [STARTED, COMPLETED, NONE]
    assert trackers.times() == [0, 0, 7, 7, 37, 37]


async def test_completed_waits_for_the_answer_to_started(autojump_clock: object) -> None:
    trackers = Trackers(takes=5)
    async with running(trackers, [[A]]) as announcer:
        announcer.completed()
        await trio.sleep(20)
    assert trackers.told == [(0, A, STARTED), (5, A, COMPLETED)]


async def test_a_tracker_that_missed_our_start_is_told_no_completed(
    autojump_clock: object,
) -> None:
    trackers = Trackers()
    trackers.dead = {A}
    async with running(trackers, [[A]]) as announcer:
        announcer.completed()
        await trio.sleep(0.5)
        trackers.dead = set()
        await trio.sleep(40)
    assert trackers.events(A) == [STARTED, STARTED, NONE]


@pytest.mark.parametrize(("minimum", "gap"), [(0.0, 5.0), (12.0, 12.0)])
async def test_asking_for_peers_now_is_limited(
    autojump_clock: object, minimum: float, gap: float
) -> None:
    trackers = Trackers(min_interval=minimum)
    async with running(trackers, [[A]]) as announcer:
        for _ in range(40):
            announcer.announce_now()
            await trio.sleep(0.49)
    assert trackers.times() == [at * gap for at in range(math.ceil(19 / gap))]


async def test_stopping_tells_whoever_may_list_us_all_at_once(autojump_clock: object) -> None:
    trackers = Trackers()
    trackers.dead = {B}
    async with running(trackers, [[A], [B], [C]]) as announcer:
        await trio.sleep(2)
        trackers.dead |= {C}
        trackers.takes = 2.0
    trackers.told.clear()
    await announcer.stop()
    assert sorted(trackers.told) == [(2, A, STOPPED), (2, C, STOPPED)]
    assert trio.current_time() - trackers.began == pytest.approx(4)


async def test_a_tracker_that_was_being_told_when_we_stopped_is_told_that_too(
    autojump_clock: object,
) -> None:
    trackers = Trackers(takes=5)
    async with running(trackers, [[A]]) as announcer:
        await trio.sleep(1)
    await announcer.stop()
    assert trackers.events(A) == [STARTED, STOPPED]


async def test_urls_of_no_use_are_reported_once_and_left_out(autojump_clock: object) -> None:
    trackers, heard = Trackers(), Heard()
    async with running(trackers, [["wss://x/announce"], [A, "junk", A], [A]], heard):
        await trio.sleep(40)
    assert heard.failures == [
        (url, TrackerUnreachableError, math.inf) for url in ("wss://x/announce", "junk")
    ]
    assert trackers.events(A) == [STARTED, NONE]
    with trio.fail_after(1):
        async with running(trackers, []):
            pass


async def test_a_metainfo_file_full_of_trackers_does_not_start_a_flood(
    autojump_clock: object,
) -> None:
    trackers = Trackers()
    async with running(trackers, [[f"udp://127.0.0.1:1/{number}"] for number in range(1000)]):
        await trio.sleep(1)
    assert len(trackers.told) == MAX_TRACKERS


async def serve_within(
    life: trio.CancelScope, port: int, *, task_status: trio.TaskStatus[TrackerHandle]
) -> None:
    with life:
        settings = TrackerSettings(host="127.0.0.1", port=port, interval=5, lease=12)
        await serve_tracker(settings, task_status=task_status)


async def test_a_restarted_tracker_has_us_back_within_one_heartbeat(
    autojump_clock: object,
) -> None:
    heard = Heard()
    async with open_tracker_clients() as clients, trio.open_nursery() as nursery:
        life = trio.CancelScope()
        tracker = await nursery.start(serve_within, life, 0)
        url = f"udp://127.0.0.1:{tracker.port}/announce"
        async with running(clients, [[url]], heard) as announcer:
            await trio.sleep(1)
            assert tracker.counts().peers == 1
            life.cancel()
            await trio.sleep(20)
            assert heard.failures
            life = trio.CancelScope()
            tracker = await nursery.start(serve_within, life, tracker.port)
            await trio.sleep(5.1)
            assert tracker.counts().peers == 1
        await announcer.stop()
        assert tracker.counts().peers == 0
        nursery.cancel_scope.cancel()


async def test_a_refusal_is_reported_and_tried_again(autojump_clock: object) -> None:
    class Refusing(Trackers):
        async def announce(
            self, url: str, request: AnnounceRequest, *, tries: int | None = None
        ) -> AnnounceAnswer:
            await super().announce(url, request, tries=tries)
            raise TrackerRefusedError("no", tracker=url)

    heard = Heard()
    async with running(Refusing(), [[A]], heard):
        await trio.sleep(1.5)
    assert heard.failures == [(A, TrackerRefusedError, 120.0)]
