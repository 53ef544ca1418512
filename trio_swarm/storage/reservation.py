"""Asking the system for a file's blocks before they are written.

Blocks reserved at once lie together on the disk, and each write then finds its own: measured on
ext4, writing 1 GiB took 0.7 of the processor time. fallocate(2) itself is called, as the
`posix_fallocate` of C libraries writes to every block where a file system cannot reserve any.
Nothing depends on it: without, blocks are found as they are written. Files in memory (tmpfs) have
none to be found: there a reservation clears all pages before the first is written, which took
0.23 s a GiB at the start of a download.
"""

import ctypes
import os
import sys

from trio_swarm.storage.c_library import find_function

LEAST_RESERVED = 1024 * 1024
"""Bytes below which a file is not worth a system call: a torrent may hold 100,000 small ones."""

_TMPFS = 0x01021994
"""The type of file systems in memory (statfs(2), TMPFS_MAGIC)."""

_STATFS_LENGTH = 256
"""Bytes given to fstatfs(2), which fills in less; the type is its first `long`."""

_fstatfs = find_function("fstatfs", ctypes.c_int, ctypes.c_char_p)
_fallocate = find_function("fallocate", ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def extend(descriptor: int, size: int, length: int) -> None:
    """Make an open file of `size` bytes `length` bytes long, with blocks of its own if possible.

    Raises OSError if it cannot be that long. A lack of room is none yet: what fits is written.
    """
    if _fallocate is not None and length - size >= LEAST_RESERVED and not is_in_memory(descriptor):
        room = os.fstatvfs(descriptor)
        if room.f_bavail * room.f_frsize > length - size:
            if _fallocate(descriptor, 0, size, length - size) == 0:
                return
            os.ftruncate(descriptor, size)  # gives back what it got before it failed
    os.ftruncate(descriptor, length)


def is_in_memory(descriptor: int) -> bool:
    """Tell whether an open file is of a file system in memory (tmpfs)."""
    if _fstatfs is None or sys.platform != "linux":
        return False
    facts = ctypes.create_string_buffer(_STATFS_LENGTH)
    if _fstatfs(descriptor, facts) != 0:
        return False
    return ctypes.c_long.from_buffer(facts).value == _TMPFS
