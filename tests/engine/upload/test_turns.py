"""Whose turn it is to put blocks out.

Source: P. Goyal, H. Vin, H. Cheng, "Start-time fair queuing", 1996: shares by weight, and nobody's
share waits for one that has nothing to send.
"""

import math
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.upload.turns import LEAST_WEIGHT, Turns, even_out

BLOCK = 16 * 1024


def served(
    turns: Turns, busy: dict[int, int], *, seconds: float, start: float = 0.0
) -> Counter[int]:
    """Let all that are `busy` (key → length of what they put out) send; return bytes by key."""
    got: Counter[int] = Counter()
    now = start
    while now < start + seconds:
        for key in busy:
            turns.ask(key)
        while (key := turns.give(now)) is not None:
            assert turns.has_turn(key)
            got[key] += busy[key]
            turns.put_out(key, busy[key], now)
            turns.ask(key)
        now += max(0.0001, turns.wait(now))
    return got


def at(rate: float, **weights: float) -> Turns:
    turns = Turns()
    turns.set_rate(rate)
    turns.set_weights({int(key[1:]): weight for key, weight in weights.items()})
    return turns


def test_all_that_are_busy_get_the_same() -> None:
    got = served(at(1e6), {1: BLOCK, 2: BLOCK, 3: BLOCK}, seconds=10)
    assert max(got.values()) - min(got.values()) <= BLOCK
    assert sum(got.values()) == pytest.approx(10e6, rel=0.02)


def test_who_asks_for_long_blocks_gets_no_more_than_who_asks_for_short_ones() -> None:
    got = served(at(1e6), {1: 8 * BLOCK, 2: BLOCK}, seconds=20)
    assert got[1] == pytest.approx(got[2], abs=9 * BLOCK)


def test_shares_are_by_weight() -> None:
    got = served(at(1e6, k1=0.5, k2=1.5), {1: BLOCK, 2: BLOCK}, seconds=20)
    assert got[2] / got[1] == pytest.approx(3.0, rel=0.05)


def test_who_weighs_nothing_still_has_a_trickle() -> None:
    """A block that was promised must end: its peer has asked nobody else for it."""
    weights = even_out([0.0, 1.0, 1.0])
    turns = at(1e6, k1=weights[0], k2=weights[1], k3=weights[2])
    got = served(turns, {1: BLOCK, 2: BLOCK, 3: BLOCK}, seconds=30)
    assert 0.03 < got[1] / (got.total() / 3) < 0.08


def test_what_one_does_not_use_goes_to_the_others_at_once() -> None:
    turns = at(1e6)
    served(turns, {1: BLOCK, 2: BLOCK}, seconds=2)
    turns.leave(1, 2.0)
    alone = served(turns, {2: BLOCK}, seconds=2, start=2.0)
    assert alone[2] == pytest.approx(2e6, rel=0.03)


def test_who_had_nothing_to_send_gets_no_more_for_it_later() -> None:
    turns = at(1e6)
    served(turns, {2: BLOCK}, seconds=20)
    got = served(turns, {1: BLOCK, 2: BLOCK}, seconds=2, start=20.0)
    assert got[1] == pytest.approx(got[2], abs=2 * BLOCK)


def test_a_turn_that_is_not_used_holds_nobody_up() -> None:
    turns = at(1e6)
    turns.ask(1)
    assert turns.give(0.0) == 1
    got = served(turns, {2: BLOCK}, seconds=2)
    assert got[2] == pytest.approx(2e6, rel=0.03)


def test_who_leaves_gets_no_turn() -> None:
    turns = at(1e6)
    turns.ask(1)
    turns.leave(1, 0.0)
    assert turns.give(0.0) is None


@pytest.mark.parametrize("end", [Turns.pass_on, Turns.leave])
def test_turns_that_are_passed_on_cost_the_others_nothing(
    end: Callable[[Turns, int, float], bool],
) -> None:
    turns = at(1e6)
    now, got = 0.0, 0
    turns.ask(2)
    while now < 2.0:
        turns.ask(1)
        key = turns.give(now)
        if key == 1:
            assert end(turns, 1, now)
        elif key == 2:
            got += BLOCK
            turns.put_out(2, BLOCK, now)
            turns.ask(2)
        now += 0.001
    assert got == pytest.approx(2e6, rel=0.05)


def test_who_passes_a_turn_on_may_ask_for_another() -> None:
    turns = at(1e6)
    turns.ask(1)
    assert turns.give(0.0) == 1
    assert turns.pass_on(1, 0.0)
    assert not turns.pass_on(1, 0.0)
    turns.ask(1)
    assert turns.give(0.0) == 1


def test_without_a_limit_nobody_waits_for_a_turn() -> None:
    turns = at(1e6)
    turns.ask(1)
    turns.set_rate(math.inf)
    assert turns.free() == [1]
    assert not turns.is_anybody_asking


@given(
    st.floats(min_value=1e4, max_value=1e9),
    st.dictionaries(
        st.integers(min_value=0, max_value=9),
        st.integers(min_value=1, max_value=20 * BLOCK),
        min_size=1,
        max_size=5,
    ),
    st.data(),
)
def test_no_more_is_put_out_than_the_rate_and_a_turn_of_each(
    rate: float, lengths: dict[int, int], data: st.DataObject
) -> None:
    turns = at(rate)
    now, sent = 0.0, 0
    for _ in range(30):
        turns.ask(data.draw(st.sampled_from(sorted(lengths))))
        key = turns.give(now)
        if key is not None and data.draw(st.booleans()):
            sent += lengths[key]
            turns.put_out(key, lengths[key], now)
        assert sent <= rate * (now + 0.05) + sum(lengths.values()) * 1.000001
        now += data.draw(st.floats(min_value=0.0, max_value=0.1))


@given(st.lists(st.floats(min_value=0.0, max_value=1e308), min_size=1, max_size=20))
def test_even_weights_have_the_mean_1_and_none_is_next_to_nothing(weights: list[float]) -> None:
    evened = even_out(weights)
    assert sum(evened) == pytest.approx(len(weights))
    assert min(evened) >= LEAST_WEIGHT / 2


def test_weights_keep_their_proportion() -> None:
    assert even_out([1.0, 3.0]) == [0.5, 1.5]


def test_without_any_weight_all_are_equal() -> None:
    assert even_out([0.0, 0.0]) == [1.0, 1.0]
    assert even_out([]) == []


def test_weights_too_small_to_be_divided_count_as_none() -> None:
    assert even_out([5e-324, 0.0]) == [1.0, 1.0]
    assert sum(even_out([5e-324, 1e308, 0.0])) == pytest.approx(3.0)
