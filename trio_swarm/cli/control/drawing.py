"""`status --watch` on a terminal: a table that is drawn anew in place."""

from typing import NoReturn

from rich.console import Group, RenderableType
from rich.text import Text

from trio_swarm.cli.control.torrent_lines import failure_lines, torrent_table, waiting_lines
from trio_swarm.cli.control.watched import Watched
from trio_swarm.cli.output.live import LiveReporter
from trio_swarm.cli.output.reporting import Reporter
from trio_swarm.cli.output.tables import width_of_terminal
from trio_swarm.control.answers import Torrent

_MOST_REASONS = 3
"""Rows about what failed or waits; `status` tells of all."""


async def draw_watched(watched: Watched, reporter: Reporter) -> NoReturn:
    """Draw the torrents until cancelled; the terminal is as before then."""
    assert isinstance(reporter, LiveReporter)  # it says so
    await reporter.redraw(lambda rows: draw(watched, rows=rows, width=width_of_terminal()))


def draw(watched: Watched, *, rows: int, width: int | None) -> RenderableType:
    """Return the display of at most `rows` rows: what moves first, then what failed, the rest."""
    every = sorted(watched.torrents.values(), key=_place)
    room = max(1, rows - 2)  # a line about all of them, and the heading
    reasons = [_line(each, "red") for each in failure_lines(every)]
    reasons += [_line(each, "yellow") for each in waiting_lines(every)]
    del reasons[min(_MOST_REASONS, max(0, room - 2)) :]
    room -= len(reasons)
    fitting = len(every) if len(every) <= room else max(1, room - 1)
    parts: list[RenderableType] = [_line(watched.line(), "bold")]
    if every:
        heading, *lines = torrent_table(every[:fitting], width)
        parts += [_line(heading, "dim"), *(_line(line) for line in lines)]
    if fitting < len(every):
        parts.append(_line(f"… and {len(every) - fitting:,} more", "dim"))
    return Group(*parts, *reasons)


def _place(torrent: Torrent) -> tuple[bool, float, float, int]:
    is_idle = not torrent.download_rate and not torrent.upload_rate and not torrent.error
    return is_idle, -torrent.download_rate, -torrent.upload_rate, torrent.id


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
