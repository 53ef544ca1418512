"""The verified pieces of a download, kept in memory and in its journal at the same time."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from trio_swarm.errors import StorageError
from trio_swarm.piece_sets import PieceSet
from trio_swarm.storage.disk_errors import disk_errors, storage_error
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.resume.journal import (
    MAGIC,
    BegunRecord,
    FailedRecord,
    Journal,
    Snapshot,
    Stamp,
    WrittenRecord,
    encode_record,
    read_journal,
    replace_file,
)
from trio_swarm.storage.resume.vouching import ResumeState, current_boot_id, replay

NO_STAMPS: Mapping[int, Stamp] = MappingProxyType({})

TakeStamps = Callable[[], Mapping[int, Stamp]]
"""Returns the present stamps of the files that the pieces touched."""


class ResumeLog:
    """The verified pieces and the files' stamps of one torrent; thread-safe.

    If `path` is None, they are kept in memory only, because the state folder cannot be used.
    `start` must be called first. Every method raises StorageError (DiskFullError) if the state
    folder cannot be written; records made before are kept.
    """

    __slots__ = ("_is_open", "_journal", "_layout", "_lock", "_path", "doubted", "have", "stamps")

    def __init__(self, path: Path | None, layout: Layout) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._is_open = False
        self._layout = layout
        self.have: PieceSet = 0
        self.stamps: dict[int, Stamp] = {}
        self.doubted: frozenset[int] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether `start` was called, and `stop` was not called after it."""
        return self._is_open

    def start(
        self,
        have: PieceSet,
        stamps: Mapping[int, Stamp],
        *,
        durable: bool,
        doubted: frozenset[int] = frozenset(),
    ) -> None:
        """Begin a new journal with one snapshot of this state; it replaces any earlier journal."""
        with self._lock:
            self._close_journal()
            self.have = have
            self.stamps = dict(stamps)
            self.doubted = doubted
            self._is_open = True
            if self._path is None:
                return
            with disk_errors(self._path):
                self._journal = Journal(
                    self._path,
                    make_snapshot(self._layout, have, stamps, durable=durable, doubted=doubted),
                )

    def begin(self, pieces: Sequence[int]) -> None:
        """Record that the pieces' bytes are about to be written."""
        with self._lock:
            now = time.time_ns()
            self._append([BegunRecord(piece, now) for piece in pieces])

    def written(self, pieces: Sequence[int], take_stamps: TakeStamps) -> None:
        """Record the pieces as verified and written."""
        # Stamps are taken with the lock held, so that the last record of a file has its last stamp,
        # even if two threads write different pieces of it.
        with self._lock:
            self._record(pieces, (), take_stamps())

    def failed(
        self, pieces: Sequence[int], take_stamps: TakeStamps, *, written: Sequence[int] = ()
    ) -> bool:
        """Record that begun pieces were not written completely, and that `written` ones were.

        Never raises; returns whether the record was written. If not, the next start hashes all of
        these pieces.
        """
        with self._lock:
            try:
                self._record(written, pieces, take_stamps())
            except (OSError, StorageError):
                return False
        return True

    def stop(self, *, stamps: Mapping[int, Stamp] | None = None, durable: bool) -> None:
        """Write one last snapshot and end; `stamps` replace the known ones, if given. Idempotent.

        If the snapshot cannot be written, the journal stays, which records the same state.
        """
        with self._lock:
            if not self._is_open:
                return
            self._close_journal()
            self._is_open = False
            if stamps is not None:
                self.stamps = dict(stamps)
            if self._path is None:
                return
            try:
                save_snapshot(
                    self._path,
                    make_snapshot(
                        self._layout,
                        self.have,
                        self.stamps,
                        durable=durable,
                        doubted=self.doubted,
                    ),
                )
            except OSError:
                return

    def _record(
        self, written: Sequence[int], failed: Sequence[int], stamps: Mapping[int, Stamp]
    ) -> None:
        # Only the first record has the stamps: if the others are torn off, their pieces still count
        # as begun.
        records: list[WrittenRecord | FailedRecord] = []
        for kind, pieces in ((WrittenRecord, written), (FailedRecord, failed)):
            for piece in pieces:
                records.append(kind(piece, NO_STAMPS if records else stamps))
        self._append(records)
        self.stamps.update(stamps)
        for piece in written:
            self.have |= 1 << piece

    def _append(self, records: Sequence[BegunRecord | WrittenRecord | FailedRecord]) -> None:
        if self._path is None:
            return
        if self._journal is None:
            raise StorageError("is closed", path=self._path)
        try:
            self._journal.append(records)
        except OSError as error:
            raise storage_error(error, self._path) from error

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def load(path: Path, layout: Layout) -> ResumeState:
    """Return the state that a journal or snapshot records; raises StorageError if unreadable."""
    with disk_errors(path):
        return replay(read_journal(path), layout, current_boot_id())


def make_snapshot(
    layout: Layout,
    have: PieceSet,
    stamps: Mapping[int, Stamp],
    *,
    durable: bool,
    doubted: frozenset[int] = frozenset(),
) -> Snapshot:
    """Return the snapshot of a torrent's present state, in this boot."""
    info = layout.info
    return Snapshot(
        info.info_hash,
        info.piece_count,
        len(info.files),
        durable,
        current_boot_id(),
        have,
        stamps,
        doubted,
    )


def save_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Put a state file with one snapshot at `path`, in one step; raises OSError."""
    replace_file(path, MAGIC + encode_record(snapshot))


def forget_checks(path: Path, layout: Layout) -> None:
    """Have all of a torrent's files hashed at the next start: it is known, but no piece of it is.

    Raises StorageError if that cannot be written.
    """
    with disk_errors(path):
        save_snapshot(path, make_snapshot(layout, 0, {}, durable=True))
