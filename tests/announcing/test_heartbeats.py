"""Trackers of many torrents are asked by one task, a few at a time; on a virtual clock."""

import gc
import math
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from trio_swarm.announcing.heartbeats import AT_ONCE, LEAST_PAUSE, SLOW, Beat, Heartbeats

TRACKER = "udp://127.0.0.1:1"


class Told(Beat):
    """Notes when it is asked; takes a while, and wants to be asked again after `every` seconds."""

    def __init__(
        self, *, takes: float = 0.0, every: float = math.inf, tracker: str = TRACKER
    ) -> None:
        super().__init__()
        self.takes = takes
        self.every = every
        self.times: list[float] = []
        self.answers = 0
        self._url = tracker

    @property
    def tracker(self) -> str:
        return self._url

    async def run(self) -> None:
        self.times.append(trio.current_time())
        await trio.sleep(self.takes)
        self.answers += 1
        self.at(trio.current_time() + self.every)


class WakeUps(trio.abc.Instrument):
    """Counts how often the task of the heartbeats goes on."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task.name == "hearts"


@asynccontextmanager
async def beating() -> AsyncIterator[Heartbeats]:
    hearts = Heartbeats()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hearts.run, name="hearts")
        yield hearts
        nursery.cancel_scope.cancel()


async def test_each_is_asked_at_once_and_then_when_it_is_due(autojump_clock: object) -> None:
    began = trio.current_time()
    quick, slow = Told(every=10.0), Told(every=25.0)
    async with beating() as hearts:
        quick.begin(hearts)
        slow.begin(hearts)
        await trio.sleep(51)
    assert [at - began for at in quick.times] == [0, 10, 20, 30, 40, 50]
    assert [at - began for at in slow.times] == [0, 25, 50]


async def test_a_thousand_that_are_due_over_a_second_share_its_wake_ups(
    autojump_clock: object,
) -> None:
    beats = [Told(every=100.0) for _ in range(1000)]
    async with beating() as hearts:
        for number, beat in enumerate(beats):
            beat.begin(hearts)
            beat.at(trio.current_time() + 10 + number / 1000)
        await trio.sleep(9.9)
        wake_ups = WakeUps()
        trio.lowlevel.add_instrument(wake_ups)
        await trio.sleep(2)
        trio.lowlevel.remove_instrument(wake_ups)
    assert all(len(beat.times) == 1 for beat in beats)
    assert wake_ups.count <= 2 + 1 / LEAST_PAUSE + 2


async def test_nothing_wakes_where_nothing_is_due(autojump_clock: object) -> None:
    beats = [Told(every=1800.0) for _ in range(1000)]
    async with beating() as hearts:
        for beat in beats:
            beat.begin(hearts)
        await trio.sleep(5)
        wake_ups = WakeUps()
        trio.lowlevel.add_instrument(wake_ups)
        await trio.sleep(1700)
        trio.lowlevel.remove_instrument(wake_ups)
    assert all(len(beat.times) == 1 for beat in beats)
    assert wake_ups.count <= 1


async def test_those_of_one_tracker_begin_as_fast_as_it_answers(autojump_clock: object) -> None:
    """No burst of a thousand datagrams, most of which the tracker's socket would drop."""
    beats = [Told(takes=0.1) for _ in range(10 * AT_ONCE)]
    async with beating() as hearts:
        for beat in beats:
            beat.begin(hearts)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        assert sum(bool(beat.times) for beat in beats) == AT_ONCE
        await trio.sleep(10)
    assert max(beat.times[0] for beat in beats) - began == pytest.approx(0.9)


async def test_a_silent_tracker_holds_up_its_own_for_a_moment_and_no_other(
    autojump_clock: object,
) -> None:
    silent = [Told(takes=30.0, tracker="udp://127.0.0.1:2") for _ in range(10 * AT_ONCE)]
    good = [Told() for _ in range(2 * AT_ONCE)]
    async with beating() as hearts:
        for beat in (*silent, *good):
            beat.begin(hearts)
        await trio.testing.wait_all_tasks_blocked()
        assert all(beat.answers for beat in good)
        began = trio.current_time()
        await trio.sleep(29)
    assert max(beat.times[0] for beat in silent) - began == pytest.approx(9 * SLOW)


async def test_a_time_that_is_said_sooner_counts_and_a_later_one_as_well(
    autojump_clock: object,
) -> None:
    began = trio.current_time()
    beat = Told(every=1000.0)
    async with beating() as hearts:
        beat.begin(hearts)
        await trio.sleep(1)
        beat.at(began + 10)
        beat.at(began + 5)
        await trio.sleep(10)
        beat.at(began + 20)
        beat.at(began + 30)
        await trio.sleep(30)
    assert [at - began for at in beat.times] == [0, 5, 30]


async def test_one_that_has_ended_is_asked_no_more_and_its_answer_not_waited_for(
    autojump_clock: object,
) -> None:
    waiting, asking, queued = Told(every=1.0), Told(takes=5.0), Told()
    async with beating() as hearts:
        waiting.begin(hearts)
        asking.begin(hearts)
        await trio.sleep(0.5)
        queued.begin(hearts)
        for beat in (waiting, asking, queued):
            beat.end()
        await trio.sleep(10)
    assert (len(waiting.times), len(asking.times), queued.times) == (1, 1, [])
    assert asking.answers == 0


async def test_those_that_have_ended_are_not_kept_until_they_would_have_been_due(
    autojump_clock: object,
) -> None:
    """A torrent that was removed would take its memory for half an hour."""
    beats = [Told(every=1800.0) for _ in range(100)]
    async with beating() as hearts:
        for beat in beats:
            beat.begin(hearts)
        await trio.sleep(1)
        left = weakref.WeakSet(beats)
        for beat in beats[1:]:
            beat.end()
        del beats[1:], beat
        gc.collect()
        assert len(left) <= 3


async def test_an_alarm_rings_unless_it_is_off(autojump_clock: object) -> None:
    rung: list[str] = []
    async with beating() as hearts:
        hearts.alarm(2.0, lambda: rung.append("on"))
        hearts.alarm(2.0, lambda: rung.append("off")).off()
        hearts.alarm(1.0, lambda: rung.append("first"))
        await trio.sleep(1.9)
        assert rung == ["first"]
        await trio.sleep(0.2)
    assert rung == ["first", "on"]


async def test_a_bug_in_one_comes_out(autojump_clock: object) -> None:
    class Broken(Told):
        async def run(self) -> None:
            raise KeyError("bug")

    async def run() -> None:
        async with beating() as hearts:
            Broken().begin(hearts)
            await trio.sleep(1)

    with pytest.raises(BaseExceptionGroup) as caught:
        await run()
    assert caught.group_contains(KeyError)
