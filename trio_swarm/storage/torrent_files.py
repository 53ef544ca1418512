"""One torrent's files on the disk: checked, written piece by piece, served, finished."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from msgspec import Struct

from trio_swarm.errors import StorageError
from trio_swarm.piece_sets import PieceSet, from_pieces, full_set
from trio_swarm.protocol.metainfo import Info
from trio_swarm.storage import hashing, resume_log
from trio_swarm.storage.access import FileAccess, FileSlice
from trio_swarm.storage.disk_errors import disk_errors, storage_error
from trio_swarm.storage.disk_names import choose_names
from trio_swarm.storage.hashing import OnProgress, ShouldStop, never_stop, no_progress
from trio_swarm.storage.journal import Stamp
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.placement import Placement
from trio_swarm.storage.resume import ResumeState, judge
from trio_swarm.storage.resume_log import ResumeLog
from trio_swarm.storage.sharing import remember_download
from trio_swarm.storage.state import DownloadLock, StateFolder
from trio_swarm.storage.tree import Tree, sync_folder
from trio_swarm.storage.write_batch import WriteBatch
from trio_swarm.storage.write_out import start_write_out

CLOSE_SYNC_BYTES = 256 << 20
"""`close` syncs what was written since the last sync if it is at most this much: a node has seconds
to close. Beyond, the data is in the operating system's hands, and checked again if that crashes."""

WRITE_OUT_BYTES = 32 << 20
"""After so many written bytes the disk is set to work on them, so that `finish`, which must wait
for it, comes to a disk that is nearly done."""


class CheckResult(Struct, frozen=True):
    """The pieces that are right on the disk, and how many had to be hashed to know that."""

    have: PieceSet
    hashed: int


