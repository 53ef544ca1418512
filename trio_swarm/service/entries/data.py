"""The data of an entry that does not run: where it is, deleted, moved, or to be hashed anew.

What a killed process has begun is gone on with: everything here may be done twice. Blocking.
"""

import os
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from trio_swarm.errors import StorageError
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.service.entries.adding import Settings
from trio_swarm.settings import FetchSettings, ShareSettings
from trio_swarm.storage.at_rest import RestingFiles, open_at_rest
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.disk_names import choose_names
from trio_swarm.storage.hashing import ShouldStop
from trio_swarm.storage.incomplete import folder_of_data
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.moving import move_data, settle_moved
from trio_swarm.storage.own_names import with_own_names
from trio_swarm.storage.placement import Placement
from trio_swarm.storage.removal import delete_data, download_on_disk, files_of, forget_state
from trio_swarm.storage.resume import log as resume_log
from trio_swarm.storage.share_hashes import ShareHashes
from trio_swarm.storage.share_opening import open_share
from trio_swarm.storage.shares import hash_share
from trio_swarm.storage.state import StateFolder

Data = tuple[Info, Path]
"""The names that files have on this disk, and their root: `NAME`, or `NAME.part`."""


def find_data(
    settings: Settings, incomplete: Path | None, metainfo: Metainfo | None, state_folder: Path
) -> Data | None:
    """Return the data of an entry; None if there is none, or nobody knows what it is.

    `incomplete` is where a fetch is until it is complete, if that is not its own folder. A share
    without `metainfo` is hashed. Raises StorageError for data that is not known to be of this
    torrent.
    """
    if isinstance(settings, ShareSettings):
        if not settings.path.exists():
            return None
        if metainfo is not None:
            return metainfo.info, Path(os.path.realpath(settings.path))
        info = hash_share(
            settings.path,
            name=_own_name(settings),
            piece_length=settings.piece_length,
            version=settings.version,
            state_folder=state_folder,
        )
        return info, Path(os.path.realpath(settings.path))
    if metainfo is None:
        return None  # not even its metadata has come
    info, folder = _names_and_folder(metainfo.info, settings, incomplete, state_folder)
    return download_on_disk(info, folder, state_folder)


def recall_pieces(
    info: Info, settings: FetchSettings, incomplete: Path | None, state_folder: Path
) -> PieceSet:
    """Return which pieces of a download were verified when it ran last; folders as `find_data`."""
    try:
        info, folder = _names_and_folder(info, settings, incomplete, state_folder)
        state, folder = StateFolder(state_folder), Path(os.path.realpath(folder))
        names = choose_names(info, folder, state).info
        journal = state.journal(Placement(names, folder).final, info.info_hash)
        return resume_log.load(journal, Layout(names)).have
    except (OSError, StorageError):
        return 0


def recall_share(settings: ShareSettings, hashes: ShareHashes) -> tuple[Info, PieceSet] | None:
    """Return what is known of a share that is as it was when it was hashed, or that is small."""
    with suppress(StorageError):
        files = _open_share(settings, hashes)
        return None if files is None else (files.info, files.have)
    return None


Resting = RestingFiles | TorrentFiles
"""The files of an entry that does not run, as far as they were verified."""


def open_resting(
    settings: Settings,
    incomplete: Path | None,
    known: Data | None,
    metainfo: Metainfo | None,
    state_folder: Path,
) -> Resting | None:
    """Open the files of an entry that does not run; None if nothing is known to be right there.

    `known` is its data when it ran last; `incomplete` as in `find_data`. Raises StorageError for a
    share that cannot be read.
    """
    if isinstance(settings, ShareSettings):
        return _open_share(settings, ShareHashes(StateFolder(state_folder)))
    if known is not None:
        return open_at_rest(known[0], known[1].parent, state_folder)
    if metainfo is None:
        return None
    info, folder = _names_and_folder(metainfo.info, settings, incomplete, state_folder)
    return open_at_rest(info, folder, state_folder)


