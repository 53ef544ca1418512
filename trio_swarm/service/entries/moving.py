"""Moving the data of an entry to another folder: an intent that outlives the node."""

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
                await self._place(entry, entry.change(folder=place))
                return
            await self._keeping.save(entry, entry.change(moving_to=place))
            await self._move(entry)

    async def begin(self, entry: Entry, folder: Path) -> None:
        """See `Entries.begin_move`."""
        place = keep_text(str(absolute_path(folder)))
        async with self._running.turn(entry):
            await self._keeping.save(entry, entry.change(moving_to=place))
            entry.error = ""
        self.go_on(entry)

    def go_on(self, entry: Entry) -> None:
        """Begin to do what is left of a move; if it fails, the log and its `error` say why."""
        self._nursery.start_soon(self._go_on, entry, name=f"move {entry.name}")

    async def _go_on(self, entry: Entry) -> None:
        try:
            async with self._running.turn(entry):
                if entry.record.moving_to is not None:  # else another call has done it
                    await self._move(entry)
        except EntryUnknownError:
            pass  # it was removed meanwhile
        except StorageError as error:
            entry.error = str(error)
            log.warning("%s", error)

    async def _move(self, entry: Entry) -> None:
        assert entry.record.moving_to is not None
        folder = Path(kept_text(entry.record.moving_to))
        try:
            await self._running.end(entry)
            data = await self._whereabouts.find(entry)
            if data is not None:
                entry.known = await run_stoppable(
                    partial(bring_data, data, folder, self._state_folder)
                )
        except StorageError:
            await self._keeping.save(entry, entry.change(moving_to=None))
            raise
        await self._place(entry, entry.change(folder=entry.record.moving_to, moving_to=None))

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
