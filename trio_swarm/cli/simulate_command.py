"""`trio-swarm simulate`: a swarm on a virtual clock, with the strategies that real peers use."""

import hashlib
import math
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter
from msgspec.structs import asdict, replace

from trio_swarm.cli.json_events import Simulated
from trio_swarm.cli.options import OutputOptions, Words, plugin_paths, positive
from trio_swarm.cli.reporting import Reporter, make_reporter
from trio_swarm.cli.text import columns, count_text, duration_text, size_text
from trio_swarm.cli.variants import Variant, read_variant
from trio_swarm.config.scenarios import ScenarioFile, read_scenario
from trio_swarm.schedulers.api import Assignment, Scheduler, SwarmView
from trio_swarm.schedulers.loading import load_strategies
from trio_swarm.settings import NodeSettings
from trio_swarm.simulator import SwarmResult, strategies
from trio_swarm.simulator import simulate as play
from trio_swarm.simulator.playback import Audience

_DEFAULTS = NodeSettings()

_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)
"""Student's t for 95 % by degrees of freedom, from 1; beyond them 2 is near enough."""


class _Task(NamedTuple):
    """One run; it is sent to a process of its own, so it holds names and not strategies."""

    scenario: ScenarioFile
    scheduler: Variant
    uploader: Variant
    choker: Variant
    plugins: tuple[Path, ...]
    seed: int


class _Timed:
    """A scheduler that counts its calls and their time. What it decides does not depend on it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0

    def around(self, make: Callable[[], Scheduler]) -> Callable[[], Scheduler]:
        """Return what makes schedulers that are counted here."""
        return lambda: _TimedScheduler(make(), self)


class _TimedScheduler:
    def __init__(self, strategy: Scheduler, timed: _Timed) -> None:
        self._strategy = strategy
        self._timed = timed

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Decide, and count."""
        timed = self._timed
        timed.calls += 1
        started = time.perf_counter()
        # All of it, because a strategy may be a generator.
        assignments = list(self._strategy.assign(view, rng))
        timed.seconds += time.perf_counter() - started
        return assignments


class _Outcome(NamedTuple):
    task: _Task
    result: SwarmResult
    seconds: float
    decisions: int
    decision_seconds: float


