"""What planning costs, counted: the same on every machine, so that it cannot creep up unseen.

Calls of our own functions have 28 % of head-room, so that code can be put in order; what is granted
is bounded closely.
"""

import itertools
import random
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from planned_swarm import MIB, PlannedSwarm
from trio_swarm.lab.testing.decision_time import large_swarm_view
from trio_swarm.schedulers.api import Assignment, Scheduler, SwarmView
from trio_swarm.schedulers.bandwidth_weighted import BandwidthWeighted
from trio_swarm.schedulers.decision_count import DecisionCount
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.round_robin import RoundRobin

SETTLED = 256 * MIB
"""Bytes after which windows have grown and the speeds of peers are known."""
COUNTED = 128 * MIB


class Calls:
    """Counts calls of Python functions while planning."""

    def __init__(self) -> None:
        self.calls = 0
        self.grants = 0

    def __call__(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        if name != "plan":
            return function(*arguments)
        sys.setprofile(self._event)
        try:
            result = function(*arguments)
        finally:
            sys.setprofile(None)
        self.grants += len(result)
        return result

    def _event(self, frame: object, event: str, argument: object) -> None:
        self.calls += event == "call"


def calls_per_mib(strategy: Scheduler, peers: int) -> tuple[float, float]:
    """Return Python function calls and grants a MiB, all planning included."""
    counted = Calls()
    swarm = PlannedSwarm(strategy, peers, counted, are_seeders=True)
    swarm.run_until(SETTLED)
    counted.calls = counted.grants = 0
    swarm.run_until(SETTLED + COUNTED)
    return counted.calls * MIB / COUNTED, counted.grants * MIB / COUNTED


@pytest.mark.parametrize(
    ("strategy", "peers", "most_calls", "most_grants"),
    [
        (RarestFirst, 1, 73, 1.5),
        (RarestFirst, 8, 88, 1.7),
        (RarestFirst, 50, 125, 2.3),
        (RoundRobin, 1, 75, 1.5),
        (RoundRobin, 8, 109, 2.1),
        (RoundRobin, 50, 182, 4.6),
        (BandwidthWeighted, 1, 75, 1.5),
        (BandwidthWeighted, 8, 89, 1.7),
        (BandwidthWeighted, 50, 136, 2.3),
    ],
)
def test_planning_a_mebibyte_takes_few_calls(
    strategy: Callable[[], Scheduler], peers: int, most_calls: float, most_grants: float
) -> None:
    calls, grants = calls_per_mib(strategy(), peers)
    assert calls <= most_calls
    assert grants <= most_grants


def test_asking_whether_a_plan_is_due_costs_next_to_nothing_while_nothing_can_be_given() -> None:
    swarm = PlannedSwarm(
        RarestFirst(), 50, lambda name, function, *args: function(*args), are_seeders=True
    )
    swarm.run_until(SETTLED)
    ledger = swarm.real_ledger
    ledger.plan(swarm.now)
    assert not ledger._planner.is_due(swarm.now)
    counted = Calls()
    assert counted("plan", ledger.plan, swarm.now) == []
    assert counted.calls <= 6


class Steps:
    """Counts what Python's interpreter does in a function: loops, too, which are no calls."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, function: Callable[[], object]) -> None:
        before = sys.gettrace()
        sys.settrace(self._event)
        try:
            function()
        finally:
            sys.settrace(before)

    def _event(self, frame: FrameType, event: str, argument: object) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        self.steps += event == "opcode"
        return self._event


def steps_of_plans(strategy: Scheduler, *, piece_count: int, near_the_end: bool) -> int:
    """Return the steps of 20 plans for one peer of 50."""
    view = large_swarm_view(near_the_end=near_the_end, piece_count=piece_count)
    rng = random.Random(2)
    counted = Steps()
    counted(lambda: list(strategy.assign(view, rng)))
    counted.steps = 0  # Python 3.12 misses some of the first time
    for _ in range(20):
        counted(lambda: list(strategy.assign(view, rng)))
    return counted.steps


@pytest.mark.parametrize("near_the_end", [False, True])
@pytest.mark.parametrize("strategy", [RarestFirst, RoundRobin, BandwidthWeighted])
def test_a_plan_takes_no_more_steps_with_ten_times_the_pieces(
    strategy: Callable[[], Scheduler],
    near_the_end: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    few, many = (
        steps_of_plans(strategy(), piece_count=count, near_the_end=near_the_end)
        for count in (1_000, 10_000)
    )
    # Which pieces chance picks makes some difference; all of them would make it ten times as many.
    assert 0 < many <= 1.25 * few


def test_decisions_are_counted_to_their_end_over_all_strategies_and_stay_what_they_are() -> None:
    ticks = itertools.count()
    count = DecisionCount(lambda: float(next(ticks)))

    class Slow:
        def assign(self, view: SwarmView, rng: random.Random) -> Iterator[Assignment]:
            next(ticks)
            yield from RarestFirst().assign(view, rng)
            next(ticks)

    view = large_swarm_view(piece_count=1_000)
    decided = [
        list(count.of(strategy).assign(view, random.Random(2)))
        for strategy in (Slow(), RarestFirst())
    ]
    assert decided == [list(RarestFirst().assign(view, random.Random(2)))] * 2
    assert decided[0]
    assert (count.calls, count.seconds) == (2, 3.0 + 1.0)
