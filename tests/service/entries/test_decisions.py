"""What the list decides without waiting: the queue, goals, who is meant, what a listener misses."""

import math
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from trio_swarm import events
from trio_swarm.errors import EntryAmbiguousError, EntryUnknownError
from trio_swarm.service.entries.finding import found
from trio_swarm.service.entries.goals import ENDLESS, Goal, goal_of
from trio_swarm.service.entries.limits import NO_GOAL, EntryLimits, NodeLimits
from trio_swarm.service.entries.queue import Queued, chosen_to_run, rank_between
from trio_swarm.service.entries.subscription import Subscription
from trio_swarm.settings import FetchSettings, ShareSettings

queues = st.lists(
    st.builds(
        Queued,
        id=st.integers(1, 10**6),
        wants=st.sampled_from(["download", "seed"]),
        is_running=st.booleans(),
        is_stalled=st.booleans(),
        at_once=st.booleans(),
    ),
    max_size=30,
    unique_by=lambda each: each.id,
)
counts = st.none() | st.integers(1, 5)


@given(queues, counts, counts)
def test_as_many_run_as_may_and_the_first_ones_do(
    queue: list[Queued], downloads: int | None, seeds: int | None
) -> None:
    chosen = chosen_to_run(queue, max_downloads=downloads, max_seeds=seeds)
    for wants, limit in (("download", downloads), ("seed", seeds)):
        mine = [each for each in queue if each.wants == wants]
        free = [each for each in mine if each.at_once or (each.is_stalled and each.is_running)]
        assert all(each.id in chosen for each in free)
        waiting = [each for each in mine if each not in free]
        places = len(mine) if limit is None else max(0, limit - sum(e.at_once for e in mine))
        assert [each.id in chosen for each in waiting] == [
            number < places for number in range(len(waiting))
        ]
    assert chosen <= {each.id for each in queue}


@given(queues, counts, counts)
def test_who_runs_already_is_no_matter_so_a_restart_chooses_the_same(
    queue: list[Queued], downloads: int | None, seeds: int | None
) -> None:
    moving = [Queued(each.id, each.wants, at_once=each.at_once) for each in queue]
    running = [Queued(each.id, each.wants, is_running=True, at_once=each.at_once) for each in queue]
    limits = {"max_downloads": downloads, "max_seeds": seeds}
    assert chosen_to_run(moving, **limits) == chosen_to_run(running, **limits)


@given(st.lists(st.floats(-1e6, 1e6), unique=True).map(sorted), st.integers(-5, 50))
def test_a_rank_sorts_to_the_place_that_is_asked_for(ranks: list[float], position: int) -> None:
    rank = rank_between(ranks, position)
    place = sorted([*ranks, rank]).index(rank)
    assert abs(place - max(0, min(position, len(ranks)))) <= (rank in ranks)


def test_an_entrys_own_goal_counts_before_its_settings_and_the_nodes() -> None:
    fetch = FetchSettings(what="x", seed_ratio=2.0)
    node = NodeLimits(seed_ratio=1.0, seed_for=60.0)
    assert goal_of(fetch, EntryLimits(), node) == Goal(2.0, 60.0)
    assert goal_of(fetch, EntryLimits(seed_ratio=3.0, seed_for=NO_GOAL), node) == Goal(3.0)
    assert goal_of(FetchSettings(what="x"), EntryLimits(), NodeLimits()) == ENDLESS
    share = ShareSettings(path=Path("/x"))
    assert goal_of(share, EntryLimits(), node).is_endless
    assert goal_of(share, EntryLimits(seed_ratio=1.0), node) == Goal(1.0)
    unseeded = FetchSettings(what="x", seed=False)
    assert goal_of(unseeded, EntryLimits(), node).reached(ratio=0, seconds=0)
    assert not goal_of(unseeded, EntryLimits(seed_for=9.0), node).reached(ratio=0.5, seconds=0)


def test_a_goal_is_reached_by_either_part_of_it() -> None:
    goal = Goal(2.0, 60.0)
    assert goal.reached(ratio=2.0, seconds=0) == "it was given 2 times"
    assert goal.reached(ratio=0, seconds=60.0) == "it was seeded for 60 s"
    assert not goal.reached(ratio=1.99, seconds=59.9)
    assert not ENDLESS.reached(ratio=1e12, seconds=1e12)
    assert ENDLESS.ratio == math.inf


class Named(Struct):
    id: int
    name: str
    info_hash: bytes | None


LISTED = [
    Named(1, "film", b"\xab" * 20),
    Named(2, "filming", b"\xac" * 20),
    Named(3, "2", None),
    Named(12, "twins", b"\x01" * 20),
    Named(13, "twins", b"\x02" * 20),
]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("2", 2),  # an id comes before a name
        ("film", 1),  # a whole name before a beginning
        ("filmi", 2),
        ("ab" * 20, 1),
        ("AB" * 20, 1),
        ("ac", 2),
        (" 12 ", 12),
    ],
)
def test_an_entry_is_found_by_id_name_hash_or_their_beginning(text: str, number: int) -> None:
    assert found(LISTED, text).id == number


@pytest.mark.parametrize("text", ["", " ", "nothing", "x" * 10**6, "99999999999", "²"])
def test_what_means_nothing_is_unknown(text: str) -> None:
    with pytest.raises(EntryUnknownError) as caught:
        found(LISTED, text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["twins", "fil", "a", "0"])
def test_what_means_several_says_which(text: str) -> None:
    with pytest.raises(EntryAmbiguousError) as caught:
        found(LISTED, text)
    assert len(caught.value.matches) == 2


def test_of_very_many_matches_a_few_are_told() -> None:
    with pytest.raises(EntryAmbiguousError, match="and 990 more") as caught:
        found([Named(each, "x", None) for each in range(1, 1001)], "x")
    assert len(str(caught.value)) < 5000


async def test_a_slow_listener_loses_the_oldest_events_and_is_told_how_many() -> None:
    closed: list[Subscription] = []
    subscription = Subscription(closed.append, most=2)
    for port in range(5):
        subscription.tell(events.Listening(host="", port=port))
    assert await subscription.receive() == events.EventsLost(count=3)
    assert await subscription.receive() == events.Listening(host="", port=3)
    assert await subscription.receive() == events.Listening(host="", port=4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscription.aclose)
        with pytest.raises(trio.EndOfChannel):
            await subscription.receive()
    assert closed == [subscription]
