"""How much a peer may say without use, and for how long it is read at a time."""

from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.idle_talk import (
    ARRIVAL_RATE,
    ARRIVALS,
    IDLE_BURST,
    IDLE_RATE,
    LEAST_BURST,
    LONGEST_PAUSE,
    MOST_HOSTS,
    STRIKE_SECONDS,
    IdleTalk,
    TalkativeHosts,
)
from trio_swarm.engine.read_turn import TURN_BYTES, TURN_MESSAGES, TURN_SECONDS, ReadTurn


def test_a_burst_of_idle_talk_is_forgiven_and_one_message_more_is_not() -> None:
    talk = IdleTalk(0.0)
    assert all(talk.charge(1, 0.0) for _ in range(IDLE_BURST))
    assert not talk.charge(1, 0.0)


def test_a_little_idle_talk_may_go_on_for_ever() -> None:
    talk = IdleTalk(0.0)
    assert all(talk.charge(int(IDLE_RATE) * 10, 10.0 * i) for i in range(1000))


def test_blocks_that_move_pay_for_talk() -> None:
    """Each of 250 requests a second crosses a choke, or is taken back in endgame (BEP 3)."""
    talk = IdleTalk(0.0)
    for i in range(10_000):
        talk.earned += 1
        assert talk.charge(1, i / 1000)


def test_what_was_earned_cannot_be_saved_up_beyond_a_burst() -> None:
    talk = IdleTalk(0.0)
    talk.earned += 1_000_000
    assert talk.charge(IDLE_BURST, 1000.0)
    assert not talk.charge(1, 1000.0)


def test_what_costs_more_is_charged_more() -> None:
    talk = IdleTalk(0.0)
    assert talk.charge(IDLE_BURST - 63, 0.0)
    assert not talk.charge(64, 0.0)


def test_others_of_a_host_that_said_too_much_are_let_in_a_little_later_with_less_to_say() -> None:
    hosts = TalkativeHosts()
    assert hosts.pause("a", 0.0) == 0.0
    assert hosts.burst("a", 0.0) == IDLE_BURST
    hosts.strike("a", 0.0)
    first = hosts.pause("a", 0.0)
    assert 0.0 < first < LONGEST_PAUSE / 4
    assert hosts.burst("a", 0.0) == LEAST_BURST
    assert hosts.pause("b", 0.0) == 0.0
    for _ in range(50):
        hosts.strike("a", 1.0)
    assert hosts.pause("a", 1.0) == LONGEST_PAUSE


def test_a_host_is_forgiven_in_time() -> None:
    hosts = TalkativeHosts()
    hosts.strike("a", 0.0)
    hosts.strike("a", 0.0)
    assert hosts.pause("a", STRIKE_SECONDS) < hosts.pause("a", 0.0)
    assert hosts.pause("a", 2 * STRIKE_SECONDS) == 0.0
    assert hosts.burst("a", 2 * STRIKE_SECONDS) == IDLE_BURST


def test_hosts_without_number_are_remembered_only_up_to_a_limit() -> None:
    hosts = TalkativeHosts()
    for number in range(MOST_HOSTS + 10):
        hosts.strike(str(number), 0.0)
    assert hosts.pause("9", 0.0) == 0.0
    assert hosts.pause("10", 0.0) > 0.0


def test_a_turn_ends_by_bytes_by_messages_and_by_time() -> None:
    turn = ReadTurn()
    turn.begin(5.0)
    assert turn.goes_on(TURN_BYTES - 1, TURN_MESSAGES - 1, 5.0)
    assert not turn.goes_on(1, 0, 5.0)
    turn.begin(5.0)
    assert turn.goes_on(1, TURN_MESSAGES - 1, 5.0)
    assert not turn.goes_on(1, 1, 5.0)
    turn.begin(5.0)
    assert turn.goes_on(1, 1, 5.0 + TURN_SECONDS / 2)
    assert not turn.goes_on(1, 1, 5.0 + TURN_SECONDS)


@given(st.lists(st.tuples(st.integers(1, 100), st.floats(0, 5)), max_size=200))
def test_whoever_is_refused_said_more_than_burst_and_rate_allow(
    said: list[tuple[int, float]],
) -> None:
    talk = IdleTalk(0.0)
    now = total = 0.0
    for weight, pause in said:
        now += pause
        total += weight
        if not talk.charge(weight, now):
            assert total > IDLE_BURST
            return


def test_a_crowd_behind_one_address_is_let_in_at_once() -> None:
    hosts = TalkativeHosts()
    assert all(hosts.arrive("a", 0.0) == 0.0 for _ in range(ARRIVALS))
    assert hosts.arrive("b", 0.0) == 0.0


def test_who_does_nothing_but_come_and_go_waits_until_it_comes_less_often() -> None:
    hosts = TalkativeHosts()
    for _ in range(3 * ARRIVALS):
        hosts.arrive("a", 0.0)
    assert hosts.arrive("a", 0.0) == LONGEST_PAUSE
    assert hosts.arrive("a", 1.0) == 0.0
    waits = [hosts.arrive("a", 1.0) for _ in range(2 * int(ARRIVAL_RATE))]
    assert waits.count(0.0) < ARRIVAL_RATE
