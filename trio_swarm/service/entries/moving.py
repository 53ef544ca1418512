"""Moving the data of an entry to another folder: an intent that outlives the node."""

from functools import partial
from pathlib import Path

import trio

from trio_swarm.errors import EntryUnknownError, StorageError
from trio_swarm.logs import logger_of
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.service.entries.adding import absolute_path, with_changes
from trio_swarm.service.entries.data import Data, bring_data
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

    async def begin(self, entry: Entry, folder: Path) -> None:
        """See `Entries.begin_move`."""
        place = keep_text(str(absolute_path(folder)))
        async with self._running.turn(entry):
            await self._keeping.save(entry, entry.change(moving_to=place))
            entry.error = ""
        self._nursery.start_soon(self._go_on, entry, name=f"move {entry.name}")

    def go_on(self, entry: Entry) -> None:
        """Begin to do what is left of a move by a node that was killed, or ended meanwhile.

        If it fails, the log and its `error` say why.
        """
        go_on = partial(self._go_on, entry, was_begun=True)
        self._nursery.start_soon(go_on, name=f"move {entry.name}")

    async def _go_on(self, entry: Entry, *, was_begun: bool = False) -> None:
        try:
            async with self._running.turn(entry):
                if entry.record.moving_to is not None:  # else another call has done it
                    await self._move(entry, was_begun=was_begun)
        except EntryUnknownError:
            pass  # it was removed meanwhile
        except StorageError as error:
            entry.error = str(error)
            log.warning("%s", error)

    async def _move(self, entry: Entry, *, was_begun: bool = False) -> None:
        assert entry.record.moving_to is not None
        folder = Path(kept_text(entry.record.moving_to))
        try:
            await self._running.end(entry)
            data = await self._find(entry, was_begun=was_begun)
            if data is not None:
                bring = partial(bring_data, data, folder, self._state_folder, goes_on=was_begun)
                entry.known = await run_stoppable(bring)
        except StorageError:
            await self._keeping.save(entry, entry.change(moving_to=None))
            raise
        place = entry.record.folder if folder == entry.folder else entry.record.moving_to
        begins = entry.record.incomplete_folder if data is None else None
        record = entry.change(folder=place, moving_to=None, incomplete_folder=begins)
        await self._place(entry, record)

    async def _find(self, entry: Entry, *, was_begun: bool) -> Data | None:
        """Return where the data is; None also for what has just arrived, and is hashed there."""
        try:
            return await self._whereabouts.find(entry)
        except StorageError:
            if not was_begun or entry.incomplete_folder is None:
                raise
            return None

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
