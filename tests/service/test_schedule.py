"""Alternative limits by time of day and weekday: what holds when, in any time zone."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_swarm.service.rates import LONGEST_WAIT, RateLimits, Rates
from trio_swarm.service.schedule import phase_at
from trio_swarm.settings import DAYS, ScheduleSettings

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = ScheduleSettings(begin=time(8), end=time(18), days=("mon", "tue", "wed", "thu", "fri"))


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def says(schedule: ScheduleSettings, moment: str) -> tuple[bool, str]:
    """What holds at a moment in Berlin, and until when."""
    phase = phase_at(schedule, at(moment), BERLIN)
    return phase.is_alternative, f"{datetime.fromtimestamp(phase.until, BERLIN):%a %H:%M}"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-12-01T07:59", (False, "Tue 08:00")),
        ("2026-12-01T08:00", (True, "Tue 18:00")),
        ("2026-12-01T17:59", (True, "Tue 18:00")),
        ("2026-12-01T18:00", (False, "Wed 08:00")),
        ("2026-12-04T18:00", (False, "Mon 08:00")),  # a Friday
        ("2026-12-06T12:00", (False, "Mon 08:00")),  # a Sunday
    ],
)
def test_limits_hold_between_two_times_on_the_days_that_are_named(
    moment: str, expected: tuple[bool, str]
) -> None:
    assert says(OFFICE, moment) == expected


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    night = ScheduleSettings(begin=time(22), end=time(6), days=("sat",))
    assert says(night, "2026-12-05T21:00") == (False, "Sat 22:00")
    assert says(night, "2026-12-06T05:00") == (True, "Sun 06:00")
    assert says(night, "2026-12-06T22:30") == (False, "Sat 22:00")


def test_days_without_times_are_whole_and_run_into_each_other() -> None:
    weekend = ScheduleSettings(days=("sat", "sun"))
    assert says(weekend, "2026-12-05T00:00") == (True, "Mon 00:00")
    assert says(weekend, "2026-12-07T00:00") == (False, "Sat 00:00")
    assert phase_at(ScheduleSettings(), at("2026-12-05T12:00"), BERLIN).is_alternative


def test_a_time_that_the_clocks_skip_comes_as_much_later_and_one_that_comes_twice_at_first() -> (
    None
):
    """PEP 495: a time in a gap is read with the offset before it; `fold=0` is the first of two."""
    early = ScheduleSettings(begin=time(2, 30), end=time(5))
    assert says(early, "2026-03-29T01:00") == (False, "Sun 03:30")  # 02:00 becomes 03:00
    before = phase_at(early, at("2026-10-25T01:00"), BERLIN)  # 03:00 becomes 02:00
    assert before.until - at("2026-10-25T01:00") == 1.5 * 3600
    assert phase_at(early, before.until, BERLIN).until - before.until == 3.5 * 3600


times = st.none() | st.times(max_value=time(23, 59)).map(
    lambda each: each.replace(second=0, microsecond=0)
)
days = st.lists(st.sampled_from(DAYS), unique=True).map(tuple)
schedules = st.builds(ScheduleSettings, begin=times, end=times, days=days)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])


@given(
    schedule=schedules,
    zone=zones.map(ZoneInfo),
    now=st.integers(1_700_000_000, 1_900_000_000),
    later=st.floats(0.0, 1.0, exclude_max=True),
)
def test_nothing_changes_before_the_moment_that_is_told_and_it_is_never_in_the_past(
    schedule: ScheduleSettings, zone: ZoneInfo, now: int, later: float
) -> None:
    phase = phase_at(schedule, now, zone)
    assert now < phase.until <= now + timedelta(days=10).total_seconds()
    between = min(now + later * (phase.until - now), phase.until - 0.001)
    assert phase_at(schedule, between, zone).is_alternative == phase.is_alternative
    is_always = phase_at(schedule, phase.until, zone).is_alternative == phase.is_alternative
    assert not is_always or phase.until - now > timedelta(days=6).total_seconds()


# --- followed by a node ---------------------------------------------------------------------------


class Wall:
    """A clock on the wall that goes with Trio's, and may be set."""

    def __init__(self, moment: str) -> None:
        self.offset = at(moment) - trio.current_time()

    def __call__(self) -> float:
        return trio.current_time() + self.offset


NORMAL, SLOW = Rates(None, 5000), Rates(1000, 2000)
SLOW_OFFICE = ScheduleSettings(
    begin=OFFICE.begin, end=OFFICE.end, days=OFFICE.days, upload_rate=1000, download_rate=2000
)


async def test_a_node_changes_its_limits_at_these_times_and_sleeps_between_them(
    autojump_clock: MockClock,
) -> None:
    wall, told = Wall("2026-12-01T07:00"), list[tuple[str, Rates]]()

    def apply(rates: Rates) -> None:
        told.append((f"{datetime.fromtimestamp(wall(), UTC):%a %H:%M}", rates))

    limits = RateLimits(NORMAL, SLOW_OFFICE, apply=apply, clock=wall, zone=BERLIN)
    with trio.move_on_after(24 * 3600):
        await limits.run()
    changes = [then for now, then in pairwise(told) if now[1] != then[1]]
    assert told[0] == ("Tue 06:00", NORMAL)
    assert changes == [("Tue 07:00", SLOW), ("Tue 17:00", NORMAL)]


async def test_what_is_switched_by_hand_holds_until_the_schedules_next_change(
    autojump_clock: MockClock,
) -> None:
    wall = Wall("2026-12-01T07:00")
    limits = RateLimits(NORMAL, SLOW_OFFICE, apply=lambda _: None, clock=wall, zone=BERLIN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(limits.run)
        limits.switch(on=True)
        assert limits.in_force == SLOW
        await trio.sleep(1800)
        assert limits.in_force == SLOW
        await trio.sleep(3600)  # the schedule's own limits hold by now
        limits.switch(on=False)
        assert limits.in_force == NORMAL
        await trio.sleep(9 * 3600)
        assert limits.in_force == NORMAL
        await trio.sleep(17 * 3600)
        assert limits.in_force == SLOW
        nursery.cancel_scope.cancel()


async def test_a_clock_that_is_set_is_noticed_soon(autojump_clock: MockClock) -> None:
    wall = Wall("2026-12-01T00:00")
    limits = RateLimits(NORMAL, SLOW_OFFICE, apply=lambda _: None, clock=wall, zone=BERLIN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(limits.run)
        await trio.sleep(1)
        wall.offset += 9 * 3600  # it slept
        await trio.sleep(LONGEST_WAIT)
        assert limits.in_force == SLOW
        nursery.cancel_scope.cancel()


async def test_a_new_schedule_or_limit_counts_at_once(autojump_clock: MockClock) -> None:
    told: list[Rates] = []
    limits = RateLimits(
        NORMAL, None, apply=told.append, clock=Wall("2026-12-01T12:00"), zone=BERLIN
    )
    limits.switch(on=True)
    assert limits.in_force == NORMAL
    async with trio.open_nursery() as nursery:
        nursery.start_soon(limits.run)
        await trio.sleep(1)
        limits.set_schedule(SLOW_OFFICE)
        assert told[-1] == SLOW
        limits.set_normal(Rates(7, 7))
        assert told[-1] == SLOW
        await trio.sleep(7 * 3600)
        assert told[-1] == Rates(7, 7)
        limits.set_schedule(None)
        assert limits.in_force == Rates(7, 7)
        nursery.cancel_scope.cancel()
