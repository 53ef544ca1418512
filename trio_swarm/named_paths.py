"""Paths given by a person: whether a file exists there, and its contents.

Unlike pathlib's methods, `is_file` and `is_folder` do not fail for a name that is too long.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from trio_swarm.errors import StorageError


def is_file(path: Path) -> bool:
    """Whether `path` is a file; False if this user cannot see it."""
    return os.path.isfile(path)  # noqa: PTH113 - it raises nothing


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; False if this user cannot see it."""
    return os.path.isdir(path)  # noqa: PTH112 - it raises nothing


def is_there(path: Path) -> bool:
    """Whether `path` exists; raises StorageError if this user may not look."""
    try:
        path.stat()
    except PermissionError as error:
        raise StorageError(f"cannot be looked at: {error.strerror}", path=path) from error
    except (OSError, ValueError):  # ValueError: a NUL in it
        return False
    return True


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file given by a person, for reading from its beginning. Blocking.

    A pipe, such as a shell's `<(command)`, is read to its end. A pipe without a writer would block
    for ever, so it raises OSError, as an unreadable file does.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        os.set_blocking(descriptor, True)
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) and not stream.peek(1):
            raise OSError(0, "it is a pipe without a writer")
        yield stream


def read_whole(path: Path, limit: int) -> bytes:
    """Return at most `limit` + 1 bytes from the start of a file. Blocking; errors as `opened`."""
    with opened(path) as stream:
        return stream.read(limit + 1)
