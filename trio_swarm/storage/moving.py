"""Moving the data of a torrent that is not in use to another folder, with its resume state.

Within one file system, a file or a folder with nothing else in it is renamed. Otherwise the files
are linked (within one file system) or copied and synced into a hidden folder beside the target,
which gives them their name in one step; only then they are removed where they were. So whatever
interrupts it, one of the two places has all of the data. If both have, whoever goes on with it
takes the new one. Files that are not of the torrent stay, and nothing is overwritten.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from trio_swarm.errors import DiskFullError, StateFolderError, StorageError
from trio_swarm.logs import logger_of
from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.protocol.metainfo.info import parse_info
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.disk_errors import disk_errors, format_bytes, storage_error
from trio_swarm.storage.disk_names import choose_names
from trio_swarm.storage.hashing import (
    HashingStopped,
    OnProgress,
    ShouldStop,
    never_stop,
    no_progress,
)
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.placement import Placement, rename_to_free
from trio_swarm.storage.rehashing import right_pieces
from trio_swarm.storage.resume import log as resume_log
from trio_swarm.storage.resume.journal import Stamp
from trio_swarm.storage.resume.vouching import ResumeState
from trio_swarm.storage.shares import remember_download
from trio_swarm.storage.state import DownloadLock, StateFolder
from trio_swarm.storage.tree import Tree, sync_folder

log = logger_of(__name__)

COPY_BYTES: Final = 8 * 1024 * 1024
"""Bytes that are copied at a time, before somebody may stop it."""

_STAGE: Final = ".trio-swarm-moving-"


def move_data(
    info: Info,
    root: Path,
    folder: Path,
    state_folder: Path,
    *,
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never_stop,
    is_begun: bool = False,
) -> Path:
    """Move what a torrent has at `root` into `folder`; return where it is now. Blocking.

    `root` is the file or folder that `Torrent.path` named, finished or not; no torrent may use it.
    The resume state goes along: only files that differ from it are hashed at the next start.
    `on_progress(done, total)` gets bytes that are copied. `is_begun`: a process that was killed
    began to move it there, so what has the data's names, sizes and times there is the data, or what
    is right by all that is known of it. Raises StorageError (DiskFullError), and HashingStopped if
    `should_stop()` returned true; then nothing was moved.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve(strict=True)
    with disk_errors(root):
        root = root.parent.resolve(strict=True) / root.name
    if folder == root.parent:
        return root
    if root == folder or root in folder.parents:
        raise StorageError("is inside the folder that is to be moved", path=folder)
    state = StateFolder(state_folder)
    move = _Move(choose_names(info, root.parent, state).info, root, folder, state)
    with move.locked():
        return move.run(on_progress, should_stop, is_begun=is_begun)


def settle_moved(info: Info, old: Path, folder: Path, state_folder: Path) -> None:
    """Have the state of data follow that a killed process has moved out of a folder. Blocking.

    `info` has the names of the data. Its files are hashed at the next start: nobody saw them go.
    Nothing is done while the old folder has something of its name, or the new one nothing: a disk
    may be away. Nor is what goes wrong told: then all is as it was.
    """
    state = StateFolder(state_folder)
    with contextlib.suppress(StorageError, OSError):
        old, folder = Path(os.path.realpath(old)), folder.resolve(strict=True)
        names = choose_names(info, old, state).info
        source, target = Placement(names, old), Placement(names, folder)
        if old == folder or any(map(os.path.lexists, (source.final, source.part))):
            return
        for root, there in ((source.final, target.final), (source.part, target.part)):
            if os.path.lexists(there):
                move = _Move(names, root, folder, state)
                with move.locked():
                    move.settle()
                return


def bytes_to_copy(info: Info, root: Path, folder: Path) -> int:
    """Return how many bytes a move of the data at `root` takes on the disk of `folder`. Blocking.

    0 on the same file system, where it is renamed or linked. Holes are not counted. `folder` may
    not exist yet.
    """
    with disk_errors(root):
        root = root.parent.resolve(strict=True) / root.name
        source = root.parent.stat().st_dev
    with disk_errors(folder):
        place = folder.resolve()
        while not place.exists() and place != place.parent:
            place = place.parent
        if place.stat().st_dev == source:
            return 0
    needed = 0
    layout = Layout(info, border=True)
    files = (file for file, is_stored in enumerate(layout.stored) if is_stored)
    for path in (root.joinpath(*layout.path_of(file)) for file in files):
        with contextlib.suppress(OSError):
            status = path.lstat()
            needed += min(status.st_size, status.st_blocks * 512)
    return needed


