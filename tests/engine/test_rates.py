"""Rates are right when steady and quick to change; limits hold in the long run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.rates import RateEstimate
from trio_swarm.engine.token_bucket import TokenBucket


def feed(rate: RateEstimate, start: float, seconds: float, per_second: float, step: float) -> float:
    """Add a steady stream in pieces `step` seconds apart; return the time of its end."""
    for n in range(1, round(seconds / step) + 1):
        rate.add(int(per_second * step), start + n * step)
    return start + seconds


@pytest.mark.parametrize("per_second", [200_000, 5_000_000, 800_000_000])
@pytest.mark.parametrize("step", [0.001, 0.01, 0.07])
def test_a_steady_stream_is_known_within_two_seconds(per_second: float, step: float) -> None:
    rate = RateEstimate()
    now = feed(rate, 1000.3, 2.1, per_second, step)
    assert rate.rate(now) == pytest.approx(per_second, rel=0.05)
    now = feed(rate, now, 5, per_second, step)
    assert rate.rate(now) == pytest.approx(per_second, rel=0.05)


def test_a_change_shows_within_two_seconds() -> None:
    rate = RateEstimate()
    now = feed(rate, 0.0, 10, 1_000_000, 0.01)
    now = feed(rate, now, 2.25, 8_000_000, 0.01)
    assert rate.rate(now) == pytest.approx(8_000_000, rel=0.05)
    now = feed(rate, now, 2.25, 500_000, 0.01)
    assert rate.rate(now) == pytest.approx(500_000, rel=0.05)


def test_a_stop_shows_soon() -> None:
    rate = RateEstimate()
    now = feed(rate, 0.0, 10, 1_000_000, 0.01)
    assert rate.rate(now + 1.0) < 700_000
    assert rate.rate(now + 2.0) < 50_000
    assert rate.rate(now + 60.0) < 500


def test_a_trickle_of_single_blocks_has_a_steady_rate() -> None:
    rate = RateEstimate()
    for n in range(30):
        rate.add(16384, n * 3.2)
    for later in (0.0, 1.0, 3.0):
        assert rate.rate(29 * 3.2 + later) == pytest.approx(5120, rel=0.35)


def test_nothing_added_is_no_rate_and_time_may_stand_still() -> None:
    rate = RateEstimate()
    assert rate.rate(5.0) == 0.0
    rate.add(100, 7.0)
    rate.add(100, 7.0)
    rate.add(100, 6.0)
    assert rate.rate(7.0) >= 0.0
    assert rate.total == 300


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 3)), min_size=1))
def test_a_rate_is_never_negative_nor_above_what_came(adds: list[tuple[int, float]]) -> None:
    rate = RateEstimate()
    now = 0.0
    for nbytes, pause in adds:
        now += pause
        rate.add(nbytes, now)
        assert 0.0 <= rate.rate(now) <= rate.total * 4 + 1e-6


@given(
    st.floats(1_000, 1e9),
    st.lists(st.tuples(st.integers(1, 300_000), st.floats(0, 0.05)), min_size=1),
)
def test_a_limit_is_never_exceeded_by_more_than_the_burst(
    limit: float, takes: list[tuple[int, float]]
) -> None:
    bucket = TokenBucket(limit)
    start = now = 100.0
    taken = 0
    for n, work in takes:
        now += bucket.take(n, now)
        taken += n
        assert taken <= limit * (now - start) + limit / 20 + 1
        now += work


def test_a_busy_user_gets_exactly_the_rate() -> None:
    bucket = TokenBucket(1_000_000)
    now = 0.0
    taken = 0
    while now < 10.0:
        now += bucket.take(16384, now)
        taken += 16384
    assert taken == pytest.approx(10_000_000, rel=0.02)


def test_users_of_one_limit_share_it() -> None:
    bucket = TokenBucket(1_000_000)
    due = dict.fromkeys("abcd", 0.0)
    taken = dict.fromkeys(due, 0)
    while min(due.values()) < 10.0:
        name = min(due, key=lambda each: due[each])
        now = due[name]
        due[name] = now + bucket.take(16384, now)
        taken[name] += 16384
    assert sum(taken.values()) == pytest.approx(10_000_000, rel=0.03)
    assert all(each == pytest.approx(2_500_000, rel=0.05) for each in taken.values())


def test_no_limit_never_waits_and_a_limit_can_change() -> None:
    bucket = TokenBucket(None)
    assert bucket.take(10**12, 0.0) == 0.0
    bucket.set_rate(1000, burst=0)
    assert bucket.take(500, 0.0) == pytest.approx(0.5)
    assert bucket.wait(0.25) == pytest.approx(0.25)
    bucket.set_rate(None)
    assert bucket.wait(0.25) == 0.0
    with pytest.raises(ValueError, match="positive"):
        TokenBucket(0)


def test_a_debt_of_a_low_rate_is_paid_at_the_rate_it_is_changed_to() -> None:
    bucket = TokenBucket(1000, burst=0)
    assert bucket.take(100_000, 0.0) == pytest.approx(100)
    bucket.change_rate(10_000, 0.0)
    assert bucket.wait(0.0) == pytest.approx(10)
    bucket.change_rate(1000, 5.0)
    assert bucket.wait(5.0) == pytest.approx(50)
    bucket.change_rate(None, 5.0)
    assert bucket.wait(5.0) == 0.0
    bucket.change_rate(1000, 6.0)
    assert bucket.wait(6.0) == 0.0, "nothing was owed while there was no limit"
