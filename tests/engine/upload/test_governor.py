"""How much all connections may put out together: on a model of an uplink with a FIFO buffer.

The model has what was seen on shaped links under cubic: the connection that is there first takes
nearly all of the uplink, and the buffer is full.
"""

import math
from statistics import median, quantiles

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_uplink import BLOCK, SEGMENT, Connection, sharer
from trio_swarm.engine.upload.governor import (
    BEGINNING,
    FREE_SECONDS,
    LOOK_INTERVAL,
    QUEUE_TARGET,
    Governor,
)
from trio_swarm.engine.upload.link_state import LinkState

RATE = 2e6


def shares(got: dict[int, float]) -> list[float]:
    total = sum(got.values())
    return [each / total for each in got.values()]


def test_without_a_governor_the_first_connection_takes_nearly_all_and_the_buffer_is_full() -> None:
    node = sharer(governed=False)
    node.run(2.0)
    assert max(shares(node.run(3.0))) > 0.7
    assert median(node.delays[-2000:]) > 0.04


def test_with_one_all_get_the_same_and_the_uplink_is_used_in_full() -> None:
    node = sharer()
    node.run(3.0)
    got = node.run(3.0)
    assert max(shares(got)) < 0.3
    assert min(shares(got)) > 0.2
    assert sum(got.values()) > 0.97 * RATE


def test_shares_are_by_weight() -> None:
    node = sharer()
    node.weights = {0: 0.4, 1: 0.8, 2: 1.2, 3: 1.6}
    node.run(3.0)
    assert shares(node.run(5.0)) == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.03)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_buffer_of_half_a_second_stays_nearly_empty(count: int) -> None:
    node = sharer(count, buffer=0.5, round_trip=0.02)
    node.run(4.0)
    got = node.run(4.0)
    assert median(node.delays[-4000:]) < 2.5 * QUEUE_TARGET
    assert max(node.delays[-4000:]) < 4 * QUEUE_TARGET
    assert sum(got.values()) > 0.95 * RATE


@pytest.mark.parametrize("count", [2, 7])
def test_a_long_way_does_not_make_the_queue_swing(count: int) -> None:
    """What is put out shows in a round trip, and not at the next look, four times as soon.

    When growth went by looks the queue swung between nothing and 280 ms, and 0.93 was used.
    """
    node = sharer(count, buffer=0.5, round_trip=0.2)
    node.run(4.0)
    got = node.run(8.0)
    assert max(node.delays[-8000:]) < 8 * QUEUE_TARGET
    assert sum(got.values()) > 0.95 * RATE


def test_a_trickle_on_one_connection_does_not_hide_the_queue() -> None:
    """Its smoothed round trip is that of seconds ago: the queue was longer than 80 ms at times."""
    node = sharer(4, rate=2.39e6, buffer=0.5, round_trip=0.04)
    node.idle = {3}
    node.run(3.0)
    node.delays.clear()
    for _ in range(160):
        node.link.connections[3].backlog += SEGMENT
        node.run(0.05)
    assert quantiles(node.delays, n=20)[-1] < 2.5 * QUEUE_TARGET


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("rate", [119e3, 239e3])
def test_a_block_does_not_fill_the_queue_of_a_slow_uplink(count: int, rate: float) -> None:
    """A block that leaves at once keeps an uplink of 1 Mbit/s busy for 137 ms."""
    node = sharer(count, rate=rate, buffer=0.5, round_trip=0.04)
    # Seven that come at once do not know for ten seconds how short round trips can be.
    node.run(14.0)
    got = node.run(8.0)
    assert median(node.delays[-8000:]) < 2.5 * QUEUE_TARGET
    assert sum(got.values()) > 0.95 * rate