class _Move:
    def __init__(self, info: Info, root: Path, folder: Path, state: StateFolder) -> None:
        self._info = info
        self._layout = Layout(info, border=True)
        self._root = root
        self._folder = folder
        self._state = state
        self._from, self._to = Placement(info, root.parent), Placement(info, folder)
        self._is_download = root in {self._from.final, self._from.part}
        # The longest names differ between file systems.
        self._target = self._to.part if root == self._from.part else folder / root.name
        self._stage = folder / f"{_STAGE}{info.info_hash.hex()}"
        self._access = FileAccess(self._layout, Tree(root))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody download to either place meanwhile."""
        locks: list[DownloadLock] = []
        try:
            with contextlib.suppress(StateFolderError):  # then nobody has locks
                for final in (self._from.final, self._to.final):
                    lock = DownloadLock(self._state.lock(final), final)
                    locks.append(lock)
            yield
        finally:
            for lock in locks:
                lock.release()

    def run(self, on_progress: OnProgress, should_stop: ShouldStop, *, is_begun: bool) -> Path:
        known = self._resume_state()
        before = self._access.scan()
        if not before and not self._root.is_dir():
            raise StorageError("does not exist (any more)", path=self._root)
        is_durable = True
        is_there = is_begun and self._is_there(before, known.have, should_stop)
        if is_there:
            with _staged(self._stage):
                pass  # what is left in it goes
        else:
            self._require_room()
            if self._is_alone() and self._rename():
                is_durable = known.durable
            else:
                self._carry(before, on_progress, should_stop)
        with disk_errors(self._folder):
            sync_folder(self._folder)
        unchanged = {
            file: stamp for file, stamp in before.items() if known.stamps.get(file) == stamp
        }
        if not (is_there and self._is_known_there()):
            self._keep_state(known, unchanged, is_durable=is_durable)
        try:
            if self._root.exists():
                self._remove_source(before)
            sync_folder(self._root.parent)
        except (StorageError, OSError) as error:  # what cannot be removed stays, too
            log.warning("%s; it was moved to %s, and what it was is left", error, self._target)
        self._forget_state()
        return self._target

    def settle(self) -> None:
        """Have the state follow the data, all of which is at the target already."""
        if not self._is_known_there():
            known = self._resume_state()
            self._keep_state(known, {}, is_durable=known.durable)
        self._forget_state()

    def _require_room(self) -> None:
        taken = {self._target}
        if self._is_download:
            taken |= {self._to.final, self._to.part}
        for path in sorted(taken):
            if os.path.lexists(path):
                raise StorageError("exists already and is not overwritten", path=path)

    def _is_there(self, before: Mapping[int, Stamp], have: PieceSet, stop: ShouldStop) -> bool:
        """Whether all that is left of the data is at the target, too."""
        if not os.path.lexists(self._target):
            return False
        access = FileAccess(self._layout, Tree(self._target))
        there = access.scan()
        is_same = bool(there) and all(
            file in there
            and (there[file].size, there[file].mtime_ns) == (stamp.size, stamp.mtime_ns)
            for file, stamp in before.items()
        )
        if is_same or not have:
            return is_same
        try:  # a file system may not hold times as exactly
            return right_pieces(access, have, should_stop=stop) == have and access.scan() == there
        except (StorageError, OSError):
            return False

    def _require_space(self, files: Mapping[int, Stamp]) -> None:
        """Raise DiskFullError now rather than after hours of copying."""
        needed = bytes_to_copy(self._info, self._root, self._folder) if files else 0
        if needed:
            with disk_errors(self._folder):
                free = shutil.disk_usage(self._folder).free
            if free < needed:
                text = f"has {format_bytes(free)} free, and {format_bytes(needed)} are to be copied"
                raise DiskFullError(text, path=self._folder)

    # --- the data ---------------------------------------------------------------------------------

    def _is_alone(self) -> bool:
        """Whether nothing but the torrent's files is in its folder."""
        if self._info.is_single_file:
            return True
        own = {self._layout.path_of(self._layout.border)}
        for entry in self._info.files:
            if not entry.padding:
                own |= {entry.path[:depth] for depth in range(1, len(entry.path) + 1)}
        with disk_errors(self._root):
            for place, folders, files in os.walk(self._root):
                inner = Path(place).relative_to(self._root).parts
                if any((*inner, name) not in own for name in (*folders, *files)):
                    return False
        return True

    def _rename(self) -> bool:
        """Rename the whole; return whether that is possible: not to another file system."""
        with disk_errors(self._root):
            if self._root.stat().st_dev != self._folder.stat().st_dev:
                return False
            try:
                rename_to_free(self._root, self._target, by_link=self._info.is_single_file)
            except FileExistsError:
                raise StorageError("has appeared meanwhile", path=self._target) from None
            except OSError as error:
                if error.errno == errno.EXDEV:  # a bind mount of the same file system
                    return False
                if not os.access(self._folder, os.W_OK | os.X_OK, effective_ids=True):
                    raise storage_error(error, self._folder) from error
                raise
        return True

    def _carry(
        self, files: Mapping[int, Stamp], on_progress: OnProgress, should_stop: ShouldStop
    ) -> None:
        """Link or copy the files into a hidden folder, and give them their name in one step."""
        self._require_space(files)
        with _staged(self._stage) as stage:
            inside = stage / self._target.name
            tree = Tree(inside)
            if not self._info.is_single_file:
                with disk_errors(inside):
                    inside.mkdir()
            total = sum(stamp.size for stamp in files.values())
            done = 0
            for file, stamp in files.items():
                self._carry_file(file, stamp, inside, should_stop)
                done += stamp.size
                on_progress(done, total)
            with disk_errors(inside):
                tree.sync_folders([self._layout.path_of(file) for file in files])
                try:
                    rename_to_free(inside, self._target, by_link=self._info.is_single_file)
                except FileExistsError:
                    raise StorageError("has appeared meanwhile", path=self._target) from None

    def _carry_file(self, file: int, stamp: Stamp, inside: Path, should_stop: ShouldStop) -> None:
        path = self._layout.path_of(file)
        target = inside.joinpath(*path)
        source = self._access.open_to_hash(file)
        try:
            with disk_errors(target, needed=stamp.size):
                target.parent.mkdir(parents=True, exist_ok=True)
                if not _link(source, target):
                    _copy(source, target, should_stop)
            after = self._access.look(file)
            if after is None or (after.size, after.mtime_ns) != (stamp.size, stamp.mtime_ns):
                raise StorageError(
                    "is being changed by another program; move it when it is at rest",
                    path=self._access.tree.at(path),
                )
        finally:
            os.close(source)

    def _remove_source(self, files: Mapping[int, Stamp]) -> None:
        """Remove the torrent's files where they were, and the folders that are empty then."""
        now = self._access.scan()
        every = (entry.path for entry in self._info.files if not entry.padding)
        folders = {path[:depth] for path in every for depth in range(len(path))}
        for file, stamp in files.items():
            path = self._layout.path_of(file)
            is_same = file in now and (now[file].inode, now[file].size, now[file].mtime_ns) == (
                stamp.inode,
                stamp.size,
                stamp.mtime_ns,
            )
            if is_same:  # whatever has taken its place is not ours
                with disk_errors(self._access.tree.at(path)):
                    self._unlink(path)
        paths = [entry.path for entry in self._info.files if not entry.padding]
        folders = {path[:depth] for path in paths for depth in range(len(path))}
        for inner in sorted(folders, key=len, reverse=True):
            with contextlib.suppress(OSError):  # it has other files
                self._root.joinpath(*inner).rmdir()

    def _unlink(self, path: tuple[str, ...]) -> None:
        if not path:
            self._root.unlink()
            return
        parent = self._access.tree.open_folder(path[:-1])
        try:
            os.unlink(path[-1], dir_fd=parent)
        finally:
            os.close(parent)

    # --- the resume state -------------------------------------------------------------------------

    def _is_known_there(self) -> bool:
        """Whether the state was recorded for the new place."""
        path = self._state.share(self._target, self._info.info_hash)
        if self._is_download:
            path = self._state.journal(self._to.final, self._info.info_hash)
        with contextlib.suppress(StorageError):
            return resume_log.load(path, self._layout).known
        return False

    def _resume_state(self) -> ResumeState:
        """Return what is known of the data; nothing if that cannot be read."""
        state = ResumeState()
        with contextlib.suppress(StorageError):
            if self._is_download:
                path = self._state.journal(self._from.final, self._info.info_hash)
                state = resume_log.load(path, self._layout)
            if not state.known:
                path = self._state.share(self._root, self._info.info_hash)
                state = resume_log.load(path, self._layout)
        return state

    def _keep_state(
        self, known: ResumeState, unchanged: Mapping[int, Stamp], *, is_durable: bool
    ) -> None:
        """Record the data in its new place; what it is not known for is hashed there."""
        if not known.known:
            return
        here = FileAccess(self._layout, Tree(self._target)).scan()
        begun = {file for piece in known.begun for file in self._layout.files_of(piece)}
        stamps = {
            file: stamp for file, stamp in here.items() if file in unchanged and file not in begun
        }
        snapshot = resume_log.make_snapshot(
            self._layout, known.have, stamps, durable=is_durable, doubted=known.doubted
        )
        with contextlib.suppress(StorageError):  # then all is hashed at the next start
            path = self._state.share(self._target, self._info.info_hash)
            if self._is_download:
                path = self._state.journal(self._to.final, self._info.info_hash)
            with disk_errors(path):
                resume_log.save_snapshot(path, snapshot)
            is_whole = known.have == full_set(self._info.piece_count)
            is_finished = is_whole and self._target != self._to.part and not known.doubted
            if is_finished and _is_named_as_listed(self._info):
                remember_download(self._info, self._target, self._state.folder, stamps)

    def _forget_state(self) -> None:
        with contextlib.suppress(OSError, StorageError):
            self._state.share(self._root, self._info.info_hash).unlink(missing_ok=True)
            if self._is_download:
                path = self._state.journal(self._from.final, self._info.info_hash)
                path.unlink(missing_ok=True)


