"""Open files, few at a time: a torrent can have 100,000, a process about 1,000 descriptors."""

import os
import threading
from collections.abc import Callable

OpenFile = Callable[[int], int]
"""Opens file number i of the torrent and returns its descriptor; raises StorageError."""


class ReadDescriptors:
    """The descriptors that one thread reads from; the least recently used are closed first.

    There is no lock: `get`, `trim` and `close` belong to one thread. A descriptor stays open until
    the next `trim`, however many others are opened before.
    """

    __slots__ = ("_capacity", "_open_file", "_opened")

    def __init__(self, open_file: OpenFile, capacity: int) -> None:
        self._open_file = open_file
        self._capacity = capacity
        # A dict keeps insertion order; a used entry is moved to the end.
        self._opened: dict[int, int] = {}

    def get(self, file: int) -> int:
        """Return an open descriptor of the file."""
        descriptor = self._opened.pop(file, None)
        if descriptor is None:
            descriptor = self._open_file(file)
        self._opened[file] = descriptor
        return descriptor

    def holds(self, file: int) -> bool:
        """Return whether the file is open already."""
        return file in self._opened

    def forget(self, file: int) -> None:
        """Close a file's descriptor if it is open."""
        descriptor = self._opened.pop(file, None)
        if descriptor is not None:
            os.close(descriptor)

    def trim(self) -> None:
        """Close the least recently used descriptors beyond the capacity."""
        while len(self._opened) > self._capacity:
            file = next(iter(self._opened))
            os.close(self._opened.pop(file))

    def close(self) -> None:
        """Close all descriptors; `get` opens a file again when needed."""
        while self._opened:
            os.close(self._opened.popitem()[1])


class SharedDescriptors:
    """The descriptors that several threads use; one in use is never closed, others in LRU order."""

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
        """Return an open descriptor of the file; the caller must call `release` for it."""
        # The file is opened with the lock held, so that two threads never open it twice.
        with self._lock:
            descriptor = self._opened.pop(file, None)
            if descriptor is None:
                self._evict()
                descriptor = self._open_file(file)
            self._opened[file] = descriptor
            self._users[file] = self._users.get(file, 0) + 1
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
                self._close_file(file, self._opened.pop(file))

    def rest(self) -> bool:
        """Close the descriptors that are not in use; returns whether that was all of them."""
        with self._lock:
            for file in [file for file in self._opened if file not in self._users]:
                self._close_file(file, self._opened.pop(file))
            return not self._opened

    def close(self) -> None:
        """Close all descriptors; none may be in use."""
        with self._lock:
            assert not self._users, "closed while a thread reads or writes"
            while self._opened:
                self._close_file(*self._opened.popitem())

    def _evict(self) -> None:
        """Close descriptors that are not in use until there is room for one more."""
        excess = len(self._opened) - self._capacity + 1
        if excess <= 0:
            return
        idle = [file for file in self._opened if file not in self._users]
        for file in idle[:excess]:
            self._close_file(file, self._opened.pop(file))
