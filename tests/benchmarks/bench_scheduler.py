"""What decisions cost: one by each strategy, and those of a download at 500 MiB/s.

The download is on a virtual clock (tests/planned_swarm.py): the real ledger and strategy. What is
timed is the ledger's planning, guard included, and its taking in of blocks one by one (a real peer
takes neighbours in as one, which costs less).
"""

import random
import time
from collections.abc import Callable
from typing import Any

from bench_measuring import Spread, spread, table

from large_swarm import PEERS, large_view
from planned_swarm import MIB, PIECES, RATE, PlannedSwarm
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


def time_decision(strategy: Scheduler) -> float:
    """Return the seconds of one decision."""
    swarm, rng = large_view(), random.Random(2)
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


def time_download(strategy: Scheduler, peers: int, *, are_seeders: bool) -> tuple[float, float]:
    """Return the parts of a core that planning, and taking in, need at 500 MiB/s."""
    meter = _Meter()
    swarm = PlannedSwarm(strategy, peers, meter, are_seeders=are_seeders)
    swarm.run_until(SETTLED)
    meter.seconds = dict.fromkeys(meter.seconds, 0.0)
    swarm.run_until(SETTLED + TIMED)
    return meter.seconds["plan"] * RATE / TIMED, meter.seconds["received"] * RATE / TIMED


def report(repeats: int) -> str:
    """Measure and return the tables."""
    decisions = []
    downloads = []
    for name, make in STRATEGIES.items():
        decision = spread(1e6 * time_decision(make()) for _ in range(repeats))
        decisions.append((name, decision.text(1)))
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
            table(("", "us"), decisions),
            "",
            f"Percent of a core at 500 MiB/s, {PIECES:,} pieces of 1 MiB, 16 KiB blocks, all peers",
            "seeders or all but one with three quarters of the pieces:",
            "",
            table(heads, downloads),
        )
    )


def _percent(part: Spread) -> str:
    return spread(100 * each for each in part).text(1)