def test_connections_are_paced_only_while_a_slow_uplink_is_full() -> None:
    node = sharer(rate=200e3, buffer=0.5)
    assert node.governor.pace is None
    node.run(3.0)
    assert 200e3 < (node.governor.pace or 0.0) < 400e3
    node.idle = {0, 1, 2, 3}
    node.run(FREE_SECONDS + 1.0)
    assert node.governor.pace is None
    node = sharer(rate=2e6)
    node.run(3.0)
    assert node.governor.budget < math.inf
    assert node.governor.pace is None


def test_an_uplink_that_becomes_faster_is_found() -> None:
    node = sharer()
    node.run(3.0)
    node.link.rate *= 4
    node.link.buffer *= 4
    node.run(3.0)
    assert sum(node.run(2.0).values()) > 0.9 * 4 * RATE


def test_an_uplink_that_becomes_slower_is_found() -> None:
    node = sharer()
    node.run(3.0)
    node.link.rate /= 4
    node.link.buffer /= 4
    node.run(3.0)
    got = node.run(2.0)
    assert max(shares(got)) < 0.35
    assert sum(got.values()) > 0.95 * RATE / 4


def test_what_a_connection_does_not_use_goes_to_the_others() -> None:
    node = sharer()
    node.run(3.0)
    node.idle = {0, 1}
    node.run(1.0)
    got = node.run(2.0)
    assert sum(got.values()) > 0.95 * RATE
    assert got[2] == pytest.approx(got[3], rel=0.1)


def test_a_connection_whose_other_end_is_slow_leaves_the_rest_to_the_others() -> None:
    node = sharer()
    node.link.connections[1].downlink = 0.1e6
    node.run(3.0)
    got = node.run(3.0)
    assert got[1] < 0.11e6
    assert sum(got.values()) > 0.95 * RATE
    assert got[0] == pytest.approx(got[3], rel=0.15)


def test_one_that_joins_a_full_uplink_gets_its_share_and_the_queue_stays_short() -> None:
    node = sharer(3)
    node.run(3.0)
    node.link.connections[7] = Connection(window=14480)
    node.run(2.0)
    got = node.run(3.0)
    assert min(shares(got)) > 0.2
    assert median(node.delays[-3000:]) < 2 * QUEUE_TARGET


def test_those_that_leave_are_missed_by_nobody() -> None:
    node = sharer(5)
    node.run(3.0)
    del node.link.connections[0], node.link.connections[3]
    node.run(1.0)
    assert sum(node.run(2.0).values()) > 0.95 * RATE


def test_an_uplink_with_room_is_never_held() -> None:
    node = sharer(rate=50e6)
    for connection in node.link.connections.values():
        connection.downlink = 1e6
    node.run(5.0)
    # Their own queues are long: those are theirs, and not the uplink's.
    node.link.connections[4] = Connection()
    node.run(3.0)
    assert node.governor.budget > 15e6


def test_a_queue_that_is_not_ours_does_not_starve_us() -> None:
    """As when the other ends' uplinks are full, which our acknowledgements pass."""
    node = sharer()
    node.run(3.0)
    node.link.foreign = 0.06
    node.run(4.0)
    assert sum(node.run(2.0).values()) > 0.9 * RATE


def test_nothing_is_held_any_more_once_nobody_has_to_wait() -> None:
    node = sharer()
    node.run(3.0)
    assert node.governor.budget < math.inf
    node.idle = {0, 1, 2, 3}
    node.run(FREE_SECONDS + 0.5)
    assert node.governor.budget == math.inf


def test_a_long_buffer_is_emptied_at_once() -> None:
    node = sharer(7, buffer=0.5, round_trip=0.02)
    node.run(3.0)
    node.run(4.0)
    assert median(node.delays[-4000:]) < 1.5 * QUEUE_TARGET


def test_bytes_that_sockets_took_before_the_uplink_was_seen_to_be_full_are_waited_for() -> None:
    """As long as it takes: those of ten connections are three seconds of this uplink."""
    node = sharer(10, rate=0.1e6, buffer=0.3)
    node.run(20.0)
    assert min(shares(node.run(10.0))) > 0.08
    assert median(node.delays[-10000:]) < 1.3 * BLOCK / 0.1e6


