"""Moving the data of an entry to another folder: an intent that outlives the node."""

from contextlib import suppress
from functools import partial
from pathlib import Path

import trio

from trio_swarm.errors import EntryUnknownError, StorageError
from trio_swarm.logs import logger_of
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.service.entries.adding import absolute_path, with_changes
from trio_swarm.service.entries.data import bring_data
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.keeping import Keeping
from trio_swarm.service.entries.records import Record, keep_text, kept_text
from trio_swarm.service.entries.running import Running
from trio_swarm.service.entries.whereabouts import Whereabouts

log = logger_of(__name__)


class Moving:
    """Moves the data of entries, each while it does not run."""

    def __init__(
        self,
        running: Running,
        keeping: Keeping,
        whereabouts: Whereabouts,
        *,
        nursery: trio.Nursery,
        state_folder: Path,
    ) -> None:
        self._running = running
        self._keeping = keeping
        self._whereabouts = whereabouts
        self._nursery = nursery
        self._state_folder = state_folder

    async def move(self, entry: Entry, folder: Path, *, move_data: bool) -> None:
        """See `Entries.move`."""
        folder = absolute_path(folder)
        async with self._running.turn(entry):
            place = keep_text(str(folder))
            if not move_data:
                await self._running.end(entry)
                record = entry.change(folder=place, incomplete_folder=None)
                await self._place(entry, record)
                return
            await self._keeping.save(entry, entry.change(moving_to=place))
            await self._move(entry)

    def begin(self, entry: Entry) -> None:
        """Begin to move its data to where its record says; if that fails, its `error` says why."""
        entry.error = ""
        self._nursery.start_soon(self._in_turn, entry, name=f"move {entry.name}")

    async def _in_turn(self, entry: Entry) -> None:
        with suppress(EntryUnknownError):  # it was removed meanwhile
            async with self._running.turn(entry):
                await self.go_on(entry, is_begun=False)

    async def go_on(self, entry: Entry, *, is_begun: bool = True) -> None:
        """Move the data of an entry, which has its turn, if its record says so.

        `is_begun`: a node that was killed may have begun. If it fails, the log and the entry's
        `error` say why.
        """
        if entry.record.moving_to is None:
            return  # another call has done it
        try:
            await self._move(entry, is_begun=is_begun)
        except StorageError as error:
            entry.error = str(error)
            log.warning("%s", error)

    async def _move(self, entry: Entry, *, is_begun: bool = False) -> None:
        """Move its data to where its record says; `is_begun`: a killed process began with it."""
        assert entry.record.moving_to is not None
        folder = Path(kept_text(entry.record.moving_to))
        try:
            await self._running.end(entry)
            is_there = await self._bring(entry, folder, is_begun=is_begun)
        except StorageError:
            await self._keeping.save(entry, entry.change(moving_to=None))
            await self._keeping.forget_files_of_share(entry)
            raise
        place = entry.record.folder if folder == entry.folder else entry.record.moving_to
        begins = None if is_there else entry.record.incomplete_folder
        record = entry.change(
            folder=place,
            moving_to=None,
            incomplete_folder=begins,
            is_home=entry.record.is_home or is_there,
        )
        await self._place(entry, record)

    async def _bring(self, entry: Entry, folder: Path, *, is_begun: bool) -> bool:
        """Move the data of an entry; false if nothing is known to be of it, in either place."""
        if is_begun:
            await self._whereabouts.settle(entry, folder)
        try:
            data = await self._whereabouts.find(entry)
        except StorageError:  # other files are left where it was, or it has just arrived
            if is_begun and await self._whereabouts.has_moved(entry, folder):
                return True
            if is_begun and entry.incomplete_folder is not None:
                return False  # it is hashed where it is
            raise
        if data is None:
            is_fetch = entry.kind == "fetch"
            return is_begun and is_fetch and await self._whereabouts.has_moved(entry, folder)
        await self._keeping.keep_files_of_share(entry)
        bring = partial(bring_data, data, folder, self._state_folder, is_begun=is_begun)
        entry.known = await run_stoppable(bring)
        return True

    async def _place(self, entry: Entry, record: Record) -> None:
        """Take note that the data of an entry, which does not run, is in another folder now."""
        await self._keeping.save(entry, record)
        entry.settings = with_changes(entry.settings, record)
        if entry.known is not None:
            info, root = entry.known
            entry.known = info, entry.folder / root.name
        entry.error = ""
        if entry.outcome == "failed":  # perhaps because its files were not here
            entry.outcome = ""
        await self._keeping.forget_files_of_share(entry)
