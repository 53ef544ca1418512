"""A node's list that is kept, and fetches in it that need nobody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from local_swarm import HOST, Recorder, until
from trio_swarm import FetchSettings, NodeSettings, open_service
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.service.entries.entries import Entries
from trio_swarm.service.entries.entry import Entry, EntryState

LIMIT = 30.0
"""Seconds until a test that hangs has failed."""


@asynccontextmanager
async def kept_list(
    folder: Path, *trackers: str, incomplete: Path | None = None, **more: Any
) -> AsyncIterator[Entries]:
    """The list of a node whose state is below `folder`, and whose fetches begin in another."""
    settings = NodeSettings(
        listen_host=HOST,
        trackers=trackers or ("udp://127.0.0.1:1",),
        state_folder=folder / "state",
        on_event=more.pop("on_event", Recorder()),
    )
    with trio.fail_after(LIMIT):
        async with open_service(settings, keeps_entries=True) as service:
            service.entries.set_incomplete_folder(incomplete)
            service.entries.restore()
            yield service.entries


async def state_of(entry: Entry, *states: EntryState) -> None:
    """Wait until an entry is in one of these states."""
    await until(lambda: entry.state in states)


def torrent_of(data: Path, tmp_path: Path) -> bytes:
    """The .torrent of a file or folder."""
    return create_torrent(data, state_folder=tmp_path / "s").to_bytes()


def wanted(folder: Path, what: str = "x", **more: Any) -> FetchSettings:
    """A fetch into a folder."""
    return FetchSettings(what=what, folder=folder, wait=True, **more)
