"""Folders into which people drop .torrent files and magnet links, to be fetched.

A file `NAME.torrent`, or `NAME.magnet` with a link in each line, is taken once it is whole, and
becomes `NAME.torrent.added`, or `.invalid` with a line that says why. Who may write into the folder
may be hostile: links, pipes and large files are refused, and names lead nowhere.

inotify tells of files at once. It does not tell of files that another machine writes to a network
file system, and so the folder is looked at every `LOOK` seconds as well.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Never

import trio

from trio_swarm.amounts import size_text
from trio_swarm.errors import EntryPresentError, MetainfoError, TrioSwarmError
from trio_swarm.foreign_text import shown
from trio_swarm.logs import logger_of
from trio_swarm.metainfo_files import MAX_TORRENT_FILE
from trio_swarm.protocol.metainfo.magnet import MAX_URI_LENGTH, parse_magnet
from trio_swarm.protocol.metainfo.torrent import parse_metainfo
from trio_swarm.service.entries.entries import Entries
from trio_swarm.settings import FetchSettings, WatchSettings
from trio_swarm.storage.folder_events import FolderEvents

log = logger_of(__name__)

LOOK: Final = 10.0
"""Seconds between two looks at a folder, whatever inotify tells: one system call, in a thread."""
PAUSE: Final = 0.5
"""Seconds until a look after something was told: somebody may write to the folder all the time."""
SETTLED_AFTER: Final = 2.0
"""Seconds for which a file must not have changed: programs write a small file in one go, and copies
over a network pause for less."""
GIVE_UP_AFTER: Final = 30.0
"""The same for a file that is not valid: it may be half of one, whose writer is slow."""
TRY_AGAIN: Final = 60.0
"""Seconds until a file is tried again that is good, and could not be added: a full disk, say."""

MAX_LISTED: Final = 10_000
"""Names of a folder that are looked at, those of files that were taken before included."""
MAX_LINKS: Final = 100
"""Links in one file: more of them are a mistake, or meant to fill the list."""
MAX_MAGNET_FILE: Final = MAX_LINKS * 4096
MAX_TRIES: Final = 100
"""Names that are tried for a file that is taken, if others have them."""
NAME_LENGTH: Final = 100
"""Characters of a file's name in a line."""


class DroppedFile(NamedTuple):
    """A file as a look at the folder found it."""

    name: str
    inode: int
    size: int
    mtime: int
    """Nanoseconds."""


class Drops:
    """Decides when a file that was dropped is whole; pure, time is a parameter (seconds)."""

    def __init__(self) -> None:
        self._since: dict[DroppedFile, float] = {}
        """When each file was first seen as it is."""
        self._not_before: dict[DroppedFile, float] = {}
        """When to try again the files that were tried."""

    def look(self, files: Iterable[DroppedFile], now: float) -> list[DroppedFile]:
        """Take note of the files that are there; return those to try now, the oldest first."""
        self._since = {each: self._since.get(each, now) for each in files}
        self._not_before = {
            each: until for each, until in self._not_before.items() if each in self._since
        }
        ready = [each for each in self._since if self._due(each) <= now]
        return sorted(ready, key=lambda each: (each.mtime, each.name))

    def is_final(self, file: DroppedFile, now: float) -> bool:
        """Whether a file that is not valid stays so: it has not changed for long."""
        return now - self._since.get(file, now) >= GIVE_UP_AFTER

    def later(self, file: DroppedFile, until: float) -> None:
        """Try a file again at `until` at the earliest, if it is as it is."""
        self._not_before[file] = until

    def wait(self, now: float) -> float:
        """Return the seconds until there is something to do, if nothing changes."""
        soonest = min((self._due(each) - now for each in self._since), default=LOOK)
        return min(LOOK, max(0.0, soonest))

    def _due(self, file: DroppedFile) -> float:
        return max(self._since[file] + SETTLED_AFTER, self._not_before.get(file, 0.0))


async def watch_folder(settings: WatchSettings, entries: Entries) -> Never:
    """Fetch what is dropped into a folder, until cancelled."""
    drops, told = Drops(), ""
    events = await trio.to_thread.run_sync(FolderEvents, settings.folder)
    try:
        while True:
            events.drain()
            try:
                files = await trio.to_thread.run_sync(_dropped, settings.folder)
                told = ""
            except OSError as error:
                files, reason = [], error.strerror or str(error)
                if reason != told:
                    log.warning("%s: cannot be watched: %s", settings.folder, reason)
                told = reason
            for file in drops.look(files, trio.current_time()):
                await _take(file, settings, entries, drops)
            with trio.move_on_after(drops.wait(trio.current_time())):
                if events.descriptor is None:
                    await trio.sleep_forever()
                await trio.lowlevel.wait_readable(events.descriptor)
                await trio.sleep(PAUSE)
    finally:
        events.close()


