"""Open files, few at a time: a torrent can have 100,000, a process about 1,000 descriptors.

Each torrent has pools of its own, and all pools of a process have a number of descriptors together:
whoever opens a file beyond it closes one of the torrent that has opened none for the longest time.
"""

import errno
import itertools
import os
import resource
import threading
from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple, Protocol

OpenFile = Callable[[int], int]
"""Opens file number i of the torrent and returns its descriptor; raises StorageError."""

KEPT_FREE: Final = 32
"""Descriptors for everything but peers and pools: streams, listeners, trackers, the control plane,
state files that are written at the moment."""

LEAST: Final = 4
"""Files that a kind of pools keeps open, however few a process may have."""

MOST: Final = 4096
"""Files that a kind of pools keeps open, however many a process may have."""

TOO_MANY: Final = frozenset({errno.EMFILE, errno.ENFILE})
"""Numbers of the errors of a process, or a machine, that has too many files open."""


class DescriptorShares(NamedTuple):
    """How the descriptors of a process are shared out; a quarter is for files of downloads."""

    connections: int
    served: int
    """Files that blocks are sent from."""
    shared: int
    """Files that threads write to and read from."""


def shares_of(limit: int) -> DescriptorShares:
    """Return how `limit` descriptors, that a process may have, are shared out."""
    rest = max(0, limit - KEPT_FREE)
    pools = max(LEAST, min(MOST, rest // 8))
    return DescriptorShares(max(LEAST, rest // 2), pools, pools)


def descriptor_shares() -> DescriptorShares:
    """Return how the descriptors of this process are shared out now."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return shares_of(1 << 20 if soft == resource.RLIM_INFINITY else soft)


class Pool(Protocol):
    """Some open files of one torrent."""

    used: int
    """When it opened a file last: a number that grows."""

    def shed(self) -> bool:
        """Close the descriptor that was used least recently; False if none can be closed now."""


class OpenFiles:
    """The pools that have a number of descriptors together; for any thread."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._lock = threading.Lock()
        self._pools: dict[Pool, int] = {}
        """How many descriptors each has."""
        self._count = 0
        self._uses = itertools.count(1)

    def next_use(self) -> int:
        """Return the number of a use, later than all before."""
        return next(self._uses)

    def make_room(self, asking: Pool) -> None:
        """Let other pools close descriptors until there is room for one more, if they can."""
        while self._count >= self.capacity and self._shed_one(asking):
            pass

    def free(self, asking: Pool | None = None) -> bool:
        """Let all other pools close what they do not use; whether that was anything."""
        is_any = False
        while self._shed_one(asking):
            is_any = True
        return is_any

    def changed(self, pool: Pool, by: int) -> None:
        """Note that a pool has opened or closed descriptors."""
        with self._lock:
            self._count += by
            count = self._pools.pop(pool, 0) + by
            if count:
                self._pools[pool] = count

    def _shed_one(self, asking: Pool | None) -> bool:
        with self._lock:
            pools = sorted(self._pools, key=lambda pool: pool.used)
        return any(pool is not asking and pool.shed() for pool in pools)


@cache
def files_of_threads() -> OpenFiles:
    """Return what all pools of threads have together, in this process."""
    return OpenFiles(descriptor_shares().shared)


_OF_THREAD: Final = threading.local()


def served_files() -> OpenFiles:
    """Return what all pools have together that blocks are sent from in this thread."""
    files: OpenFiles | None = getattr(_OF_THREAD, "files", None)
    if files is None:  # not at import: the command line raises the limit first
        files = _OF_THREAD.files = OpenFiles(descriptor_shares().served)
    return files


def free_descriptors() -> bool:
    """Close all files of this process that nobody uses now; whether there were any.

    For whoever needs a descriptor and gets none: files are opened again when they are used.
    """
    is_any = served_files().free()
    return files_of_threads().free() or is_any


def opened(open_file: Callable[[], int]) -> int:
    """Return a new descriptor; if a process can have no more, others are closed for it.

    Raises what `open_file` raises.
    """
    try:
        return open_file()
    except OSError as error:
        if error.errno not in TOO_MANY or not files_of_threads().free():
            raise
    return open_file()


class ReadDescriptors:
    """The descriptors that one thread reads from; the least recently used are closed first.

    There is no lock: all calls belong to one thread. A descriptor stays open until the next `trim`,
    or until another pool of the thread opens a file, however many others are opened before.
    """

    __slots__ = ("_capacity", "_files", "_open_file", "_opened", "_together", "used")

    def __init__(
        self, open_file: OpenFile, capacity: int, together: Callable[[], OpenFiles] | None = None
    ) -> None:
        self._open_file = open_file
        self._capacity = capacity
        self._together = together
        self._files: OpenFiles | None = None
        """Those of the thread, from the first file on."""
        self.used = 0
        # A dict keeps insertion order; a used entry is moved to the end.
        self._opened: dict[int, int] = {}

    def get(self, file: int) -> int:
        """Return an open descriptor of the file."""
        descriptor = self._opened.pop(file, None)
        if descriptor is None:
            descriptor = self._open(file)
        self._opened[file] = descriptor
        return descriptor

    def _open(self, file: int) -> int:
        if self._together is None:
            return self._open_file(file)
        files = self._files = self._files or self._together()
        self.used = files.next_use()
        files.make_room(self)
        descriptor = self._open_file(file)
        files.changed(self, 1)
        return descriptor

    def holds(self, file: int) -> bool:
        """Return whether the file is open already."""
        return file in self._opened

    def forget(self, file: int) -> None:
        """Close a file's descriptor if it is open."""
        descriptor = self._opened.pop(file, None)
        if descriptor is not None:
            self._close(descriptor)

    def shed(self) -> bool:
        """Close the descriptor that was used least recently; False if there is none."""
        try:
            descriptor = self._opened.pop(next(iter(self._opened)))
        except (StopIteration, KeyError, RuntimeError):  # none, or they are being closed
            return False
        self._close(descriptor)
        return True

    def trim(self) -> None:
        """Close the least recently used descriptors beyond the capacity."""
        while len(self._opened) > self._capacity:
            self.shed()

    def close(self) -> None:
        """Close all descriptors; `get` opens a file again when needed."""
        while self._opened:
            self._close(self._opened.popitem()[1])

    def _close(self, descriptor: int) -> None:
        os.close(descriptor)
        if self._files is not None:
            self._files.changed(self, -1)


class SharedDescriptors:
    """The descriptors that several threads use; one in use is never closed, others in LRU order."""

    __slots__ = (
        "_capacity",
        "_close_file",
        "_lock",
        "_open_file",
        "_opened",
        "_together",
        "_users",
        "used",
    )

    def __init__(
        self,
        open_file: OpenFile,
        capacity: int,
        close_file: Callable[[int, int], None] = lambda _file, descriptor: os.close(descriptor),
        together: OpenFiles | None = None,
    ) -> None:
        self._open_file = open_file
        self._close_file = close_file
        self._capacity = capacity
        self._together = together
        self._lock = threading.Lock()
        self._opened: dict[int, int] = {}
        self._users: dict[int, int] = {}
        self.used = 0

    def acquire(self, file: int) -> int:
        """Return an open descriptor of the file; the caller must call `release` for it."""
        # The file is opened with the lock held, so that two threads never open it twice.
        with self._lock:
            descriptor = self._opened.pop(file, None)
            if descriptor is None:
                self._evict()
                descriptor = self._open(file)
            self._opened[file] = descriptor
            self._users[file] = self._users.get(file, 0) + 1
            return descriptor

    def _open(self, file: int) -> int:
        files = self._together
        if files is None:
            return self._open_file(file)
        self.used = files.next_use()
        files.make_room(self)
        descriptor = self._open_file(file)
        files.changed(self, 1)
        return descriptor

    def release(self, file: int) -> None:
        """End the use of a descriptor that `acquire` returned."""
        with self._lock:
            users = self._users.pop(file) - 1
            if users:
                self._users[file] = users

    def forget(self, file: int) -> None:
        """Close a file's descriptor if it is open, as soon as no thread uses it."""
        with self._lock:
            if file in self._opened and file not in self._users:
                self._close(file)

    def shed(self) -> bool:
        """Close the least recently used descriptor that nobody uses; False if that cannot be now.

        Another pool asks for it with its own lock held: so this waits for none.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            file = next((file for file in self._opened if file not in self._users), None)
            if file is None:
                return False
            self._close(file)
            return True
        finally:
            self._lock.release()

    def rest(self) -> bool:
        """Close the descriptors that are not in use; returns whether that was all of them."""
        with self._lock:
            for file in [file for file in self._opened if file not in self._users]:
                self._close(file)
            return not self._opened

    def close(self) -> None:
        """Close all descriptors; none may be in use."""
        with self._lock:
            assert not self._users, "closed while a thread reads or writes"
            for file in list(self._opened):
                self._close(file)

    def _close(self, file: int) -> None:
        self._close_file(file, self._opened.pop(file))
        if self._together is not None:
            self._together.changed(self, -1)

    def _evict(self) -> None:
        """Close descriptors that are not in use until there is room for one more."""
        excess = len(self._opened) - self._capacity + 1
        if excess <= 0:
            return
        idle = [file for file in self._opened if file not in self._users]
        for file in idle[:excess]:
            self._close(file)