def simulate(
    scenario: Path,
    /,
    *,
    scheduler: Words = (),
    option: Annotated[Words, Parameter(name=("--option", "-o"))] = (),
    uploader: str = _DEFAULTS.uploader,
    choker: str = _DEFAULTS.choker,
    plugin: Words = (),
    seeds: int = 1,
    workers: int | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Play a swarm on a virtual clock, and compare strategies in it.

    The peers use the very strategies, and the very bookkeeping, of real ones. The same seed gives
    the same result each time. Exit code 1 if a leecher never was complete.

    Parameters
    ----------
    scenario
        The TOML file that describes the swarm; examples are in config/scenarios.
    scheduler
        Strategy for what to fetch from whom, NAME or NAME:KEY=VALUE,KEY=VALUE; several are
        compared, those of one name and other options, too.
    option
        KEY=VALUE for all schedulers; may be given several times.
    uploader
        Strategy for what to offer; options as for the scheduler.
    choker
        Strategy for whom to serve; options as for the scheduler.
    plugin
        A Python file or folder with strategies of your own.
    seeds
        How often to play it, each time with another seed: 1, 2, 3 ...
    workers
        Processes that play at the same time; by default one for each processor.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    positive("--seeds", seeds)
    positive("--workers", workers)
    plugins = plugin_paths(plugin)
    loaded = load_strategies(plugins)
    variants = {
        variant.label: variant
        for typed in scheduler or (_DEFAULTS.scheduler,)
        for variant in [read_variant("scheduler", typed, loaded, option)]
    }
    uploads = read_variant("uploader", uploader, loaded)
    chokes = read_variant("choker", choker, loaded)
    found = read_scenario(scenario)
    tasks = [
        _Task(found, variant, uploads, chokes, plugins, seed)
        for variant in variants.values()
        for seed in range(1, seeds + 1)
    ]
    reporter.heading(_heading(scenario, found, seeds))
    outcomes: list[_Outcome] = []
    for outcome in _play_all(tasks, workers or os.cpu_count() or 1):
        outcomes.append(outcome)
        reporter.answer(_event(outcome), "")
    _show(reporter, list(variants), outcomes)
    return 1 if any(outcome.result.unfinished for outcome in outcomes) else 0


def _play_all(tasks: Sequence[_Task], workers: int) -> Iterator[_Outcome]:
    """Yield the outcomes in the order of the tasks, whoever plays them."""
    workers = min(workers, len(tasks))
    if workers < 2:
        yield from map(_play, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_play, tasks)


def _play(task: _Task) -> _Outcome:
    started = time.perf_counter()
    chosen = strategies(
        scheduler=task.scheduler.name,
        uploader=task.uploader.name,
        choker=task.choker.name,
        options={
            "scheduler": task.scheduler.options,
            "uploader": task.uploader.options,
            "choker": task.choker.options,
        },
        loaded=load_strategies(task.plugins),
    )
    timed = _Timed()
    chosen = replace(chosen, scheduler=timed.around(chosen.scheduler))
    result = play(task.scenario.scenario(task.seed), chosen, seed=task.seed)
    return _Outcome(task, result, time.perf_counter() - started, timed.calls, timed.seconds)


# What is shown


def _heading(file: Path, found: ScenarioFile, seeds: int) -> str:
    peers = found.scenario(1).peers
    seeders = sum(peer.role == "seeder" for peer in peers)
    return (
        f"{file.name}: {count_text(seeders, 'seeder')}, "
        f"{count_text(len(peers) - seeders, 'leecher')}, {size_text(found.size)} in "
        f"{count_text(-(-found.size // found.piece_length), 'piece')}, "
        f"{count_text(seeds, 'seed')}; none can end before "
        f"{duration_text(found.scenario(1).bound)}"
    )


class _Column(NamedTuple):
    """One number of a run, and how it is written."""

    title: str
    value: Callable[[SwarmResult], float]
    form: str

    def is_wanted(self, outcomes: Sequence[_Outcome]) -> bool:
        """Whether it says something of any of these runs."""
        return any(self.value(each.result) for each in outcomes)


def _watching(value: Callable[[Audience], float | None]) -> Callable[[SwarmResult], float]:
    """Return `value` of those who watched: 0.0 if nobody did, infinite if it is None."""

    def of(result: SwarmResult) -> float:
        if result.audience is None:
            return 0.0
        found = value(result.audience)
        return math.inf if found is None else found

    return of


_COLUMNS = (
    _Column("last", lambda each: each.last, "{:.1f} s"),
    _Column("ratio", lambda each: each.ratio, "{:.3f}"),
    _Column("p50", lambda each: each.p50, "{:.1f} s"),
    _Column("p95", lambda each: each.p95, "{:.1f} s"),
    _Column("copies", lambda each: each.copies, "{:.2f}"),
    _Column("uplinks", lambda each: 100.0 * each.utilisation, "{:.0f} %"),
    _Column("in vain", lambda each: 100.0 * each.duplicate / _received(each), "{:.2f} %"),
)
_SOMETIMES = (
    _Column("gave up", lambda each: each.gave_up, "{:.0f}"),
    _Column("crossed", lambda each: each.crossed_copies, "{:.2f}"),
    _Column("plays after", _watching(lambda each: each.starts_after), "{:.1f} s"),
    _Column("stalls", _watching(lambda each: each.stalls), "{:.0f}"),
    _Column("stalled", _watching(lambda each: each.stalled), "{:.1f} s"),
)
"""Shown if one of them is not zero."""


def _show(reporter: Reporter, labels: Sequence[str], outcomes: Sequence[_Outcome]) -> None:
    shown = [*_COLUMNS, *(each for each in _SOMETIMES if each.is_wanted(outcomes))]
    rows = [["scheduler", *(each.title for each in shown), "decides", "digest"]]
    for label in labels:
        mine = [each for each in outcomes if each.task.scheduler.label == label]
        results = [each.result for each in mine]
        decisions = max(1, sum(each.decisions for each in mine))
        deciding = sum(each.decision_seconds for each in mine)
        rows.append(
            [
                label,
                *(_mean(results, each.value, each.form) for each in shown),
                f"{deciding / decisions * 1e6:.0f} µs",
                _digest(results),
            ]
        )
    for line in columns(rows, left={0}):
        reporter.say(line)
    transfers = sum(each.result.transfers for each in outcomes)
    seconds = sum(each.seconds for each in outcomes)
    unfinished = sum(each.result.unfinished for each in outcomes)
    if unfinished:
        reporter.warn(f"{count_text(unfinished, 'leecher')} never had everything")
    reporter.say(
        f"{count_text(transfers, 'transfer')} simulated in {duration_text(seconds)}: "
        f"{seconds / max(1, transfers) * 1e6:.0f} µs each"
    )


def _mean(results: Sequence[SwarmResult], value: Callable[[SwarmResult], float], form: str) -> str:
    """Return the mean and, of several, its uncertainty at 95 %; `never` if any is infinite."""
    values = [value(result) for result in results]
    if not all(map(math.isfinite, values)):
        return "never"
    text = form.format(statistics.fmean(values))
    if len(values) < 2:
        return text
    freedom = len(values) - 1
    t = _T95[freedom - 1] if freedom <= len(_T95) else 2.0
    spread = t * statistics.stdev(values) / math.sqrt(len(values))
    return f"{text} ± {form.split(maxsplit=1)[0].format(spread)}"


def _received(result: SwarmResult) -> int:
    return max(1, sum(peer.received for peer in result.peers))


def _digest(results: Sequence[SwarmResult]) -> str:
    """Return the start of the digest of one run, or of those of all."""
    if len(results) == 1:
        return results[0].digest[:12]
    together = "".join(result.digest for result in results)
    return hashlib.sha256(together.encode()).hexdigest()[:12]


def _event(outcome: _Outcome) -> Simulated:
    task, result, seconds, decisions, decision_seconds = outcome
    return Simulated(
        scheduler=task.scheduler.name,
        scheduler_options=task.scheduler.texts,
        uploader=task.uploader.name,
        uploader_options=task.uploader.texts,
        choker=task.choker.name,
        choker_options=task.choker.texts,
        seed=task.seed,
        last=_finite(result.last),
        p50=_finite(result.p50),
        p95=_finite(result.p95),
        bound=result.bound,
        ratio=_finite(result.ratio),
        copies=result.copies,
        utilisation=result.utilisation,
        duplicate=result.duplicate,
        received=_received(result),
        unfinished=result.unfinished,
        gave_up=result.gave_up,
        crossed=result.crossed,
        audience=None if result.audience is None else asdict(result.audience),
        viewers=[
            {"peer": index, **asdict(peer.playback)}
            for index, peer in enumerate(result.peers)
            if peer.playback is not None
        ],
        transfers=result.transfers,
        simulation_seconds=seconds,
        decisions=decisions,
        decision_seconds=decision_seconds,
        digest=result.digest,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