class Other(Struct, frozen=True):
    """Another entry of the list, whose files stay."""

    settings: Settings
    incomplete: Path | None
    """Where it is until it is complete, if that is not its own folder."""
    known: Data | None
    metainfo: Callable[[], Metainfo | None]

    def files_at(self, root: Path, files: Collection[Path], state_folder: Path) -> set[Path]:
        """Return which of `files`, all of them at `root`, are its files as well."""
        if self.known is not None:
            return self._listed(self.known, root, files)
        settings = self.settings
        if isinstance(settings, ShareSettings):  # it may not have been hashed yet
            top = Path(os.path.realpath(settings.path))
            return {path for path in files if path.is_relative_to(top)}
        folders = [settings.folder, *([] if self.incomplete is None else [self.incomplete])]
        if not any(_overlap(Path(os.path.realpath(each)), root) for each in folders):
            return set()
        with suppress(StorageError):
            found = find_data(settings, self.incomplete, self.metainfo(), state_folder)
            return set() if found is None else self._listed(found, root, files)
        return set(files)  # nobody knows whose they are

    def _listed(self, data: Data, root: Path, files: Collection[Path]) -> set[Path]:
        return set(files).intersection(files_of(*data)) if _overlap(data[1], root) else set()


def remove_data(data: Data, others: Iterable[Other], state_folder: Path) -> int:
    """Delete the files of an entry but those that others have, too; return how many there were.

    Raises StorageError for a file that cannot be deleted, after the others were.
    """
    info, root = data
    files = set(files_of(info, root))
    spared: set[Path] = set()
    for other in others:
        spared |= other.files_at(root, files, state_folder)
    deleted = delete_data(info, root, spared=spared)
    forget_state(info, root.with_name(info.name), state_folder)
    forget_state(info, root, state_folder)
    return deleted


def forget_data(
    settings: Settings, incomplete: Path | None, metainfo: Metainfo | None, state_folder: Path
) -> None:
    """Remove what is remembered of data that is gone; `incomplete` as in `find_data`."""
    if metainfo is None:
        return
    if isinstance(settings, ShareSettings):
        forget_state(metainfo.info, Path(os.path.realpath(settings.path)), state_folder)
        return
    info = with_own_names(metainfo.info, settings.renamings)
    for place in (settings.folder, incomplete):
        if place is not None:
            with suppress(StorageError, OSError):
                folder = Path(os.path.realpath(place))
                names = choose_names(info, folder, StateFolder(state_folder)).info
                forget_state(names, Placement(names, folder).final, state_folder)


def settle(
    settings: FetchSettings,
    incomplete: Path | None,
    metainfo: Metainfo,
    folder: Path,
    state_folder: Path,
) -> None:
    """Have what is known of a fetch follow its data, which a killed process moved into `folder`.

    `incomplete` as in `find_data`.
    """
    info = with_own_names(metainfo.info, settings.renamings)
    for place in (settings.folder, incomplete):
        if place is not None:
            settle_moved(info, place, folder, state_folder)


def is_moved(
    settings: Settings, folder: Path, metainfo: Metainfo | None, state_folder: Path
) -> bool:
    """Whether a move into `folder` that was interrupted has put the data there already."""
    if isinstance(settings, ShareSettings):
        return (folder / settings.path.name).exists()
    with suppress(StorageError):
        there = find_data(replace(settings, folder=folder), None, metainfo, state_folder)
        return there is not None
    return False


def bring_data(
    data: Data, folder: Path, state_folder: Path, should_stop: ShouldStop, *, is_begun: bool
) -> Data:
    """Move the data of an entry into a folder; see `storage.moving`, errors included."""
    info, root = data
    target = move_data(info, root, folder, state_folder, should_stop=should_stop, is_begun=is_begun)
    return info, target


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


def _open_share(settings: ShareSettings, hashes: ShareHashes) -> TorrentFiles | None:
    return open_share(
        settings.path,
        name=_own_name(settings),
        piece_length=settings.piece_length,
        version=settings.version,
        hashes=hashes,
        on_state_problem=lambda _error: None,
    )


def _names_and_folder(
    info: Info, settings: FetchSettings, incomplete: Path | None, state_folder: Path
) -> tuple[Info, Path]:
    """Return the names that a fetch's files were given, and the folder that it is in."""
    info = with_own_names(info, settings.renamings)
    return info, folder_of_data(info, settings.folder, incomplete, state_folder)


def _own_name(settings: ShareSettings) -> str | None:
    return settings.name.rsplit("/", 1)[-1] if settings.name else None


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)
