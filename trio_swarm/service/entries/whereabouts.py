"""Where the data of entries is that do not run, and how much of it is here."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import trio

from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.service.entries.data import Data, find_data, recall_pieces, remove_data
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.keeping import Keeping
from trio_swarm.settings import FetchSettings


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
        metainfo = None if entry.kind == "share" else self._keeping.metainfo_of(entry)
        return find_data(entry.settings, entry.incomplete_folder, metainfo, self._state_folder)

    async def delete(self, entry: Entry, entries: Iterable[Entry]) -> int:
        """Delete the files of an entry, but those that others of `entries` have, too.

        Returns how many there were. Raises StorageError for one that cannot be deleted, after the
        others were.
        """
        if entry.known is None:
            return 0
        others = [each.known for each in entries if each is not entry and each.known is not None]
        return await trio.to_thread.run_sync(remove_data, entry.known, others, self._state_folder)

    async def recall_all(self, entries: Sequence[Entry]) -> None:
        """Find out what the entries hold that do not run now, one after the other."""
        for entry in entries:
            if entry.run is None and entry.info is None and entry.kind == "fetch":
                await self.recall(entry)

    async def recall(self, entry: Entry) -> None:
        """Find out what an entry holds that has not run yet, as it was known last."""
        settings, incomplete = entry.settings, entry.incomplete_folder
        if not isinstance(settings, FetchSettings):
            return  # a share is hashed when it runs

        def look() -> tuple[Info, PieceSet] | None:
            metainfo = self._keeping.metainfo_of(entry)
            if metainfo is None:
                return None
            info = metainfo.info
            return info, recall_pieces(info, settings, incomplete, self._state_folder)

        found = await trio.to_thread.run_sync(look)
        if found is not None and entry.info is None:
            entry.metadata, entry.pieces = found
            entry.totals.size = entry.metadata.length
