"""Paths that a person named: looking whether something is there, and reading it.

Unlike pathlib's, none of the questions fails for a name that is too long.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from trio_swarm.errors import StorageError


def is_file(path: Path) -> bool:
    """Whether there is a file, as far as this user can see."""
    return os.path.isfile(path)  # noqa: PTH113 - it raises nothing


def is_folder(path: Path) -> bool:
    """Whether there is a folder, as far as this user can see."""
    return os.path.isdir(path)  # noqa: PTH112 - it raises nothing


def is_there(path: Path) -> bool:
    """Whether there is anything; StorageError where this user may not look."""
    try:
        path.stat()
    except PermissionError as error:
        raise StorageError(f"cannot be looked at: {error.strerror}", path=path) from error
    except (OSError, ValueError):  # ValueError: a NUL in it
        return False
    return True


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file that a person named, for reading from its beginning. Blocking.

    What a shell makes of `<(command)` is a pipe and read to its end. A pipe that nobody writes to
    would be waited for without end, and is an OSError like all else that cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        os.set_blocking(descriptor, True)
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) and not stream.peek(1):
            raise OSError(0, "it is a pipe that nobody writes to")
        yield stream


def read_whole(path: Path, limit: int) -> bytes:
    """Return what `path` holds, at most `limit` + 1 bytes of it; see `opened`. Blocking."""
    with opened(path) as stream:
        return stream.read(limit + 1)
