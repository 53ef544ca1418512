"""Memory that is a file on the disk, for pieces so large that keeping them would use up a machine.

The file has no name, so that nothing is left of it. All of its blocks are reserved before it is
mapped: otherwise a full disk would end the program at a write to the memory (SIGBUS).
"""

import os
import tempfile
from mmap import mmap
from pathlib import Path

from trio_swarm.storage.reservation import extend


def map_file(length: int, folder: Path) -> mmap | None:
    """Return `length` bytes that lie in a nameless file in `folder`; None where that cannot be.

    The system writes them out when it needs the memory. Where blocks cannot be reserved (no room,
    a file system in memory) there is none.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            extend(file.fileno(), 0, length)
            if os.fstat(file.fileno()).st_blocks * 512 < length:
                return None
            return mmap(file.fileno(), length)
    except OSError:
        return None
