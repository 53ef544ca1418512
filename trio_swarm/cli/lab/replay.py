"""`trio-swarm replay`: a recorded download again, with other strategies, on a virtual clock."""

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from trio_swarm.cli.lab.recordings import open_recording
from trio_swarm.cli.options import (
    MOST_SEEDS,
    OutputOptions,
    Words,
    at_most,
    plugin_paths,
    positive,
)
from trio_swarm.cli.output.digests import alike, digest_text
from trio_swarm.cli.output.json_events import Replayed
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.output.tables import table_lines, width_of_terminal, wrapped
from trio_swarm.cli.output.text import count_text, duration_text, percent_text, size_text
from trio_swarm.errors import ConfigError
from trio_swarm.lab.replaying import Measured, ReplayResult, measure
from trio_swarm.lab.replaying import replay as play
from trio_swarm.recording import Header
from trio_swarm.schedulers.loading import Strategies, load_strategies

RECORDED = "as recorded"
"""Title of the row of the recorded run itself."""

EXPLAINED = "what the columns mean: trio-swarm replay --help"

MOST_PEERS = 5
"""Peers that have a column of their own; the ones that gave most."""


class _Row(Struct, frozen=True):
    name: str
    seeds: int
    """0 for the recording itself."""
    results: list[ReplayResult]


