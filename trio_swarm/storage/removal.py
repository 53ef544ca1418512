"""Deleting the data of one torrent: its files, the folders that this empties, and nothing else.

Folders are opened one in the other without following links (`tree`), and only regular files are
deleted. A link, a folder or a device that has come into the place of a file stays, and so does
everything that the torrent does not list. Blocking.
"""

import os
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from trio_swarm.errors import StorageError
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.disk_errors import disk_errors
from trio_swarm.storage.disk_names import choose_names
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.placement import Placement
from trio_swarm.storage.resume import log as resume_log
from trio_swarm.storage.state import StateFolder
from trio_swarm.storage.tree import FilePath, Tree


def download_on_disk(info: Info, folder: Path, state_folder: Path) -> tuple[Info, Path] | None:
    """Return the names and the root of a download's data; None if there is none.

    Raises StorageError for data that is not known to be of this torrent: a download would have
    refused it (see `placement`), or has never looked at it.
    """
    with disk_errors(folder):
        if not folder.is_dir():
            return None
        folder = folder.resolve()
    state = StateFolder(state_folder)
    names = choose_names(info, folder, state).info
    placement = Placement(names, folder)
    root = placement.locate()
    if not os.path.lexists(root):
        return None
    journal = state.journal(placement.final, info.info_hash)
    if not resume_log.load(journal, Layout(names)).known:
        raise StorageError("is not known to be of this torrent", path=root)
    return names, root


def files_of(info: Info, root: Path) -> list[Path]:
    """Return the paths of the files of a torrent whose data is at `root`."""
    return [root.joinpath(*path) for path in _paths_of(info)]


def delete_data(info: Info, root: Path, *, spared: Collection[Path] = ()) -> int:
    """Delete the files of a torrent below `root`, and return how many there were.

    `info` has the names that the files have on this disk. Files at the paths `spared` stay; they
    are of other torrents as well. Raises StorageError for a file that cannot be deleted, after the
    others were.
    """
    tree = Tree(root)
    deleted = 0
    failure: StorageError | None = None
    for path in _paths_of(info):
        if tree.at(path) in spared:
            continue
        try:
            with disk_errors(tree.at(path)):
                deleted += _delete(tree, path)
        except StorageError as error:
            failure = failure or error
    if not info.is_single_file:
        _remove_empty_folders(tree, {path[:-1] for path in _paths_of(info)})
    if failure is not None:
        raise failure
    return deleted


def forget_state(info: Info, final: Path, state_folder: Path) -> None:
    """Remove what is remembered of the data at `final`, its final path."""
    state = StateFolder(state_folder)
    with suppress(StorageError, OSError):
        state.journal(final, info.info_hash).unlink(missing_ok=True)
        state.share(final, info.info_hash).unlink(missing_ok=True)


def _paths_of(info: Info) -> list[FilePath]:
    layout = Layout(info, border=True)
    return [layout.path_of(file) for file, is_stored in enumerate(layout.stored) if is_stored]


def _delete(tree: Tree, path: FilePath) -> bool:
    """Delete one file; False if there is none, or something else has its name."""
    try:
        if not path:
            return _unlink(tree.root.name, tree.root.parent)
        folder = tree.open_folder(path[:-1])
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return _unlink(path[-1], folder)
    finally:
        os.close(folder)


def _unlink(name: str, folder: int | Path) -> bool:
    if isinstance(folder, Path):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _unlink(name, descriptor)
        finally:
            os.close(descriptor)
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        return False
    os.unlink(name, dir_fd=folder)
    return True


def _remove_empty_folders(tree: Tree, folders: Collection[FilePath]) -> None:
    """Remove the folders that are empty now, the innermost first, and the root."""
    every = {tuple(path[:depth]) for path in folders for depth in range(len(path) + 1)}
    for path in sorted(every, key=len, reverse=True):
        with suppress(OSError):  # it is not empty, or is no folder any more
            if not path:
                tree.root.rmdir()
                continue
            parent = tree.open_folder(path[:-1])
            try:
                os.rmdir(path[-1], dir_fd=parent)
            finally:
                os.close(parent)
