"""Reading .torrent files from disk."""

from pathlib import Path

from trio_swarm.errors import MetainfoError
from trio_swarm.protocol.metainfo import Metainfo, parse_metainfo

MAX_TORRENT_FILE = 64 * 1024 * 1024
"""Bytes of a .torrent we read: 3 million pieces; anything larger is not a torrent."""


def read_torrent(path: Path | str) -> Metainfo:
    """Return the metainfo in a .torrent file. Blocking.

    Raises MetainfoError naming the file if it cannot be read or understood.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_TORRENT_FILE + 1)
    except OSError as error:
        raise MetainfoError(f"{file}: {error.strerror or error}") from None
    if len(data) > MAX_TORRENT_FILE:
        raise MetainfoError(f"{file}: larger than any torrent ({MAX_TORRENT_FILE} bytes)")
    try:
        return parse_metainfo(data)
    except MetainfoError as error:
        raise MetainfoError(f"{file}: {error}") from None
