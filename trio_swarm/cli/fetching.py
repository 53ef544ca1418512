"""What `get` and `run` do with one download: find it, wait where that helps, seed for a while."""

import math
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import trio

from trio_swarm import Torrent, parse_magnet, read_torrent
from trio_swarm.errors import DiskFullError, NameUnknownError, StorageError, TrackerError
from trio_swarm.events import Event, Waiting
from trio_swarm.settings import DEFAULT_TRACKER
from trio_swarm.wanted import WantedHash, WantedMagnet, WantedName, WantedTorrent, parse_wanted

FIRST_RETRY = 2.0
LAST_RETRY = 30.0
"""Seconds between questions for a name that nobody shares yet: 2, 3, 4.5 … 30."""

DISK_LOOK = 5.0
"""Seconds between looks at how much room a full disk has: nothing tells when that changes."""
DISK_LAST_LOOK = 300.0
"""The same while there seems to be room, and writing still fails: a quota, perhaps."""

RATIO_LOOK = 1.0
"""Seconds between looks at a seeder's ratio."""

StartFetch = Callable[[], Awaitable[Torrent]]


def trackers_for(what: str, given: Sequence[str], *, has_peers: bool) -> tuple[str, ...]:
    """Return the trackers to ask beside those `what` itself names. Blocking.

    Those a person gave; the one on this machine only when nothing else is known to begin with.
    Raises MetainfoError.
    """
    if given:
        return tuple(given)
    match parse_wanted(what):
        case WantedName():
            is_known = False
        case WantedHash():
            is_known = has_peers
        case WantedMagnet(uri):
            magnet = parse_magnet(uri)
            is_known = has_peers or bool(magnet.trackers or magnet.peers)
        case WantedTorrent(path):
            is_known = has_peers or bool(read_torrent(path).announce_tiers)
    return () if is_known else (DEFAULT_TRACKER,)


def make_folder(folder: Path) -> None:
    """Make the folder to download to; StorageError if it cannot be. Blocking."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot be used as a folder: {reason}", path=folder) from error


async def fetch_when_known(
    start: StartFetch, what: str, *, on_event: Callable[[Event], None]
) -> Torrent:
    """Call `start` until the name it asks for is shared and a tracker says so."""
    delay = FIRST_RETRY
    said = ""
    while True:
        try:
            return await start()
        except (NameUnknownError, TrackerError) as error:
            if said != str(error):
                said = str(error)
                on_event(Waiting(info_hash="", share_name=what, reason=said))
        await trio.sleep(delay)
        delay = min(LAST_RETRY, delay * 1.5)


async def complete_when_room(
    torrent: Torrent, restart: StartFetch, folder: Path, *, on_event: Callable[[Event], None]
) -> Torrent:
    """Return the torrent once it is complete; a full disk makes it pause, not fail.

    Calls `restart` when the disk has room again, and nothing that was verified is fetched again;
    what that returns is the torrent from then on. Raises what else ends the download.
    """
    delay = DISK_LOOK
    while True:
        before = torrent.progress().have
        try:
            await torrent.wait_complete()
        except DiskFullError as error:
            progress = torrent.progress()
            await torrent.wait_over()
            reason = f"{error}; it goes on when there is room"
            on_event(
                Waiting(info_hash=torrent.info_hash.hex(), share_name=torrent.name, reason=reason)
            )
            # No progress although there seemed to be room: look less often.
            delay = DISK_LOOK if progress.have > before else min(DISK_LAST_LOOK, delay * 2)
            await _wait_for_room(folder, progress.size - progress.have, delay)
            torrent = await restart()
        else:
            return torrent


async def _wait_for_room(folder: Path, needed: int, delay: float) -> None:
    while True:
        await trio.sleep(delay)
        try:
            usage = await trio.to_thread.run_sync(shutil.disk_usage, folder)
        except OSError:
            continue  # the folder is gone for now: there is no room in it
        if usage.free >= needed:
            return


async def seed_until(torrent: Torrent, *, seconds: float | None, ratio: float | None) -> None:
    """Return after `seconds`, at `ratio`, or never; raises what ends the torrent before."""
    async with trio.open_nursery() as nursery:

        async def watch_time() -> None:
            await trio.sleep(math.inf if seconds is None else seconds)
            nursery.cancel_scope.cancel()

        async def watch_ratio() -> None:
            while ratio is not None and torrent.progress().ratio < ratio:  # noqa: ASYNC110 - it grows with every block
                await trio.sleep(RATIO_LOOK)
            if ratio is not None:
                nursery.cancel_scope.cancel()

        nursery.start_soon(watch_time)
        nursery.start_soon(watch_ratio)
        await torrent.wait_over()
        nursery.cancel_scope.cancel()
    await torrent.wait_complete()
