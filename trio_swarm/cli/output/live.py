"""The live display: progress is redrawn in place, and events scroll above it."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, TextIO

import trio
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output.journal import INFO
from trio_swarm.cli.output.redrawing import Redrawn, size_of
from trio_swarm.cli.output.reporting import Followed, HashingProgress, Reporter
from trio_swarm.cli.output.streams import OutputError
from trio_swarm.cli.output.text import (
    cell_width,
    cells_text,
    count_text,
    duration_text,
    percent_text,
    rate_text,
    safe_text,
    size_text,
)
from trio_swarm.progress import PeerProgress, Progress

REFRESH_SECONDS = 0.25
_WIDEST_BAR = 30
_NARROWEST_BAR = 10
"""Columns. A bar gives way to words, down to this; then the last of the words go."""
_LONGEST_NAME = 200
"""Characters of a name; the terminal cuts off longer ones."""
_NAME_COLUMNS = 40
"""Of a name in a table."""
_LONGEST_CLIENT = 24
_PEER_COLUMNS: tuple[JustifyMethod, ...] = ("left", "left", "right", "right", "right", "left")
_SHARE_COLUMNS: tuple[JustifyMethod, ...] = ("left", "right", "right", "right")
_ROWS_KEPT = 4
"""Rows of the terminal left to the lines that scroll above."""


class LiveReporter(Reporter):
    """Redraws bars and peer rows four times a second on the terminal."""

    is_live = True

    def __init__(self, output: OutputOptions) -> None:
        super().__init__(output)
        self._redrawn: Redrawn | None = None

    async def follow(self, torrents: Callable[[], Sequence[Followed]]) -> NoReturn:
        """Redraw until cancelled; the terminal is as before then."""
        await self.redraw(lambda rows: draw(torrents(), self._hashing, rows=rows))

    async def redraw(self, drawing: Callable[[int], RenderableType]) -> NoReturn:
        """Put `drawing(rows)`, of at most `rows` rows, in the place of the last, as `follow` does.

        What else is told scrolls above it.
        """
        redrawn = Redrawn(sys.stdout)
        self._redrawn = redrawn
        try:
            async with trio.open_nursery() as nursery:
                if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
                    nursery.start_soon(_give_back_when_suspended, redrawn)
                while True:
                    rows = max(4, size_of(sys.stdout).rows - _ROWS_KEPT)
                    redrawn.draw(drawing(rows))
                    await trio.sleep(REFRESH_SECONDS)
        finally:
            self._redrawn = None
            if self.failure is None:
                redrawn.close()

    def _write_lines(self, lines: Sequence[str]) -> None:
        if self._redrawn is None:
            super()._write_lines(lines)
        else:
            for line in lines:
                self._write(line)

    def _write(self, text: str, stream: TextIO | None = None, *, priority: int = INFO) -> None:
        stream = stream or sys.stdout
        if self._redrawn is None or not stream.isatty():
            super()._write(text, stream, priority=priority)
        elif self.failure is None:
            try:
                self._redrawn.print_above(safe_text(text))
            except OutputError as error:
                self._fail(error)


async def _give_back_when_suspended(redrawn: Redrawn) -> NoReturn:
    """Give the terminal back to the shell at Ctrl-Z, and then be suspended; `fg` draws anew."""
    with trio.open_signal_receiver(signal.SIGTSTP) as received:
        while True:
            await anext(received)
            redrawn.close()
            ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTSTP)  # returns when the process goes on
            signal.signal(signal.SIGTSTP, ours)


def draw(
    torrents: Sequence[Followed], hashing: Sequence[HashingProgress], *, rows: int
) -> RenderableType:
    """Return the display of at most `rows` rows: hashing first, then torrents by their rate."""
    parts: list[RenderableType] = [
        _hashing_row(each) for each in hashing if each.is_running and each.total
    ][:rows]
    rows -= len(parts)
    found = sorted(
        ((torrent, torrent.progress()) for torrent in torrents),
        key=lambda pair: (pair[1].state == "seeding", -pair[1].download_rate, -pair[1].upload_rate),
    )
    shares = [pair for pair in found if pair[1].state == "seeding"]
    if len(shares) < 2:
        shares = []
    others = found[: len(found) - len(shares)]
    for index, (torrent, progress) in enumerate(others):
        if rows < 3:
            parts.append(Text(f"… and {len(found) - index} more", style="dim"))
            return Group(*parts)
        lines = _torrent_rows(_name_of(torrent), progress)
        parts += lines
        rows -= len(lines)
        peers = torrent.peers()
        if peers and rows > 3:
            # Each torrent that follows needs its own two rows first, and shares a few.
            following = min(3, len(others) - index - 1) + (2 if shares else 0)
            room = max(2, rows - 2 * following)
            table, used = _peer_rows(peers, room, is_seeding=progress.state == "seeding")
            parts.append(table)
            rows -= used
    if shares and rows:
        parts += _share_rows(shares, rows)
    return Group(*parts)


def _name_of(torrent: Followed) -> str:
    return cells_text(torrent.name or torrent.info_hash.hex(), _LONGEST_NAME)


def _share_rows(shares: Sequence[tuple[Followed, Progress]], rows: int) -> Iterator[RenderableType]:
    """Yield one row about all shares, and a table of the busiest."""
    every = [progress for _, progress in shares]
    busy = sum(progress.upload_rate >= 1 for progress in every)
    parts = [
        f"seeding {count_text(len(shares), 'share')}, {busy} of them busy",
        f"{rate_text(sum(progress.upload_rate for progress in every)) or '0 B/s'} up",
        count_text(sum(progress.peers for progress in every), "peer"),
    ]
    yield Text(" · ".join(parts), style="bold", no_wrap=True, overflow="ellipsis")
    if rows < 2:
        return
    fitting = len(shares) if len(shares) < rows else rows - 2
    table = _grid(_SHARE_COLUMNS)
    for torrent, progress in shares[:fitting]:
        table.add_row(
            Text(f"  {_name_of(torrent)}"),
            count_text(progress.peers, "peer"),
            rate_text(progress.upload_rate) or "-",
            f"ratio {progress.ratio:.2f}",
        )
    yield table
    if fitting < len(shares):
        yield Text(f"  … and {len(shares) - fitting} more", style="dim")


def _grid(columns: Sequence[JustifyMethod]) -> Table:
    table = Table.grid(padding=(0, 2))
    for index, justify in enumerate(columns):
        widest = _NAME_COLUMNS if index == 0 else None
        table.add_column(justify=justify, no_wrap=True, overflow="ellipsis", max_width=widest)
    return table


def _hashing_row(hashing: HashingProgress) -> RenderableType:
    return _BarRow(
        hashing.done,
        hashing.total,
        (f"{percent_text(hashing.done, hashing.total)} of {size_text(hashing.total)} hashed",),
        name=safe_text(hashing.path.name),
    )


def _torrent_rows(name: str, progress: Progress) -> list[RenderableType]:
    title = Text(name, style="bold", no_wrap=True, overflow="ellipsis")
    peers = count_text(progress.peers, "peer")
    if progress.seeders:
        peers += f" ({count_text(progress.seeders, 'seeder')})"
    up = rate_text(progress.upload_rate)
    match progress.state:
        case "seeding":
            title.append(
                f"  seeding to {count_text(progress.peers, 'peer')}"
                f"{', ' + up if up else ''}, ratio {progress.ratio:.2f}",
                style="not bold",
            )
            return [title]
        case "metadata":
            title.append(f"  asking {peers} for the metadata", style="not bold")
            return [title]
        case "failed" | "removed":
            title.append(f"  {progress.state}", style="not bold red")
            return [title]
        case "checking":
            done = percent_text(progress.have, progress.size)
            words = f"{done} of {size_text(progress.size)} checked"
            return [title, _BarRow(progress.have, progress.size, (words,))]
        case _:
            # What matters least comes last, and goes first where there is no room.
            parts = (
                f"{percent_text(progress.have, progress.size)} of {size_text(progress.size)}",
                rate_text(progress.download_rate) or "0 B/s",
                "finishing" if progress.state == "finishing" else _eta(progress.eta),
                peers,
                f"{up} up" if up else "",
                f"{progress.pieces_have:,}/{count_text(progress.pieces, 'piece')}",
            )
            return [title, _BarRow(progress.have, progress.size, tuple(filter(None, parts)))]


def _eta(eta: float | None) -> str:
    return f"{duration_text(eta)} left" if eta is not None and eta < 1e8 else ""


@dataclass(frozen=True)
class _BarRow:
    """A bar and words on one line, as wide as the terminal is."""

    done: float
    total: float
    parts: Sequence[str]
    """The words; the last are left out where there is no room."""
    name: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        name = self.name
        if name:
            room = min(30, width // 3)
            if cell_width(name) > room:
                name = cells_text(name, max(2, room))
            width -= cell_width(name) + 1
        parts = list(self.parts)
        while len(parts) > 1 and cell_width(" · ".join(parts)) + 1 + _NARROWEST_BAR > width:
            parts.pop()
        words = " · ".join(parts)
        bar = max(_NARROWEST_BAR, min(_WIDEST_BAR, width - cell_width(words) - 1))
        grid = Table.grid(padding=(0, 1))
        cells: list[RenderableType] = []
        if name:
            grid.add_column(no_wrap=True, overflow="ellipsis")
            cells.append(Text(name, style="bold"))
        grid.add_column(width=bar)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        cells.append(ProgressBar(total=max(self.total, 1), completed=self.done, width=bar))
        grid.add_row(*cells, words)
        yield grid


def _peer_rows(
    peers: Sequence[PeerProgress], room: int, *, is_seeding: bool
) -> tuple[RenderableType, int]:
    """Return the table of peers, the busiest first, and how many rows it takes."""
    ordered = sorted(peers, key=lambda peer: -(peer.download_rate + peer.upload_rate))
    # A heading, and one row for those that do not fit.
    fitting = len(ordered) if len(ordered) < room else max(1, room - 2)
    table = _grid(_PEER_COLUMNS)
    headings = ("  peer", "client", "gives", "takes", "has", "")
    table.add_row(*(Text(heading, style="dim") for heading in headings))
    for peer in ordered[:fitting]:
        table.add_row(
            Text(f"  {cells_text(peer.address, _NAME_COLUMNS)}"),
            Text(cells_text(peer.client, _LONGEST_CLIENT)),
            rate_text(peer.download_rate) or "-",
            rate_text(peer.upload_rate) or "-",
            "all" if peer.is_seeder else percent_text(peer.share, 1.0),
            Text(_peer_state(peer, is_seeding=is_seeding), style="dim"),
        )
    left = len(ordered) - fitting
    if left:
        table.add_row(f"  … and {left} more")
    return table, fitting + 1 + bool(left)


def _peer_state(peer: PeerProgress, *, is_seeding: bool) -> str:
    words = []
    if peer.snubbed:
        words.append("silent")
    elif peer.choking_us and not is_seeding:
        words.append("chokes us")
    if peer.interested and not peer.unchoked:
        words.append("waits for us")
    return ", ".join(words)
