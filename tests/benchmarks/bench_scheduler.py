"""What decisions cost: one by each strategy, and all of a download at 500 MiB/s.

The download is on a virtual clock (tests/ledger_swarm.py): the real ledger and strategy, 50 peers.
What is timed is the ledger's planning, guard included, and its taking in of blocks.
"""

import random
import time
from collections.abc import Callable
from typing import Any

from bench_measuring import GIB, MIB, spread, table

from large_swarm import PEERS, PIECES, large_view
from ledger_swarm import LedgerSwarm
from toy_swarm import Source
from trio_swarm.schedulers.api import Scheduler
from trio_swarm.schedulers.bandwidth_weighted import BandwidthWeighted
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.round_robin import RoundRobin

PIECES_FETCHED = 1_000
"""Of the timed download: as in a large one, and over in seconds."""
BLOCKS = 64
BLOCKS_PER_PLAN = 16
"""A peer plans once a wake-up, and at this rate each finds about a receive buffer of blocks."""
RATE = 500 * MIB
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


class _Timed:
    """Adds up the processor time of a ledger's methods, and hands everything else on."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.seconds = {"plan": 0.0, "received": 0.0}
        self.calls = {"plan": 0, "received": 0}

    def plan(self, now: float) -> Any:
        return self._time("plan", now)

    def received(self, *arguments: Any) -> Any:
        return self._time("received", *arguments)

    def _time(self, name: str, *arguments: Any) -> Any:
        started = time.perf_counter()
        result = getattr(self._ledger, name)(*arguments)
        self.seconds[name] += time.perf_counter() - started
        self.calls[name] += 1
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class _CoalescingSwarm(LedgerSwarm):
    """Plans after every few blocks instead of after each."""

    unplanned = BLOCKS_PER_PLAN

    def _plan(self) -> None:
        self.unplanned += 1
        if self.unplanned >= BLOCKS_PER_PLAN or not self.events:
            self.unplanned = 0
            super()._plan()


def time_download(strategy: Scheduler) -> tuple[float, float, float]:
    """Return seconds per GiB of planning and of taking blocks in, and microseconds of one plan."""
    sources = [Source(rate=RATE / PEERS, rtt=0.001) for _ in range(PEERS)]
    swarm = _CoalescingSwarm(
        strategy, sources, piece_count=PIECES_FETCHED, blocks_per_piece=BLOCKS, jitter=0.2
    )
    timed = _Timed(swarm.ledger)
    swarm.ledger = timed  # type: ignore[assignment]
    outcome = swarm.run()
    assert outcome.finished_at is not None
    share = GIB / swarm.size
    plan = timed.seconds["plan"]
    return plan * share, timed.seconds["received"] * share, 1e6 * plan / timed.calls["plan"]


def report(repeats: int) -> str:
    """Measure and return the tables."""
    decisions = []
    downloads = []
    for name, make in STRATEGIES.items():
        decision = spread(1e6 * time_decision(make()) for _ in range(repeats))
        decisions.append((name, decision.text(1)))
        measured = [time_download(make()) for _ in range(repeats)]
        share = [(plan + received) * RATE / GIB for plan, received, _ in measured]
        downloads.append(
            (
                name,
                spread(each[2] for each in measured).text(1),
                spread(1000 * each[0] for each in measured).text(1),
                spread(1000 * each[1] for each in measured).text(1),
                f"{spread(share).median:.1%}",
            )
        )
    heads = ("", "us a plan", "planning ms/GiB", "taking in ms/GiB", "core at 500 MiB/s")
    return "\n".join(
        (
            f"One decision of the strategy, {PIECES:,} pieces, {PEERS} peers:",
            "",
            table(("", "us"), decisions),
            "",
            f"A download of {PIECES_FETCHED:,} pieces of 1 MiB from {PEERS} peers, 16 KiB blocks:",
            "",
            table(heads, downloads),
        )
    )
