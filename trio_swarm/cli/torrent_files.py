"""Writing .torrent files, and telling about them."""

from pathlib import Path

from trio_swarm import Metainfo
from trio_swarm.cli.json_events import Created
from trio_swarm.errors import StorageError


def write_new_file(file: Path, content: bytes, *, may_replace: bool = False) -> None:
    """Write `content` to `file`.

    StorageError if it cannot be written, or exists and may not be replaced.
    """
    try:
        with file.open("wb" if may_replace else "xb") as stream:
            stream.write(content)
    except FileExistsError:
        raise StorageError("exists already and is not overwritten", path=file) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot be written: {reason}", path=file) from error


def created_event(metainfo: Metainfo, file: Path, magnet: str) -> Created:
    """Return the event for a written .torrent file."""
    info = metainfo.info
    return Created(
        path=str(file),
        share_name=info.name,
        info_hash=info.info_hash.hex(),
        size=info.length,
        pieces=info.piece_count,
        piece_length=info.piece_length,
        magnet=magnet,
    )
