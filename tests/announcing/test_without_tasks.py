"""A tracker that answers as it should is told without a task; for all else there is one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
from msgspec.structs import replace

from tracker_scripts import REQUEST, connected_script, udp_script
from trio_swarm.announcing.announcer import Announcer
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.announcing.heartbeats import LATE, Heartbeats
from trio_swarm.errors import TrackerError, TrackerRefusedError
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceEvent, AnnounceRequest

COUNT = 20
INTERVAL = 5

Reply = Callable[[int], bytes | None]


class Spawned(trio.abc.Instrument):
    """Counts the tasks that begin to ask a tracker."""

    def __init__(self) -> None:
        self.count = 0

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.count += task.name.startswith("ask ")


@dataclass
class Swarms:
    """Torrents that announce to one tracker, which has answered each of them once."""

    announcers: list[Announcer]
    asked: list[int]
    """The events that the tracker was told, in the numbers of BEP 15."""
    replies: list[Reply]
    """How it answers the next announces, before it answers as it should again."""
    answers: list[str] = field(default_factory=list)
    failures: list[TrackerError] = field(default_factory=list)


def good(transaction: int) -> bytes:
    return udp_tracker.announce_answer(transaction, INTERVAL, 1, 0, b"")


@asynccontextmanager
async def swarms() -> AsyncIterator[Swarms]:
    them = Swarms([], [], [])

    def script(data: bytes, transaction: int) -> bytes | None:
        them.asked.append(int.from_bytes(data[80:84], "big"))
        return them.replies.pop(0)(transaction) if them.replies else good(transaction)

    def request(event: AnnounceEvent) -> AnnounceRequest:
        return replace(REQUEST, event=event)

    async with (
        udp_script(connected_script(script)) as url,
        open_tracker_clients() as clients,
        trio.open_nursery() as nursery,
    ):
        hearts = Heartbeats()
        nursery.start_soon(hearts.run)
        for _ in range(COUNT):
            announcer = Announcer(
                clients,
                [[url]],
                make_request=request,
                on_answer=lambda url, _answer: them.answers.append(url),
                on_failure=lambda _url, error, _retry_in: them.failures.append(error),
            )
            announcer.begin(hearts)
            them.announcers.append(announcer)
        await trio.sleep(INTERVAL / 2)
        assert len(them.answers) == COUNT
        them.answers.clear()
        them.asked.clear()
        yield them
        for announcer in them.announcers:
            announcer.end()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def counted() -> AsyncIterator[Spawned]:
    spawned = Spawned()
    trio.lowlevel.add_instrument(spawned)
    yield spawned
    trio.lowlevel.remove_instrument(spawned)


async def test_who_answers_is_told_without_a_task(autojump_clock: object) -> None:
    async with swarms() as them, counted() as spawned:
        await trio.sleep(INTERVAL)
        assert len(them.answers) == len(them.asked) == COUNT
        await trio.sleep(INTERVAL)
        assert len(them.answers) == len(them.asked) == 2 * COUNT
    assert spawned.count == 0
    assert set(them.asked) == {AnnounceEvent.NONE}


async def test_what_is_lost_on_its_way_is_said_again_by_a_task(autojump_clock: object) -> None:
    async with swarms() as them, counted() as spawned:
        them.replies = [lambda _transaction: None] * 3
        await trio.sleep(INTERVAL)
        assert (len(them.answers), len(them.asked), spawned.count) == (COUNT, COUNT + 3, 3)
        assert not them.failures


async def test_a_refusal_is_told_once(autojump_clock: object) -> None:
    """A tracker that was restarted refuses old ids, too: it is asked again, with a new one."""
    async with swarms() as them:
        refuse: Reply = lambda transaction: udp_tracker.error_answer(transaction, "no")  # noqa: E731
        them.replies = [refuse, *[good] * (COUNT - 1), refuse]
        await trio.sleep(INTERVAL)
        assert len(them.answers) == COUNT - 1
        (failure,) = them.failures
        assert isinstance(failure, TrackerRefusedError)


async def test_an_answer_that_makes_no_sense_is_asked_for_again(autojump_clock: object) -> None:
    async with swarms() as them, counted() as spawned:
        them.replies = [lambda transaction: good(transaction)[:12]]
        await trio.sleep(INTERVAL)
        assert (len(them.answers), len(them.asked), spawned.count) == (COUNT, COUNT + 1, 1)


async def test_one_that_ends_while_it_is_asked_is_asked_no_more(autojump_clock: object) -> None:
    async with swarms() as them, counted() as spawned:
        them.replies = [lambda _transaction: None] * COUNT
        await trio.sleep(INTERVAL * 0.6)
        assert len(them.asked) == COUNT
        for announcer in them.announcers[1:]:
            announcer.end()
        await trio.sleep(LATE)
        assert (len(them.answers), len(them.asked), spawned.count) == (1, COUNT + 1, 1)


async def test_everything_is_here_is_said_although_an_announce_is_under_way(
    autojump_clock: object,
) -> None:
    held: list[int] = []

    def hold(transaction: int) -> None:
        held.append(transaction)

    async with swarms() as them:
        for announcer in them.announcers[1:]:
            announcer.end()
        them.replies = [hold, hold]
        await trio.sleep(INTERVAL * 0.6)
        assert them.asked == [AnnounceEvent.NONE]
        them.announcers[0].completed()
        await trio.sleep(2 * INTERVAL)
        assert AnnounceEvent.COMPLETED in them.asked
