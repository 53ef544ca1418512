"""The same swarms simulated: how near the simulator comes to what was measured.

Compared is the time from the first byte that any leecher got: the simulator starts no programs. Its
leechers come in the order, and as long after each other, as the real ones had their first byte: who
comes first may have the seeder's uplink. Its links carry what payload is left of the real ones, and
its peers share out first-come uplinks as real ones do.
"""

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from bench_measuring import KIB, Spread, spread, table
from bench_swarm_columns import COLUMNS, EFFICIENCY, Column
from bench_swarm_report import Result

from simulated_swarms import of_links
from trio_swarm.lab.simulator import Scenario, simulate, strategies
from trio_swarm.lab.simulator.scenario import Sharing
from trio_swarm.settings import NodeSettings

PIECE_LENGTH = 256 * KIB
TOLERANCE = 0.15
"""How far the simulated median may be from the measured one."""
COMPARED = ("a", "b", "c", "d")
"""Columns that the simulator knows everything of."""
SHARING: Mapping[str, Sharing] = MappingProxyType({"bbr": "fair", "cubic": "first-come"})
"""How connections share an uplink by TCP's congestion control. Under bbr the first of them has more
than its share, too, but less, and not for long: fair links come within 5 % of what is measured."""


def scenario(
    column: Column, size: int, *, joins: Sequence[float] = (), sharing: Sharing = "fair"
) -> Scenario:
    """Return a column as the simulator has it."""
    return of_links(
        column.seeders,
        column.leechers,
        size=size,
        piece_length=PIECE_LENGTH,
        efficiency=EFFICIENCY,
        joins=joins,
        sharing=sharing,
    )


class Comparison(NamedTuple):
    """One scheduler in one column; times from the first byte to the last finisher, by the bound."""

    column: str
    """With TCP's congestion control."""
    scheduler: str
    real: Spread
    simulated: Spread

    @property
    def error(self) -> float:
        """Of the simulated median."""
        return self.simulated.median / self.real.median - 1


def compare(results: Sequence[Result], seeds: int) -> list[Comparison]:
    """Simulate, `seeds` times each, what was measured of trio-swarm's schedulers."""
    measured: dict[tuple[str, str, int], list[Result]] = {}
    for result in results:
        program, _, scheduler = result.contestant.partition(", ")
        if program == "trio-swarm" and result.column in COMPARED:
            key = (result.place, scheduler or NodeSettings().scheduler, result.size)
            measured.setdefault(key, []).append(result)
    return [
        Comparison(
            place,
            name,
            spread(each.moving for each in runs),
            spread(time for run in runs for time in _simulated(run, name, seeds)),
        )
        for (place, name, _), runs in sorted(measured.items())
    ]


def _simulated(run: Result, scheduler: str, seeds: int) -> list[float]:
    """Simulate a run: its leechers come when they had their first byte there."""
    earliest = min(run.first)
    swarm = scenario(
        COLUMNS[run.column],
        run.size,
        joins=[each - earliest for each in run.first],
        sharing=SHARING.get(run.congestion, "fair"),
    )
    chosen = strategies(scheduler=scheduler)
    times = []
    for seed in range(1, seeds + 1):
        found = simulate(swarm, chosen, seed=seed)
        first = min(each.first_byte for each in found.peers if each.first_byte is not None)
        times.append((found.last - first) / found.bound)
    return times


def contradictions(comparisons: Sequence[Comparison]) -> list[str]:
    """Return where the simulator has two schedulers the other way round than they were measured.

    Only those whose ranges do not overlap have a rank.
    """
    found = []
    for one, other in itertools.combinations(comparisons, 2):
        if one.column != other.column:
            continue
        real = _order(one.real, other.real)
        simulated = _order(one.simulated, other.simulated)
        if real * simulated < 0:
            found.append(f"{one.column}: {one.scheduler} and {other.scheduler}")
    return found


def _order(one: Spread, other: Spread) -> int:
    """Return -1 if all of `one` is below all of `other`, 1 if it is above, 0 if they overlap."""
    return (one.least > other.most) - (one.most < other.least)


def is_valid(comparisons: Sequence[Comparison]) -> bool:
    """Whether the simulator agrees with what was measured."""
    near = all(abs(each.error) <= TOLERANCE for each in comparisons)
    return near and not contradictions(comparisons)


def report(comparisons: Sequence[Comparison]) -> str:
    """Return a table of the measured and the simulated."""
    rows = [
        (
            f"{each.column}: {each.scheduler}",
            each.real.text(3),
            each.simulated.text(3),
            f"{100 * each.error:+.1f} %",
            "" if abs(each.error) <= TOLERANCE else f"more than {TOLERANCE:.0%} off",
        )
        for each in comparisons
    ]
    heads = ("from the 1st byte, in T", "measured", "simulated", "off by", "")
    lines = [table(heads, rows)]
    lines += [f"the other way round in {pair}" for pair in contradictions(comparisons)]
    return "\n".join(lines)
