"""The list of a node's torrents: what is in it, what somebody wants of each, how it is kept."""

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import trio
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from trio_swarm import events
from trio_swarm.errors import (
    ConfigError,
    EntryPresentError,
    EntryUnknownError,
    StorageError,
    TrioSwarmError,
)
from trio_swarm.logs import logger_of
from trio_swarm.node import Node
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.peer.torrent import Torrent
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.service.entries.adding import (
    Settings,
    Wished,
    absolute,
    absolute_path,
    is_metadata_kept,
    key_of,
    typed,
    wished,
    with_changes,
)
from trio_swarm.service.entries.changing import EntryChanges
from trio_swarm.service.entries.data import (
    Data,
    Other,
    bring_data,
    find_data,
    forget_data,
    hash_again,
    is_moved,
    recall_pieces,
    recall_share,
    remove_data,
)
from trio_swarm.service.entries.entry import Entry, EntryState
from trio_swarm.service.entries.finding import found
from trio_swarm.service.entries.limits import EntryLimits, NodeLimits, limits_after, own_limits
from trio_swarm.service.entries.queue import rank_between
from trio_swarm.service.entries.reading import EntryReader
from trio_swarm.service.entries.records import (
    Labels,
    Record,
    Totals,
    keep,
    keep_text,
    kept_settings,
    kept_text,
)
from trio_swarm.service.entries.running import Running
from trio_swarm.service.entries.store import EntryStore, Kept
from trio_swarm.service.entries.subscription import Subscription
from trio_swarm.service.supervised import Supervised
from trio_swarm.settings import FetchSettings, ShareSettings
from trio_swarm.storage.share_hashes import ShareHashes
from trio_swarm.storage.state import StateFolder

log = logger_of(__name__)

SAVE_MOVED: Final = 60.0
"""Seconds after which totals are written once bytes have moved: a node that is killed forgets no
more of them."""
SAVE_QUIET: Final = 600.0
"""The same while only time passes."""

READING_THREADS: Final = 4
"""Threads that read files of entries that do not run: a slow disk is not to take all there are."""

MAX_ENTRIES: Final = 100_000
"""Most entries: each costs some kilobytes of memory even while it is paused."""


