"""Renaming the files of a torrent that is not in use, with its resume state. Blocking.

A name is changed in one step, and nothing is overwritten. Whoever was killed calls again: what was
renamed already is found under its new name. Only a file that was renamed itself is hashed then.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from trio_swarm.errors import StateFolderError, StorageError
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.disk_errors import disk_errors
from trio_swarm.storage.disk_names import choose_names
from trio_swarm.storage.incomplete import folder_of_data
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.own_names import Renaming, Renamings, with_another, with_own_names
from trio_swarm.storage.placement import Placement, rename_to_free
from trio_swarm.storage.resume import log as resume_log
from trio_swarm.storage.resume.journal import Stamp
from trio_swarm.storage.resume.vouching import ResumeState
from trio_swarm.storage.state import DownloadLock, StateFolder
from trio_swarm.storage.tree import Tree, sync_folder


def rename_data(
    info: Info,
    renamings: Renamings,
    renaming: Renaming,
    *,
    folder: Path,
    incomplete: Path | None,
    state_folder: Path,
) -> tuple[Info, Path] | None:
    """Rename what a download has on the disk; return its names and its root then.

    `info` has the names of the torrent, `renamings` were done before. The data is in `folder` or
    `incomplete`, see `storage.incomplete`. Returns None if nothing is there yet. Raises
    StorageError if the new name is taken or cannot be stored, or for data that is not known to be
    of this torrent; then nothing was renamed.
    """
    before = with_own_names(info, renamings)
    after = with_own_names(info, with_another(renamings, renaming))
    state = StateFolder(state_folder)
    for names, is_over in ((before, False), (after, True)):
        place = folder_of_data(names, folder, incomplete, state_folder)
        with disk_errors(place):
            if not place.is_dir():
                continue
            place = place.resolve()
        work = _Renaming(before, after, renaming, place, state)
        if work.is_there(is_over=is_over):
            with work.locked():
                return work.run(is_over=is_over)
    return None


class _Renaming:
    def __init__(
        self, before: Info, after: Info, renaming: Renaming, folder: Path, state: StateFolder
    ) -> None:
        self._before = choose_names(before, folder, state).info
        self._after = choose_names(after, folder, state).info
        self._path = tuple(renaming[0].split("/")) if renaming[0] else ()
        self._name = renaming[1]
        depth = len(self._path)
        paths = [entry.path[:depth] for entry in before.files]
        self._example = paths.index(self._path)
        """A file whose path has the name."""
        self._folder = folder
        self._state = state
        self._from, self._to = Placement(self._before, folder), Placement(self._after, folder)
        self._root = self._target = folder

    def is_there(self, *, is_over: bool) -> bool:
        """Whether the data is here: by its names of before, or by those it is to have."""
        placement = self._to if is_over else self._from
        for final, root, target in (
            (placement.final, self._from.final, self._to.final),
            (placement.part, self._from.part, self._to.part),
        ):
            if os.path.lexists(final):
                self._root, self._target = root, target
                return True
        return False

    def locked(self) -> ExitStack:
        """Let nobody download to either path meanwhile."""
        with ExitStack() as stack:
            with suppress(StateFolderError):  # then nobody has locks
                for final in dict.fromkeys((self._from.final, self._to.final)):
                    lock = DownloadLock(self._state.lock(final), final)
                    stack.callback(lock.release)
            return stack.pop_all()

    def run(self, *, is_over: bool) -> tuple[Info, Path]:
        """Rename what `is_there`, unless that is over, and have its state follow."""
        journal = self._state.journal(self._from.final, self._before.info_hash)
        layout = Layout(self._after)
        known = resume_log.load(journal, layout)
        if not known.known and not (is_over and self._was_renamed(layout)):
            raise StorageError(
                "is not known to be of this torrent", path=self._target if is_over else self._root
            )
        stamps: Mapping[int, Stamp] = known.stamps
        if not is_over:
            found = FileAccess(Layout(self._before), Tree(self._root)).scan()
            unchanged = {file for file, stamp in found.items() if stamps.get(file) == stamp}
            self._rename()
        access = FileAccess(layout, Tree(self._target))
        here = access.scan()
        if is_over:
            unchanged = {file for file, stamp in here.items() if stamps.get(file) == stamp}
        if known.known:
            self._keep_state(known, {file: here[file] for file in unchanged if file in here})
        if self._root != self._target:
            self._forget_state(journal)
        return self._after, self._target

    def _was_renamed(self, layout: Layout) -> bool:
        """Whether the data is known by its new name already."""
        journal = self._state.journal(self._to.final, self._after.info_hash)
        return resume_log.load(journal, layout).known

    def _rename(self) -> None:
        self._require_storable()
        if not self._path:
            if os.path.lexists(self._target) and self._target.samefile(self._root):
                self._root.unlink()  # whoever was killed had given it both names
                return
            for path in sorted({self._target, self._to.final, self._to.part}):
                if os.path.lexists(path):
                    raise StorageError("exists already and is not overwritten", path=path)
            with disk_errors(self._root):
                try:
                    by_link = self._before.is_single_file
                    rename_to_free(self._root, self._target, by_link=by_link)
                except FileExistsError:
                    raise StorageError("has appeared meanwhile", path=self._target) from None
                sync_folder(self._folder)
            return
        tree = Tree(self._root)
        old, new = self._paths()
        with disk_errors(tree.at(old)):
            try:
                parent = tree.open_folder(old[:-1])
            except FileNotFoundError:
                return  # it is not there yet
            try:
                _rename_in(parent, old[-1], new[-1], tree.at(new))
                os.fsync(parent)
            finally:
                os.close(parent)

    def _paths(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return the path of what is renamed and the new one, by their names on this disk."""
        depth, number = len(self._path), self._example
        return self._before.files[number].path[:depth], self._after.files[number].path[:depth]

    def _require_storable(self) -> None:
        new = self._paths()[1][-1] if self._path else self._after.name
        if new != self._name:
            raise StorageError("this file system cannot store that name", path=Path(self._name))

    def _keep_state(self, known: ResumeState, stamps: Mapping[int, Stamp]) -> None:
        layout = Layout(self._after)
        begun = {file for piece in known.begun for file in layout.files_of(piece)}
        snapshot = resume_log.make_snapshot(
            layout,
            known.have,
            {file: stamp for file, stamp in stamps.items() if file not in begun},
            durable=known.durable,
            doubted=known.doubted,
        )
        with suppress(StorageError):  # then all is hashed at the next start
            path = self._state.journal(self._to.final, self._after.info_hash)
            with disk_errors(path):
                resume_log.save_snapshot(path, snapshot)

    def _forget_state(self, journal: Path) -> None:
        with suppress(OSError, StorageError):
            journal.unlink(missing_ok=True)
            self._state.share(self._root, self._before.info_hash).unlink(missing_ok=True)


def _rename_in(folder: int, old: str, new: str, path: Path) -> None:
    """Give a file or folder in an open folder another name, if there is one of the old name."""
    try:
        status = os.stat(old, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISREG(status.st_mode):
        with suppress(FileNotFoundError):
            there = os.stat(new, dir_fd=folder, follow_symlinks=False)
            if not os.path.samestat(status, there):
                raise StorageError("exists already and is not overwritten", path=path)
            os.unlink(old, dir_fd=folder)  # whoever was killed had given it both names
            return
        with suppress(PermissionError, NotImplementedError):
            os.link(old, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            os.unlink(old, dir_fd=folder)
            return
    elif not stat.S_ISDIR(status.st_mode):
        raise StorageError("is neither a file nor a folder of this torrent", path=path)
    try:
        os.stat(new, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
        return
    raise StorageError("exists already and is not overwritten", path=path)
