"""The state folder: the facts kept between runs, and the locks of running downloads.

    resume/<root>-<info-hash>.journal    a download's journal
    resume/<root>-<info-hash>.share      one snapshot: the verified state of a share
    resume/<root>.lock                   held while a download writes at that path
    hashes/                              the info dictionaries of shares (`share_hashes`)

`<root>` is the SHA-1 of the absolute path of the finished data, so that one torrent in two folders,
or two torrents in one, never share a file. Files are small, and each is written in one step.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trio_swarm.errors import (
    DiskFullError,
    StateFolderError,
    StorageError,
    TooManyFilesError,
)
from trio_swarm.identities import InfoHash
from trio_swarm.storage.disk_errors import storage_error
from trio_swarm.storage.resume.journal import remove_leftovers


class StateFolder:
    """The paths of the files in one state folder; creates the folder when it is first needed.

    Raises StateFolderError for a path that begins with `~` if the user has no home folder.
    """

    __slots__ = ("folder",)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def journal(self, root: Path, info_hash: InfoHash) -> Path:
        """Return the path of a download's journal; `root` is the final path of the data."""
        return self._resume() / f"{_key(root)}-{info_hash.hex()}.journal"

    def share(self, root: Path, info_hash: InfoHash) -> Path:
        """Return the path of a share's snapshot; `root` is the path of the data."""
        return self._resume() / f"{_key(root)}-{info_hash.hex()}.share"

    def lock(self, root: Path) -> Path:
        """Return the path of the lock for downloads to `root`."""
        return self._resume() / f"{_key(root)}.lock"

    def hashes(self, key: bytes) -> Path:
        """Return the path of what is known of one large share."""
        return self._made("hashes") / key.hex()

    def hash_index(self) -> Path:
        """Return the path of what is known of all small shares."""
        return self._made("hashes") / "index"

    def remove_leftovers(self) -> None:
        """Remove the temporary files of processes that were killed while they wrote here."""
        for name in ("resume", "hashes"):
            with suppress(OSError):  # they are small, and in nobody's way
                remove_leftovers(self.folder / name)

    def _resume(self) -> Path:
        return self._made("resume")

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        if self.folder.parts[:1] == ("~",):  # else a folder named ~ would be made here
            raise StateFolderError("this user has no home folder", path=self.folder)
        with state_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder


@contextmanager
def state_errors(path: Path) -> Iterator[None]:
    """Turn each OSError of the block into a StateFolderError.

    A full disk becomes a DiskFullError, and too many open files a TooManyFilesError: both pass.
    """
    try:
        yield
    except OSError as error:
        told = storage_error(error, path)
        if isinstance(told, DiskFullError | TooManyFilesError):
            raise told from error
        raise StateFolderError(told.reason, path=path) from error


class DownloadLock:
    """A lock that one download holds while it writes at a path, against all processes.

    Raises StorageError if another download holds it, StateFolderError if it cannot be made. It is
    released when the process ends, in whatever way.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, path: Path, root: Path) -> None:
        with state_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise StorageError(
                    "another trio-swarm is downloading to this path", path=root
                ) from None
            except OSError:
                os.close(descriptor)
                raise
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Release the lock; harmless if it is released already.

        The lock's file stays: if it were removed, two downloads could hold locks on two files of
        that name.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _key(root: Path) -> str:
    return hashlib.sha1(os.fsencode(root)).hexdigest()