class Entries:
    """The owner of a node's list; `Service.entries`.

    What is changed here is written to the state folder before the call returns, if the list is kept
    (`is_kept`). A call that ends by an error, StorageError say, has changed nothing. Calls about
    one entry wait for each other.
    """

    def __init__(
        self,
        node: Node,
        nursery: trio.Nursery,
        *,
        begin: Callable[[Supervised], object],
        forget: Callable[[Supervised], None],
        emit: Callable[[events.Event], None],
        trackers: Sequence[str] = (),
        store: EntryStore,
        kept: Kept,
    ) -> None:
        self._node = node
        self._nursery = nursery
        self._tell = emit
        self._store = store
        self._kept = kept
        self._next_id = self._kept.next_id
        self._listed: list[Entry] = []
        """In the order of the queue."""
        self._by_id: dict[int, Entry] = {}
        self._keys = {each.key: each.id for each in self._kept.totals.values() if each.key}
        self._keys |= {each.key: each.id for each in self._kept.records.values() if each.key}
        self._enlisted: set[str] = set()
        """The keys of entries that are in the list."""
        self._by_hash: dict[str, Entry] = {}
        """Those that fetch, by their info-hash."""
        self._adding = trio.Lock()
        self._readers = trio.CapacityLimiter(READING_THREADS)
        self._subscriptions: list[Subscription] = []
        self._save_at = float("inf")
        self.on_complete: Callable[[Entry], None] | None = None
        """Called once for each fetch that is complete for the first time and at its place; must
        return quickly."""
        self._running = Running(
            node,
            nursery,
            begin=begin,
            forget=forget,
            emit=emit,
            trackers=trackers,
            entries=self._listed,
            kept_metainfo=self._learned_before,
            changed=self._changed,
        )

    @property
    def is_kept(self) -> bool:
        """Whether the list outlives the node."""
        return self._store.is_lasting

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over the entries, in the order in which they were added."""
        return iter(sorted(self._listed, key=lambda each: each.id))

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._listed)

    def by_id(self, number: int) -> Entry:
        """Return the entry with this number; raises EntryUnknownError."""
        try:
            return self._by_id[number]
        except KeyError:
            raise EntryUnknownError(str(number)) from None

    def find(self, text: str) -> Entry:
        """Return the entry that a person means; see `finding.found`, errors included."""
        return found(self, text)

    # --- adding ---------------------------------------------------------------------------------

    async def add(
        self,
        settings: Settings,
        *,
        paused: bool = False,
        labels: Sequence[str] = (),
        limits: EntryLimits | None = None,
        metainfo: bytes | None = None,
    ) -> Entry:
        """Add a share or fetch at run time; it comes back after a restart.

        `metainfo` is a .torrent file to fetch by; `settings.what` is only what somebody called it
        then. So is the path of a .torrent file: it is read now, and kept. Raises EntryPresentError
        for one that is in the list, MetainfoError for a .torrent file or link that is not valid,
        ConfigError for labels or limits out of bounds, StorageError if it cannot be kept.
        """
        checked, own = _labels(labels), _limits(limits or EntryLimits())
        wish = await trio.to_thread.run_sync(wished, settings, metainfo)
        async with self._adding:
            self._require_new(wish)
            number = self._next_id
            record = Record(
                id=number,
                origin="added",
                settings=keep(wish.settings),
                by_torrent=wish.torrent is not None,
                added_at=time.time(),
                is_paused=paused,
                labels=checked,
                limits=own,
                rank=self._last_rank(),
            )
            await self._write(record, wish.torrent)
            self._next_id = number + 1
            entry = self._enter(record, self._totals_for(record, wish))
        if wish.torrent is not None:
            await self._recall(entry)
        self._settle(entry)
        return entry

    def enlist(
        self,
        settings: Settings,
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Entry | None:
        """Add an entry of the configuration file, with what was changed of it at run time.

        `on_progress` is told how far a share is hashed. Returns None for one that was removed at
        run time: it stays away as long as the file names it so.
        """
        settings = absolute(settings)
        key = self._free_key(key_of(settings))
        number = self._keys.get(key)
        if number is None:
            number, self._next_id = self._next_id, self._next_id + 1
            self._keys[key] = number
        record = self._kept.records.pop(number, None)
        if record is not None and record.is_removed:
            self._kept.records[number] = record
            log.info("%s: was removed at run time, and stays away", typed(settings))
            return None
        if record is None:
            record = Record(id=number, origin="file", key=key, rank=float(number))
        totals = self._kept.totals.pop(number, None) or self._totals_for(record, None)
        totals.key, totals.is_done = key, False
        totals.name = totals.name or typed(settings)
        self._enlisted.add(key)
        entry = self._enter(record, totals, with_changes(settings, record))
        entry.on_progress = on_progress
        self._take_up(entry)
        return entry

    def enlisted(self, settings: Settings) -> Entry | None:
        """Return the entry that the file names by these settings; None if it was removed."""
        return self._by_id.get(self._keys.get(key_of(absolute(settings)), 0))

    async def revise(self, entry: Entry, settings: Settings) -> None:
        """Let an entry go on by other settings of the file, or by others of the node.

        What it is, where it goes and what was changed at run time stay, but for what these settings
        say anew. One that failed is tried
        again, and one that was seeded to its goal as well if its settings are others. Raises
        ConfigError for a wrong scheduler.
        """
        async with self._turn(entry):
            settings = with_changes(absolute(settings), entry.record)
            is_other = settings != entry.settings
            record = _revised(entry, settings)
            if record != entry.record:
                await self._save(entry, record)
            entry.settings = settings
            self._running.limit(entry)
            if entry.outcome == "failed" or (entry.outcome and is_other):
                entry.outcome, entry.error = "", ""
                entry.totals.is_done = False
            await self._running.revise(entry)

    def restore(self) -> None:
        """Add again what was added at run time before the last restart."""
        for problem in self._kept.problems:
            log.warning("%s", problem)
        for number, record in sorted(self._kept.records.items()):
            if record.origin != "added":
                continue
            del self._kept.records[number]
            totals = self._kept.totals.pop(number, None) or self._totals_for(record, None)
            self._take_up(self._enter(record, totals))
        self._nursery.start_soon(self._recall_all, name="recall what does not run")

    def _take_up(self, entry: Entry) -> None:
        """Go on with what was begun before a restart, or let it work."""
        record, name = entry.record, f"take up {entry.name}"
        if record.deletes_data:
            self._nursery.start_soon(self._go_on_removing, entry, name=name)
        elif record.moving_to is not None:
            self._nursery.start_soon(partial(self._go_on_moving, is_begun=True), entry, name=name)
        elif record.hashes_again:
            self._nursery.start_soon(self._go_on_hashing, entry, name=name)
        else:
            self._settle(entry)

    async def _recall_all(self) -> None:
        """Find out what the entries hold that do not run now, one after the other."""
        hashes = ShareHashes(StateFolder(self._node.state_folder))
        for entry in list(self._listed):
            if entry.run is None and entry.info is None:
                await self._recall(entry, hashes)

    async def _recall(self, entry: Entry, hashes: ShareHashes | None = None) -> None:
        folder, state_folder = entry.folder, self._node.state_folder

        def look() -> tuple[Info, PieceSet] | None:
            if isinstance(entry.settings, ShareSettings):
                return None if hashes is None else recall_share(entry.settings, hashes)
            metainfo = self._metainfo_of(entry)
            if metainfo is None:
                return None
            return metainfo.info, recall_pieces(metainfo.info, folder, state_folder)

        found = await trio.to_thread.run_sync(look)
        if found is not None and entry.info is None:
            entry.metadata, entry.pieces = found
            entry.totals.size = entry.metadata.length

    def _enter(
        self,
        record: Record,
        totals: Totals,
        settings: Settings | None = None,
    ) -> Entry:
        if len(self._listed) >= MAX_ENTRIES:
            raise ConfigError(f"there are {MAX_ENTRIES} torrents in the list, which is full")
        if settings is None:
            settings = self._settings_of(record)
        entry = Entry(record, totals, settings)
        entry.is_chosen = not self._running.has_queue
        self._by_id[entry.id] = entry
        if self._listed and _order(self._listed[-1]) > _order(entry):
            self._listed.append(entry)
            self._sort()
        else:
            entry.queue_position = len(self._listed)
            self._listed.append(entry)
        self._due(SAVE_MOVED)
        entry.told_state = entry.state
        self._emit(
            events.EntryAdded(
                id=entry.id,
                info_hash=_hex(entry),
                share_name=entry.name,
                origin=entry.origin,
                state=entry.state,
            )
        )
        return entry

    def _settings_of(self, record: Record) -> Settings:
        assert record.settings is not None  # `decode_record` and `add` saw to it
        settings = kept_settings(record.settings)
        if record.by_torrent:
            assert isinstance(settings, FetchSettings)
            settings = replace(settings, what=str(self._store.path_of_metainfo(record.id)))
        return with_changes(settings, record)

    def _totals_for(self, record: Record, wish: Wished | None) -> Totals:
        return Totals(
            id=record.id,
            key=record.key,
            name="" if wish is None else wish.name,
            info_hash="" if wish is None or wish.info_hash is None else wish.info_hash.hex(),
            added_at=record.added_at or time.time(),
        )

    def _require_new(self, wish: Wished) -> None:
        for entry in self._listed:
            if wish.is_of(entry.settings, entry.info_hash, _twin(entry)):
                raise EntryPresentError(entry.name, entry.id)

    def _free_key(self, key: str) -> str:
        """Return a key that no entry has: the file may name one thing twice."""
        number, free = 1, key
        while free in self._enlisted:
            number += 1
            free = f"{key}#{number}"
        return free

    def _last_rank(self) -> float:
        return self._listed[-1].record.rank + 1.0 if self._listed else 0.0

    # --- removing -------------------------------------------------------------------------------

    async def remove(self, entry: Entry, *, delete_data: bool = False) -> None:
        """End an entry and take it out of the list, perhaps with its data.

        An entry of the configuration file stays away as long as the file names it so. Only files
        of the torrent are deleted, and folders that this empties; files that another entry has too
        stay. Raises StorageError for data that is not known to be of this torrent, and then nothing
        was changed; or for a file that cannot be deleted, after all else was done.
        """
        async with self._turn(entry):
            if delete_data:
                await self._running.end(entry)
                await self._find_data(entry)
                await self._keep_files_of_share(entry)
                await self._save(entry, entry.change(deletes_data=True))
                await self._remove_with_data(entry)
            else:
                await self._take_out(entry, 0)

    async def unlist(self, entry: Entry) -> None:
        """End an entry that the configuration file no longer names, and forget it."""
        async with self._turn(entry):
            await self._take_out(entry, 0, is_named=False)

    async def unlist_named(self, settings: Settings) -> None:
        """Forget what the configuration file no longer names by these settings."""
        key = key_of(absolute(settings))
        entry = self.enlisted(settings)
        if entry is not None:
            await self.unlist(entry)
        elif key in self._keys:  # it was removed at run time
            number = self._keys.pop(key)
            self._kept.records.pop(number, None)
            await trio.to_thread.run_sync(self._store.forget, number)

    def set_trackers(self, trackers: Sequence[str]) -> None:
        """Ask these trackers about fetches that name none; `revise` what runs afterwards."""
        self._running.trackers = tuple(trackers)

    async def _go_on_removing(self, entry: Entry) -> None:
        """Remove an entry whose data was about to be deleted, or half of it was."""
        try:
            async with self._turn(entry):
                try:
                    await self._find_data(entry)
                except StorageError as error:  # what is left there is not its own
                    log.warning("%s; it stays", error)
                await self._remove_with_data(entry)
        except EntryUnknownError:
            pass  # it was removed meanwhile
        except StorageError as error:
            log.warning("%s", error)

    async def _remove_with_data(self, entry: Entry) -> None:
        failure: StorageError | None = None
        deleted = 0
        try:
            deleted = await self._delete(entry)
        except StorageError as error:
            failure = error
        await self._take_out(entry, deleted)
        if failure is not None:
            raise failure

    async def _take_out(self, entry: Entry, deleted: int, *, is_named: bool = True) -> None:
        stays_away = entry.origin == "file" and is_named
        if stays_away:
            away = Record(id=entry.id, origin="file", key=entry.record.key, is_removed=True)
            await trio.to_thread.run_sync(self._store.put_away, away)
            self._kept.records[entry.id] = away
        else:
            await trio.to_thread.run_sync(self._store.forget, entry.id)
            self._keys.pop(entry.record.key, None)
        with trio.CancelScope(shield=True):
            await self._running.end(entry)
        entry.is_gone = True
        self._enlisted.discard(entry.record.key)
        self._listed.remove(entry)
        del self._by_id[entry.id]
        self._by_hash.pop(_hex(entry), None)
        self._number()
        self._due(SAVE_MOVED)
        self._emit(
            events.EntryRemoved(
                id=entry.id, info_hash=_hex(entry), share_name=entry.name, deleted=deleted
            )
        )

    async def _find_data(self, entry: Entry) -> None:
        """Find out where the data of an entry is, and what its files are called there."""
        if entry.known is None:
            entry.known = await trio.to_thread.run_sync(self._look_for_data, entry)

    def _look_for_data(self, entry: Entry) -> Data | None:
        return find_data(entry.settings, self._metainfo_on_disk(entry), self._node.state_folder)

    def _metainfo_on_disk(self, entry: Entry) -> Metainfo | None:
        """Return what is kept of an entry; of a share, only while its data is on the way."""
        is_hashed = entry.kind == "share" and not entry.record.is_carried
        return None if is_hashed else self._metainfo_of(entry)

    async def _keep_files_of_share(self, entry: Entry) -> None:
        """Keep which files a share has: after a kill it may be found half gone."""
        if entry.kind == "share" and entry.known is not None:
            metainfo = Metainfo(info=entry.known[0]).to_bytes()
            await trio.to_thread.run_sync(self._store.save_metainfo, entry.id, metainfo)

    async def _delete(self, entry: Entry) -> int:
        state_folder, known = self._node.state_folder, entry.known
        others = [
            Other(each.settings, each.known, partial(self._metainfo_of, each))
            for each in self._listed
            if each is not entry
        ]

        def delete() -> int:
            if known is not None:
                return remove_data(known, others, state_folder)
            forget_data(entry.settings, self._metainfo_on_disk(entry), state_folder)
            return 0

        return await trio.to_thread.run_sync(delete)

    # --- moving and checking --------------------------------------------------------------------

    async def move(self, entry: Entry, folder: Path, *, move_data: bool = True) -> None:
        """Have its data in another folder; `move_data` false: it is there already.

        It goes on afterwards. Nothing is overwritten, and a node that is killed meanwhile goes on
        with it at the next start. Raises StorageError, and then the data is where it was.
        """
        folder = absolute_path(folder)
        async with self._turn(entry):
            place = keep_text(str(folder))
            if not move_data:
                await self._running.end(entry)
                await self._place(entry, entry.change(folder=place))
                return
            await self._save(entry, entry.change(moving_to=place))
            await self._move(entry)

    async def _go_on_moving(self, entry: Entry, *, is_begun: bool = False) -> None:
        try:
            async with self._turn(entry):
                if entry.record.moving_to is not None:  # else another call has done it
                    await self._move(entry, is_begun=is_begun)
        except EntryUnknownError:
            pass  # it was removed meanwhile
        except StorageError as error:
            entry.error = str(error)
            log.warning("%s", error)

    async def _move(self, entry: Entry, *, is_begun: bool = False) -> None:
        """Move its data to where its record says; `is_begun`: a killed process began with it."""
        assert entry.record.moving_to is not None
        folder, state_folder = Path(kept_text(entry.record.moving_to)), self._node.state_folder
        try:
            await self._running.end(entry)
            try:
                await self._find_data(entry)
            except StorageError:  # other files are left where it was
                check = partial(is_moved, entry.settings, folder)
                metainfo = partial(self._metainfo_on_disk, entry)
                if not is_begun or not await trio.to_thread.run_sync(
                    lambda: check(metainfo(), state_folder)
                ):
                    raise
            if entry.known is not None:
                await self._keep_files_of_share(entry)
                bring = partial(bring_data, entry.known, folder, state_folder, is_begun=is_begun)
                entry.known = await run_stoppable(bring)
        except StorageError:
            await self._save(entry, entry.change(moving_to=None))
            if entry.kind == "share":
                await trio.to_thread.run_sync(self._store.forget_metainfo, entry.id)
            raise
        await self._place(entry, entry.change(folder=entry.record.moving_to, moving_to=None))

    async def _place(self, entry: Entry, record: Record) -> None:
        """Take note that the data of an entry, which does not run, is in another folder now."""
        await self._save(entry, record)
        if entry.kind == "share":
            await trio.to_thread.run_sync(self._store.forget_metainfo, entry.id)
        entry.settings = with_changes(entry.settings, record)
        if entry.known is not None:
            info, root = entry.known
            entry.known = info, entry.folder / root.name
        entry.error = ""
        if entry.outcome == "failed":  # perhaps because its files were not here
            entry.outcome = ""

    async def verify(self, entry: Entry) -> None:
        """Begin to hash all of its data again; what is bad is fetched again.

        One that does not run is hashed when it runs next. Raises StorageError if that cannot be
        kept, or for data that is not known to be of this torrent.
        """
        torrent = entry.torrent
        if torrent is not None and torrent.is_open:
            self._nursery.start_soon(self._verify, entry, torrent, name=f"verify {entry.name}")
            return
        async with self._turn(entry):
            await self._hash_again(entry)

    async def _verify(self, entry: Entry, torrent: Torrent) -> None:
        try:
            found = await torrent.verify()
            log.info("%s: %d pieces checked, %d bad", entry.name, found.checked, found.bad)
            if not found.bad or found.is_fetched_again or entry.kind == "share":
                return
            async with self._turn(entry):
                if entry.torrent is torrent:
                    await self._running.end(entry)
                    await self._hash_again(entry)
        except EntryUnknownError:
            pass  # it was removed meanwhile
        except TrioSwarmError as error:
            log.warning("%s", error)

    async def _hash_again(self, entry: Entry) -> None:
        await self._running.end(entry)
        await self._find_data(entry)
        again = entry.record.round + bool(entry.outcome)
        await self._save(entry, entry.change(hashes_again=True, round=again))
        await self._forget_checks(entry)
        if entry.outcome:  # what is found is what its end depends on
            entry.outcome, entry.error = "", ""
            entry.totals.is_done = False

    async def _go_on_hashing(self, entry: Entry) -> None:
        try:
            async with self._turn(entry):
                await self._find_data(entry)
                await self._forget_checks(entry)
        except EntryUnknownError:
            pass  # it was removed meanwhile
        except StorageError as error:
            log.warning("%s", error)

    async def _forget_checks(self, entry: Entry) -> None:
        """Have the data of an entry hashed when it runs next."""
        if entry.known is not None:
            again = partial(
                hash_again,
                entry.known,
                is_share=entry.kind == "share",
                state_folder=self._node.state_folder,
            )
            await trio.to_thread.run_sync(again)
        await self._save(entry, entry.change(hashes_again=False))

    def reader(self, entry: Entry) -> EntryReader:
        """Return what reads its files, whether it runs or not; close it afterwards."""
        metainfo = partial(self._metainfo_on_disk, entry)
        return EntryReader(entry, metainfo, self._node.state_folder, self._readers)

    def reannounce(self, entry: Entry) -> None:
        """Ask its trackers for peers now; raises TrioSwarmError if it does not run."""
        if entry.torrent is None:
            raise TrioSwarmError(f"{entry.name}: is {entry.state}, so it is not announced")
        entry.torrent.reannounce()

    # --- what somebody wants of an entry --------------------------------------------------------

    async def pause(self, entry: Entry) -> None:
        """End its work until somebody resumes it, over restarts; its data stays."""
        async with self._turn(entry):
            await self._save(entry, entry.change(is_paused=True))
            await self._running.end(entry)
            self._due(0.0)  # how far it is stays so for long

    async def resume(self, entry: Entry, *, at_once: bool = False) -> None:
        """Let it work again: when the queue lets it, or `at_once`.

        One that failed is tried again, and one that was seeded to its goal is seeded without end.
        """
        async with self._turn(entry):
            is_endless = entry.record.is_endless or entry.outcome == "done"
            again = entry.record.round + bool(entry.outcome)
            record = entry.change(is_paused=False, is_endless=is_endless, round=again)
            await self._save(entry, record)
            entry.outcome, entry.error, entry.at_once = "", "", at_once
            entry.totals.is_done = False

    async def change(self, entry: Entry, changes: EntryChanges) -> None:
        """Change something, or several things, of an entry: all of it or nothing.

        Everything is checked first, and kept by one write. Whether a move succeeds shows later: if
        it does not, the log and the entry's `error` say why. Raises ConfigError for limits or
        labels out of bounds, for a strategy of a share, and for one that is unknown or has a wrong
        option; StorageError if the changes cannot be kept.
        """
        async with self._turn(entry):
            record = await self._changed_record(entry, changes)
            if record == entry.record:
                return
            await self._save(entry, record)
            await self._go_by(entry, changes)

    async def _changed_record(self, entry: Entry, changes: EntryChanges) -> Record:
        """Return the record of an entry with these changes; raises ConfigError."""
        new: dict[str, object] = {}
        if not isinstance(changes.scheduler, UnsetType):
            if entry.kind == "share":
                raise ConfigError(f"{entry.name}: is a share, which fetches nothing")
            wanted = changes.scheduler
            options = await self._node.checked_scheduler(
                wanted.name, wanted.options, text_values=wanted.text_values
            )
            new |= {"scheduler": wanted.name, "scheduler_options": dict(options)}
        if not isinstance(changes.limits, UnsetType):
            limits = _limits(changes.limits.applied(entry.limits))
            new["limits"] = own_limits(entry.settings, limits)
            if changes.limits.has_goals:
                new["is_endless"] = False
        if not isinstance(changes.labels, UnsetType):
            new["labels"] = _labels(changes.labels)
        if not isinstance(changes.queue_position, UnsetType):
            ranks = [each.record.rank for each in self._listed if each is not entry]
            new["rank"] = rank_between(ranks, changes.queue_position)
        if not isinstance(changes.moving_to, UnsetType):
            new["moving_to"] = keep_text(str(absolute_path(changes.moving_to)))
        return entry.change(**new)

    async def _go_by(self, entry: Entry, changes: EntryChanges) -> None:
        """Let an entry go on by its record, of which these changes are new."""
        entry.settings = with_changes(entry.settings, entry.record)
        self._sort()
        self._running.limit(entry)
        if changes.moving_to is not UNSET:
            entry.error = ""
            self._nursery.start_soon(self._go_on_moving, entry, name=f"move {entry.name}")
        torrent, scheduler = entry.torrent, entry.record.scheduler
        if changes.scheduler is not UNSET and torrent is not None and scheduler is not None:
            await torrent.set_scheduler(scheduler, entry.record.scheduler_options)

    def set_node_limits(self, limits: NodeLimits) -> None:
        """Set the limits of the node, until it ends or is told others."""
        self._running.limits = _checked(limits, NodeLimits, "limits")
        self._running.decide_later()

    @property
    def limits(self) -> NodeLimits:
        """The limits of the node."""
        return self._running.limits

    # --- events ---------------------------------------------------------------------------------

    def subscribe(self, names: Collection[str] | None = None) -> Subscription:
        """Return all events from now on, those of the node included; close it afterwards.

        With `names` only the events that are called so.
        """
        subscription = Subscription(self._subscriptions.remove, names=names)
        self._subscriptions.append(subscription)
        return subscription

    def heard(self, event: events.Event) -> None:
        """Take note of an event of the node or the service; whoever emits it calls this."""
        for each in self._subscriptions:
            each.tell(event)
        if isinstance(event, events.MetadataReceived):
            self._learned(event.info_hash)

    def _emit(self, event: events.Event) -> None:
        self._tell(event)

    # --- its life -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the queue, the goals and the totals until cancelled."""
        account_at = trio.current_time()
        while True:
            self._running.decide()
            look_at = self._running.look_at_goals()
            if trio.current_time() >= account_at:
                self._account()
                account_at = trio.current_time() + SAVE_MOVED
            if trio.current_time() >= self._save_at:
                await self._save_totals()
            with trio.move_on_at(min(look_at, account_at, self._save_at)):
                await self._running.wakeup.wait()

    async def wait_idle(self) -> None:
        """Wait until no entry runs or waits for its turn."""
        await self._running.wait_idle()

    def end(self) -> None:
        """Take note that the node is about to end: what ends from now on is no news."""
        self._running.is_ending = True

    async def close(self) -> None:
        """Write the totals a last time, and let another process have the list."""
        self._account()
        await self._save_totals()
        await trio.to_thread.run_sync(self._store.close)

    def _account(self) -> None:
        now = trio.current_time()
        for entry in self._listed:
            if entry.account(now):
                self._due(SAVE_MOVED)
        if self._listed:
            self._due(SAVE_QUIET)

    def _due(self, seconds: float) -> None:
        self._save_at = min(self._save_at, trio.current_time() + seconds)
        if not seconds:
            self._running.wakeup.set()

    async def _save_totals(self) -> None:
        self._save_at = float("inf")
        if not self.is_kept:
            return
        totals = [each.totals for each in self._listed] + list(self._kept.totals.values())
        save = partial(self._store.save_totals, totals, self._next_id)
        try:
            await trio.to_thread.run_sync(save)
        except StorageError as error:
            log.warning("%s; the totals are written later", error)
            self._due(SAVE_QUIET)

    @asynccontextmanager
    async def _turn(self, entry: Entry) -> AsyncIterator[None]:
        """Let one call at a time begin and end the work of an entry."""
        try:
            async with entry.turn:
                if entry.is_gone:
                    raise EntryUnknownError(entry.name)
                try:
                    yield
                finally:
                    self._changed(entry)
        finally:
            if not entry.is_gone:
                self._settle(entry)

    def _settle(self, entry: Entry) -> None:
        if self._running.has_queue:
            self._running.decide_later()
        else:
            self._running.settle(entry)
            self._running.wakeup.set()  # its goal may be another

    def _changed(self, entry: Entry) -> None:
        entry.account(trio.current_time())
        run = entry.run
        if run is not None and run.state == "fetching":
            self._by_hash[_hex(entry)] = entry
        if run is not None and run.is_complete and entry.totals.completed_at is None:
            self._completed(entry)
        if entry.outcome == "done" and not entry.totals.is_done:
            entry.totals.is_done, entry.totals.round = True, entry.record.round
            self._due(0.0)
        state: EntryState = entry.state
        if state != entry.told_state and not entry.is_gone:
            entry.told_state = state
            self._emit(
                events.EntryChanged(
                    id=entry.id,
                    info_hash=_hex(entry),
                    share_name=entry.name,
                    state=state,
                    error=entry.error,
                )
            )

    def _completed(self, entry: Entry) -> None:
        entry.totals.completed_at = time.time()
        entry.totals.have = entry.size
        self._due(0.0)
        if entry.kind == "share":
            return
        self._emit(
            events.EntryCompleted(
                id=entry.id,
                info_hash=_hex(entry),
                share_name=entry.name,
                path=str(entry.path or ""),
                labels=list(entry.labels),
            )
        )
        if self.on_complete is not None:
            self.on_complete(entry)

    # --- what is kept ---------------------------------------------------------------------------

    async def _save(self, entry: Entry, record: Record) -> None:
        """Keep what somebody wants of an entry from now on; StorageError leaves it as it was."""
        await trio.to_thread.run_sync(self._store.save, record)
        entry.record = record

    async def _write(self, record: Record, torrent: bytes | None) -> None:
        store = self._store

        def write() -> None:
            if torrent is not None:
                store.save_metainfo(record.id, torrent)
            store.save(record)

        await trio.to_thread.run_sync(write)

    def _learned(self, info_hash: str) -> None:
        """Keep the metadata that a fetch has got from its peers."""
        entry = self._by_hash.get(info_hash)
        torrent = None if entry is None else entry.torrent
        if entry is None or torrent is None or torrent.info is None or not _learns(entry):
            return
        data = Metainfo(info=torrent.info).to_bytes()
        self._nursery.start_soon(self._keep_metainfo, entry, data)

    async def _keep_metainfo(self, entry: Entry, data: bytes) -> None:
        store = self._store
        try:
            async with entry.turn:
                if not entry.is_gone:
                    await trio.to_thread.run_sync(store.save_metainfo, entry.id, data)
                    await self._save_totals()
        except StorageError as error:
            log.warning("%s; its metadata is fetched again after a restart", error)

    def _learned_before(self, entry: Entry) -> Metainfo | None:
        if entry.record.by_torrent or not _learns(entry):
            return None
        return self._metainfo_of(entry)

    def _metainfo_of(self, entry: Entry) -> Metainfo | None:
        return self._store.metainfo(entry.id)

    def _sort(self) -> None:
        self._listed.sort(key=_order)
        self._number()

    def _number(self) -> None:
        for position, each in enumerate(self._listed):
            each.queue_position = position