def _is_named_as_listed(info: Info) -> bool:
    """Whether the files have the names that the torrent gives them."""
    listed = parse_info(info.raw)
    return (listed.name, listed.files) == (info.name, info.files)


@contextlib.contextmanager
def _staged(stage: Path) -> Iterator[Path]:
    """Make a folder for what is carried, and remove it; one of a move that was killed goes first.

    Raises StorageError if another process moves the same torrent there.
    """
    with disk_errors(stage.parent):
        stage.mkdir(exist_ok=True)
    with disk_errors(stage):
        descriptor = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError("is being moved here by another program", path=stage) from None
        except OSError:
            pass  # a file system without locks
        for left in stage.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        try:
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    finally:
        os.close(descriptor)


def _link(source: int, target: Path) -> bool:
    """Give an open file another name; return False where that is not possible."""
    try:
        os.link(f"/proc/self/fd/{source}", target, follow_symlinks=True)
    except OSError as error:
        if isinstance(error, FileExistsError):
            raise
        return False
    return True


def _copy(source: int, target: Path, should_stop: ShouldStop) -> None:
    """Copy an open file with its holes, its mode and its times, and sync it."""
    status = os.fstat(source)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    copy = os.open(target, flags, status.st_mode & 0o777)
    try:
        os.ftruncate(copy, status.st_size)
        for begin, end in _data_of(source, status.st_size):
            at = os.lseek(copy, begin, os.SEEK_SET)
            while at < end:
                if should_stop():
                    raise HashingStopped("moving was stopped")
                count = os.sendfile(copy, source, at, min(COPY_BYTES, end - at))
                if not count:
                    raise StorageError("became shorter while it was moved", path=target)
                at += count
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(copy)
    finally:
        os.close(copy)


def _data_of(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data, not holes, from begin to end."""
    at = 0
    while at < size:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
            at = os.lseek(descriptor, begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole
            begin, at = at, size  # a file system that does not tell
        yield begin, at
