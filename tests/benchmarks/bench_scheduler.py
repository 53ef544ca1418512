"""What decisions cost: one by each strategy, and those of a download at 500 MiB/s.

The download is on a virtual clock (tests/support/planned_swarm.py): the real ledger and strategy.
What timed is the planning of the ledger, guard included, and its taking in of blocks. A peer takes
neighbours in as one: those of a read, or of a block longer than 16 KiB.
"""

import random
import time
from collections.abc import Callable
from typing import Any

from bench_measuring import Spread, spread, table
from bench_targets import TARGET_HEADS, Target

from planned_swarm import MIB, PIECES, RATE, PlannedSwarm
from trio_swarm.lab.testing.decision_time import PEERS, large_swarm_view
from trio_swarm.schedulers.api import Scheduler
from trio_swarm.schedulers.bandwidth_weighted import BandwidthWeighted
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.round_robin import RoundRobin

SETTLED = 256 * MIB
"""Bytes after which windows have grown."""
TIMED = 256 * MIB
PEER_COUNTS = (1, 4, 8, PEERS)
STRATEGIES: dict[str, Callable[[], Scheduler]] = {
    "rarest-first": RarestFirst,
    "round-robin": RoundRobin,
    "bandwidth-weighted": BandwidthWeighted,
}


DECISION = Target(50, 200)
"""Microseconds."""
SHARE = Target(3, 8)
"""Percent of a core, for planning and taking in."""
CASES = (
    ("1 peer, 1 MiB blocks", 1, 64),
    ("1 peer, 16 KiB blocks, 16 a read", 1, 16),
    ("50 peers, 16 KiB blocks, 16 a read", PEERS, 16),
    ("50 peers, 16 KiB blocks, one by one", PEERS, 1),
)


def time_decision(strategy: Scheduler, *, near_the_end: bool) -> float:
    """Return the seconds of one decision."""
    swarm, rng = large_swarm_view(near_the_end=near_the_end), random.Random(2)
    times = 200
    started = time.process_time()
    for _ in range(times):
        list(strategy.assign(swarm, rng))
    return (time.process_time() - started) / times


class _Meter:
    """Adds up the processor time of a ledger's methods, without that of looking at the clock."""

    def __init__(self) -> None:
        self.seconds = {"plan": 0.0, "received": 0.0}
        self.seconds_a_look = 0.0
        looks = 10_000
        for _ in range(looks):
            self("plan", _nothing, 0.0)
        self.seconds_a_look = self.seconds["plan"] / looks
        self.seconds["plan"] = 0.0

    def __call__(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        started = time.thread_time()
        result = function(*arguments)
        self.seconds[name] += time.thread_time() - started - self.seconds_a_look
        return result


def _nothing(_now: float) -> None:
    """Take the time of a call."""


def time_download(
    strategy: Scheduler, peers: int, *, are_seeders: bool, at_once: int = 1
) -> tuple[float, float]:
    """Return the parts of a core that planning, and taking in, need at 500 MiB/s."""
    meter = _Meter()
    swarm = PlannedSwarm(strategy, peers, meter, are_seeders=are_seeders, at_once=at_once)
    swarm.run_until(SETTLED)
    meter.seconds = dict.fromkeys(meter.seconds, 0.0)
    swarm.run_until(SETTLED + TIMED)
    return meter.seconds["plan"] * RATE / TIMED, meter.seconds["received"] * RATE / TIMED


def report(repeats: int) -> str:
    """Measure and return the tables."""
    decisions = []
    downloads = []
    for when, near_the_end in (("", False), (", near the end", True)):
        for name, make in STRATEGIES.items():
            decision = spread(
                1e6 * time_decision(make(), near_the_end=near_the_end) for _ in range(repeats)
            )
            cells = DECISION.cells(decision.median)
            decisions.append((f"{name}{when}", decision.text(1), *cells))
    cases = []
    for case, peers, at_once in CASES:
        for name, make in STRATEGIES.items():
            measured = [
                time_download(make(), peers, are_seeders=True, at_once=at_once)
                for _ in range(repeats)
            ]
            both = spread(100 * (plan + received) for plan, received in measured)
            planning = spread(100 * plan for plan, _ in measured)
            cells = SHARE.cells(both.median)
            cases.append((f"{name}, {case}", f"{planning.median:.1f}", both.text(1), *cells))
    for are_seeders in (True, False):
        # A lone peer has to have everything.
        for peers in PEER_COUNTS if are_seeders else PEER_COUNTS[1:]:
            for name, make in STRATEGIES.items():
                measured = [
                    time_download(make(), peers, are_seeders=are_seeders) for _ in range(repeats)
                ]
                planning = spread(plan for plan, _ in measured)
                both = spread(plan + received for plan, received in measured)
                kind = "seeders" if are_seeders else "mixed"
                downloads.append((name, f"{peers} {kind}", _percent(planning), _percent(both)))
    heads = ("", "peers", "planning", "and taking in")
    return "\n".join(
        (
            f"One decision of the strategy, {PIECES:,} pieces, {PEERS} peers:",
            "",
            table(("", "us", *TARGET_HEADS), decisions),
            "",
            "Percent of a core at 500 MiB/s, from seeders, neighbours taken in together:",
            "",
            table(("", "planning", "and taking in", *TARGET_HEADS), cases),
            "",
            f"Percent of a core at 500 MiB/s, {PIECES:,} pieces of 1 MiB, 16 KiB blocks, all peers",
            "seeders or all but one with three quarters of the pieces, taken in one by one:",
            "",
            table(heads, downloads),
        )
    )


def _percent(part: Spread) -> str:
    return spread(100 * each for each in part).text(1)
