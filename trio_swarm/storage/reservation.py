"""Asking the system for a file's blocks before they are written.

Blocks reserved at once lie together on the disk, and each write then finds its own: measured on
ext4, writing 1 GiB took 0.7 of the processor time. fallocate(2) itself is called, as the
`posix_fallocate` of C libraries writes to every block where a file system cannot reserve any.
Nothing depends on it: without, blocks are found as they are written.
"""

import ctypes
import os

from trio_swarm.storage.c_library import find_function

LEAST_RESERVED = 1024 * 1024
"""Bytes below which a file is not worth a system call: a torrent may hold 100,000 small ones."""

_fallocate = find_function("fallocate", ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def extend(descriptor: int, size: int, length: int) -> None:
    """Make an open file of `size` bytes `length` bytes long, with blocks of its own if possible.

    Raises OSError if it cannot be that long. A lack of room is none yet: what fits is written.
    """
    if _fallocate is not None and length - size >= LEAST_RESERVED:
        room = os.fstatvfs(descriptor)
        if room.f_bavail * room.f_frsize > length - size:
            if _fallocate(descriptor, 0, size, length - size) == 0:
                return
            os.ftruncate(descriptor, size)  # gives back what it got before it failed
    os.ftruncate(descriptor, length)
