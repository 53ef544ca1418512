"""The report card: the results of a strategy in the standard swarms, beside the built-in ones."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trio_swarm.engine.guard import GuardedChoker, GuardedScheduler, GuardedUploader
from trio_swarm.lab.simulator import Scenario, StrategySet, SwarmResult, simulate, strategies
from trio_swarm.lab.testing.decision_time import decision_seconds
from trio_swarm.lab.testing.standard_scenarios import STANDARD_SCENARIOS
from trio_swarm.schedulers import builtin
from trio_swarm.schedulers.loading import Axis
from trio_swarm.schedulers.rarest_first import RarestFirst

_METHODS: Mapping[Axis, tuple[str, ...]] = {
    "scheduler": ("assign",),
    "uploader": ("offer", "order", "suggest"),
    "choker": ("unchoke",),
}

_FEW_SLOTS = 3
"""Upload slots when chokers are compared: with as many slots as peers all would decide the same."""


class Row(Struct, frozen=True, kw_only=True):
    """The results of one strategy in one scenario: means over the seeds."""

    scenario: str
    strategy: str
    ratio: float
    """Time until the last leecher was complete, as a multiple of the least possible time (Kumar and
    Ross); infinite if one never was."""
    copies: float
    """Bytes sent by the peers that were complete from the start, in copies of the torrent."""
    in_vain: float
    """The part of the received bytes that was not needed, 0 to 1."""
    decision_seconds: float
    """Mean time of one decision, including the time that the simulation needs to ask for it."""
    fault: str
    """Why a host would replace the strategy, or report it; usually empty."""


class ReportCard(Struct, frozen=True, kw_only=True):
    """The results of a strategy, in numbers. No number means pass or fail."""

    axis: Axis
    name: str
    seeds: int
    rows: tuple[Row, ...]
    """One row for each scenario and strategy; in each scenario the strategy itself comes first."""
    large_swarm_seconds: Mapping[str, float]
    """Processor time of one decision in a large swarm, by strategy, in seconds; NaN if it fails
    there."""

    def lines(self) -> list[str]:
        """Return the card as the lines of a table for people."""
        names = list(self.large_swarm_seconds)
        cells = [["scenario", self.axis, "ratio", "copies", "in vain", "decides"]]
        before = ""
        for row in self.rows:
            cells.append(
                [
                    row.scenario if row.scenario != before else "",
                    row.strategy,
                    f"{row.ratio:.3f}" if math.isfinite(row.ratio) else "never",
                    f"{row.copies:.2f}",
                    f"{100 * row.in_vain:.2f} %",
                    _microseconds(row.decision_seconds),
                ]
            )
            before = row.scenario
        cells += [
            ["a large swarm" if name == names[0] else "", name, "", "", "", _microseconds(seconds)]
            for name, seconds in self.large_swarm_seconds.items()
        ]
        faults: dict[str, str] = {}
        for row in self.rows:
            if row.fault:
                faults.setdefault(row.fault, row.scenario)
        return [
            *_aligned(cells),
            *(f"in {scenario}: {self.name} {fault}" for fault, scenario in faults.items()),
        ]


def report_card(
    axis: Axis,
    factory: Callable[[], Any],
    name: str,
    *,
    seeds: int = 1,
    scenarios: Mapping[str, Scenario] = STANDARD_SCENARIOS,
) -> ReportCard:
    """Play the scenarios with a strategy and with the built-in ones of its kind; takes seconds.

    `factory` makes a fresh strategy; `name` is its name in the card. Each scenario is played with
    the seeds 1 to `seeds`. All other strategies are the defaults of a node.
    """
    contestants = {name: factory}
    for built_in, make in built_in_strategies(axis).items():
        contestants.setdefault(built_in, make)
    rows = [
        _row(axis, called, make, label, scenario, seeds)
        for label, scenario in scenarios.items()
        for called, make in contestants.items()
    ]
    return ReportCard(
        axis=axis,
        name=name,
        seeds=seeds,
        rows=tuple(rows),
        large_swarm_seconds={
            called: decision_seconds(axis, make) for called, make in contestants.items()
        },
    )


def built_in_strategies(axis: Axis) -> Mapping[str, Callable[..., Any]]:
    """Return the built-in strategies of one kind, by name."""
    if axis == "scheduler":
        return builtin.trio_swarm_schedulers()
    if axis == "uploader":
        return builtin.trio_swarm_uploaders()
    return builtin.trio_swarm_chokers()


def _row(  # noqa: PLR0917  a row needs all of them
    axis: Axis,
    name: str,
    factory: Callable[[], Any],
    label: str,
    scenario: Scenario,
    seeds: int,
) -> Row:
    watch = _Watch()
    chosen = _with(strategies(), axis, lambda: watch.around(axis, factory()))
    results = [simulate(scenario, chosen, seed=seed) for seed in range(1, seeds + 1)]
    return Row(
        scenario=label,
        strategy=name,
        ratio=_mean(results, lambda each: each.ratio),
        copies=_mean(results, lambda each: each.copies),
        in_vain=_mean(results, lambda each: each.duplicate / max(1, _received(each))),
        decision_seconds=watch.seconds / max(1, watch.calls),
        fault=watch.fault,
    )


def _with(chosen: StrategySet, axis: Axis, make: Callable[[], Any]) -> StrategySet:
    changes: dict[str, Any] = {axis: make}
    if axis == "choker":
        changes["slots"] = _FEW_SLOTS
    return replace(chosen, **changes)


def _mean(results: Sequence[SwarmResult], value: Callable[[SwarmResult], float]) -> float:
    return statistics.fmean(value(each) for each in results)


def _received(result: SwarmResult) -> int:
    return sum(peer.received for peer in result.peers)


class _Watch:
    """Counts the decisions of strategies, their time, and the faults a host would report."""

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0
        self.fault = ""

    def around(self, axis: Axis, strategy: Any) -> Any:
        """Return a strategy that decides the same and is counted here."""
        timed = _Timed(self, strategy, _METHODS[axis])
        if axis == "scheduler":
            return GuardedScheduler(timed, "it", RarestFirst, timer=_no_timer, on_fault=self._told)
        if axis == "uploader":
            guarded = GuardedUploader(timed, "it", timer=_no_timer, on_fault=self._told)
            # A host asks for suggestions if the strategy has the method.
            return guarded if hasattr(strategy, "suggest") else _WithoutSuggestions(guarded)
        return GuardedChoker(timed, "it", timer=_no_timer, on_fault=self._told)

    def _told(self, name: str, reason: str, faults: int, replaced: bool) -> None:  # noqa: FBT001  a `FaultSink`
        del name
        if replaced:
            self.fault = f"was replaced after {faults} faulty decisions: it {reason}"
        elif not self.fault:
            self.fault = f"made a faulty decision: it {reason}"


class _Timed:
    """A strategy of any kind whose calls of the given methods are timed."""

    def __init__(self, watch: _Watch, strategy: Any, methods: Iterable[str]) -> None:
        for name in methods:
            method = getattr(strategy, name, None)
            if method is not None:
                setattr(self, name, _timed(watch, method))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def _timed(watch: _Watch, method: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            result = method(*arguments)
            # The list is made inside the measured time, because a strategy may be a generator.
            return list(result) if hasattr(result, "__next__") else result
        finally:
            watch.seconds += time.perf_counter() - started
            watch.calls += 1

    return ask


class _WithoutSuggestions:
    def __init__(self, guarded: GuardedUploader) -> None:
        self.offer = guarded.offer
        self.order = guarded.order


def _no_timer() -> float:
    return 0.0


def _microseconds(seconds: float) -> str:
    return "fails" if math.isnan(seconds) else f"{seconds * 1e6:.1f} µs"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        left = [text.ljust(width) for text, width in zip(row[:2], widths[:2], strict=True)]
        right = [text.rjust(width) for text, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join([*left, *right]).rstrip())
    return lines