def test_those_whose_other_ends_take_next_to_nothing_are_not_waited_for() -> None:
    node = sharer()
    for slow in (node.link.connections[1], node.link.connections[2]):
        slow.downlink = 0.02e6
        slow.backlog = 400_000  # It becomes less, for 20 s.
    node.run(3.0)
    assert sum(node.run(3.0).values()) > 0.95 * RATE


def test_a_link_that_pauses_now_and_then_is_used_in_between() -> None:
    """As one by radio does: what it carries is not taken for what it carried in the pause."""
    node = sharer(buffer=0.3, round_trip=0.01)
    node.run(3.0)
    carried = 0.0
    for _ in range(5):
        node.link.rate = 1e3
        carried += 0.4 * sum(node.run(0.4).values())
        node.link.rate = RATE
        carried += sum(node.run(1.0).values())
    assert carried > 0.92 * 5 * RATE


def test_what_other_ends_take_is_used_where_no_queue_is_ours() -> None:
    node = sharer(rate=50e6)
    takes = [0.1e6, 0.5e6, 1e6, 2e6]
    for connection, rate in zip(node.link.connections.values(), takes, strict=True):
        connection.downlink = rate
    node.run(3.0)
    assert sum(node.run(4.0).values()) > 0.98 * sum(takes)


def test_those_who_have_nothing_to_send_now_and_then_use_the_uplink_in_between() -> None:
    node = sharer(buffer=0.2, round_trip=0.02)
    node.run(3.0)
    carried = 0.0
    for _ in range(8):
        node.idle = {0, 1, 2, 3}
        carried += 0.15 * sum(node.run(0.15).values())
        node.idle = set()
        carried += 0.5 * sum(node.run(0.5).values())
    assert carried > 0.82 * 8 * 0.65 * RATE


def test_one_late_acknowledgement_is_no_queue() -> None:
    governor, now = Governor(), 0.0
    link = LinkState(0, 0.0, False, 0.001, 0.001, 0, 0, 0, 0.0)  # noqa: FBT003 - its order
    for look in range(20):
        now += LOOK_INTERVAL
        late = 0.06 if look % 5 == 4 else 0.001
        link = link._replace(acknowledged=look * BLOCK, round_trip=late)
        assert governor.look({1: link}, BLOCK, now, is_held=False) == math.inf


def test_an_ordinary_queue_or_one_on_the_way_back_holds_nobody() -> None:
    """As seen where a leecher kept its own uplink full: its seeder sent 15 to 30 of 80 Mbit/s."""
    for queue, is_held in [(BEGINNING - 0.005, False), (BEGINNING + 0.005, True)]:
        governor, now = Governor(), 0.0
        link = LinkState(0, 0.0, False, 0.04 + queue, 0.04, 0, 0, 0, 0.0)  # noqa: FBT003 - its order
        for look in range(20):
            now += LOOK_INTERVAL
            link = link._replace(acknowledged=look * BLOCK)
            governor.look({1: link}, BLOCK, now, is_held=True)
        assert (governor.budget < math.inf) is is_held


def test_two_ordinary_queues_in_a_round_trip_hold_nobody() -> None:
    """As where leechers keep their own uplinks full: each has acknowledgements wait in the others'.

    Two of seven used a third of their uplinks when 60 ms were enough to be held.
    """
    governor, now = Governor(), 0.0
    ours = theirs = 0.050
    link = LinkState(0, 0.0, False, 0.001 + ours + theirs, 0.001, 0, 0, 0, 0.0)  # noqa: FBT003
    for look in range(20):
        now += LOOK_INTERVAL
        link = link._replace(acknowledged=look * BLOCK)
        assert governor.look({1: link}, BLOCK, now, is_held=True) == math.inf


