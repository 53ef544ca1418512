"""`trio-swarm ls`: what is shared."""

from collections.abc import Sequence

import trio_swarm
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.options import Flag, OutputOptions, Trackers, trackers_given
from trio_swarm.cli.output.default_tracker import DefaultTracker
from trio_swarm.cli.output.json_lines import Listed
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.output.tables import widest, width_of_terminal
from trio_swarm.cli.output.text import cell_width, cells_text, columns, size_text
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.service.naming import names_near
from trio_swarm.settings import DEFAULT_TRACKER

_NAME_CELLS = 80
"""Of a name in the table; longer ones are cut there, and whole in --json."""

_LEAST_NAME_CELLS = 20
"""Of a name where the terminal has no room for more: shorter ones would look alike."""

_SHORT_HASH = 12
"""Digits of an info-hash where the terminal has no room for 40."""
_HEADING = ("NAME", "SIZE", "SEEDERS", "LEECHERS", "INFO-HASH")


async def ls(
    pattern: str = "*",
    /,
    *,
    tracker: Trackers = (),
    watch: Flag = False,
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
    watch
        Go on, live, until Ctrl-C.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    given = trackers_given(tracker)
    trackers = given or (DEFAULT_TRACKER,)
    default = DefaultTracker(is_used=not given)

    async def body() -> int:
        if watch:
            from trio_swarm.cli.commands.ls_watching import watch_names  # noqa: PLC0415 - seldom

            watching = watch_names(trackers, pattern, reporter, listed=listed, lines=_table)
            await default.asked(watching)
        asked = trio_swarm.search_names(trackers, pattern, on_event=reporter.event)
        matches = await default.asked(asked)
        _print(matches, reporter)
        if not matches:
            reporter.say(await _nothing(pattern, trackers))
        return 0

    return await run_until_interrupted(body, reporter, interrupted=lambda: 0 if watch else FAILED)


async def _nothing(pattern: str, trackers: Sequence[str]) -> str:
    """Return the line for a pattern that no name matches; it tells names that nearly do."""
    if pattern == "*":
        return f"nothing is shared at {' or '.join(trackers)}"
    near = await names_near(pattern.replace("*", ""), trackers)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"nothing is shared under a name like {pattern}{hint}"


def _print(matches: Sequence[trio_swarm.NameMatch], reporter: Reporter) -> None:
    lines = _table(matches, width_of_terminal())
    if matches:
        reporter.heading(lines[0])
    for match, line in zip(matches, lines[1:], strict=True):
        reporter.answer(listed(match), line)


def listed(match: trio_swarm.NameMatch) -> Listed:
    """Return the event of a name."""
    return Listed(
        share_name=match.name,
        info_hash=match.info_hash.hex(),
        size=match.size,
        seeders=match.seeders,
        leechers=match.leechers,
    )


def _table(matches: Sequence[trio_swarm.NameMatch], width: int | None) -> list[str]:
    """Return the names as a table with its heading."""
    rows = []
    for match in matches:
        size = size_text(match.size) if match.size else "?"
        counts = (str(match.seeders), str(match.leechers))
        rows.append((cells_text(match.name, _NAME_CELLS), size, *counts, match.info_hash.hex()))
    return _lines(rows, width)


def _lines(rows: Sequence[tuple[str, ...]], width: int | None) -> list[str]:
    """Return the table with its heading; where a line has no room, less of info-hashes and names.

    Every command takes the beginning of an info-hash for the whole, where no other begins so.
    """

    def lines(digits: int, cells: int = _NAME_CELLS) -> list[str]:
        shown = [(cells_text(row[0], cells), *row[1:-1], row[-1][:digits]) for row in rows]
        return columns([_HEADING, *shown], left=frozenset({0, 4}))

    whole = lines(40)
    if width is None or widest(whole) <= width:
        return whole
    is_clear = len({row[-1][:_SHORT_HASH] for row in rows}) == len({row[-1] for row in rows})
    digits = _SHORT_HASH if is_clear else 40
    shorter = lines(digits)
    names = max((cell_width(row[0]) for row in rows), default=0)
    room = width - (widest(shorter) - names)
    return shorter if room >= names else lines(digits, max(_LEAST_NAME_CELLS, room))