def replay(
    recording: Path,
    /,
    *,
    scheduler: Words = (),
    plugin: Words = (),
    seeds: int = 1,
    output: OutputOptions | None = None,
) -> int:
    """Play a recorded download again with other strategies, and compare them.

    The peers have what they had, come and go as they did, and send as fast as they were seen to;
    what is asked of them is decided anew. First comes the recorded run itself, then its own
    strategy replayed: what the two differ is the error of the replay. A peer that was never asked
    for all that it could send is faster than any recording shows. Exit code 1 if a replay never
    was complete.

    Parameters
    ----------
    recording
        The file that `get --record` wrote.
    scheduler
        Strategy to play it with, besides the recorded one; may be given several times.
    plugin
        A Python file or folder with strategies of your own.
    seeds
        How often to play it, each time with another seed: 1, 2, 3 ...
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    positive("--seeds", seeds)
    at_most("--seeds", seeds, MOST_SEEDS)
    loaded = load_strategies(plugin_paths(plugin))
    for name in scheduler:
        loaded.scheduler(name)
    found = open_recording(recording, reporter)
    measured = measure(found)
    header = found.header
    for line in wrapped(_heading(header, measured), width_of_terminal()):
        reporter.heading(line)
    rows = [_Row(RECORDED, 0, [_as_recorded(measured)])]
    _tell(reporter, rows[0], measured)
    for name in dict.fromkeys([*_own(loaded, header, reporter), *scheduler]):
        rows.append(_play(loaded, header, measured, name, seeds))
        _tell(reporter, rows[-1], measured)
    for line in table_lines(_table(rows, measured), left={0}, width=width_of_terminal()):
        reporter.heading(line)
    for remark in _remarks(rows, header, measured):
        for line in wrapped(remark, width_of_terminal()):
            reporter.say(line)
    reporter.say(EXPLAINED)
    replays = [result for row in rows[1:] for result in row.results]
    return 1 if any(result.seconds is None for result in replays) else 0


def _own(loaded: Strategies, header: Header, reporter: Reporter) -> Iterator[str]:
    """Yield the recorded strategy, if it is to be had."""
    try:
        loaded.scheduler(header.scheduler, header.scheduler_options)
    except ConfigError as error:
        reporter.warn(f"the recorded strategy cannot be replayed: {error}")
    else:
        yield header.scheduler


def _play(loaded: Strategies, header: Header, measured: Measured, name: str, seeds: int) -> _Row:
    options: Mapping[str, object] = header.scheduler_options if name == header.scheduler else {}
    return _Row(
        name,
        seeds,
        [
            play(
                measured,
                loaded.scheduler(name, options),
                name,
                seed=seed,
                timer=time.perf_counter,
            )
            for seed in range(1, seeds + 1)
        ],
    )


def _as_recorded(measured: Measured) -> ReplayResult:
    return ReplayResult(
        seconds=measured.seconds if measured.is_complete else None,
        received=measured.received,
        duplicate=measured.duplicate,
        decisions=measured.decisions,
        decision_seconds=measured.decision_seconds,
        faults=0,
        blocks=0,
        digest="",
    )


# What is shown


def _heading(header: Header, measured: Measured) -> str:
    slowest = max(source.latency for source in measured.sources.values())
    return (
        f"{header.name}: {size_text(header.size)} in {count_text(header.piece_count, 'piece')}, "
        f"{count_text(len(measured.sources), 'peer')} with at most {slowest * 1e3:.1f} ms to the "
        f"first byte"
    )


def _tell(reporter: Reporter, row: _Row, measured: Measured) -> None:
    for seed, result in enumerate(row.results, 1):
        event = Replayed(
            scheduler=row.name,
            seed=seed if row.seeds else None,
            seconds=result.seconds,
            received={str(key): count for key, count in result.received.items()},
            addresses={str(key): each.address for key, each in measured.sources.items()},
            duplicate=result.duplicate,
            decisions=result.decisions,
            decision_seconds=result.decision_seconds,
            faults=result.faults,
            digest=result.digest or None,
        )
        reporter.answer(event, "")


def _table(rows: Sequence[_Row], measured: Measured) -> list[list[str]]:
    most = sorted(measured.received, key=lambda key: -measured.received[key])[:MOST_PEERS]
    has_others = len(measured.received) > len(most)
    table = [
        [
            "scheduler",
            "time",
            "rate",
            *(measured.sources[key].address for key in most),
            *(["others"] if has_others else []),
            "in vain",
            "decides",
            "digest",
        ]
    ]
    for row in rows:
        sums = {
            key: sum(result.received.get(key, 0) for result in row.results)
            for key in measured.received
        }
        total = sum(sums.values())
        shares = [percent_text(sums[key], total) for key in most]
        if has_others:
            shares.append(percent_text(total - sum(sums[key] for key in most), total))
        duplicate = sum(result.duplicate for result in row.results) / len(row.results)
        decisions = max(1, sum(result.decisions for result in row.results))
        deciding = sum(result.decision_seconds for result in row.results)
        times = [result.seconds for result in row.results]
        table.append(
            [
                row.name,
                _times(times),
                _rate(times, total / len(times)),
                *shares,
                size_text(duplicate),
                # A simulated peer recorded no processor time.
                f"{deciding / decisions * 1e6:.0f} µs" if deciding else "",
                digest_text([each.digest for each in row.results]),
            ]
        )
    return table


def _times(times: Sequence[float | None]) -> str:
    """Return the mean and, of several, the least and the most; `never` if one is not."""
    known = [each for each in times if each is not None]
    if len(known) < len(times):
        return "never"
    text = f"{statistics.fmean(known):.2f} s"
    return text if len(known) < 2 else f"{text} ({min(known):.2f} to {max(known):.2f})"


def _rate(times: Sequence[float | None], received: float) -> str:
    known = [each for each in times if each]
    return f"{size_text(received / statistics.fmean(known))}/s" if known else ""


def _remarks(rows: Sequence[_Row], header: Header, measured: Measured) -> Iterator[str]:
    own = next((row for row in rows[1:] if row.name == header.scheduler), None)
    if own is not None and measured.is_complete:
        times = [result.seconds for result in own.results if result.seconds is not None]
        if times:
            error = statistics.fmean(times) / measured.seconds - 1.0
            yield (
                f"{header.scheduler} replayed takes {error:+.1%} of what it took: that is the "
                "error of the replay"
            ).replace("%", " %")
    yield from alike({row.name: [each.digest for each in row.results] for row in rows[1:]})
    if not measured.is_complete:
        yield (
            f"the recording ended after {duration_text(measured.seconds)}, before the download was "
            "complete: what came later is guessed"
        )
    guessed = [source.address for source in measured.sources.values() if source.is_guess]
    if guessed:
        yield (
            f"never asked for anything, so taken to be as fast as the others: "
            f"{', '.join(guessed[:MOST_PEERS])}"
        )
