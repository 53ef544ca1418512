"""What of a list outlives its node: records as soon as they change, totals now and then."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio

from trio_swarm.errors import StorageError
from trio_swarm.logs import logger_of
from trio_swarm.loop_turn import LoopTurn
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.service.entries.adding import is_certain
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.records import KeptNode, Record
from trio_swarm.service.entries.store import EntryStore, Kept
from trio_swarm.service.supervised import Learned

log = logger_of(__name__)

SAVE_MOVED: Final = 60.0
"""Seconds after which totals are written once bytes have moved: a node that is killed forgets no
more of them."""
SAVE_QUIET: Final = 600.0
"""The same while only time passes."""


class Keeping:
    """Writes to the state folder what is to be known of a list after a restart.

    `kept` is what the folder held. `entries` is the list. `wakeup` is set when the totals are to be
    written at once.
    """

    def __init__(
        self, store: EntryStore, kept: Kept, entries: Sequence[Entry], wakeup: Wakeup
    ) -> None:
        self.kept = kept
        """Of what is not in the list now: records and totals, by number."""
        self.next_id = kept.next_id
        """The number of the next entry."""
        self.save_at = float("inf")
        """When the totals are to be written next."""
        self._store = store
        self._entries = entries
        self._wakeup = wakeup

    @property
    def is_lasting(self) -> bool:
        """Whether it outlives the node."""
        return self._store.is_lasting

    # --- records --------------------------------------------------------------------------------

    async def save(self, entry: Entry, record: Record) -> None:
        """Keep what somebody wants of an entry from now on; StorageError leaves it as it was."""
        await trio.to_thread.run_sync(self._store.save, record)
        entry.record = record

    async def write(self, record: Record, torrent: bytes | None) -> None:
        """Keep a record of what is not in the list, perhaps with its .torrent; StorageError."""
        store = self._store

        def write() -> None:
            if torrent is not None:
                store.save_metainfo(record.id, torrent)
            store.save(record)

        await trio.to_thread.run_sync(write)

    async def save_node(self, node: KeptNode) -> None:
        """Keep what was set of the whole node; raises StorageError."""
        await trio.to_thread.run_sync(self._store.save_node, node)
        self.kept.node = node

    async def put_away(self, away: Record) -> None:
        """Keep that what the configuration file names was removed, and nothing else of it."""
        await trio.to_thread.run_sync(self._store.put_away, away)
        self.kept.records[away.id] = away

    async def forget(self, number: int) -> None:
        """Remove all that is kept of one number; raises StorageError."""
        await trio.to_thread.run_sync(self._store.forget, number)

    # --- metainfo -------------------------------------------------------------------------------

    def path_of_metainfo(self, number: int) -> Path:
        """Return where the .torrent of an entry is kept."""
        return self._store.path_of_metainfo(number)

    def metainfo_of(self, entry: Entry) -> Metainfo | None:
        """Return the metainfo that is kept of an entry. Blocking."""
        return self._store.metainfo(entry.id)

    def files_of(self, entry: Entry) -> Metainfo | None:
        """Return what is kept of its files; of a share, only while its data is on the way.

        Blocking.
        """
        is_hashed = entry.kind == "share" and not entry.record.is_carried
        return None if is_hashed else self.metainfo_of(entry)

    async def keep_files_of_share(self, entry: Entry) -> None:
        """Keep which files a share has: after a kill it may be found half gone; StorageError."""
        if entry.kind == "share" and entry.known is not None:
            metainfo = Metainfo(info=entry.known[0]).to_bytes()
            await trio.to_thread.run_sync(self._store.save_metainfo, entry.id, metainfo)

    async def forget_files_of_share(self, entry: Entry) -> None:
        """Forget them again: what is there is hashed."""
        if entry.kind == "share":
            await trio.to_thread.run_sync(self._store.forget_metainfo, entry.id)

    def learned_before(self, entry: Entry) -> Learned | None:
        """Return what peers told of a fetch before; None if nothing. Blocking."""
        metainfo = None if entry.record.by_torrent else self.metainfo_of(entry)
        if metainfo is None:
            return None
        return Learned(metainfo, entry.origin == "added" or is_certain(entry.settings, metainfo))

    def info_to_keep(self, entry: Entry) -> Info | None:
        """Return what a fetch has got from its peers."""
        torrent = entry.torrent
        return torrent.info if torrent is not None and entry.kind == "fetch" else None

    async def keep_info(self, entry: Entry, info: Info) -> None:
        """Keep what the files of a fetch are, if no .torrent says so; raises StorageError.

        Whoever calls it has the entry's turn.
        """
        if not entry.record.by_torrent:
            data = Metainfo(info=info).to_bytes()
            await trio.to_thread.run_sync(self._store.save_metainfo, entry.id, data)

    # --- totals ---------------------------------------------------------------------------------

    def due(self, seconds: float) -> None:
        """Write the totals in so many seconds at the latest."""
        self.save_at = min(self.save_at, trio.current_time() + seconds)
        if not seconds:
            self._wakeup.set()

    async def account(self) -> None:
        """Bring the totals of all entries up to date; others have their turns meanwhile."""
        turn = LoopTurn()
        for entry in list(self._entries):
            await turn.step()
            if not entry.is_gone and entry.account(trio.current_time()):
                self.due(SAVE_MOVED)
        if self._entries:
            self.due(SAVE_QUIET)

    async def save_totals(self) -> None:
        """Write the totals; if that is not possible, they are written later."""
        self.save_at = float("inf")
        if not self.is_lasting:
            return
        totals = [each.totals for each in self._entries] + list(self.kept.totals.values())
        save = partial(self._store.save_totals, totals, self.next_id)
        try:
            await trio.to_thread.run_sync(save)
        except StorageError as error:
            log.warning("%s; the totals are written later", error)
            self.due(SAVE_QUIET)

    async def close(self) -> None:
        """Write the totals a last time, and let another process have the list."""
        await self.account()
        await self.save_totals()
        await trio.to_thread.run_sync(self._store.close)
