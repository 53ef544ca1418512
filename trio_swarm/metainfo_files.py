"""Reading and making .torrent files."""

from collections.abc import Callable, Sequence
from pathlib import Path

from trio_swarm._version import __version__
from trio_swarm.amounts import size_text
from trio_swarm.errors import MetainfoError, StorageError
from trio_swarm.named_paths import read_whole
from trio_swarm.protocol.metainfo.torrent import Metainfo, parse_metainfo
from trio_swarm.settings import default_state_folder
from trio_swarm.storage.hashing import never_stop, no_progress
from trio_swarm.storage.shares import LeftOut, create_metainfo, ignore_left_out

MAX_TORRENT_FILE = 64 * 1024 * 1024
"""Bytes of a .torrent we read: 3 million pieces; anything larger is not a torrent."""


def read_torrent(path: Path | str) -> Metainfo:
    """Return the metainfo in a .torrent file. Blocking.

    Raises MetainfoError naming the file if it cannot be read or understood.
    """
    file = Path(path)
    try:
        data = read_whole(file, MAX_TORRENT_FILE)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise MetainfoError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_TORRENT_FILE:
        limit = size_text(MAX_TORRENT_FILE)
        raise MetainfoError(f"{file}: is no .torrent file, which has {limit} at most")
    try:
        return parse_metainfo(data)
    except MetainfoError as error:
        raise MetainfoError(f"{file}: {error}") from None


def create_torrent(
    path: Path | str,
    *,
    name: str | None = None,
    trackers: Sequence[str] = (),
    piece_length: int | None = None,
    private: bool = False,
    comment: str = "",
    created_by: str = f"trio-swarm {__version__}",
    creation_date: int | None = None,
    state_folder: Path | None = None,
    on_progress: Callable[[int, int], None] = no_progress,
    on_left_out: Callable[[LeftOut], None] = ignore_left_out,
    should_stop: Callable[[], bool] = never_stop,
    on_state_problem: Callable[[StorageError], None] | None = None,
) -> Metainfo:
    """Hash a file or folder and return its metainfo; write `to_bytes()` of it to a file. Blocking.

    What was hashed before and has not changed is not hashed again. `on_progress(done, total)` is
    called from threads, in bytes; when `should_stop` returns true, HashingStopped is raised.
    `on_left_out` is told, from a thread, how many links and special files are not in the torrent.
    `on_state_problem` is told why that is not remembered, if `state_folder` cannot be used; without
    it that is a StorageError.

    Raises StorageError (missing, unreadable, empty, changing) or MetainfoError (a bad URL).
    """
    return create_metainfo(
        Path(path),
        name=name,
        trackers=trackers,
        piece_length=piece_length,
        private=private,
        comment=comment,
        created_by=created_by,
        creation_date=creation_date,
        state_folder=state_folder or default_state_folder(),
        on_progress=on_progress,
        on_left_out=on_left_out,
        should_stop=should_stop,
        on_state_problem=on_state_problem,
    )