async def _take(file: DroppedFile, settings: WatchSettings, entries: Entries, drops: Drops) -> None:
    """Add what a file stands for, and rename it; a file that is not valid yet is left alone."""
    name = shown(file.name, NAME_LENGTH)
    try:
        wanted = await trio.to_thread.run_sync(_read, settings.folder, file)
        for what, metainfo in wanted:
            await _add(what, metainfo, settings, entries)
        ending = ".added"
    except MetainfoError as error:
        if not drops.is_final(file, trio.current_time()):
            drops.later(file, trio.current_time() + SETTLED_AFTER)
            return
        log.warning("%s in %s: %s", name, settings.folder, error)
        ending = ".invalid"
    except (TrioSwarmError, OSError) as error:
        log.warning("%s in %s: cannot be added now: %s", name, settings.folder, error)
        drops.later(file, trio.current_time() + TRY_AGAIN)
        return
    try:
        await trio.to_thread.run_sync(_rename, settings.folder, file, ending)
    except OSError as error:
        reason = error.strerror or str(error)
        log.warning("%s in %s: cannot be renamed: %s", name, settings.folder, reason)
        drops.later(file, float("inf"))


async def _add(
    what: str, metainfo: bytes | None, settings: WatchSettings, entries: Entries
) -> None:
    fetch = FetchSettings(what=what, folder=settings.to or Path(), wait=True)
    try:
        entry = await entries.add(
            fetch, paused=settings.paused, labels=settings.labels, metainfo=metainfo
        )
    except EntryPresentError as error:
        log.info("%s", error)
    else:
        log.info("%s: number %d of the list, from %s", entry.name, entry.id, settings.folder)


# --- blocking -------------------------------------------------------------------------------------


def _dropped(folder: Path) -> list[DroppedFile]:
    """Return the files in a folder that may be meant. Raises OSError."""
    found = []
    with os.scandir(folder) as listed:
        for _, entry in zip(range(MAX_LISTED), listed, strict=False):
            if entry.name.startswith(".") or not entry.name.endswith((".torrent", ".magnet")):
                continue  # a program's own, or taken already
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:  # it is gone
                continue
            if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                found.append(
                    DroppedFile(entry.name, status.st_ino, status.st_size, status.st_mtime_ns)
                )
    return found


def _read(folder: Path, file: DroppedFile) -> Sequence[tuple[str, bytes | None]]:
    """Return what a file stands for: what to fetch, and the .torrent to fetch it by.

    Raises MetainfoError if it is not valid, OSError if it cannot be read.
    """
    is_torrent = file.name.endswith(".torrent")
    limit = MAX_TORRENT_FILE if is_torrent else MAX_MAGNET_FILE
    data = _content(folder / file.name, limit)
    if is_torrent:
        name = parse_metainfo(data).info.name
        return [(name, data)]
    return [(link, None) for link in _links(data)]


def _content(path: Path, limit: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise MetainfoError(f"cannot be read: {error.strerror or error}") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise MetainfoError("is no file")
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise MetainfoError(f"is larger than {size_text(limit)}")
    return data


def _links(data: bytes) -> list[str]:
    """Return the magnet links in a file, one a line."""
    try:
        lines = [line.strip() for line in data.decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise MetainfoError("is not text with magnet links") from error
    if not lines:
        raise MetainfoError("holds no magnet link")
    if len(lines) > MAX_LINKS:
        raise MetainfoError(f"holds more than {MAX_LINKS} links")
    for line in lines:
        if not line[:7].lower() == "magnet:" or len(line) > MAX_URI_LENGTH:
            raise MetainfoError("holds something else than magnet links")
        parse_magnet(line)
    return lines


def _rename(folder: Path, file: DroppedFile, ending: str) -> None:
    """Give a file that was taken an ending that tells so, and a name that nobody has."""
    for number in range(1, MAX_TRIES + 1):
        more = f".{number}" if number > 1 else ""
        target = folder / f"{file.name}{more}{ending}"
        if not os.path.lexists(target):
            (folder / file.name).rename(target)
            return
    raise OSError(0, f"{MAX_TRIES} files of that name were taken before")
