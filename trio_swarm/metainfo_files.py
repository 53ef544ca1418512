"""Reading .torrent files, and making the metainfo of files and folders."""

from collections.abc import Callable, Sequence
from pathlib import Path

from trio_swarm._version import __version__
from trio_swarm.amounts import size_text
from trio_swarm.errors import MetainfoError, StorageError
from trio_swarm.identities import DEFAULT_VERSION, TorrentVersion
from trio_swarm.named_paths import read_whole
from trio_swarm.protocol.metainfo.torrent import Metainfo, parse_metainfo
from trio_swarm.settings import default_state_folder
from trio_swarm.storage.hashing import never_stop, no_progress
from trio_swarm.storage.shares import LeftOut, create_metainfo, ignore_left_out

MAX_TORRENT_FILE = 64 * 1024 * 1024
"""Most bytes of a .torrent file that are read: enough for 3 million pieces."""


def read_torrent(path: Path | str) -> Metainfo:
    """Return the metainfo of a .torrent file. Blocking.

    Raises MetainfoError, which names the file, if it cannot be read or is not a valid .torrent
    file.
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
    web_seeds: Sequence[str] = (),
    piece_length: int | None = None,
    private: bool = False,
    source: str = "",
    version: TorrentVersion = DEFAULT_VERSION,
    comment: str = "",
    created_by: str = f"trio-swarm {__version__}",
    creation_date: int | None = None,
    state_folder: Path | None = None,
    on_progress: Callable[[int, int], None] = no_progress,
    on_left_out: Callable[[LeftOut], None] = ignore_left_out,
    should_stop: Callable[[], bool] = never_stop,
    on_state_problem: Callable[[StorageError], None] | None = None,
) -> Metainfo:
    """Hash a file or folder and return its metainfo. Blocking.

    To make a .torrent file, write the returned value's `to_bytes()`. Without a `creation_date`
    (seconds since 1970) the same files and options always give the same bytes. Files that were
    hashed before and have not changed are not hashed again.

    `version` is "v1" (BEP 3), "v2" (BEP 52), or "hybrid": both, which takes both hashes and aligns
    files to pieces. `source` is written into the info dictionary, so that the same files make
    another torrent.

    `on_progress(done, total)` is called from other threads, with bytes. If `should_stop` returns
    true, HashingStopped is raised. `on_left_out` is called from another thread with the number of
    links and special files that are not in the torrent. If `state_folder` cannot be used,
    `on_state_problem` is called with the reason, and the hashes are not stored; without
    `on_state_problem` this raises StorageError.

    Raises StorageError if a file is missing, unreadable or changing, or if there is no data. Raises
    MetainfoError if the URL of a tracker or web seed is not valid.
    """
    return create_metainfo(
        Path(path),
        name=name,
        trackers=trackers,
        web_seeds=web_seeds,
        piece_length=piece_length,
        private=private,
        source=source,
        version=version,
        comment=comment,
        created_by=created_by,
        creation_date=creation_date,
        state_folder=state_folder or default_state_folder(),
        on_progress=on_progress,
        on_left_out=on_left_out,
        should_stop=should_stop,
        on_state_problem=on_state_problem,
    )
