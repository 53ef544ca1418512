"""Who makes room when all places are taken."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.known_peers.crowding import (
    CROWDING,
    FAIR_PLACES,
    JOINING,
    MOVING,
    QUIET,
    SETTLING,
    Occupant,
    fair_places,
    host_of,
    is_given_up,
    room_at,
    who_leaves,
)

NOW = 1000.0
LIMIT = 250


def held(host: str, count: int, first: int = 0, joined: float = 0.0) -> list[Occupant]:
    """Idle connections of one host, the oldest first."""
    return [Occupant(first + n, host, joined + n / 1000, -math.inf) for n in range(count)]


@pytest.mark.parametrize(
    ("one", "other", "hosts"),
    [
        ("10.0.0.1", "10.0.0.2", 2),
        ("2001:db8::1", "2001:db8::ffff:2", 1),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", 2),
        ("::ffff:10.0.0.1", "10.0.0.1", 1),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", 2),
        ("fe80::1%eth0", "fe80::2%eth1", 1),
    ],
)
def test_a_host_is_an_ipv4_address_or_an_ipv6_network(one: str, other: str, hosts: int) -> None:
    assert len({host_of(one), host_of(other)}) == hosts


def test_the_host_with_most_gives_up_its_oldest_idle_connection() -> None:
    occupants = [*held("small", 20), *held("large", 30, first=100)]
    assert who_leaves(occupants, "new", LIMIT, NOW) == 100


def test_hosts_that_hold_few_give_up_nothing() -> None:
    occupants = [each for n in range(60) for each in held(f"h{n}", FAIR_PLACES, first=10 * n)]
    assert who_leaves(occupants, "new", LIMIT, NOW) is None
    assert room_at(occupants, "new", LIMIT) == math.inf


def test_where_blocks_move_nobody_leaves_and_the_next_host_gives_one_up() -> None:
    large = [each._replace(moved_at=NOW - MOVING / 2) for each in held("large", 30)]
    assert who_leaves(large, "new", LIMIT, NOW) is None
    assert who_leaves([*large, *held("small", 20, first=100)], "new", LIMIT, NOW) == 100


def test_one_that_never_moved_anything_leaves_before_one_that_did_long_ago() -> None:
    used = [each._replace(moved_at=NOW - 2 * MOVING) for each in held("h", 10)]
    assert who_leaves([*used, *held("h", 1, first=100, joined=500)], "new", LIMIT, NOW) == 100
    assert who_leaves(used, "new", LIMIT, NOW) == 0


def test_a_host_that_holds_most_places_makes_room_soon_for_one_that_has_none() -> None:
    """300 silent connections made an honest leecher wait for two seconds."""
    most, others = held("h", 126, joined=NOW), held("o", 124, first=200, joined=NOW)
    assert who_leaves([*most, *others], "new", LIMIT, NOW + CROWDING) == 0
    assert who_leaves([*most, *others], "new", LIMIT, NOW + CROWDING - 0.1) is None
    a_place = held("new", 1, first=500, joined=NOW)
    assert who_leaves([*most, *others[1:], *a_place], "new", LIMIT, NOW + CROWDING) is None


def test_nobody_is_sent_away_in_the_first_seconds_by_a_host_that_holds_few() -> None:
    occupants = [*held("h", LIMIT // 2, joined=NOW), *held("o", LIMIT // 2, LIMIT, joined=NOW)]
    assert who_leaves(occupants, "new", LIMIT, NOW + JOINING - 0.1) is None
    assert who_leaves(occupants, "new", LIMIT, NOW + JOINING) == 0


def test_peers_of_a_crowd_wait_longer_before_they_push_each_other_out() -> None:
    occupants = held("h", LIMIT, joined=NOW)
    assert who_leaves(occupants, "h", LIMIT, NOW + SETTLING - 0.1) is None
    assert who_leaves(occupants, "h", LIMIT, NOW + SETTLING) == 0


def test_a_host_holds_few_places_of_few() -> None:
    assert [fair_places(limit) for limit in (1, 3, 8, 12, 16, 250)] == [1, 1, 2, 3, 4, 4]


def test_one_host_cannot_keep_others_out_however_often_it_comes() -> None:
    occupants = {each.key: each for each in held("greedy", LIMIT, joined=NOW)}
    for number in range(500):
        now = NOW + JOINING + number / 100
        host = f"h{number // 2}" if number % 2 else "greedy"
        leaver = who_leaves(list(occupants.values()), host, LIMIT, now)
        if leaver is not None:
            assert occupants.pop(leaver).host == "greedy"
            occupants[LIMIT + number] = Occupant(LIMIT + number, host, now, -math.inf)
    assert sum(each.host != "greedy" for each in occupants.values()) > LIMIT * 0.9


occupants_of_any_kind = st.lists(
    st.builds(
        Occupant,
        key=st.integers(),
        host=st.sampled_from("abc"),
        joined_at=st.floats(NOW - 100, NOW),
        moved_at=st.just(-math.inf) | st.floats(NOW - 100, NOW),
    ),
    max_size=40,
    unique_by=lambda each: each.key,
)


@given(occupants_of_any_kind, st.sampled_from("abcd"), st.integers(1, 40))
def test_who_leaves_is_of_a_crowding_host_idle_and_not_new(
    occupants: list[Occupant], newcomer: str, limit: int
) -> None:
    by_key = {each.key: each for each in occupants}
    leaver = who_leaves(occupants, newcomer, limit, NOW)
    assert (leaver is not None) == (room_at(occupants, newcomer, limit) <= NOW)
    if leaver is not None:
        gone = by_key[leaver]
        held = sum(each.host == gone.host for each in occupants)
        assert held > fair_places(limit)
        is_crowd = held > limit // 2 and all(each.host != newcomer for each in occupants)
        assert NOW - gone.joined_at >= (CROWDING if is_crowd else JOINING)
        assert NOW - gone.moved_at >= MOVING


def test_only_a_silent_connection_makes_way_for_the_same_peer() -> None:
    silent = {"joined_at": 0.0, "heard_at": 0.0, "moved_at": -math.inf}
    assert is_given_up(**silent, now=QUIET + 0.1)
    for recent in ({"joined_at": QUIET}, {"heard_at": QUIET}, {"moved_at": QUIET}):
        assert not is_given_up(**(silent | recent), now=QUIET + 0.1)
