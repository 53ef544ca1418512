"""Where fetches are until they are complete, and how their data comes to its own folder then."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from trio_swarm.errors import StorageError
from trio_swarm.logs import logger_of
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.service.entries.data import Data, bring_data
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.keeping import Keeping
from trio_swarm.service.entries.records import keep_text

log = logger_of(__name__)

Turn = Callable[[Entry], AbstractAsyncContextManager[None]]
"""Lets one call at a time begin and end the work of an entry: `Running.turn`."""


class Incomplete:
    """Owns where new fetches begin; an entry that has begun stays where it is, over restarts."""

    def __init__(self, keeping: Keeping, turn: Turn, state_folder: Path) -> None:
        self.folder: Path | None = None
        """Absolute; None: each begins in its own folder."""
        self._keeping = keeping
        self._turn = turn
        self._state_folder = state_folder

    async def folder_of(self, entry: Entry) -> Path | None:
        """Return where a fetch that is about to run is until it is complete; None: in its own."""
        folder = self.folder
        if entry.record.incomplete_folder is not None:
            return entry.incomplete_folder
        is_settled = entry.record.is_home or entry.completed_at is not None
        if folder is None or folder == entry.folder or is_settled:
            return None
        try:
            async with self._turn(entry):
                record = entry.change(incomplete_folder=keep_text(str(folder)))
                await self._keeping.save(entry, record)
        except StorageError as error:  # its data would be lost sight of
            log.warning("%s; %s is fetched into its own folder", error, entry.name)
            return None
        return folder

    async def bring_home(self, entry: Entry, data: Data) -> None:
        """Move the data of a fetch, which is complete and not in use, to its own folder.

        A node that is killed meanwhile goes on with it. Raises StorageError, and then the data is
        where it was.
        """
        home = _home(entry)
        async with self._turn(entry):
            # Whoever goes on with it after a restart must know which files these are.
            await self._keeping.keep_info(entry, data[0])
            if entry.record.moving_to is None:  # else somebody is about to move it elsewhere
                await self._keeping.save(entry, entry.change(moving_to=home))
            entry.known = None  # it is in either place from now on
        bring = partial(bring_data, data, entry.folder, self._state_folder, is_begun=False)
        try:
            moved = await run_stoppable(bring)
        except StorageError:
            async with self._turn(entry):
                await self._keeping.save(entry, entry.change(moving_to=_but(home, entry)))
            raise
        entry.known = moved
        await self.is_home(entry)

    async def is_home(self, entry: Entry) -> None:
        """Take note that the data of a fetch is complete, and in its own folder."""
        home = _home(entry)
        if entry.record.incomplete_folder is None and entry.record.moving_to != home:
            return
        async with self._turn(entry):
            record = entry.change(incomplete_folder=None, is_home=True, moving_to=_but(home, entry))
            await self._keeping.save(entry, record)


def _home(entry: Entry) -> str:
    return keep_text(str(entry.folder))


def _but(home: str, entry: Entry) -> str | None:
    """Return where an entry is to be moved to, if that is not its own folder."""
    return None if entry.record.moving_to == home else entry.record.moving_to
