"""Whether something was put into a folder, told by the system (inotify(7)) where it can tell.

It cannot for what another machine writes to a network file system, and not if a user's watches are
used up: then nothing is told, and whoever waits must look now and then.
"""

import ctypes
import os
from pathlib import Path
from typing import Final

from trio_swarm.storage.c_library import find_function

_READ_AT_ONCE: Final = 64 * 1024

_PUT_THERE: Final = 0x8 | 0x80
"""IN_CLOSE_WRITE and IN_MOVED_TO: a file is whole, as far as its writer knows."""

_inotify_init = find_function("inotify_init1", ctypes.c_int)
_inotify_add = find_function("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


class FolderEvents:
    """A descriptor that is readable once a file was written or moved into a folder."""

    def __init__(self, folder: Path) -> None:
        self.descriptor: int | None = None
        """None: the system does not tell."""
        if _inotify_init is None or _inotify_add is None:
            return
        descriptor = _inotify_init(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            return
        if _inotify_add(descriptor, os.fsencode(folder), _PUT_THERE) < 0:
            os.close(descriptor)
        else:
            self.descriptor = descriptor

    def drain(self) -> None:
        """Take note of all that was told: what comes after this makes it readable again."""
        try:
            while self.descriptor is not None and os.read(self.descriptor, _READ_AT_ONCE):
                pass
        except OSError:  # it is empty
            return

    def close(self) -> None:
        """Be told nothing more."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
