"""The table of `trio-swarm simulate`: one row a scheduler, and the course of its first run."""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from trio_swarm.cli.lab.simulation_runs import Outcome
from trio_swarm.cli.output.digests import alike, digest_text
from trio_swarm.cli.output.text import cell_width, duration_text
from trio_swarm.lab.pictures.course import Course, completion, moments, rarest
from trio_swarm.lab.pictures.spark import spark
from trio_swarm.lab.simulator import SwarmResult
from trio_swarm.lab.simulator.playback import Audience

_SPARKS = 36
"""Characters of a curve: two of them and a name in 100 columns."""

_FEWEST_SPARKS = 8
"""Fewer tell nothing."""

_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)
"""Student's t for 95 % by degrees of freedom, from 1; beyond them 2 is near enough."""


class _Column(NamedTuple):
    """One number of a run, and how it is written."""

    title: str
    value: Callable[[SwarmResult], float]
    form: str

    def is_wanted(self, outcomes: Sequence[Outcome]) -> bool:
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
    _Column("in vain", lambda each: 100.0 * each.duplicate / received(each), "{:.2f} %"),
)
_SOMETIMES = (
    _Column("gave up", lambda each: each.gave_up, "{:.0f}"),
    _Column("crossed", lambda each: each.crossed_copies, "{:.2f}"),
    _Column("plays after", _watching(lambda each: each.starts_after), "{:.1f} s"),
    _Column("stalls", _watching(lambda each: each.stalls), "{:.0f}"),
    _Column("stalled", _watching(lambda each: each.stalled), "{:.1f} s"),
)
"""Shown if one of them is not zero."""


def table_of(labels: Sequence[str], outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Return the headings and a row for each scheduler, by its label."""
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
                digest_text([each.digest for each in results]),
            ]
        )
    return rows


def alike_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Return which schedulers decided alike in all their runs, one sentence for each such set."""
    digests: dict[str, list[str]] = {}
    for each in outcomes:
        digests.setdefault(each.task.scheduler.label, []).append(each.result.digest)
    return list(alike(digests))


def sparks_of(courses: Sequence[Course], width: int | None = None) -> list[list[str]]:
    """Return the headings and, for each run, how it went as two curves of text.

    They are shorter where a terminal of `width` has no room for them.
    """
    seconds = max((each.seconds for each in courses), default=0.0)
    names = max((cell_width(each.title) for each in courses), default=0)
    room = _SPARKS if width is None else (width - names - 4) // 2
    is_wide = room >= _SPARKS
    times = moments(seconds, max(_FEWEST_SPARKS, min(_SPARKS, room)))
    rare = [rarest(each, times) for each in courses]
    most = max(map(max, rare), default=0)
    rows = [
        [
            f"over {duration_text(seconds)}",
            "what leechers have" if is_wide else "leechers have",
            f"copies of the rarest piece, up to {most:,}" if is_wide else f"rarest, up to {most:,}",
        ]
    ]
    for course, copies in zip(courses, rare, strict=True):
        had = spark(completion(course, times), 1.0)
        rows.append([course.title, had, spark(copies, float(most))])
    return rows


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


def received(result: SwarmResult) -> int:
    """Return the bytes of blocks that arrived, at least 1: something to divide by."""
    return max(1, sum(peer.received for peer in result.peers))
