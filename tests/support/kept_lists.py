"""A node's list that is kept, and fetches in it that need nobody."""

import os
import signal
from collections.abc import AsyncIterator, Callable
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

STEPS = ("link", "unlink", "rename", "replace", "rmdir", "mkdir", "sendfile")
"""Calls of `os` that change something on the disk."""


@asynccontextmanager
async def kept_list(
    folder: Path,
    *trackers: str,
    incomplete: Path | None = None,
    restores: bool = True,
    **more: Any,
) -> AsyncIterator[Entries]:
    """The list of a node whose state is below `folder`; its fetches may begin in another."""
    settings = NodeSettings(
        listen_host=HOST,
        trackers=trackers or ("udp://127.0.0.1:1",),
        state_folder=folder / "state",
        on_event=more.pop("on_event", Recorder()),
        **more,
    )
    with trio.fail_after(LIMIT):
        async with open_service(settings, keeps_entries=True) as service:
            service.entries.set_incomplete_folder(incomplete)
            if restores:
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


def killed_at_step(step: int, method: tuple[type, str], work: Callable[[], object]) -> bool:
    """Do `work` in a process that is killed at this step in an async method; whether it was."""
    child = os.fork()
    if not child:
        left, is_in = step, False
        owner, name = method
        real_method = getattr(owner, name)

        async def watched(*arguments: Any) -> None:
            nonlocal is_in
            is_in = True
            await real_method(*arguments)
            is_in = False

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **more: Any) -> Any:
                nonlocal left
                left -= is_in
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **more)

            return call

        try:
            setattr(owner, name, watched)
            for each in STEPS:
                setattr(os, each, counted(getattr(os, each)))
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)
