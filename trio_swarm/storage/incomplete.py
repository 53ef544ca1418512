"""Which of two folders a download is in: its own, or the one for what is not complete."""

import os
from contextlib import suppress
from pathlib import Path

from trio_swarm.errors import StorageError
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.disk_names import choose_names
from trio_swarm.storage.placement import Placement
from trio_swarm.storage.state import StateFolder


def folder_of_data(info: Info, folder: Path, incomplete: Path | None, state_folder: Path) -> Path:
    """Return the folder that a download of `info` is in, or is to begin in. Blocking.

    That is `incomplete`, unless only `folder`, where it belongs, has data by its name: it is used
    there, if it is of this torrent (see `placement`).
    """
    if incomplete is None:
        return folder
    state = StateFolder(state_folder)
    is_there = _has_name(info, folder, state) and not _has_name(info, incomplete, state)
    return folder if is_there else incomplete


def _has_name(info: Info, folder: Path, state: StateFolder) -> bool:
    """Whether a folder has something by the name of a torrent, finished or not."""
    with suppress(OSError, StorageError):  # whoever opens it is told
        folder = Path(os.path.realpath(folder))
        placement = Placement(choose_names(info, folder, state).info, folder)
        return os.path.lexists(placement.final) or os.path.lexists(placement.part)
    return False
