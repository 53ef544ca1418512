"""`trio-swarm plugin new` and `trio-swarm plugin check`: for authors of strategies."""

import functools
import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from trio_swarm.cli.lab.plugin_files import package_files, package_name
from trio_swarm.cli.node_options import strategy_options
from trio_swarm.cli.options import (
    MOST_SEEDS,
    OutputOptions,
    Words,
    at_most,
    expanded,
    plugin_paths,
    positive,
)
from trio_swarm.cli.output.json_events import (
    DecisionTimed,
    PromiseExamined,
    StrategyCompared,
    Written,
)
from trio_swarm.cli.output.new_files import write_new_file
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.output.tables import width_of_terminal, wrapped
from trio_swarm.cli.output.text import count_text
from trio_swarm.errors import ConfigError, StorageError
from trio_swarm.foreign_text import quoted
from trio_swarm.lab.testing.cards import ReportCard, built_in_strategies, report_card
from trio_swarm.schedulers.loading import AXES, Axis, Strategies, StrategyEntry, load_strategies

_EXAMPLES = 100
"""Examples of each promise, or a half or a quarter where they are large."""


def new(
    name: str,
    /,
    *,
    axis: Literal["scheduler", "uploader", "choker"] = "scheduler",
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    output: OutputOptions | None = None,
) -> int:
    """Write a package with a strategy to start from, and a test of all it promises.

    Parameters
    ----------
    name
        What the strategy is to be called, as in near-first: small letters, digits and hyphens.
    axis
        What it decides: what to fetch from whom, what to reveal, or whom to serve.
    out
        The folder to make; by default trio-swarm-NAME in this folder. Never overwrites anything.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    files = package_files(axis, name)
    if name in built_in_strategies(axis):
        raise ConfigError(f"there is a built-in {axis} {name!r}: choose another name")
    folder = expanded(out) or Path(package_name(name))
    _make_folder(folder)
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(exist_ok=True)
        write_new_file(file, text.encode())
        reporter.answer(Written(file=str(file)), f"wrote {file}")
    # Without the dot pip would look for a package of that name in its index.
    place = folder if folder.is_absolute() else f"./{folder}"
    reporter.say(f"now: pip install -e '{place}[test]' && pytest {place}")
    return 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise StorageError("exists already and is not overwritten", path=folder) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot be made: {reason}", path=folder) from error


def check(
    name: str,
    /,
    *,
    axis: Literal["scheduler", "uploader", "choker"] | None = None,
    plugin: Words = (),
    option: Words = (),
    examples: int = _EXAMPLES,
    seeds: int = 1,
    output: OutputOptions | None = None,
) -> int:
    """Test what a strategy promises, and show how it does beside the built-in ones.

    The promises need pytest and Hypothesis: pip install 'trio-swarm[testing]'. The standard swarms
    are played on a virtual clock. Exit code 1 if a promise is broken; numbers are only shown.

    Parameters
    ----------
    name
        The strategy.
    axis
        What it decides, if strategies of several kinds have this name.
    plugin
        A Python file or folder with strategies; may be given several times.
    option
        KEY=VALUE for the strategy; may be given several times.
    examples
        How many examples to try of each promise.
    seeds
        How often to play each swarm, each time with another seed.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    positive("--examples", examples)
    positive("--seeds", seeds)
    at_most("--seeds", seeds, MOST_SEEDS)
    loaded = load_strategies(plugin_paths(plugin))
    entry = _find(loaded, name, axis)
    factory = _factory(loaded, entry, option)
    reporter.heading(f"{entry.axis} {name} ({entry.origin})")
    broken = _examine(reporter, entry, factory, examples)
    reporter.say("")
    card = report_card(entry.axis, factory, name, seeds=seeds)
    _show_card(reporter, card)
    if broken:
        reporter.warn(f"{name} breaks {count_text(broken, 'promise')}")
    return 1 if broken else 0


def _find(loaded: Strategies, name: str, axis: Axis | None) -> StrategyEntry:
    """Return the strategy, of the one axis that has it unless one is given."""
    if axis is not None:
        return loaded.entry(axis, name)
    found = [entry for each in AXES for entry in loaded.entries(each) if entry.name == name]
    if len(found) > 1:
        kinds = " and a ".join(entry.axis for entry in found)
        raise ConfigError(f"there is a {kinds} called {name!r}: say which by --axis")
    if not found:
        known = "; ".join(
            f"{each}s: {', '.join(sorted(entry.name for entry in loaded.entries(each)))}"
            for each in AXES
        )
        raise ConfigError(f"there is no strategy {quoted(name)} ({known})")
    return found[0]


def _factory(loaded: Strategies, entry: StrategyEntry, given: Words) -> Callable[[], Any]:
    """Return a function that makes the strategy with its options; ConfigError if that fails."""
    options = strategy_options(loaded, entry.axis, entry.name, given)
    make = {"scheduler": loaded.scheduler, "uploader": loaded.uploader, "choker": loaded.choker}
    make[entry.axis](entry.name, options)
    return functools.partial(entry.factory, **options)


def _examine(
    reporter: Reporter, entry: StrategyEntry, factory: Callable[[], Any], examples: int
) -> int:
    """Test each promise; return how many are broken."""
    if not all(importlib.util.find_spec(each) for each in ("hypothesis", "pytest")):
        reporter.warn(
            "its promises are not tested, for pytest or Hypothesis is missing: "
            "pip install 'trio-swarm[testing]'"
        )
        return 0
    from trio_swarm.lab.testing.examination import examine  # noqa: PLC0415 - needs both

    broken = 0
    for result in examine(entry.axis, factory, entry.name, examples=examples):
        broken += result.holds is False
        event = PromiseExamined(
            axis=entry.axis,
            strategy=entry.name,
            promise=result.name,
            holds=result.holds,
            reason=result.reason,
        )
        word = {True: "holds", False: "BROKEN", None: "untested"}[result.holds]
        lines = [f"{word:<9} {result.promise}"]
        if not result.holds:
            lines += [f"          {line}" for line in result.reason.splitlines()]
        width = width_of_terminal()
        lines = [part for line in lines for part in wrapped(line, width, indent=10)]
        reporter.answer(event, "\n".join(lines))
    return broken


def _show_card(reporter: Reporter, card: ReportCard) -> None:
    for row in card.rows:
        reporter.answer(
            StrategyCompared(
                axis=card.axis,
                strategy=row.strategy,
                scenario=row.scenario,
                ratio=row.ratio if math.isfinite(row.ratio) else None,
                copies=row.copies,
                in_vain=row.in_vain,
                decision_seconds=row.decision_seconds,
                fault=row.fault,
            ),
            "",
        )
    for name, seconds in card.large_swarm_seconds.items():
        known = None if math.isnan(seconds) else seconds
        reporter.answer(DecisionTimed(axis=card.axis, strategy=name, decision_seconds=known), "")
    for line in card.lines():
        reporter.heading(line)
    reporter.say("what the columns mean: trio-swarm plugin check --help")
