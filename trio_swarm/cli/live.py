"""The live display: what moves, redrawn in place; what happened, scrolling above it."""

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

import trio
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.reporting import Followed, HashingProgress, Reporter
from trio_swarm.cli.text import (
    count_text,
    duration_text,
    percent_text,
    rate_text,
    safe_text,
    size_text,
)
from trio_swarm.progress import PeerProgress, Progress

REFRESH_SECONDS = 0.25
_BAR_WIDTH = 30
_PEER_COLUMNS: tuple[JustifyMethod, ...] = ("left", "left", "right", "right", "right", "left")
_ROWS_KEPT = 4
"""Rows of the terminal left to what scrolls above."""


class LiveReporter(Reporter):
    """Redraws bars and peer rows four times a second on the terminal."""

    def __init__(self, output: OutputOptions) -> None:
        super().__init__(output)
        # Names come from strangers: nothing may be read as markup, emoji code or a link.
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._live: Live | None = None

    async def follow(self, torrents: Callable[[], Sequence[Followed]]) -> NoReturn:
        """Redraw until cancelled; the terminal is as before then."""
        live = Live(console=self._console, auto_refresh=False, transient=True)
        try:
            live.start()
            self._live = live
            while True:
                rows = max(4, self._console.size.height - _ROWS_KEPT)
                live.update(draw(torrents(), self._hashing, rows=rows), refresh=True)
                await trio.sleep(REFRESH_SECONDS)
        finally:
            # Takes the display away, and shows the cursor again.
            self._live = None
            live.stop()

    def _write(self, text: str, stream: TextIO | None = None) -> None:
        safe = safe_text(text)
        stream = stream or sys.stdout
        if self._live is None or not stream.isatty():
            self._write_raw(safe, stream)
        else:
            # Long lines are the terminal's to wrap: a link stays in one piece when it is copied.
            self._console.print(Text(safe), soft_wrap=True)


def draw(
    torrents: Sequence[Followed], hashing: Sequence[HashingProgress], *, rows: int
) -> RenderableType:
    """Return the display of at most `rows` rows: hashing first, then what moves most."""
    parts: list[RenderableType] = [
        _hashing_row(each) for each in hashing if each.is_running and each.total
    ][:rows]
    rows -= len(parts)
    shown = sorted(
        ((torrent, torrent.progress()) for torrent in torrents),
        key=lambda pair: (pair[1].state == "seeding", -pair[1].download_rate, -pair[1].upload_rate),
    )
    for index, (torrent, progress) in enumerate(shown):
        if rows < 3:
            parts.append(Text(f"… and {len(shown) - index} more", style="dim"))
            break
        name = safe_text(torrent.name or torrent.info_hash.hex())
        lines = _torrent_rows(name, progress)
        parts += lines
        rows -= len(lines)
        peers = torrent.peers()
        if peers and rows > 3:
            # Each torrent that follows needs its own two rows first.
            room = max(2, rows - 2 * min(3, len(shown) - index - 1))
            table, used = _peer_rows(peers, room, is_seeding=progress.state == "seeding")
            parts.append(table)
            rows -= used
    return Group(*parts)


def _hashing_row(hashing: HashingProgress) -> RenderableType:
    return _bar_row(
        hashing.done,
        hashing.total,
        f"{percent_text(hashing.done, hashing.total)} of {size_text(hashing.total)} hashed",
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
            return [title, _bar_row(progress.have, progress.size, words)]
        case _:
            parts = [
                f"{percent_text(progress.have, progress.size)} of {size_text(progress.size)}",
                rate_text(progress.download_rate) or "0 B/s",
                "finishing" if progress.state == "finishing" else _eta(progress.eta),
                f"{progress.pieces_have:,}/{count_text(progress.pieces, 'piece')}",
                peers,
            ]
            if up:
                parts.append(f"{up} up")
            return [title, _bar_row(progress.have, progress.size, " · ".join(filter(None, parts)))]


def _eta(eta: float | None) -> str:
    return f"{duration_text(eta)} left" if eta is not None and eta < 1e8 else ""


def _bar_row(done: float, total: float, words: str, *, name: str = "") -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    cells: list[RenderableType] = []
    if name:
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=30)
        cells.append(Text(name, style="bold"))
    grid.add_column(width=_BAR_WIDTH)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(*cells, ProgressBar(total=max(total, 1), completed=done, width=_BAR_WIDTH), words)
    return grid


def _peer_rows(
    peers: Sequence[PeerProgress], room: int, *, is_seeding: bool
) -> tuple[RenderableType, int]:
    """Return the table of peers, those that move most first, and how many rows it takes."""
    ordered = sorted(peers, key=lambda peer: -(peer.download_rate + peer.upload_rate))
    # A heading, and one row for those that do not fit.
    fitting = len(ordered) if len(ordered) < room else max(1, room - 2)
    table = Table.grid(padding=(0, 2))
    for justify in _PEER_COLUMNS:
        table.add_column(justify=justify, no_wrap=True, overflow="ellipsis")
    headings = ("  peer", "client", "gives", "takes", "has", "")
    table.add_row(*(Text(heading, style="dim") for heading in headings))
    for peer in ordered[:fitting]:
        table.add_row(
            f"  {safe_text(peer.address)}",
            Text(safe_text(peer.client)),
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
