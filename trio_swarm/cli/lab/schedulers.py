"""`trio-swarm schedulers`: every strategy that can be chosen."""

from collections.abc import Iterator

from trio_swarm.cli.options import OutputOptions, Words, plugin_paths
from trio_swarm.cli.output.json_events import PluginProblem, Strategy
from trio_swarm.cli.output.reporting import JsonReporter, make_reporter
from trio_swarm.schedulers.loading import AXES, StrategyEntry, load_strategies

_HEADINGS = {
    "scheduler": "Schedulers: what to fetch from whom (--scheduler, [scheduler])",
    "uploader": "Uploaders: what to reveal, and in which order to serve (--uploader, [uploader])",
    "choker": "Chokers: whom to serve (--choker, [choker])",
}


def schedulers(*, plugin: Words = (), output: OutputOptions | None = None) -> int:
    """List the strategies: built in, from installed packages, and from --plugin files.

    Options are given by --option KEY=VALUE on the command line and by [scheduler.options] in TOML.

    Parameters
    ----------
    plugin
        A Python file or folder with strategies; may be given several times.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    strategies = load_strategies(plugin_paths(plugin))
    for axis in AXES:
        entries = strategies.entries(axis)
        if entries:
            reporter.heading(_HEADINGS[axis])
        for entry in entries:
            reporter.answer(_event(entry), "\n".join(_lines(entry)))
    for problem in strategies.problems:
        event = PluginProblem(origin=problem.origin, reason=problem.reason)
        if isinstance(reporter, JsonReporter):
            reporter.event(event)
        else:
            reporter.warn(str(problem))
    return 0


def _event(entry: StrategyEntry) -> Strategy:
    return Strategy(
        axis=entry.axis,
        strategy=entry.name,
        origin=entry.origin,
        summary=entry.summary,
        options=[
            {
                "name": option.name,
                "type": option.type,
                "default": None if option.required else _plain(option.default),
                "required": option.required,
                "doc": option.doc,
            }
            for option in entry.options
        ],
    )


def _plain(value: object) -> object:
    """Return a default as JSON can hold it; anything else as Python writes it."""
    return value if value is None or isinstance(value, bool | int | str) else repr(value)


def _lines(entry: StrategyEntry) -> Iterator[str]:
    yield f"  {entry.name}  ({entry.origin})"
    if entry.summary:
        yield f"      {entry.summary}"
    for option in entry.options:
        doc = f"  {' '.join(option.doc.split())}" if option.doc else ""
        yield f"      {option}{doc}"
