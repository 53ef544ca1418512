"""The files of a node's list in the state folder: read in one go, each written in one step.

    entries/<id>.json      the record of an entry
    entries/<id>.torrent   its metainfo, if it was added by a .torrent file or learned from peers
    entries/totals.json    the totals of all entries
    entries/node.json      what was set of the whole node at run time
    entries/lock           held by the process whose list it is

A file is written to a temporary one, synced and renamed, so a process that is killed leaves the old
file or the new one. The record is what counts: a .torrent without one is a leftover. What cannot be
read is put aside under another name and told, so that it is neither lost nor in the way. Blocking;
threads call it, one at a time for each file.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from trio_swarm.errors import MetainfoError, StateFolderError, StorageError
from trio_swarm.metainfo_files import MAX_TORRENT_FILE
from trio_swarm.protocol.metainfo.torrent import Metainfo, parse_metainfo
from trio_swarm.service.entries.adding import first_totals
from trio_swarm.service.entries.records import (
    SHARE_KEY,
    AllTotals,
    KeptNode,
    Record,
    Totals,
    decode_node,
    decode_record,
    decode_totals,
    encode,
)
from trio_swarm.storage.resume.journal import TEMPORARY, replace_file
from trio_swarm.storage.state import state_errors
from trio_swarm.storage.tree import sync_folder

FOLDER: Final = "entries"
_TOTALS: Final = "totals.json"
_NODE: Final = "node.json"
_LOCK: Final = "lock"
_RECORD = re.compile(r"([1-9][0-9]{0,9})\.json")
_TORRENT = re.compile(r"([1-9][0-9]{0,9})\.torrent")
_ASIDE: Final = ".unreadable"

MAX_RECORD: Final = 1 << 20
"""Most bytes of a record that are read: a thousand peers and trackers fit in."""
MAX_TOTALS: Final = 64 << 20
"""Most bytes of the totals: of 100,000 entries."""


class Kept(Struct):
    """What the state folder held."""

    records: dict[int, Record] = field(default_factory=dict)
    totals: dict[int, Totals] = field(default_factory=dict)
    node: KeptNode = KeptNode()
    next_id: int = 1
    problems: list[str] = field(default_factory=list)
    """One line for each file that cannot be read."""


class EntryStore:
    """Keeps the list of one node; made by `open_store`. Its methods raise StorageError."""

    def __init__(self, folder: Path, lock: int | None) -> None:
        self.folder = folder
        self._lock = lock

    @property
    def is_lasting(self) -> bool:
        """Whether it is in the state folder, and not gone with the node."""
        return self._lock is not None

    def close(self) -> None:
        """Let another process have the list; one that does not last is removed."""
        if self._lock is not None:
            os.close(self._lock)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def load(self) -> Kept:
        """Read everything; what cannot be read is put aside."""
        kept = Kept()
        with state_errors(self.folder):
            names = sorted(os.listdir(self.folder))  # noqa: PTH208 - plain names
        for name in names:
            if name.startswith(TEMPORARY):
                self._forget(name)
            elif match := _RECORD.fullmatch(name):
                self._load_record(kept, name, int(match[1]))
        if _TOTALS in names:
            self._load_totals(kept)
        if _NODE in names:
            self._load_node(kept)
        next_id = max([kept.next_id - 1, *kept.records, *kept.totals]) + 1
        for number in [number for number in kept.totals if number not in kept.records]:
            if not kept.totals[number].key:  # it was added, and removed just before a kill
                del kept.totals[number]
        for number, record in kept.records.items():
            if number not in kept.totals and record.origin == "added":
                kept.totals[number] = first_totals(record, self.metainfo(number))
        for name in names:
            match = _TORRENT.fullmatch(name)
            if match and not _has_metainfo(kept, int(match[1])):
                self._forget(name)
        kept.next_id = next_id
        return kept

    def save(self, record: Record) -> None:
        """Write a record; when this returns, it outlives a power failure."""
        self._write(f"{record.id}.json", encode(record))

    def forget_metainfo(self, number: int) -> None:
        """Remove the .torrent file of an entry; harmless if there is none."""
        self._forget(f"{number}.torrent")

    def put_away(self, record: Record) -> None:
        """Write the record of an entry that stays away; nothing else of it is kept."""
        self.save(record)
        self.forget_metainfo(record.id)

    def save_totals(self, totals: Iterable[Totals], next_id: int) -> None:
        """Write the totals of all entries."""
        self._write(_TOTALS, encode(AllTotals(next_id=next_id, entries=tuple(totals))))

    def save_node(self, kept: KeptNode) -> None:
        """Write what was set of the node."""
        self._write(_NODE, encode(kept))

    def save_metainfo(self, number: int, data: bytes) -> None:
        """Write the .torrent file of an entry."""
        self._write(f"{number}.torrent", data)

    def path_of_metainfo(self, number: int) -> Path:
        """Return the path of the .torrent file of an entry."""
        return self.folder / f"{number}.torrent"

    def metainfo(self, number: int) -> Metainfo | None:
        """Return the metainfo that is kept of an entry; a file that cannot be read is put aside."""
        path = self.path_of_metainfo(number)
        try:
            return parse_metainfo(_read(path, MAX_TORRENT_FILE))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, MetainfoError):
            self._put_aside(path)
            return None

    def forget(self, number: int) -> None:
        """Remove all that is kept of an entry, the record first; harmless if there is nothing."""
        self._forget(f"{number}.json")
        self._forget(f"{number}.torrent")
        with state_errors(self.folder):
            sync_folder(self.folder)

    def _write(self, name: str, data: bytes) -> None:
        with state_errors(self.folder / name):
            replace_file(self.folder / name, data)
            sync_folder(self.folder)

    def _forget(self, name: str) -> None:
        with state_errors(self.folder / name):
            (self.folder / name).unlink(missing_ok=True)

    def _load_record(self, kept: Kept, name: str, number: int) -> None:
        path = self.folder / name
        try:
            record = _of_number(number, decode_record(_read(path, MAX_RECORD)))
        except (OSError, ValueError) as error:
            kept.problems.append(self._told_aside(path, error))
        else:
            kept.records[number] = record

    def _load_totals(self, kept: Kept) -> None:
        path = self.folder / _TOTALS
        try:
            found = decode_totals(_read(path, MAX_TOTALS))
        except (OSError, ValueError) as error:
            kept.problems.append(self._told_aside(path, error))
        else:
            kept.totals = {each.id: each for each in found.entries}
            kept.next_id = found.next_id

    def _load_node(self, kept: Kept) -> None:
        path = self.folder / _NODE
        try:
            kept.node = decode_node(_read(path, MAX_RECORD))
        except (OSError, ValueError) as error:
            kept.problems.append(self._told_aside(path, error))

    def _told_aside(self, path: Path, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or str(error)
        aside = self._put_aside(path)
        where = f"it is kept as {aside.name}" if aside is not None else "it is left as it is"
        return f"{path}: cannot be read: {reason}; {where}"

    def _put_aside(self, path: Path) -> Path | None:
        aside = path.with_name(path.name + _ASIDE)
        number = 1
        while os.path.lexists(aside):
            number += 1
            aside = path.with_name(f"{path.name}{_ASIDE}-{number}")
        with suppress(OSError):
            path.rename(aside)
            return aside
        return None


def _has_metainfo(kept: Kept, number: int) -> bool:
    record = kept.records.get(number)
    if record is None:
        totals = kept.totals.get(number)  # a share's is kept only while a record says why
        return totals is not None and not totals.key.startswith(SHARE_KEY)
    return not record.is_removed and (not record.is_of_share or record.is_carried)


def _of_number(number: int, record: Record) -> Record:
    if record.id != number:
        raise ValueError(f"it is the record of number {record.id}")
    return record


def _read(path: Path, most: int) -> bytes:
    # A link or a pipe in its place is not ours.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it has more than {most} bytes")
    return data


def open_store(state_folder: Path) -> EntryStore:
    """Take the list in a state folder, which is made if it is missing.

    Raises StateFolderError if it cannot be used, ListInUseError if another process has it.
    """
    folder = state_folder / FOLDER
    if state_folder.parts[:1] == ("~",):  # else a folder named ~ would be made here
        raise StateFolderError("this user has no home folder", path=state_folder)
    with state_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise ListInUseError("another trio-swarm has the list in it", path=folder) from None
        except OSError:
            os.close(lock)
            raise
    return EntryStore(folder, lock)


def temporary_store() -> EntryStore:
    """Return a store for a list that ends with the node. Raises StorageError."""
    with state_errors(Path(tempfile.gettempdir())):
        return EntryStore(Path(tempfile.mkdtemp(prefix="trio-swarm-entries-")), None)


class ListInUseError(StorageError):
    """Another process has the list of this state folder."""
