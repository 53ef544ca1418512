"""`trio-swarm ls`: what is shared."""

from collections.abc import Sequence

import trio_swarm
from trio_swarm.cli.default_tracker import DefaultTracker
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.json_events import Listed
from trio_swarm.cli.options import OutputOptions, Trackers, trackers_given
from trio_swarm.cli.reporting import Reporter, make_reporter
from trio_swarm.cli.resolving import names_near
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.cli.text import cells_text, columns, size_text
from trio_swarm.settings import DEFAULT_TRACKER

_NAME_CELLS = 80
"""Of a name in the table; longer ones are cut there, and whole in --json."""


async def ls(
    pattern: str = "*",
    /,
    *,
    tracker: Trackers = (),
    output: OutputOptions | None = None,
) -> int:
    """List the names that trackers know, with sizes, seeders, leechers and info-hashes.

    Parameters
    ----------
    pattern
        Only names that match, with * for anything, ? for one character, [abc] for one of several.
    tracker
        URL of a tracker; may be given several times. By default $TRIO_SWARM_TRACKER, or
        udp://127.0.0.1:6969.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    given = trackers_given(tracker)
    trackers = given or (DEFAULT_TRACKER,)
    default = DefaultTracker(reporter, is_used=not given)

    async def body() -> int:
        asked = trio_swarm.search_names(trackers, pattern, on_event=reporter.event)
        matches = await default.asked(asked)
        _print(matches, reporter)
        if not matches:
            reporter.say(await _nothing(pattern, trackers))
        return 0

    return await run_until_interrupted(body, reporter, interrupted=lambda: FAILED)


async def _nothing(pattern: str, trackers: Sequence[str]) -> str:
    """Return what to say where no name matches; with the names that nearly do."""
    if pattern == "*":
        return f"nothing is shared at {' or '.join(trackers)}"
    near = await names_near(pattern.replace("*", ""), trackers)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"nothing is shared under a name like {pattern}{hint}"


def _print(matches: Sequence[trio_swarm.NameMatch], reporter: Reporter) -> None:
    rows = [("NAME", "SIZE", "SEEDERS", "LEECHERS", "INFO-HASH")]
    listed = []
    for match in matches:
        event = Listed(
            share_name=match.name,
            info_hash=match.info_hash.hex(),
            size=match.size,
            seeders=match.seeders,
            leechers=match.leechers,
        )
        listed.append(event)
        size = size_text(match.size) if match.size else "?"
        counts = (str(match.seeders), str(match.leechers))
        rows.append((cells_text(match.name, _NAME_CELLS), size, *counts, event.info_hash))
    lines = columns(rows, left=frozenset({0, 4}))
    if listed:
        reporter.heading(lines[0])
    for event, line in zip(listed, lines[1:], strict=True):
        reporter.answer(event, line)
