"""`ls --watch`: the names that trackers know, as they change."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn

import trio

from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.announcing.names import search_trackers
from trio_swarm.cli.output.json_lines import Listed, Unlisted
from trio_swarm.cli.output.reporting import Reporter
from trio_swarm.cli.output.text import cells_text, count_text, size_text
from trio_swarm.errors import TrackerError
from trio_swarm.protocol.trackers.announces import NameMatch

WATCH_SECONDS: Final = 2.0
"""Between two questions to all trackers."""

NAME_CELLS: Final = 80

Key = tuple[str, bytes]
"""A name and an info-hash."""
Lines = Callable[[Sequence[NameMatch], int | None], list[str]]
"""Makes a table with its heading for a terminal of some width."""


async def watch_names(
    trackers: Sequence[str],
    pattern: str,
    reporter: Reporter,
    *,
    listed: Callable[[NameMatch], Listed],
    lines: Lines,
) -> NoReturn:
    """Show the names that match until cancelled: drawn in place on a terminal, else what changes.

    `listed` makes the event of a name, and `lines` a table. Raises TrackerError if no tracker
    answers at first; later that is a warning.
    """
    watched = _Watched(reporter, listed)
    async with open_tracker_clients() as clients:
        await watched.look(clients, trackers, pattern)
        async with trio.open_nursery() as nursery:
            if reporter.is_live:
                nursery.start_soon(_draw, watched, reporter, lines)
            else:
                watched.tell({})
            await _go_on(watched, clients, trackers, pattern)
    raise AssertionError("it goes on until cancelled")


async def _go_on(
    watched: "_Watched", clients: TrackerClients, trackers: Sequence[str], pattern: str
) -> NoReturn:
    while True:
        await trio.sleep(WATCH_SECONDS)
        before = watched.matches
        try:
            await watched.look(clients, trackers, pattern)
        except TrackerError as error:
            watched.failed(error)
            continue
        watched.tell(before)


class _Watched:
    """What is known of the names, and who is told what changes."""

    def __init__(self, reporter: Reporter, listed: Callable[[NameMatch], Listed]) -> None:
        self.matches: Mapping[Key, NameMatch] = {}
        self._listed = listed
        self._reporter = reporter
        self._has_failed = False

    async def look(self, clients: TrackerClients, trackers: Sequence[str], pattern: str) -> None:
        """Ask all trackers; raises TrackerError if none answers."""
        emit = self._reporter.event
        found = await search_trackers(clients, trackers, pattern, emit=emit)
        self.matches = {(each.name, each.info_hash): each for each in found}
        self._has_failed = False

    def failed(self, error: TrackerError) -> None:
        """Tell that no tracker answers, once."""
        if not self._has_failed:
            self._reporter.warn(str(error))
        self._has_failed = True

    def tell(self, before: Mapping[Key, NameMatch]) -> None:
        """Tell what is other than it was; on a live display it is drawn."""
        if self._reporter.is_live:
            return
        for key, match in self.matches.items():
            if before.get(key) != match:
                self._reporter.answer(self._listed(match), _line(match))
        for name, info_hash in before.keys() - self.matches.keys():
            gone = Unlisted(share_name=name, info_hash=info_hash.hex())
            self._reporter.answer(gone, f"{cells_text(name, NAME_CELLS)}: gone")


async def _draw(watched: _Watched, reporter: Reporter, lines: Lines) -> NoReturn:
    from rich.console import Group  # noqa: PLC0415 - rich only where it is seen
    from rich.text import Text  # noqa: PLC0415 - the same

    from trio_swarm.cli.output.live import LiveReporter  # noqa: PLC0415 - the same
    from trio_swarm.cli.output.tables import width_of_terminal  # noqa: PLC0415 - the same

    assert isinstance(reporter, LiveReporter)  # it says so

    def draw(rows: int) -> Group:
        told = lines(list(watched.matches.values()), width_of_terminal())
        if len(told) > rows:
            more = len(told) - rows + 1
            told = [*told[: rows - 1], f"… and {more:,} more"]
        if not watched.matches:
            told = ["nothing is shared under such a name"]
        return Group(*(Text(each, no_wrap=True, overflow="ellipsis") for each in told))

    await reporter.redraw(draw)


def _line(match: NameMatch) -> str:
    size = size_text(match.size) if match.size else "size unknown"
    return (
        f"{cells_text(match.name, NAME_CELLS)}: {size}, {count_text(match.seeders, 'seeder')}, "
        f"{count_text(match.leechers, 'leecher')}, {match.info_hash.hex()}"
    )
