"""Files that a command writes for a person: never over another, unless that was asked for."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from trio_swarm.cli.output.json_lines import Created
from trio_swarm.errors import StorageError

if TYPE_CHECKING:  # `seed` asks trackers while what makes torrents is imported
    from trio_swarm.protocol.metainfo.torrent import Metainfo


def check_place(file: Path, *, may_replace: bool = False) -> None:
    """Raise the StorageError that `write_new_file` would raise, before the work for it is done.

    A change meanwhile is met when the file is written.
    """
    is_there = os.path.lexists(file)
    if is_there and not may_replace:
        raise _exists(file)
    if file.is_dir():
        raise StorageError("cannot be written: it is a folder", path=file)
    if not file.parent.is_dir():
        raise StorageError("cannot be written: its folder does not exist", path=file)
    if not os.access(file if is_there else file.parent, os.W_OK):
        raise StorageError("cannot be written: no permission", path=file)


def write_new_file(file: Path, content: bytes, *, may_replace: bool = False) -> None:
    """Write `content` to `file`.

    StorageError if it cannot be written, or exists and may not be replaced.
    """
    try:
        with file.open("wb" if may_replace else "xb") as stream:
            stream.write(content)
    except FileExistsError:
        raise _exists(file) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot be written: {reason}", path=file) from error


def _exists(file: Path) -> StorageError:
    return StorageError("exists already and is not overwritten", path=file)


def created_event(metainfo: "Metainfo", file: Path, magnet: str) -> Created:
    """Return the event for a written .torrent file."""
    info = metainfo.info
    return Created(
        path=str(file),
        share_name=info.name,
        info_hash=info.info_hash.hex(),
        info_hash_v2=None if info.v2_hash is None else info.v2_hash.hex(),
        size=info.size,
        pieces=info.piece_count,
        piece_length=info.piece_length,
        magnet=magnet,
    )
