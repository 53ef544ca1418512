"""`trio-swarm simulate`: a swarm on a virtual clock, with the strategies that real peers use."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import asdict

from trio_swarm.cli.lab import column_words
from trio_swarm.cli.lab.plotting import picture_file, shows_sparks
from trio_swarm.cli.lab.simulation_recordings import recording_files, write_recordings
from trio_swarm.cli.lab.simulation_runs import Outcome, Task, Watching, is_compiled, play_all
from trio_swarm.cli.lab.simulation_table import alike_lines, received, sparks_of, table_of
from trio_swarm.cli.lab.variants import read_variant
from trio_swarm.cli.options import (
    MOST_SEEDS,
    OutputOptions,
    Words,
    at_most,
    expanded,
    plugin_paths,
    positive,
)
from trio_swarm.cli.output.json_events import Simulated, Written
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.output.tables import table_lines, width_of_terminal, wrapped
from trio_swarm.cli.output.text import columns, count_text, duration_text, size_text
from trio_swarm.config.scenarios import ScenarioFile, read_scenario
from trio_swarm.errors import ConfigError
from trio_swarm.lab.simulator.reference import best_seconds
from trio_swarm.schedulers.loading import load_strategies
from trio_swarm.settings import NodeSettings

_DEFAULTS = NodeSettings()

_MOST_WORKERS = 256
"""Processes: each takes some 60 MiB."""

LONG = 20.0
"""Seconds of simulating after which people are told how it would take less."""

EXPLAINED = "what the columns mean: trio-swarm simulate --help"

HINT = ", interpreted; compiled (make compiled, or pip install .) it takes about a third"

_LETTERS = "The panels are of seed 1. S: seeder, L: leecher, F: free rider."


def simulate(
    scenario: Path,
    /,
    *,
    scheduler: Words = (),
    option: Words = (),
    uploader: str = _DEFAULTS.uploader,
    choker: str = _DEFAULTS.choker,
    plugin: Words = (),
    seeds: int = 1,
    workers: int | None = None,
    plot: Path | None = None,
    record: Path | None = None,
    of: str | None = None,
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
        Strategy for what to reveal; options as for the scheduler.
    choker
        Strategy for whom to serve; options as for the scheduler.
    plugin
        A Python file or folder with strategies of your own.
    seeds
        How often to play it, each time with another seed: 1, 2, 3 ...
    workers
        Processes that play at the same time; by default one for each processor.
    plot
        Draw how the first run of each scheduler went: a file that ends in .html, .png or .svg.
    record
        Write down what each peer that fetches did and why, as `get --record` does, for `explain`,
        `replay` and `plot`: a folder, or a file with --of. For one scheduler and one seed.
    of
        Record the download of this peer only: L1, L2 ... are leechers, F1 ... free riders.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    positive("--seeds", seeds)
    at_most("--seeds", seeds, MOST_SEEDS)
    positive("--workers", workers)
    at_most("--workers", workers, _MOST_WORKERS)
    picture = picture_file("--plot", expanded(plot))
    watch: Watching = "pieces" if shows_sparks(reporter) else "nothing"
    if picture is not None:
        watch = "blocks"
    plugins = plugin_paths(plugin)
    loaded = load_strategies(plugins)
    variants = {
        variant.label: variant
        for typed in scheduler or (_DEFAULTS.scheduler,)
        for variant in [read_variant("scheduler", typed, loaded, option)]
    }
    uploads = read_variant("uploader", uploader, loaded)
    chokes = read_variant("choker", choker, loaded)
    if record is not None and (len(variants) > 1 or seeds > 1):
        raise ConfigError("--record: is for one run: name one --scheduler, and leave --seeds at 1")
    found = read_scenario(scenario)
    files = recording_files(record, of, found.scenario(1))
    tasks = [
        Task(
            found,
            variant,
            uploads,
            chokes,
            plugins,
            seed,
            watch if seed == 1 else "nothing",
            record=tuple(files),
            name=scenario.name,
        )
        for variant in variants.values()
        for seed in range(1, seeds + 1)
    ]
    heading = _heading(scenario, found, seeds)
    for line in wrapped(heading, width_of_terminal()):
        reporter.heading(line)
    outcomes: list[Outcome] = []
    for outcome in play_all(tasks, workers or os.cpu_count() or 1):
        outcomes.append(outcome)
        reporter.answer(_event(outcome), "")
    rows = table_of(list(variants), outcomes)
    _show(reporter, rows, outcomes)
    if files:
        write_recordings(files, outcomes[0].recordings)
        for file in files.values():
            reporter.answer(Written(file=str(file)), "")
        reporter.say(f"wrote {record}: {count_text(len(files), 'recording')}")
    courses = [each.course for each in outcomes if each.course is not None]
    if picture is not None:
        reporter.answer(
            picture.write(
                scenario.name,
                courses,
                table=rows,
                says=f"{heading}. {_LETTERS}",
                columns=column_words.SIMULATED,
            ),
            f"wrote {picture.path}",
        )
    return 1 if any(outcome.result.unfinished for outcome in outcomes) else 0


# What is shown


def _heading(file: Path, found: ScenarioFile, seeds: int) -> str:
    scenario = found.scenario(1)
    peers = scenario.peers
    best = best_seconds(scenario)
    seeders = sum(peer.role == "seeder" for peer in peers)
    return (
        f"{file.name}: {count_text(seeders, 'seeder')}, "
        f"{count_text(len(peers) - seeders, 'leecher')}, {size_text(scenario.size)} in "
        f"{count_text(scenario.piece_count, 'piece')}, "
        f"{count_text(seeds, 'seed')}; none can end before "
        f"{duration_text(scenario.bound)}"
        + ("" if best is None else f", nor in whole pieces before {duration_text(best)}")
    )


def _show(reporter: Reporter, rows: Sequence[Sequence[str]], outcomes: Sequence[Outcome]) -> None:
    for line in table_lines(rows, left={0}, width=width_of_terminal()):
        reporter.heading(line)
    for text in alike_lines(outcomes):
        for line in wrapped(text, width_of_terminal()):
            reporter.say(line)
    transfers = sum(each.result.transfers for each in outcomes)
    seconds = sum(each.seconds for each in outcomes)
    unfinished = sum(each.result.unfinished for each in outcomes)
    if unfinished:
        reporter.warn(f"{count_text(unfinished, 'leecher')} never had everything")
    reporter.say(
        f"{count_text(transfers, 'transfer')} simulated in {duration_text(seconds)}: "
        f"{seconds / max(1, transfers) * 1e6:.0f} µs each"
        + ("" if seconds < LONG or is_compiled() else HINT)
    )
    reporter.say(EXPLAINED)
    courses = [each.course for each in outcomes if each.course is not None]
    if courses and shows_sparks(reporter):
        for line in columns(sparks_of(courses, width_of_terminal()), left={0, 1, 2}):
            reporter.say(line)


def _event(outcome: Outcome) -> Simulated:
    task, result, seconds, decisions, decision_seconds, *_ = outcome
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
        received=received(result),
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
