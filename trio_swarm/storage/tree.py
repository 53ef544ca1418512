"""The files below one root, opened without following any symbolic link below it.

Every folder on the way is opened relative to the one before (openat) with O_NOFOLLOW. So a link
that appears at any time, at any depth, is an error and never leads out of the root. Only who reads
files to tell whether they are right may have links followed.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from trio_swarm.storage.disk_errors import storage_error

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO must not wait for its other end.
_FILE_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC

FilePath = Sequence[str]
"""Names below the root, outermost first; empty if the root is itself the file."""


class Tree:
    """Opens and examines the data at `root`: one file (path `()`) or a folder of files.

    Links are followed with `follow_links` only. Methods raise OSError unless stated otherwise;
    `at(path)` is the path to name in a message.
    """

    __slots__ = ("_folder_flags", "_not_followed", "root")

    def __init__(self, root: Path, *, follow_links: bool = False) -> None:
        self.root = root
        self._not_followed = 0 if follow_links else os.O_NOFOLLOW
        self._folder_flags = _FOLDER_FLAGS | self._not_followed

    def at(self, path: FilePath) -> Path:
        """Return the full path of `path`, for messages."""
        return self.root.joinpath(*path)

    def open(self, path: FilePath, flags: int) -> int:
        """Open a regular file; O_CREAT in `flags` creates it and the folders it needs.

        Raises OSError: ELOOP for a link, ENOTDIR, EISDIR, and EINVAL for a special file.
        """
        flags |= _FILE_FLAGS | self._not_followed
        if path:
            folder = self._open_folder(path[:-1], create=bool(flags & os.O_CREAT))
            try:
                descriptor = os.open(path[-1], flags, 0o666, dir_fd=folder)
            finally:
                os.close(folder)
        else:
            descriptor = os.open(self.root, flags, 0o666)
        try:
            _require_regular(os.fstat(descriptor))
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def statuses(self, paths: Iterable[FilePath]) -> Iterator[os.stat_result | None]:
        """Yield the status of each file, None for a missing one; efficient for many files.

        Raises StorageError for an entry that is not a regular file.
        """
        folder: int | None = None
        folder_path: tuple[str, ...] | None = None
        is_followed = not self._not_followed
        try:
            for path in paths:
                parent = tuple(path[:-1])
                try:
                    if not path:
                        status = os.stat(self.root, follow_symlinks=is_followed)  # noqa: PTH116 - as below
                    else:
                        # Adjacent files in the list are mostly in one folder: keep the last folder
                        # open.
                        if folder is None or parent != folder_path:
                            if folder is not None:
                                os.close(folder)
                                folder = None
                            folder = self._open_folder(parent, create=False)
                            folder_path = parent
                        status = os.stat(path[-1], dir_fd=folder, follow_symlinks=is_followed)
                    _require_regular(status)
                except FileNotFoundError:
                    yield None
                    continue
                except OSError as error:
                    raise storage_error(error, self.at(path)) from error
                yield status
        finally:
            if folder is not None:
                os.close(folder)

    def rename_to_free(self, old: FilePath, new: FilePath) -> None:
        """Rename a file, and make the folders it needs; FileExistsError if the name is taken."""
        source = self._open_folder(old[:-1], create=False)
        try:
            target = self._open_folder(new[:-1], create=True)
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.stat(new[-1], dir_fd=target, follow_symlinks=False)
                    raise FileExistsError(
                        errno.EEXIST, os.strerror(errno.EEXIST), str(self.at(new))
                    )
                os.rename(old[-1], new[-1], src_dir_fd=source, dst_dir_fd=target)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def open_folder(self, path: FilePath) -> int:
        """Open the root (path `()`) or a folder below it; the caller closes it."""
        return self._open_folder(path, create=False)

    def sync_folders(self, paths: Iterable[FilePath]) -> None:
        """Sync the folders of `paths`, up to the root and the folder that has the root."""
        folders = {tuple(path[:depth]) for path in paths for depth in range(len(path))}
        for folder in folders:
            descriptor = self._open_folder(folder, create=False)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(self.root.parent)

    def _open_folder(self, path: FilePath, *, create: bool) -> int:
        descriptor = os.open(self.root, self._folder_flags)
        for depth, name in enumerate(path, 1):
            try:
                inner = self._open_folder_in(descriptor, name, create=create)
            except NotADirectoryError as error:
                error.filename = str(self.at(path[:depth]))  # for the message
                raise
            finally:
                os.close(descriptor)
            descriptor = inner
        return descriptor

    def _open_folder_in(self, parent: int, name: str, *, create: bool) -> int:
        try:
            return os.open(name, self._folder_flags, dir_fd=parent)
        except FileNotFoundError:
            if not create:
                raise
        # Another writing thread may create it at the same time; the open below checks it.
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
        return os.open(name, self._folder_flags, dir_fd=parent)


class LinkedTree(Tree):
    """The same for a share whose links are followed, but never out of its root and `links_root`.

    A link is resolved anew whenever a file is opened. What it leads to is then opened below the
    root or `links_root` without following any link, so that one that is changed at that moment
    leads nowhere. For reading only.
    """

    __slots__ = ("_trees",)

    def __init__(self, root: Path, links_root: Path) -> None:
        super().__init__(root)
        self._trees = (Tree(root), Tree(links_root))

    def open(self, path: FilePath, flags: int) -> int:
        """Open what the links mean; raises OSError (ELOOP: it is not to be followed)."""
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        tree, target = self._place(path)
        return tree.open(target, flags)

    def open_folder(self, path: FilePath) -> int:
        """Open the folder that the links mean; the caller closes it."""
        tree, target = self._place(path)
        return tree.open_folder(target)

    def statuses(self, paths: Iterable[FilePath]) -> Iterator[os.stat_result | None]:
        """Yield the status of what each path means, None for a missing one."""
        for path in paths:
            try:
                tree, target = self._place(path)
            except FileNotFoundError:
                yield None
                continue
            except OSError as error:
                raise storage_error(error, self.at(path)) from error
            yield from tree.statuses([target])

    def _place(self, path: FilePath) -> tuple[Tree, tuple[str, ...]]:
        """Return in which tree the file is, and the names below its root."""
        real = os.path.realpath(self.at(path), strict=True)
        for tree in self._trees:
            names = names_below(tree.root, real)
            if names is not None:
                return tree, names
        raise OSError(errno.ELOOP, "is a link out of the folder in which links are followed")


def tree_at(root: Path, links_root: Path | None) -> Tree:
    """Return the tree at `root`; with `links_root` links are followed within that."""
    return Tree(root) if links_root is None else LinkedTree(root, links_root)


def names_below(folder: Path, path: str) -> tuple[str, ...] | None:
    """Return the names from `folder` to `path` (both real paths); None if it is not below it."""
    try:
        return Path(path).relative_to(folder).parts
    except ValueError:
        return None


def sync_folder(folder: Path) -> None:
    """Sync `folder`, so that a power failure keeps the names in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def holds_data(descriptor: int) -> bool:
    """Return whether the file has any written byte: False if it is empty or all hole."""
    try:
        os.lseek(descriptor, 0, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return False
        return os.fstat(descriptor).st_size > 0
    return True


def _require_regular(status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "is not a regular file")
