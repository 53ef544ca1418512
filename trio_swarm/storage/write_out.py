"""Telling the system to write a file's dirty pages to the disk now, without waiting for it.

By itself, Linux begins after about 5 to 30 seconds, and the sync at the end of a download would
wait for all pages. sync_file_range(2) is not in Python's `os`. If the C library lacks it, nothing
is done here and syncs take longer.
"""

import ctypes

from trio_swarm.storage.c_library import find_function

_WRITE = 2
"""SYNC_FILE_RANGE_WRITE: start writing dirty pages, without waiting and without syncing
metadata."""

_sync_file_range = find_function(
    "sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint
)


def start_write_out(descriptor: int) -> None:
    """Start writing the file's dirty pages; a failure shows at the next sync."""
    if _sync_file_range is not None:
        _sync_file_range(descriptor, 0, 0, _WRITE)
