"""Open files, few at a time: a torrent may hold 100,000 of them and a process about 1,000."""

import os
import threading
from collections.abc import Callable

OpenFile = Callable[[int], int]
"""Opens file number i of the torrent and returns its descriptor; raises StorageError."""


class ReadDescriptors:
    """The descriptors one thread reads from, least recently used closed first.

    Not locked: `get`, `trim` and `close` belong to one thread. A descriptor stays open until the
    next `trim`, however many others are opened meanwhile.
    """

    __slots__ = ("_capacity", "_open_file", "_opened")

    def __init__(self, open_file: OpenFile, capacity: int) -> None:
        self._open_file = open_file
        self._capacity = capacity
        # A dict keeps insertion order; a used entry is put in again at its end.
        self._opened: dict[int, int] = {}

    def get(self, file: int) -> int:
        """Return an open descriptor of the file."""
        descriptor = self._opened.pop(file, None)
        if descriptor is None:
            descriptor = self._open_file(file)
        self._opened[file] = descriptor
        return descriptor

    def holds(self, file: int) -> bool:
        """Tell whether the file is open already."""
        return file in self._opened

    def forget(self, file: int) -> None:
        """Close a file's descriptor, if there is one."""
        descriptor = self._opened.pop(file, None)
        if descriptor is not None:
            os.close(descriptor)

    def trim(self) -> None:
        """Close the least recently used descriptors beyond the capacity."""
        while len(self._opened) > self._capacity:
            file = next(iter(self._opened))
            os.close(self._opened.pop(file))

    def close(self) -> None:
        """Close all; `get` opens anew."""
        while self._opened:
            os.close(self._opened.popitem()[1])


class SharedDescriptors:
    """The descriptors several threads use: one in use is never closed; beyond that, an LRU."""

    __slots__ = ("_capacity", "_close_file", "_lock", "_open_file", "_opened", "_users")

    def __init__(
        self,
        open_file: OpenFile,
        capacity: int,
        close_file: Callable[[int, int], None] = lambda _file, descriptor: os.close(descriptor),
    ) -> None:
        self._open_file = open_file
        self._close_file = close_file
        self._capacity = capacity
        self._lock = threading.Lock()
        self._opened: dict[int, int] = {}
        self._users: dict[int, int] = {}

    def acquire(self, file: int) -> int:
        """Return an open descriptor of the file; pair with `release`."""
        # Opening under the lock: two threads never open one file twice.
        with self._lock:
            descriptor = self._opened.pop(file, None)
            if descriptor is None:
                self._evict()
                descriptor = self._open_file(file)
            self._opened[file] = descriptor
            self._users[file] = self._users.get(file, 0) + 1
            return descriptor

    def release(self, file: int) -> None:
        """Say that the descriptor `acquire` gave is no longer used."""
        with self._lock:
            users = self._users.pop(file) - 1
            if users:
                self._users[file] = users

    def forget(self, file: int) -> None:
        """Close a file's descriptor, if there is one; not before it is used no longer."""
        with self._lock:
            if file in self._opened and file not in self._users:
                self._close_file(file, self._opened.pop(file))

    def close(self) -> None:
        """Close all; none may be in use."""
        with self._lock:
            assert not self._users, "closed while a thread reads or writes"
            while self._opened:
                self._close_file(*self._opened.popitem())

    def _evict(self) -> None:
        """Make room for one more, as far as others are not in use."""
        excess = len(self._opened) - self._capacity + 1
        if excess <= 0:
            return
        idle = [file for file in self._opened if file not in self._users]
        for file in idle[:excess]:
            self._close_file(file, self._opened.pop(file))
