"""`status --watch`: torrents of a node as they change, until Ctrl-C."""

from collections.abc import AsyncIterator, Sequence
from typing import NoReturn

import trio

from trio_swarm.cli.control.choosing import find_torrents
from trio_swarm.cli.control.torrent_lines import (
    removed_event,
    short_line,
    torrent_event,
    torrent_name,
)
from trio_swarm.cli.control.watched import Watched
from trio_swarm.cli.output.reporting import JSON_SECONDS, LINE_SECONDS, JsonReporter, Reporter
from trio_swarm.control.answers import TorrentChanges
from trio_swarm.control.client import Client, ControlError
from trio_swarm.control.event_stream import ServerEvent


async def watch_node(client: Client, names: Sequence[str], reporter: Reporter) -> int:
    """Show the torrents that are named, or all of them, until cancelled.

    Raises ControlError when the node ends.
    """
    chosen = await find_torrents(client, names)
    async with client.events("torrents") as events:
        # What changes from here on comes in the stream: nothing is missed in between.
        session = await client.session()
        wanted = {each.id for each in chosen}
        every = await client.torrents()
        shown = [each for each in every if not chosen or each.id in wanted]
        watched = Watched(session, shown, is_all=not chosen)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_show, watched, reporter)
            await _listen(client, events, watched)
            nursery.cancel_scope.cancel()
    raise ControlError("the node has ended")


async def _listen(client: Client, events: AsyncIterator[ServerEvent], watched: Watched) -> None:
    async for event in events:
        if event.name == "torrents":
            watched.take(client.decoded(event, TorrentChanges))


async def _show(watched: Watched, reporter: Reporter) -> NoReturn:
    if isinstance(reporter, JsonReporter):
        await _print_events(watched, reporter)
    if reporter.is_live:
        from trio_swarm.cli.control.drawing import draw_watched  # noqa: PLC0415 - rich

        await draw_watched(watched, reporter)
    await _print_lines(watched, reporter)


async def _print_events(watched: Watched, reporter: Reporter) -> NoReturn:
    while True:
        changed, gone = watched.news()
        for torrent in changed:
            reporter.answer(torrent_event(torrent), "")
        for torrent in gone:
            reporter.answer(removed_event(torrent), "")
        await trio.sleep(JSON_SECONDS)


async def _print_lines(watched: Watched, reporter: Reporter) -> NoReturn:
    told: dict[int, str] = {}
    while True:
        changed, gone = watched.news()
        for torrent in changed:
            line = short_line(torrent)
            if told.get(torrent.id) != line:
                told[torrent.id] = line
                reporter.heading(line)
        for torrent in gone:
            told.pop(torrent.id, None)
            reporter.heading(f"{torrent_name(torrent)}: removed")
        await trio.sleep(LINE_SECONDS)
