"""Whether another program can have written to a file between two of our own writes.

Our writes change a file's stamp, too, so a stamp does not show another write at the same time. On
Linux and for a local file system, open files show it: a program must have the file open for
writing. inotify(7) reports the end of each such opening, and a read lease (fcntl(2), F_SETLEASE) is
granted only while there is none. Writing through a mapping counts, since a mapping keeps its file
open. Two cases are not seen: truncate(2) of a path (the size shows it, unless it is the same
again), and programs on other machines of a network file system (which grants no leases).

If the system does not tell, nothing is claimed: `is_untouched` returns False.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import struct
import threading

from trio_swarm.storage.c_library import find_function

MAX_WATCHED = 1024
"""Most files of one torrent that are watched at a time: a user has at least about 8,192 watches for
all programs together. Beyond it, the file watched first is dropped and counts as touched."""

_CLOSED_WRITING = 0x8
"""IN_CLOSE_WRITE: a program that had the file open for writing has closed it."""
_GONE = 0x8000
"""IN_IGNORED: the watch ended because the file was removed."""
_OVERFLOW = 0x4000
"""IN_Q_OVERFLOW: events were lost because the queue was full."""

_EVENT = struct.Struct("iIII")
_READ_AT_ONCE = 64 * 1024

_inotify_init = find_function("inotify_init1", ctypes.c_int)
_inotify_add = find_function("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_inotify_remove = find_function("inotify_rm_watch", ctypes.c_int, ctypes.c_int)


class ForeignWriters:
    """Watches the files of one torrent, by their numbers; thread-safe.

    Our own descriptors for writing must be closed with `close_own`. No method raises: a file that
    cannot be watched counts as touched.
    """

    __slots__ = ("_files", "_inotify", "_lock", "_touched", "_watches")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inotify: int | None = None
        self._watches: dict[int, int] = {}  # file → watch, the oldest first
        self._files: dict[int, int] = {}  # watch → file
        self._touched: set[int] = set()

    def watch(self, file: int, descriptor: int) -> bool:
        """Watch an open file from now on if it is not watched yet; return whether it is watched."""
        with self._lock:
            if file in self._watches:
                return True
            inotify = self._opened()
            if inotify is None or _inotify_add is None:
                return False
            if len(self._watches) >= MAX_WATCHED:
                self._drain()
                self._end(next(iter(self._watches)))
            watch = _inotify_add(inotify, b"/proc/self/fd/%d" % descriptor, _CLOSED_WRITING)
            if watch < 0 or watch in self._files:  # two names of one file share a watch
                return False
            self._watches[file] = watch
            self._files[watch] = file
            self._touched.discard(file)
            return True

    @property
    def is_crowded(self) -> bool:
        """Whether few watches are left: release the `oldest` files."""
        return len(self._watches) > MAX_WATCHED * 3 // 4

    def oldest(self) -> list[int]:
        """Return the half of the files that have been watched longest."""
        with self._lock:
            files = list(self._watches)
        return files[: len(files) // 2]

    def close_own(self, file: int, descriptor: int) -> None:
        """Close a descriptor of our own that was open for writing."""
        with self._lock:
            if file not in self._watches:
                os.close(descriptor)
                return
            self._drain()
            was_touched = file in self._touched
            os.close(descriptor)
            self._drain()  # includes the event of our own closing
            if not was_touched:
                self._touched.discard(file)

    def is_touched(self, file: int) -> bool:
        """Return whether another program wrote to the file, or the file is not watched."""
        with self._lock:
            self._drain()
            return file not in self._watches or file in self._touched

    def was_written(self, file: int) -> bool:
        """Return whether another program certainly had the file open for writing while watched."""
        with self._lock:
            self._drain()
            return file in self._touched

    def is_untouched(self, file: int, descriptor: int) -> bool:
        """Return whether certainly no other program wrote to the file, or has it open to write.

        `descriptor` is open for reading; our own descriptors for writing must be closed.
        """
        return _has_no_writer(descriptor) and not self.is_touched(file)

    def forget(self, file: int) -> None:
        """Stop watching a file, for instance because it was replaced."""
        with self._lock:
            if file in self._watches:
                self._end(file)

    def close(self) -> None:
        """Stop watching all files and release the watches."""
        with self._lock:
            self._watches.clear()
            self._files.clear()
            if self._inotify is not None:
                os.close(self._inotify)
                self._inotify = None

    def _opened(self) -> int | None:
        if self._inotify is None and _inotify_init is not None:
            descriptor = _inotify_init(os.O_NONBLOCK | os.O_CLOEXEC)
            if descriptor >= 0:
                self._inotify = descriptor
        return self._inotify

    def _end(self, file: int) -> None:
        watch = self._watches.pop(file)
        del self._files[watch]
        self._touched.discard(file)
        if self._inotify is not None and _inotify_remove is not None:
            _inotify_remove(self._inotify, watch)  # the system never reuses its number

    def _drain(self) -> None:
        if self._inotify is None:
            return
        files = self._files
        while True:
            try:
                data = os.read(self._inotify, _READ_AT_ONCE)
            except OSError:  # the queue is empty
                return
            at = 0
            while at < len(data):
                watch, mask, _cookie, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size + length
                if mask & _OVERFLOW:
                    self._touched.update(self._watches)
                elif watch in files:
                    self._touched.add(files[watch])
                    if mask & _GONE:
                        del self._watches[files.pop(watch)]


def _has_no_writer(descriptor: int) -> bool:
    """Return whether no program has the open file open for writing; False if unknown."""
    try:
        # If a program opens the file for writing now, the system sends us a signal. The default
        # signal would end the process; this one is ignored.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except (AttributeError, OSError):
        return False
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True
