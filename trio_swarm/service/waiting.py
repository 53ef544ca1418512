"""Waiting for a name, for peers that give something, and for room on the disk."""

import math
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import trio

from trio_swarm.amounts import percent_text, size_text
from trio_swarm.errors import (
    DiskFullError,
    NameUnknownError,
    StalledError,
    StorageError,
    TooManyFilesError,
    TrackerError,
    TrioSwarmError,
)
from trio_swarm.events import Waiting
from trio_swarm.logs import logger_of
from trio_swarm.peer.standstill import Standstill
from trio_swarm.peer.torrent import Torrent

log = logger_of(__name__)

FIRST_RETRY = 2.0
LAST_RETRY = 30.0
"""Seconds between questions for a name that nobody shares yet: 2, 3, 4.5 … 30."""

DISK_LOOK = 5.0
"""Seconds between looks at how much room a full disk has: nothing tells when that changes."""
DISK_LAST_LOOK = 300.0
"""The same while there seems to be room, and writing still fails: a quota, perhaps."""

ALONE_PATIENCE = 30.0
"""Seconds without a byte after which a download without peers is given up, if nobody said how long
to wait: a peer whose heartbeat was lost is back by then, and a restarted one as well."""

ALONE_LEAST = 5.0
"""Of these seconds, the last ones without a peer: a peer that comes and goes counts as none."""

PEERS_PATIENCE = 120.0
"""The same with peers that give nothing. Slots go round every 10 to 30 s (BEP 3, "choking"), so
even the fourth in a queue had a turn by then."""

StartFetch = Callable[[], Awaitable[Torrent]]


def make_folder(folder: Path) -> None:
    """Make the folder to download to; StorageError if it cannot be. Blocking."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot be used as a folder: {reason}", path=folder) from error


async def fetch_when_known(
    start: StartFetch, what: str, *, on_event: Callable[[Waiting], None]
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
        log.debug("%s: asking again in %.1f s", what, delay)
        await trio.sleep(delay)
        delay = min(LAST_RETRY, delay * 1.5)


class Patience(NamedTuple):
    """How long a download may stand still, seconds; inf: for ever."""

    alone: float
    """Without a peer."""
    with_peers: float

    @classmethod
    def of(cls, timeout: float | None, *, waits: bool) -> "Patience":
        """Return the patience of a fetch: `timeout` seconds, endless if it waits, or the usual."""
        if timeout is not None:
            return cls(timeout, timeout)
        return cls(math.inf, math.inf) if waits else cls(ALONE_PATIENCE, PEERS_PATIENCE)

    def left(self, standstill: Standstill) -> float:
        """Return in how many seconds to give up if nothing changes; 0 or less: now."""
        left = self.with_peers - standstill.seconds
        if standstill.alone is None or standstill.untried:
            return left
        # A short patience is meant as it was given.
        least = min(ALONE_LEAST, self.alone)
        return min(left, max(self.alone - standstill.seconds, least - standstill.alone))

    def surely_left(self, standstill: Standstill) -> float:
        """Return how many seconds are left whatever the peers do; 0 or less: that decides it."""
        return min(self.alone, self.with_peers) - standstill.seconds


FOR_EVER = Patience(math.inf, math.inf)


async def complete_or_stalled(torrent: Torrent, patience: Patience) -> None:
    """Wait until a torrent is complete; StalledError if nothing comes for too long."""
    while True:
        changed, standstill = torrent.peers_changed, torrent.standstill()
        left, surely = patience.left(standstill), patience.surely_left(standstill)
        if left <= 0:
            raise StalledError(_stalled(torrent))
        if surely > 0:
            with trio.move_on_after(surely):
                await torrent.wait_complete()
                return
        elif await _is_settled(torrent, changed, within=left):
            await torrent.wait_complete()
            return


async def _is_settled(torrent: Torrent, changed: trio.Event, *, within: float) -> bool:
    """Wait until a torrent is complete or has failed (true), `changed` is set, or time is up."""
    is_settled = False
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + within

        async def wait_changed() -> None:
            await changed.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(wait_changed)
        with suppress(TrioSwarmError):  # whoever asks again is told, and not in a group
            await torrent.wait_complete()
        is_settled = True
        nursery.cancel_scope.cancel()
    return is_settled


def _stalled(torrent: Torrent) -> str:
    """Return the line about a download that is given up: why, and how much of it is kept."""
    standstill, progress = torrent.standstill(), torrent.progress()
    name = torrent.name or torrent.info_hash.hex()
    kept = ""
    if progress.have and progress.size:
        kept = f"; {percent_text(progress.have, progress.size)} is kept"
    return f"{name}: given up: {standstill.reason}{kept}"


async def has_room(folder: Path, needed: int) -> bool:
    """Whether the disk of a folder has room for so many bytes; false for one that is not there."""
    try:
        usage = await trio.to_thread.run_sync(shutil.disk_usage, folder)
    except OSError:
        return False
    return usage.free >= needed


async def complete_when_room(
    torrent: Torrent,
    restart: StartFetch,
    folder: Path,
    *,
    on_event: Callable[[Waiting], None],
    patience: Patience = FOR_EVER,
) -> Torrent:
    """Return the torrent once it is complete; a full disk makes it pause, not fail.

    So do too many open files. Calls `restart` when the disk has room again, or after a while, and
    goes on with the torrent that it returns; verified pieces are not fetched again. Raises any
    other error that ends the download.
    """
    delay = DISK_LOOK
    while True:
        before = torrent.progress().have
        try:
            if patience == FOR_EVER:
                await torrent.wait_complete()
            else:
                await complete_or_stalled(torrent, patience)
        except (DiskFullError, TooManyFilesError) as error:
            progress = torrent.progress()
            await torrent.wait_over()
            is_full = isinstance(error, DiskFullError)
            until = "when there is room" if is_full else "when others are closed"
            reason = f"{error}; it goes on {until}"
            on_event(
                Waiting(info_hash=torrent.info_hash.hex(), share_name=torrent.name, reason=reason)
            )
            # No progress although there seemed to be room: look less often.
            delay = DISK_LOOK if progress.have > before else min(DISK_LAST_LOOK, delay * 2)
            if is_full:
                path = torrent.path
                where = folder if path is None else path.parent
                await wait_for_room(where, progress.size - progress.have, delay)
            else:
                await trio.sleep(delay)
            torrent = await restart()
        else:
            return torrent


async def wait_for_room(folder: Path, needed: int, delay: float) -> None:
    """Look at a folder every `delay` seconds, until its disk has room for so many bytes."""
    is_gone = False
    while True:
        await trio.sleep(delay)
        try:
            usage = await trio.to_thread.run_sync(shutil.disk_usage, folder)
        except OSError as error:  # the folder is gone for now: there is no room in it
            if not is_gone:
                log.warning("%s: cannot be looked at for room: %s", folder, error.strerror)
            is_gone = True
            continue
        is_gone = False
        if usage.free >= needed:
            return
        free, short = size_text(usage.free), size_text(needed - usage.free)
        log.debug("%s: %s free, %s short; next look in %g s", folder, free, short, delay)
