"""Hashing the data of an entry again; what is bad is fetched again."""

from functools import partial
from pathlib import Path

import trio

from trio_swarm.errors import EntryUnknownError, StorageError, TrioSwarmError
from trio_swarm.logs import logger_of
from trio_swarm.peer.torrent import Torrent
from trio_swarm.service.entries.data import hash_again
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.keeping import Keeping
from trio_swarm.service.entries.running import Running
from trio_swarm.service.entries.whereabouts import Whereabouts

log = logger_of(__name__)


class Checking:
    """Has the data of entries hashed: at once, or when they run next."""

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

    async def verify(self, entry: Entry) -> None:
        """See `Entries.verify`."""
        torrent = entry.torrent
        if torrent is not None and torrent.is_open:
            self._nursery.start_soon(self._verify, entry, torrent, name=f"verify {entry.name}")
            return
        async with self._running.turn(entry):
            await self._hash_again(entry)

    async def _verify(self, entry: Entry, torrent: Torrent) -> None:
        try:
            found = await torrent.verify()
            log.info("%s: %d pieces checked, %d bad", entry.name, found.checked, found.bad)
            if not found.bad or found.is_fetched_again or entry.kind == "share":
                return
            async with self._running.turn(entry):
                if entry.torrent is torrent:
                    await self._hash_again(entry)
        except EntryUnknownError:
            pass  # it was removed meanwhile
        except TrioSwarmError as error:
            log.warning("%s", error)

    async def _hash_again(self, entry: Entry) -> None:
        await self._running.end(entry)
        await self._whereabouts.find(entry)
        again = entry.record.round + bool(entry.outcome)
        await self._keeping.save(entry, entry.change(hashes_again=True, round=again))
        await self._forget_checks(entry)
        if entry.outcome:  # what is found is what its end depends on
            entry.outcome, entry.error = "", ""
            entry.totals.is_done = False

    async def go_on(self, entry: Entry) -> None:
        """Have an entry, which has its turn, hashed again if a node that was killed was told so."""
        if not entry.record.hashes_again:
            return
        try:
            await self._whereabouts.find(entry)
            await self._forget_checks(entry)
        except StorageError as error:
            log.warning("%s", error)

    async def _forget_checks(self, entry: Entry) -> None:
        """Have the data of an entry hashed when it runs next."""
        if entry.known is not None:
            again = partial(
                hash_again,
                entry.known,
                is_share=entry.kind == "share",
                state_folder=self._state_folder,
            )
            await trio.to_thread.run_sync(again)
        await self._keeping.save(entry, entry.change(hashes_again=False))
