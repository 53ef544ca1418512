"""A pair of sockets between two workers: what is asked, what is lost, and nobody who hangs."""

import trio

from trio_swarm.protocol.trackers.announces import ScrapeCounts
from trio_swarm.tracker.workers.links import AWAY_SECONDS, MOST_QUEUED, Link, open_pair
from trio_swarm.tracker.workers.messages import (
    MAX_MESSAGE,
    Answer,
    AskScrapes,
    Figures,
    Happened,
    Question,
    Ready,
    Setup,
    ToldScrapes,
)

HASHES = [bytes([number]) * 20 for number in range(200)]


async def count(question: Question) -> Answer:
    """Answer a scrape with the first byte of each info-hash."""
    assert isinstance(question, AskScrapes)
    return ToldScrapes(
        question.number,
        [ScrapeCounts(seeders=each[0], completed=0, leechers=0) for each in question.info_hashes],
    )


async def scrape(link: Link, hashes: list[bytes]) -> list[int] | None:
    told = await link.ask(lambda number: AskScrapes(number, hashes), 60)
    return [each.seeders for each in told.counts] if isinstance(told, ToldScrapes) else None


async def test_both_ends_ask_a_thousand_things_at_once_and_each_gets_its_own_answer() -> None:
    one, other = open_pair()
    links = [Link(one, answer=count), Link(other, answer=count)]
    right = []

    async def ask(link: Link, number: int) -> None:
        hashes = HASHES[number % 100 :]
        right.append(await scrape(link, hashes) == [each[0] for each in hashes])

    with one, other:
        async with trio.open_nursery() as nursery:
            for link in links:
                nursery.start_soon(link.run)
            async with trio.open_nursery() as asking:
                for number in range(MOST_QUEUED):
                    for link in links:
                        asking.start_soon(ask, link, number)
            nursery.cancel_scope.cancel()
    assert right == [True] * 2 * MOST_QUEUED


async def test_an_end_that_reads_nothing_costs_one_deadline_and_a_bounded_memory(
    autojump_clock: trio.testing.MockClock,
) -> None:
    one, other = open_pair()
    with one, other:
        link = Link(one)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.run)
            began = trio.current_time()
            assert await scrape(link, HASHES) is None
            assert trio.current_time() - began == 60
            for _ in range(100):
                assert await scrape(link, HASHES) is None
            assert trio.current_time() - began == 60
            kept = sum(link.tell(AskScrapes(1, HASHES)) for _ in range(100 * MOST_QUEUED))
            assert kept < 20 * MOST_QUEUED
            nursery.cancel_scope.cancel()


async def test_whoever_is_heard_again_is_asked_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    one, other = open_pair()
    heard = trio.Event()
    with one, other:
        link, sibling = Link(one, hear=lambda _: heard.set()), Link(other, answer=count)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.run)
            assert await scrape(link, HASHES[:2]) is None
            given_up = trio.current_time()
            sibling.tell(Ready())
            await heard.wait()
            nursery.start_soon(sibling.run)
            assert await scrape(link, HASHES[:2]) == [0, 1]
            assert trio.current_time() - given_up < AWAY_SECONDS
            nursery.cancel_scope.cancel()


async def test_what_makes_no_sense_or_is_too_long_ends_nothing() -> None:
    one, other = open_pair()
    heard: list[Setup | Ready | Figures | Happened] = []
    with one, other:
        link, sibling = Link(one), Link(other, hear=heard.append)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sibling.run)
            one.send(b"nonsense")
            one.send(b"\xc1")
            assert not link.tell(AskScrapes(1, [bytes(20)] * MAX_MESSAGE))
            assert link.tell(Ready())
            while not heard:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert heard == [Ready()]


async def test_a_link_ends_when_the_other_process_does() -> None:
    one, other = open_pair()
    with one:
        other.close()
        link = Link(one)
        link.tell(Ready())
        await link.run()
