"""Errors of the operating system as one line for a person, which names the path."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trio_swarm.errors import DiskFullError, StorageError

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than the file system or a limit allows",
}

_KNOWN = {
    errno.ENOENT: "does not exist (any more)",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.EIO: "the disk reports an input/output error",
    errno.EROFS: "the file system is read-only",
    errno.ELOOP: "is a symbolic link, which is not followed here: put the file itself in its place",
    errno.ENOTDIR: "a part of this path is not a folder, or is a symbolic link",
    errno.EISDIR: "is a folder where a file is wanted",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this machine",
}


def storage_error(error: OSError, path: Path, *, needed: int | None = None) -> StorageError:
    """Return the StorageError for an OSError (DiskFullError: no room, quota or size limit).

    `needed` is the number of bytes still to be written, if known.
    """
    number = error.errno or 0
    if number in _FULL:
        facts = []
        if needed is not None:
            facts.append(f"{format_bytes(needed)} still needed")
        free = _free_bytes(path)
        if free is not None:
            facts.append(f"{format_bytes(free)} free")
        more = f" ({', '.join(facts)})" if facts else ""
        return DiskFullError(f"{_FULL[number]}{more}", path=path)
    if isinstance(error, NotADirectoryError):
        return _no_folder(error, path)
    return StorageError(_KNOWN.get(number) or error.strerror or str(error), path=path)


def _no_folder(error: NotADirectoryError, path: Path) -> StorageError:
    """Return the error that names the first part of `path` that is not a folder."""
    if isinstance(error.filename, str):
        place = Path(error.filename)
        if place in path.parents and place.is_symlink():
            return StorageError(
                "is a symbolic link, which is not followed here: put the folder itself in its "
                "place",
                path=place,
            )
        if place in path.parents:
            return StorageError("is not a folder, but a folder is wanted here", path=place)
    return StorageError(_KNOWN[errno.ENOTDIR], path=path)


@contextmanager
def disk_errors(path: Path, *, needed: int | None = None) -> Iterator[None]:
    """Turn every OSError raised in the block into a StorageError; see `storage_error`."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, needed=needed) from error


def format_bytes(count: int) -> str:
    """Return `count` bytes as text for a person: "1.5 GiB"."""
    if count < 1024:
        return f"{count} bytes"
    size = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"


def _free_bytes(path: Path) -> int | None:
    for place in (path, *path.parents):
        try:
            status = os.statvfs(place)
        except OSError:
            continue
        return status.f_bavail * status.f_frsize
    return None


def require_there(path: Path) -> None:
    """Raise StorageError if `path` does not exist, or is a link to a missing file."""
    with disk_errors(path):
        if path.is_symlink() and not os.path.exists(path):  # noqa: PTH110 - never raises
            target = os.readlink(path)  # noqa: PTH115 - as written in the link
            raise StorageError(f"is a symbolic link to a missing file: {target}", path=path)
        path.stat()