def test_long_round_trips_of_those_who_read_slowly_are_no_queue() -> None:
    """As seen on loopback: they acknowledge late what their windows let through."""
    for waited, budget in [(0.9, math.inf), (0.1, 20 * BLOCK / LOOK_INTERVAL)]:
        governor, now = Governor(), 0.0
        link = LinkState(0, 0.0, False, 2 * BEGINNING, 0.001, 0, 0, 0, 0.0)  # noqa: FBT003 - its order
        for look in range(20):
            now += LOOK_INTERVAL
            link = link._replace(acknowledged=look * BLOCK, receiver_limited=waited * now)
            governor.look({1: link}, BLOCK, now, is_held=True)
        assert governor.budget == pytest.approx(budget, rel=1.0)


def test_an_uplink_that_hardly_carries_anything_is_given_a_block_a_second() -> None:
    governor, now = Governor(), 0.0
    link = LinkState(0, 0.0, False, 2 * BEGINNING, 0.001, 0, 0, 0, 0.0)  # noqa: FBT003 - its order
    for look in range(40):
        now += LOOK_INTERVAL
        link = link._replace(acknowledged=look)
        governor.look({1: link}, 1, now, is_held=True)
    assert BLOCK <= governor.budget < 2 * BLOCK


@settings(deadline=None, max_examples=15)
@given(
    count=st.integers(min_value=1, max_value=6),
    rate=st.sampled_from([0.3e6, 1e6, 5e6]),
    buffer=st.sampled_from([0.05, 0.1, 0.5]),
    round_trip=st.sampled_from([0.001, 0.01, 0.05]),
    windows=st.lists(st.integers(min_value=2, max_value=400), min_size=6, max_size=6),
)
def test_from_any_start_the_queue_becomes_short_and_the_uplink_is_used(
    count: int, rate: float, buffer: float, round_trip: float, windows: list[int]
) -> None:
    node = sharer(count, rate=rate, buffer=buffer, round_trip=round_trip)
    for key, connection in node.link.connections.items():
        connection.window = windows[key] * 1448.0
    node.run(8.0)
    got = node.run(4.0)
    assert sum(got.values()) > 0.9 * rate
    assert median(node.delays[-4000:]) < 0.05 + 2 * BLOCK / rate


LINKS = st.builds(
    LinkState,
    acknowledged=st.integers(min_value=0, max_value=2**60),
    delivery_rate=st.floats(min_value=0.0, max_value=1e12),
    is_app_limited=st.booleans(),
    round_trip=st.floats(min_value=0.0, max_value=100.0),
    least_round_trip=st.floats(min_value=0.0, max_value=100.0),
    in_flight=st.integers(min_value=0, max_value=2**40),
    unsent=st.integers(min_value=0, max_value=2**40),
    retransmitted=st.integers(min_value=0, max_value=2**60),
    receiver_limited=st.floats(min_value=0.0, max_value=1e6),
)


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.integers(min_value=0, max_value=3), LINKS, max_size=4),
            st.integers(min_value=0, max_value=2**40),
            st.sampled_from([-1.0, 0.0, LOOK_INTERVAL, LOOK_INTERVAL, 1.0]),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_whatever_the_system_tells_the_budget_is_a_number_and_a_block_a_second_at_least(
    looks: list[tuple[dict[int, LinkState], int, float, bool]],
) -> None:
    governor, now = Governor(), 0.0
    for links, put_out, passed, is_held in looks:
        now += passed
        budget = governor.look(links, put_out, now, is_held=is_held)
        assert budget >= BLOCK
        assert all(0.0 <= governor.rate_of(key) < math.inf for key in links)


def test_a_clock_that_stands_still_changes_nothing() -> None:
    node = sharer()
    node.run(3.0)
    governor = node.governor
    before = governor.budget
    links = {key: each.state() for key, each in node.link.connections.items()}
    assert governor.look(links, 0, node.link.now - 1.0, is_held=True) == before
