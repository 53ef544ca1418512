"""What a download has verified, kept in memory and in its journal at once."""

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
    Begun,
    Failed,
    Journal,
    Snapshot,
    Stamp,
    Written,
    encode_record,
    read_journal,
    replace_file,
)
from trio_swarm.storage.resume.vouching import ResumeState, current_boot_id, replay

NO_STAMPS: Mapping[int, Stamp] = MappingProxyType({})

TakeStamps = Callable[[], Mapping[int, Stamp]]
"""Returns the stamps of the files that pieces touched, as they are at this moment."""


class ResumeLog:
    """The verified pieces and the files' stamps of one torrent; thread-safe.

    `path` None: in memory only, where the state folder cannot be used. `start` before anything
    else. Every method raises StorageError (DiskFullError) if the state folder cannot be written;
    what was recorded before stays.
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
        """True between `start` and `stop`."""
        return self._is_open

    def start(
        self,
        have: PieceSet,
        stamps: Mapping[int, Stamp],
        *,
        durable: bool,
        doubted: frozenset[int] = frozenset(),
    ) -> None:
        """Begin a compacted journal that says just this; ends one begun before."""
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
        """Announce that the pieces' bytes are about to be written."""
        with self._lock:
            now = time.time_ns()
            self._append([Begun(piece, now) for piece in pieces])

    def written(self, pieces: Sequence[int], take_stamps: TakeStamps) -> None:
        """Record the pieces as verified and written."""
        # Stamps are taken under the lock: so the last record of a file holds its last stamp, also
        # when two threads write different pieces of it.
        with self._lock:
            self._record(pieces, (), take_stamps())

    def failed(
        self, pieces: Sequence[int], take_stamps: TakeStamps, *, written: Sequence[int] = ()
    ) -> bool:
        """Record that pieces announced were not written, or not wholly, and that others were.

        Never raises; returns whether that is recorded. If not, the next start hashes all of them.
        """
        with self._lock:
            try:
                self._record(written, pieces, take_stamps())
            except (OSError, StorageError):
                return False
        return True

    def stop(self, *, stamps: Mapping[int, Stamp] | None = None, durable: bool) -> None:
        """Compact the journal and end; `stamps` replace those known, if given.

        If that cannot be written the journal stays as it is, and says the same. Idempotent.
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
        # The stamps once, with the first: if the rest is torn off, those pieces are still begun.
        records: list[Written | Failed] = []
        for kind, pieces in ((Written, written), (Failed, failed)):
            for piece in pieces:
                records.append(kind(piece, NO_STAMPS if records else stamps))
        self._append(records)
        self.stamps.update(stamps)
        for piece in written:
            self.have |= 1 << piece

    def _append(self, records: Sequence[Begun | Written | Failed]) -> None:
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
    """Return what the journal or snapshot at `path` says; raises StorageError if unreadable."""
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
    """Return the snapshot of a torrent as it is now, in this boot."""
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
    """Put a state file of one snapshot at `path`, in one step; raises OSError."""
    replace_file(path, MAGIC + encode_record(snapshot))
