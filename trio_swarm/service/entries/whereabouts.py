"""Where the data of entries is that do not run, and how much of it is here."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import trio

from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.service.entries.data import (
    Data,
    Other,
    find_data,
    forget_data,
    is_moved,
    recall_pieces,
    recall_share,
    remove_data,
    settle,
)
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.keeping import Keeping
from trio_swarm.settings import FetchSettings, ShareSettings
from trio_swarm.storage.share_hashes import ShareHashes
from trio_swarm.storage.state import StateFolder


class Whereabouts:
    """Looks for the data of entries; what is found is noted in them."""

    def __init__(self, keeping: Keeping, state_folder: Path) -> None:
        self._keeping = keeping
        self._state_folder = state_folder

    async def find(self, entry: Entry) -> Data | None:
        """Return where the data of an entry is, and what its files are called there.

        None if there is none. Raises StorageError for data that is not known to be of it.
        """
        if entry.known is None:
            entry.known = await trio.to_thread.run_sync(self._look_for, entry)
        return entry.known

    def _look_for(self, entry: Entry) -> Data | None:
        metainfo = self._keeping.files_of(entry)
        return find_data(entry.settings, entry.incomplete_folder, metainfo, self._state_folder)

    async def has_moved(self, entry: Entry, folder: Path) -> bool:
        """Whether a move into `folder` that a kill interrupted has put the data there already."""
        return await trio.to_thread.run_sync(self._has_moved, entry, folder)

    async def settle(self, entry: Entry, folder: Path) -> None:
        """Have what is known of a fetch follow its data, if a killed node moved it to `folder`."""
        settings, incomplete = entry.settings, entry.incomplete_folder
        metainfo = self._keeping.files_of(entry)
        if metainfo is not None and isinstance(settings, FetchSettings):
            work = partial(settle, settings, incomplete, metainfo, folder, self._state_folder)
            await trio.to_thread.run_sync(work)

    def _has_moved(self, entry: Entry, folder: Path) -> bool:
        return is_moved(entry.settings, folder, self._keeping.files_of(entry), self._state_folder)

    async def delete(self, entry: Entry, entries: Iterable[Entry]) -> int:
        """Delete the files of an entry, but those that others of `entries` have, too.

        Others that are removed with their data at the same time keep nothing for themselves.

        Returns how many there were. Raises StorageError for one that cannot be deleted, after the
        others were.
        """
        known = entry.known
        others = [
            Other(
                each.settings,
                each.incomplete_folder,
                each.known,
                partial(self._keeping.metainfo_of, each),
            )
            for each in entries
            if each is not entry and not each.record.deletes_data
        ]

        def delete() -> int:
            if known is not None:
                return remove_data(known, others, self._state_folder)
            metainfo = self._keeping.files_of(entry)
            forget_data(entry.settings, entry.incomplete_folder, metainfo, self._state_folder)
            return 0

        return await trio.to_thread.run_sync(delete)

    async def recall_all(self, entries: Sequence[Entry]) -> None:
        """Find out what the entries hold that do not run now, one after the other."""
        hashes = ShareHashes(StateFolder(self._state_folder))
        for entry in entries:
            if entry.run is None and entry.info is None:
                await self.recall(entry, hashes)

    async def recall(self, entry: Entry, hashes: ShareHashes | None = None) -> None:
        """Find out what an entry holds that has not run yet, as it was known last.

        A share needs `hashes`; without, it is hashed when it runs.
        """
        settings, incomplete = entry.settings, entry.incomplete_folder

        def look() -> tuple[Info, PieceSet] | None:
            if isinstance(settings, ShareSettings):
                return None if hashes is None else recall_share(settings, hashes)
            metainfo = self._keeping.metainfo_of(entry)
            if metainfo is None:
                return None
            info = metainfo.info
            return info, recall_pieces(info, settings, incomplete, self._state_folder)

        found = await trio.to_thread.run_sync(look)
        if found is not None and entry.info is None:
            entry.metadata, entry.pieces = found
            entry.totals.size = entry.metadata.length
