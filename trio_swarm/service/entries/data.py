"""The data of an entry that does not run: where it is, deleted, moved, or to be hashed anew.

Blocking.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from trio_swarm.errors import StorageError
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.service.entries.adding import Settings
from trio_swarm.settings import FetchSettings, ShareSettings
from trio_swarm.storage.disk_names import choose_names
from trio_swarm.storage.hashing import ShouldStop
from trio_swarm.storage.incomplete import folder_of_data
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.moving import move_data
from trio_swarm.storage.own_names import with_own_names
from trio_swarm.storage.placement import Placement
from trio_swarm.storage.removal import delete_data, download_on_disk, files_of, forget_state
from trio_swarm.storage.resume import log as resume_log
from trio_swarm.storage.shares import hash_share
from trio_swarm.storage.state import StateFolder

Data = tuple[Info, Path]
"""The names that files have on this disk, and their root: `NAME`, or `NAME.part`."""


def find_data(
    settings: Settings, incomplete: Path | None, metainfo: Metainfo | None, state_folder: Path
) -> Data | None:
    """Return the data of an entry; None if there is none, or nobody knows what it is.

    `incomplete` is where a fetch is until it is complete, if that is not its own folder. Raises
    StorageError for data that is not known to be of this torrent.
    """
    if isinstance(settings, ShareSettings):
        if not settings.path.exists():
            return None
        name = settings.name.rsplit("/", 1)[-1] if settings.name else None
        info = hash_share(
            settings.path,
            name=name,
            piece_length=settings.piece_length,
            state_folder=state_folder,
        )
        return info, Path(os.path.realpath(settings.path))
    if metainfo is None:
        return None  # not even its metadata has come
    info = with_own_names(metainfo.info, settings.renamings)
    folder = folder_of_data(info, settings.folder, incomplete, state_folder)
    return download_on_disk(info, folder, state_folder)


def recall_pieces(
    info: Info, settings: FetchSettings, incomplete: Path | None, state_folder: Path
) -> PieceSet:
    """Return which pieces of a download were verified when it ran last; folders as `find_data`."""
    try:
        info = with_own_names(info, settings.renamings)
        folder = folder_of_data(info, settings.folder, incomplete, state_folder)
        state, folder = StateFolder(state_folder), Path(os.path.realpath(folder))
        names = choose_names(info, folder, state).info
        journal = state.journal(Placement(names, folder).final, info.info_hash)
        return resume_log.load(journal, Layout(names)).have
    except (OSError, StorageError):
        return 0


def remove_data(data: Data, others: Iterable[Data], state_folder: Path) -> int:
    """Delete the files of an entry but those that others have, too; return how many there were.

    Raises StorageError for a file that cannot be deleted, after the others were.
    """
    info, root = data
    spared = {path for other in others if _overlap(other[1], root) for path in files_of(*other)}
    deleted = delete_data(info, root, spared=spared)
    forget_state(info, root.with_name(info.name), state_folder)
    forget_state(info, root, state_folder)
    return deleted


def bring_data(
    data: Data,
    folder: Path,
    state_folder: Path,
    should_stop: ShouldStop,
    *,
    goes_on: bool = False,
) -> Data:
    """Move the data of an entry into a folder; see `storage.moving`, errors included."""
    info, root = data
    moved = move_data(info, root, folder, state_folder, should_stop=should_stop, goes_on=goes_on)
    return info, moved


def hash_again(data: Data, *, is_share: bool, state_folder: Path) -> None:
    """Have the data of an entry hashed when it runs next, whatever is remembered of it.

    Raises StorageError if that cannot be written.
    """
    info, root = data
    if is_share:  # it offers what is there, and that may be another torrent by now
        forget_state(info, root, state_folder)
        return
    layout = Layout(info)
    journal = StateFolder(state_folder).journal(Placement(info, root.parent).final, info.info_hash)
    resume_log.forget_checks(journal, layout)


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)