class TorrentFiles:
    """The files of one torrent: a download (`for_download`) or a share (`for_share`).

    Order of calls: `check` once, then `write_pieces` from any threads while `slices` is called from
    one thread and `read` from any, then `finish` when every piece is there, and `close` at any time
    when no other call runs. All block, and raise StorageError (DiskFullError for a lack of room).

    `is_complete` is true when every piece is right and the data has its final name.
    """

    def __init__(self, info: Info, root: Path, state: StateFolder) -> None:
        _require_safe_paths(info)
        self.info = info
        self.layout = Layout(info)
        self.is_complete = False
        self.renamed: tuple[tuple[str, str], ...] = ()
        """What has another name here than in the torrent: (its name, the name here)."""
        self._have: PieceSet = 0
        self._home = root
        self._state = state
        self._access = FileAccess(self.layout, Tree(root))
        self._placement: Placement | None = None
        self._lock: DownloadLock | None = None
        self._log: ResumeLog | None = None
        self._unsynced: set[int] = set()
        self._unsynced_bytes = 0
        self._dirty_bytes = 0

    @classmethod
    def for_download(cls, info: Info, folder: Path, state_folder: Path) -> Self:
        """Prepare a download of `info` into `folder` (created if missing) as its name.

        What already is there is found by `check`, by the rules of `placement`. Names that this file
        system cannot hold are changed, see `renamed` and `disk_names`. Raises StorageError
        if another trio-swarm is downloading to the same path, or if what is there is a link, or of
        the wrong kind.
        """
        _require_safe_name(info.name)
        _require_safe_paths(info)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            folder = folder.resolve()
        state = StateFolder(state_folder)
        names = choose_names(info, folder, state)
        placement = Placement(names.info, folder)
        files = cls(names.info, placement.final, state)
        files.renamed = names.renamed
        files._placement = placement
        files._lock = DownloadLock(state.lock(placement.final), placement.final)
        try:
            files._access.tree = Tree(placement.locate())
        except StorageError:
            files._lock.release()
            raise
        return files

    @classmethod
    def for_share(cls, info: Info, root: Path, state_folder: Path) -> Self:
        """Prepare to serve `info` from the file or folder `root`, whatever its name.

        A folder's files are looked for where the torrent has them; those that are missing or have
        another size are not served. Raises StorageError if `root` is missing or of the wrong kind.
        """
        with disk_errors(root):
            root = Path(os.path.realpath(root, strict=True))
        if info.is_single_file != root.is_file() or not (root.is_file() or root.is_dir()):
            wanted = "file" if info.is_single_file else "folder"
            raise StorageError(f"is not a {wanted}, as the torrent says", path=root)
        return cls(info, root, StateFolder(state_folder))

    @property
    def root(self) -> Path:
        """Where the data is now: NAME.part (or NAME.part/) until finished."""
        return self._access.tree.root

    @property
    def have(self) -> PieceSet:
        """The pieces known to be right: found by `check`, or written since."""
        return self._have if self._log is None else self._log.have

    def check(
        self, on_progress: OnProgress = no_progress, should_stop: ShouldStop = never_stop
    ) -> CheckResult:
        """Find which pieces are right, hashing only those the resume state cannot vouch for.

        `on_progress(done, total)` gets bytes of what is hashed. Raises HashingStopped when
        `should_stop()` says so; StorageError for data that is not this torrent's (see
        `placement`), which is left as it is.
        """
        if self._placement is None:
            return self._check_share(on_progress, should_stop)
        return self._check_download(self._placement, on_progress, should_stop)

    def write_pieces(
        self, pieces: Sequence[tuple[int, bytes | bytearray | memoryview]]
    ) -> tuple[int, StorageError | None]:
        """Write pieces the caller has verified, in this order, and record them; any thread.

        They are announced and recorded together, so let them be few. Returns how many were written
        and recorded, and why no more were, if so; every piece recorded before still is.
        """
        log = self._log
        if log is None:
            return 0, StorageError("is not open for writing", path=self.root)
        views = [(piece, memoryview(data).cast("B")) for piece, data in pieces]
        for piece, view in views:
            if len(view) != self.info.piece_size(piece):
                raise ValueError(f"piece {piece} has {self.info.piece_size(piece)} bytes")
        batch = WriteBatch(self._access, self.layout)
        take_stamps = partial(self._take_stamps, batch)
        numbers = [piece for piece, _ in views]
        done = 0
        try:
            log.begin(numbers)
            for piece, view in views:
                batch.write(piece, view)
                done += 1
            batch.path = self.root
            log.written(numbers, take_stamps)
            if self._dirty_bytes >= WRITE_OUT_BYTES:
                self._dirty_bytes = 0
                for descriptor in batch.held.values():
                    start_write_out(descriptor)
        except (OSError, StorageError) as error:
            if not log.failed(numbers[done:], take_stamps, written=numbers[:done]):
                done = 0
            if isinstance(error, StorageError):
                return done, error
            missing = full_set(self.info.piece_count) & ~log.have
            needed = self.layout.count_bytes(missing)
            return done, storage_error(error, batch.path, needed=needed)
        finally:
            batch.release()
        return done, None

    def _take_stamps(self, batch: WriteBatch) -> Mapping[int, Stamp]:
        """Count what was written, too: here, as the log's lock is held."""
        stamps = batch.take_stamps()
        self._unsynced.update(stamps)
        self._unsynced_bytes += batch.written
        self._dirty_bytes += batch.written
        return stamps

    def slices(self, piece: int, begin: int, length: int) -> list[FileSlice]:
        """Return where the bytes of a block lie, for sendfile, in order.

        Descriptors are valid until the next `slices` or `close`; call it from one thread only.
        Raises StorageError if a file has vanished or changed when it has to be opened, ValueError
        for a block that is not inside the piece.
        """
        return self._access.slices(piece, begin, length)

    def read_into(self, piece: int, begin: int, buffer: memoryview) -> None:
        """Fill `buffer` with a block's bytes; the thread of `slices` only. Errors as for that."""
        self._access.read_into(piece, begin, buffer)

    def read(self, piece: int, begin: int, length: int) -> bytes:
        """Return the bytes of a block; any thread. Errors as for `slices`."""
        return self._access.read(piece, begin, length)

    def finish(self) -> Path:
        """Sync the finished data, give it its final name and return that; idempotent.

        Raises ValueError while a piece is missing. After a StorageError nothing is lost: call
        again, or start again.
        """
        if self.is_complete:
            return self.root
        placement, log = self._placement, self._log
        if placement is None or log is None or log.have != full_set(self.info.piece_count):
            raise ValueError("only a checked download with all its pieces can be finished")
        access = self._access
        access.create_empty_files()
        stamps = access.scan()
        for file, length in enumerate(self.layout.lengths):
            if self.layout.stored[file] and (file not in stamps or stamps[file].size != length):
                raise StorageError(
                    "was removed or changed by another program; start again to fetch it again",
                    path=access.tree.at(self.info.files[file].path),
                )
        access.sync(self._unsynced)
        access.writing.close()
        with access.moving:
            placement.publish()
            access.tree = Tree(placement.final)
        with disk_errors(placement.final.parent):
            sync_folder(placement.final.parent)
        stamps = access.scan()
        access.fixed = stamps
        log.stop(stamps=stamps, durable=True)
        if not self.renamed:
            remember_download(self.info, placement.final, self._state.folder, stamps)
        self._become_complete()
        return self.root

    def close(self) -> None:
        """Save the resume state and close everything; idempotent. Data is synced if that is quick.

        Raises no error for what cannot be saved: then pieces are checked again at the next start.
        """
        log = self._log
        if log is not None:
            durable = self._unsynced_bytes <= CLOSE_SYNC_BYTES
            if durable:
                try:
                    self._access.sync(self._unsynced)
                except StorageError:
                    durable = False
            log.stop(durable=durable)
            self._have = log.have
            self._log = None
        self._access.close()
        if self._lock is not None:
            self._lock.release()

    def _check_download(
        self, placement: Placement, on_progress: OnProgress, should_stop: ShouldStop
    ) -> CheckResult:
        access = self._access
        journal = self._state.journal(self._home, self.info.info_hash)
        state = resume_log.load(journal, self.layout)
        access.tree = Tree(placement.locate())
        found = access.scan()
        self._refuse_longer(found)
        have, hashed = self._verify(state, found, on_progress, should_stop)
        is_whole = have == full_set(self.info.piece_count)
        self._have = have
        if self.root == placement.final:
            if is_whole:
                access.create_empty_files()
                found = access.scan()
                access.fixed = found
                with disk_errors(journal):
                    resume_log.save_snapshot(
                        journal, resume_log.make_snapshot(self.layout, have, found, durable=True)
                    )
                self._become_complete()
                return CheckResult(have, hashed)
            self._refuse_foreign(have, found)
            placement.adopt()
            access.tree = Tree(placement.part)
        elif not have and not state.known and (access.has_data(found) or self._has_other_entries()):
            raise StorageError(
                "holds data that is not of this torrent; move it away to download here",
                path=self.root,
            )
        stamps = access.prepare(found)
        durable = state.durable and not hashed and stamps == state.stamps
        # What was found by hashing may be in the page cache only.
        self._unsynced = set() if durable else set(stamps)
        log = ResumeLog(journal, self.layout)
        log.start(have, stamps, durable=durable)
        self._log = log
        return CheckResult(have, hashed)

    def _check_share(self, on_progress: OnProgress, should_stop: ShouldStop) -> CheckResult:
        record = self._state.share(self._home, self.info.info_hash)
        state = resume_log.load(record, self.layout)
        if not state.known:
            # Perhaps we downloaded it.
            journal = self._state.journal(self._home, self.info.info_hash)
            state = resume_log.load(journal, self.layout)
        found = {
            file: stamp
            for file, stamp in self._access.scan().items()
            if stamp.size == self.layout.lengths[file]
        }
        have, hashed = self._verify(state, found, on_progress, should_stop)
        with disk_errors(record):
            resume_log.save_snapshot(
                record, resume_log.make_snapshot(self.layout, have, found, durable=True)
            )
        self._access.close()
        self._access.fixed = found
        self._have = have
        self.is_complete = have == full_set(self.info.piece_count)
        return CheckResult(have, hashed)

    def _verify(
        self,
        state: ResumeState,
        found: Mapping[int, Stamp],
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> tuple[PieceSet, int]:
        verdict = judge(state, self.layout, found)
        digests = hashing.hash_pieces(
            self.layout,
            self._access.open_to_hash,
            verdict.to_hash,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        right = (
            piece for piece, digest in digests.items() if digest == self.info.piece_hash(piece)
        )
        return verdict.vouched | from_pieces(right), verdict.to_hash.bit_count()

    def _refuse_longer(self, found: Mapping[int, Stamp]) -> None:
        for file, stamp in found.items():
            length = self.layout.lengths[file]
            if stamp.size > length:
                raise StorageError(
                    f"has {stamp.size} bytes, more than the {length} of this torrent's file; "
                    "move it away to download here",
                    path=self._access.tree.at(self.info.files[file].path),
                )

    def _has_other_entries(self) -> bool:
        """Tell whether NAME.part/ holds what the torrent does not: it is a folder of somebody's."""
        if self.info.is_single_file or not self.root.exists():
            return False
        own = {entry.path[0] for entry in self.info.files if not entry.padding}
        with disk_errors(self.root):
            return any(entry.name not in own for entry in self.root.iterdir())

    def _refuse_foreign(self, have: PieceSet, found: Mapping[int, Stamp]) -> None:
        """Raise StorageError if NAME holds data, and none of it is this torrent's."""
        if have:
            return
        if self.info.is_single_file:
            is_empty = not self._access.has_data(found)
        else:
            with disk_errors(self.root):
                is_empty = not any(self.root.iterdir())
        if not is_empty:
            raise StorageError(
                "exists already and is not of this torrent; move it away or choose another folder",
                path=self.root,
            )

    def _become_complete(self) -> None:
        self.is_complete = True
        self._have = full_set(self.info.piece_count)
        self._unsynced = set()
        self._unsynced_bytes = 0
        self._log = None
        # From here on it is only read: others may share it, or "download" it and find it done.
        self._placement = None
        if self._lock is not None:
            self._lock.release()


def _require_safe_name(name: str) -> None:
    """Raise StorageError for a name that is no name in its folder (metainfo makes all safe)."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise StorageError("is not a safe file name", path=Path(name.replace("\0", "?")))


def _require_safe_paths(info: Info) -> None:
    for entry in info.files:
        if entry.padding:
            continue
        if not entry.path and not info.is_single_file:
            raise StorageError("a file has no name", path=Path(info.name))
        for name in entry.path:
            _require_safe_name(name)
