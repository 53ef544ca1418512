"""Giving the files of a fetch other names: an intent that outlives the node."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio

from trio_swarm.errors import ConfigError, StorageError
from trio_swarm.logs import logger_of
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.service.entries.adding import with_changes
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.keeping import Keeping
from trio_swarm.service.entries.records import keep_texts, kept_texts
from trio_swarm.service.entries.running import Running
from trio_swarm.settings import FetchSettings
from trio_swarm.storage.own_names import checked_renaming, with_another
from trio_swarm.storage.renaming import rename_data

log = logger_of(__name__)


class RenamingFiles:
    """Renames the files of entries, each while it does not run."""

    def __init__(self, running: Running, keeping: Keeping, state_folder: Path) -> None:
        self._running = running
        self._keeping = keeping
        self._state_folder = state_folder

    async def rename(self, entry: Entry, path: Sequence[str], name: str) -> None:
        """See `Entries.rename`; `path` is below the torrent's own name, `()` for that."""
        if entry.kind == "share":
            raise ConfigError(
                f"{entry.name}: is a share, which has the names that are on the disk: with others "
                "it is another torrent"
            )
        async with self._running.turn(entry):
            renaming = checked_renaming(entry.known_info(), entry.renamings, path, name)
            if renaming is None:
                return
            await self._keeping.save(entry, entry.change(renaming=keep_texts(renaming)))
            await self._rename(entry)

    async def go_on(self, entry: Entry) -> None:
        """Rename what is left of a renaming by a node that was killed; the entry has its turn.

        If it fails, the log and the entry's `error` say why.
        """
        if entry.record.renaming is None:
            return
        try:
            await self._rename(entry)
        except StorageError as error:
            entry.error = str(error)
            log.warning("%s", error)

    async def _rename(self, entry: Entry) -> None:
        settings, renaming = entry.settings, entry.record.renaming
        assert isinstance(settings, FetchSettings)
        assert renaming is not None
        new = kept_texts(renaming)
        try:
            await self._running.end(entry)
            info = await trio.to_thread.run_sync(self._listed, entry)
            if info is not None:
                work = partial(
                    rename_data,
                    info,
                    settings.renamings,
                    new,
                    folder=settings.folder,
                    incomplete=entry.incomplete_folder,
                    state_folder=self._state_folder,
                )
                entry.known = await trio.to_thread.run_sync(work)
        except StorageError:
            await self._keeping.save(entry, entry.change(renaming=None))
            raise
        renamings = tuple(map(keep_texts, with_another(settings.renamings, new)))
        record = entry.change(renamings=renamings, renaming=None)
        await self._keeping.save(entry, record)
        entry.settings = with_changes(settings, record)

    def _listed(self, entry: Entry) -> Info | None:
        """Return what an entry is, with the names of the torrent. Blocking."""
        if entry.listed_info is not None:
            return entry.listed_info
        metainfo = self._keeping.metainfo_of(entry)
        return None if metainfo is None else metainfo.info
