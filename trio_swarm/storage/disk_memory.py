"""Memory backed by a file on the disk, for pieces that would fill the machine's memory.

The file has no name, so nothing is left of it afterwards. All its blocks are reserved before it is
mapped; otherwise, on a full disk, a write to the memory would end the program (SIGBUS).
"""

import os
import tempfile
from mmap import mmap
from pathlib import Path

from trio_swarm.storage.reservation import extend


def map_file(length: int, folder: Path) -> mmap | None:
    """Return `length` bytes backed by a nameless file in `folder`; None if that is not possible.

    The system writes the bytes to the disk when it needs the memory. It is not possible if blocks
    cannot be reserved: no room, or a file system in memory.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            extend(file.fileno(), 0, length)
            if os.fstat(file.fileno()).st_blocks * 512 < length:
                return None
            return mmap(file.fileno(), length)
    except OSError:
        return None
