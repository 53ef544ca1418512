"""Where a download is: NAME.part until its last byte is verified and synced, NAME after that.

Data from outside this torrent is never overwritten, shortened or removed:

- Only NAME exists: it is checked. If all pieces are correct, the download is complete and served in
  place. If some are correct, it is renamed to NAME.part until the rest is fetched. If none is
  correct it is refused, unless it has no data at all (an empty file or folder); then it is used.
- Only NAME.part exists: it is resumed. If it has data, none of it is correct and no journal knows
  it, it is refused.
- Both exist: NAME is checked. If all of it is correct, it is the download, and NAME.part is left
  alone; otherwise both are refused, because only a person can decide which one to keep. (If both
  are names of one file, a crash interrupted the final renaming: the name NAME.part is removed.)
- A file longer than in the torrent is refused. Files that the torrent does not list stay.
"""

import errno
import hashlib
import os
import stat
from pathlib import Path

from trio_swarm.errors import StorageError
from trio_swarm.protocol.metainfo.file_names import MAX_COMPONENT_BYTES
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.disk_errors import disk_errors
from trio_swarm.storage.own_names import UNFINISHED

_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV}
"""The errors of `link` on file systems without hard links."""


class Placement:
    """The two paths of one download, `final` and `part`, and the renamings between them."""

    __slots__ = ("final", "is_single_file", "part")

    def __init__(self, info: Info, folder: Path) -> None:
        self.final = folder / info.name
        self.part = folder / _part_name(info.name, longest_name(folder))
        self.is_single_file = info.is_single_file

    def locate(self) -> Path:
        """Return the path to check: `final` if it exists, otherwise `part`.

        Raises StorageError if either is of the wrong kind or cannot be examined.
        """
        final = self._examine(self.final)
        part = self._examine(self.part)
        if final is None:
            return self.part
        if part is not None and os.path.samestat(final, part):
            with disk_errors(self.part):
                self.part.unlink()
        return self.final

    def adopt(self) -> None:
        """Rename the data at `final` to `part`: it is unfinished."""
        if self._examine(self.part) is not None:
            raise StorageError(
                f"is not this torrent's finished data, and {self.part.name} exists too: "
                "move one of them away",
                path=self.final,
            )
        self._move(self.final, self.part)

    def publish(self) -> None:
        """Give the finished data its final name; raises StorageError if another file has it."""
        self._move(self.part, self.final)

    def _examine(self, path: Path) -> os.stat_result | None:
        with disk_errors(path):
            try:
                status = path.lstat()
            except FileNotFoundError:
                return None
        if stat.S_ISLNK(status.st_mode):
            raise StorageError(
                "is a symbolic link, which is not followed: move it away or choose another folder",
                path=path,
            )
        if self.is_single_file and not stat.S_ISREG(status.st_mode):
            raise StorageError("exists and is not a file: move it away", path=path)
        if not self.is_single_file and not stat.S_ISDIR(status.st_mode):
            raise StorageError("exists and is not a folder: move it away", path=path)
        return status

    def _move(self, source: Path, target: Path) -> None:
        with disk_errors(source):
            try:
                rename_to_free(source, target, by_link=self.is_single_file)
            except FileExistsError:
                raise StorageError(
                    f"has appeared meanwhile and is not overwritten; the data stays at {source}",
                    path=target,
                ) from None


def rename_to_free(source: Path, target: Path, *, by_link: bool) -> None:
    """Rename, or raise FileExistsError. At worst a folder replaces an empty folder."""
    if by_link:
        try:
            # `link` fails if the name is taken, while `rename` would overwrite the file.
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            try:
                source.unlink()
            except OSError:
                target.unlink()  # else it would have both names
                raise
            return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def _part_name(name: str, most_bytes: int) -> str:
    """Return NAME.part; if that is too long, a shortened NAME with a hash that keeps it unique."""
    part = name + UNFINISHED
    if len(os.fsencode(part)) <= most_bytes:
        return part
    end = f"~{hashlib.sha1(os.fsencode(name)).hexdigest()[:8]}{UNFINISHED}"
    return os.fsencode(name)[: most_bytes - len(end)].decode(errors="ignore") + end


def longest_name(folder: Path) -> int:
    """Return the length of the longest name that the file system of `folder` stores, in bytes."""
    try:
        return min(os.statvfs(folder).f_namemax, MAX_COMPONENT_BYTES)
    except OSError:
        return MAX_COMPONENT_BYTES