def _revised(entry: Entry, settings: Settings) -> Record:
    """Return the record of an entry that gets other settings: what these say anew counts."""
    was, record = entry.settings, entry.record
    return entry.change(
        labels=record.labels if was.labels == settings.labels else None,
        is_paused=record.is_paused if was.paused == settings.paused else None,
        limits=limits_after(record.limits, was, settings),
    )


def _order(entry: Entry) -> tuple[float, int]:
    return entry.record.rank, entry.id


def _hex(entry: Entry) -> str:
    return (entry.info_hash or b"").hex()


def _twin(entry: Entry) -> bytes | None:
    return None if entry.torrent is None else entry.torrent.twin_hash


def _learns(entry: Entry) -> bool:
    return entry.origin == "added" or is_metadata_kept(entry.settings)


def _labels(labels: Sequence[str]) -> tuple[str, ...]:
    distinct: tuple[str, ...] = _checked(tuple(dict.fromkeys(labels)), Labels, "labels")
    return distinct


def _limits(limits: EntryLimits) -> EntryLimits:
    checked: EntryLimits = _checked(limits, EntryLimits, "limits")
    return checked


def _checked(value: Any, kind: Any, name: str) -> Any:
    """Return a value that keeps to the bounds of its type; raises ConfigError."""
    try:
        return msgspec.convert(msgspec.to_builtins(value), kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {error}") from None
