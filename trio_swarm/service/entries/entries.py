"""The list of a node's torrents: what is in it, what somebody wants of each, how it is kept."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import trio
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from trio_swarm import events
from trio_swarm.config.validation_words import in_one_line
from trio_swarm.errors import (
    ConfigError,
    EntryPresentError,
    EntryUnknownError,
    StorageError,
    TrioSwarmError,
)
from trio_swarm.foreign_text import shown
from trio_swarm.logs import logger_of
from trio_swarm.node import Node
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.service.entries.adding import (
    Settings,
    Wished,
    absolute,
    absolute_path,
    key_of,
    own_renamings,
    typed,
    wished,
    with_changes,
)
from trio_swarm.service.entries.changing import EntryChanges
from trio_swarm.service.entries.checking import Checking
from trio_swarm.service.entries.entry import Entry, EntryState
from trio_swarm.service.entries.finding import MAX_TYPED, found, id_in
from trio_swarm.service.entries.incomplete import Incomplete
from trio_swarm.service.entries.keeping import SAVE_MOVED, Keeping
from trio_swarm.service.entries.limits import EntryLimits, NodeLimits, limits_after, own_limits
from trio_swarm.service.entries.moving import Moving
from trio_swarm.service.entries.queue import rank_between
from trio_swarm.service.entries.reading import EntryReader
from trio_swarm.service.entries.records import (
    KeptNode,
    Labels,
    Record,
    Totals,
    keep,
    keep_text,
    kept_settings,
)
from trio_swarm.service.entries.renaming import RenamingFiles
from trio_swarm.service.entries.running import Running
from trio_swarm.service.entries.store import EntryStore, Kept
from trio_swarm.service.entries.subscription import Subscription
from trio_swarm.service.entries.whereabouts import Whereabouts
from trio_swarm.service.supervised import Supervised
from trio_swarm.settings import MAX_LABEL, FetchSettings, label_fault
from trio_swarm.storage.own_names import listed_path, path_below

log = logger_of(__name__)

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
        self._listed: list[Entry] = []
        """In the order of the queue."""
        wakeup = Wakeup()
        self._keeping = Keeping(store, kept, self._listed, wakeup)
        self._by_id: dict[int, Entry] = {}
        self._keys = {each.key: each.id for each in self._keeping.kept.totals.values() if each.key}
        self._keys |= {
            each.key: each.id for each in self._keeping.kept.records.values() if each.key
        }
        self._enlisted: set[str] = set()
        """The keys of entries that are in the list."""
        self._by_hash: dict[str, Entry] = {}
        """Those that fetch, by their info-hash."""
        self._adding = trio.Lock()
        self._readers = trio.CapacityLimiter(READING_THREADS)
        self._subscriptions: list[Subscription] = []
        self.on_complete: Callable[[Entry], None] | None = None
        """Called once for each fetch that is complete for the first time and at its place; must
        return quickly."""
        state_folder = node.state_folder
        self._incomplete = Incomplete(self._keeping, self._turn, state_folder)
        self._running = Running(
            node,
            nursery,
            begin=begin,
            forget=forget,
            emit=emit,
            trackers=trackers,
            entries=self._listed,
            learned_before=self._keeping.learned_before,
            incomplete=self._incomplete,
            wakeup=wakeup,
            changed=self._changed,
        )
        self._whereabouts = Whereabouts(self._keeping, state_folder)
        self._moving = Moving(
            self._running,
            self._keeping,
            self._whereabouts,
            nursery=nursery,
            state_folder=state_folder,
        )
        self._renaming = RenamingFiles(self._running, self._keeping, state_folder)
        self._checking = Checking(
            self._running,
            self._keeping,
            self._whereabouts,
            nursery=nursery,
            state_folder=state_folder,
        )

    @property
    def is_kept(self) -> bool:
        """Whether the list outlives the node."""
        return self._keeping.is_lasting

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
        # Most programs ask by the id, and it decides first.
        return self._by_id.get(id_in(text[:MAX_TYPED].strip())) or found(self, text)

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
        ConfigError for labels or limits out of bounds or a name that no tracker takes, StorageError
        if it cannot be kept.
        """
        checked, own = _labels(labels), _limits(limits or EntryLimits())
        wish = await trio.to_thread.run_sync(wished, settings, metainfo)
        async with self._adding:
            self._require_new(wish)
            number = self._keeping.next_id
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
                renamings=own_renamings(wish.settings),
            )
            await self._keeping.write(record, wish.torrent)
            self._keeping.next_id = number + 1
            entry = self._enter(record, self._totals_for(record, wish))
        if wish.torrent is not None:
            await self._whereabouts.recall(entry)
        self._running.settle_or_queue(entry)
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
        number = self._keys.pop(key, None)
        if number is None:
            number = self._keeping.next_id
            self._keeping.next_id = number + 1
        self._keys[key] = number  # this very text, which the entry has as well
        record = self._keeping.kept.records.pop(number, None)
        if record is not None and record.is_removed:
            self._keeping.kept.records[number] = record
            log.info("%s: was removed at run time, and stays away", typed(settings))
            return None
        if record is None:
            record = Record(
                id=number,
                origin="file",
                key=key,
                rank=float(number),
                renamings=own_renamings(settings),
            )
        totals = self._keeping.kept.totals.pop(number, None) or self._totals_for(record, None)
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
        say anew. One that failed is tried again, and one that was seeded to its goal as well if its
        settings are others. Raises ConfigError for a wrong scheduler.
        """
        async with self._running.turn(entry):
            settings = with_changes(absolute(settings), entry.record)
            is_other = settings != entry.settings
            record = _revised(entry, settings)
            if record != entry.record:
                await self._keeping.save(entry, record)
            entry.settings = settings
            self._running.limit(entry)
            if entry.outcome == "failed" or (entry.outcome and is_other):
                entry.outcome, entry.error = "", ""
                entry.totals.is_done = False
            await self._running.revise(entry)

    def restore(self) -> None:
        """Add again what was added at run time before the last restart."""
        for problem in self._keeping.kept.problems:
            log.warning("%s", problem)
        for number, record in sorted(self._keeping.kept.records.items()):
            if record.origin != "added":
                continue
            del self._keeping.kept.records[number]
            totals = self._keeping.kept.totals.pop(number, None) or self._totals_for(record, None)
            self._take_up(self._enter(record, totals))
        recall = self._whereabouts.recall_all
        self._nursery.start_soon(recall, list(self._listed), name="recall what does not run")

    def _take_up(self, entry: Entry) -> None:
        """Go on with what was begun before a restart, or let it work."""
        record, name = entry.record, f"take up {entry.name}"
        if record.deletes_data:
            self._nursery.start_soon(self._go_on_removing, entry, name=name)
        elif record.is_half_done:
            self._nursery.start_soon(self._go_on, entry, name=name)
        else:
            self._running.settle_or_queue(entry)

    async def _go_on(self, entry: Entry) -> None:
        """Do what is left of changes by a node that was killed, before anything else is begun."""
        with suppress(EntryUnknownError):  # it was removed meanwhile
            async with self._running.turn(entry):
                await self._renaming.go_on(entry)
                await self._moving.go_on(entry)
                await self._checking.go_on(entry)

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
        self._keeping.due(SAVE_MOVED)
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
            settings = replace(settings, what=str(self._keeping.path_of_metainfo(record.id)))
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
        async with self._running.turn(entry):
            if delete_data:
                await self._running.end(entry)
                await self._whereabouts.find(entry)
                await self._keeping.keep_files_of_share(entry)
                await self._keeping.save(entry, entry.change(deletes_data=True))
                await self._remove_with_data(entry)
            else:
                await self._take_out(entry, 0)

    async def unlist(self, entry: Entry) -> None:
        """End an entry that the configuration file no longer names, and forget it."""
        async with self._running.turn(entry):
            await self._take_out(entry, 0, is_named=False)

    async def unlist_named(self, settings: Settings) -> None:
        """Forget what the configuration file no longer names by these settings."""
        key = key_of(absolute(settings))
        entry = self.enlisted(settings)
        if entry is not None:
            await self.unlist(entry)
        elif key in self._keys:  # it was removed at run time
            number = self._keys.pop(key)
            self._keeping.kept.records.pop(number, None)
            await self._keeping.forget(number)

    def set_trackers(self, trackers: Sequence[str]) -> None:
        """Ask these trackers about fetches that name none; `revise` what runs afterwards."""
        self._running.trackers = tuple(trackers)

    async def _go_on_removing(self, entry: Entry) -> None:
        """Remove an entry whose data was about to be deleted, or half of it was."""
        try:
            async with self._running.turn(entry):
                try:
                    await self._whereabouts.find(entry)
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
            deleted = await self._whereabouts.delete(entry, self._listed)
        except StorageError as error:
            failure = error
        await self._take_out(entry, deleted)
        if failure is not None:
            raise failure

    async def _take_out(self, entry: Entry, deleted: int, *, is_named: bool = True) -> None:
        stays_away = entry.origin == "file" and is_named
        if stays_away:
            away = Record(id=entry.id, origin="file", key=entry.record.key, is_removed=True)
            await self._keeping.put_away(away)
        else:
            await self._keeping.forget(entry.id)
            self._keys.pop(entry.record.key, None)
        with trio.CancelScope(shield=True):
            await self._running.end(entry)
        entry.is_gone = True
        self._enlisted.discard(entry.record.key)
        self._listed.remove(entry)
        del self._by_id[entry.id]
        self._by_hash.pop(_hex(entry), None)
        self._number()
        self._keeping.due(SAVE_MOVED)
        self._emit(
            events.EntryRemoved(
                id=entry.id, info_hash=_hex(entry), share_name=entry.name, deleted=deleted
            )
        )

    # --- moving and checking --------------------------------------------------------------------

    async def move(self, entry: Entry, folder: Path, *, move_data: bool = True) -> None:
        """Have its data in another folder; `move_data` false: it is there already.

        It goes on afterwards. Nothing is overwritten, and a node that is killed meanwhile goes on
        with it at the next start. Raises StorageError, and then the data is where it was.
        """
        await self._moving.move(entry, folder, move_data=move_data)

    async def rename(self, entry: Entry, path: str, name: str) -> None:
        """Give a file or folder of a fetch another name, on the disk and wherever it is shown.

        `path` begins with the torrent's own name, as in Transmission's `torrent-rename-path`; that
        name alone means the file or folder that all of it is in. The torrent stays the same for
        peers. Nothing is overwritten, and a node that is killed meanwhile goes on with it. Raises
        ConfigError for a share, a path that there is not, or a name that is no file's or is taken
        in the torrent; NotHereError while its files are not known; StorageError if the name is
        taken on the disk. Then nothing was changed.
        """
        await self._renaming.rename(entry, path_below(entry.known_info(), path), name)

    async def rename_listed(self, entry: Entry, path: str | None, name: str) -> None:
        """Do the same with a path as lists of files have it; None: the torrent's own name."""
        below = () if path is None else listed_path(entry.known_info(), path)
        await self._renaming.rename(entry, below, name)

    async def verify(self, entry: Entry) -> None:
        """Begin to hash all of its data again; what is bad is fetched again.

        One that does not run is hashed when it runs next. Raises StorageError if that cannot be
        kept, or for data that is not known to be of this torrent.
        """
        await self._checking.verify(entry)

    def reader(self, entry: Entry) -> EntryReader:
        """Return what reads its files, whether it runs or not; close it afterwards."""
        metainfo = partial(self._keeping.files_of, entry)
        return EntryReader(entry, metainfo, self._node.state_folder, self._readers)

    def reannounce(self, entry: Entry) -> None:
        """Ask its trackers for peers now; raises TrioSwarmError if it does not run."""
        if entry.torrent is None:
            raise TrioSwarmError(f"{entry.name}: is {entry.state}, so it is not announced")
        entry.torrent.reannounce()

    # --- what somebody wants of an entry --------------------------------------------------------

    async def pause(self, entry: Entry) -> None:
        """End its work until somebody resumes it, over restarts; its data stays."""
        async with self._running.turn(entry):
            await self._keeping.save(entry, entry.change(is_paused=True))
            await self._running.end(entry)
            self._keeping.due(0.0)  # how far it is stays so for long

    async def resume(self, entry: Entry, *, at_once: bool = False) -> None:
        """Let it work again: when the queue lets it, or `at_once`.

        One that failed is tried again, and one that was seeded to its goal is seeded without end.
        """
        async with self._running.turn(entry):
            is_endless = entry.record.is_endless or entry.outcome == "done"
            again = entry.record.round + bool(entry.outcome)
            record = entry.change(is_paused=False, is_endless=is_endless, round=again)
            await self._keeping.save(entry, record)
            entry.outcome, entry.error, entry.at_once = "", "", at_once
            entry.totals.is_done = False

    async def change(self, entry: Entry, changes: EntryChanges) -> None:
        """Change something, or several things, of an entry: all of it or nothing.

        Everything is checked first, and kept by one write. Whether a move succeeds shows later: if
        it does not, the log and the entry's `error` say why. Raises ConfigError for limits or
        labels out of bounds, for a strategy of a share, and for one that is unknown or has a wrong
        option; StorageError if the changes cannot be kept.
        """
        async with self._running.turn(entry):
            record = await self._changed_record(entry, changes)
            if record == entry.record:
                return
            await self._keeping.save(entry, record)
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
            self._moving.begin(entry)
        torrent, scheduler = entry.torrent, entry.record.scheduler
        if changes.scheduler is not UNSET and torrent is not None and scheduler is not None:
            await torrent.set_scheduler(scheduler, entry.record.scheduler_options)

    @property
    def kept_node(self) -> KeptNode:
        """What was set of the whole node at run time, as it is kept with the list."""
        return self._keeping.kept.node

    async def keep_node(self, node: KeptNode) -> None:
        """Keep what was set of the whole node; raises StorageError."""
        await self._keeping.save_node(node)

    def set_node_limits(self, limits: NodeLimits) -> None:
        """Set the limits of the node, until it ends or is told others."""
        self._running.limits = _checked(limits, NodeLimits, "limits")
        self._running.decide_later()

    @property
    def limits(self) -> NodeLimits:
        """The limits of the node."""
        return self._running.limits

    def _turn(self, entry: Entry) -> AbstractAsyncContextManager[None]:
        return self._running.turn(entry)

    def set_incomplete_folder(self, folder: Path | None) -> None:
        """Put fetches that begin from now on here until they are complete; None: where they go.

        Those that have begun go on where they are, and are moved when they are complete.
        """
        self._incomplete.folder = None if folder is None else absolute_path(folder)

    @property
    def incomplete_folder(self) -> Path | None:
        """Where fetches begin; None: where they go."""
        return self._incomplete.folder

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
            look_at = await self._running.look_at_goals()
            if trio.current_time() >= account_at:
                await self._keeping.account()
                account_at = trio.current_time() + SAVE_MOVED
            if trio.current_time() >= self._keeping.save_at:
                await self._keeping.save_totals()
            with trio.move_on_at(min(look_at, account_at, self._keeping.save_at)):
                await self._running.wakeup.wait()

    async def wait_idle(self) -> None:
        """Wait until no entry runs or waits for its turn."""
        await self._running.wait_idle()

    def end(self) -> None:
        """Take note that the node is about to end: what ends from now on is no news."""
        self._running.is_ending = True

    async def close(self) -> None:
        """Write the totals a last time, and let another process have the list."""
        await self._keeping.close()

    def _changed(self, entry: Entry) -> None:
        entry.account(trio.current_time())
        run = entry.run
        if run is not None and run.state == "fetching":
            self._by_hash[_hex(entry)] = entry
        if run is not None and run.is_complete and entry.totals.completed_at is None:
            self._completed(entry)
        if entry.outcome == "done" and not entry.totals.is_done:
            entry.totals.is_done, entry.totals.round = True, entry.record.round
            self._keeping.due(0.0)
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
        self._keeping.due(0.0)
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

    def _learned(self, info_hash: str) -> None:
        """Keep the metadata that a fetch has got from its peers."""
        entry = self._by_hash.get(info_hash)
        info = None if entry is None else self._keeping.info_to_keep(entry)
        if entry is not None and info is not None:
            self._nursery.start_soon(self._keep_info, entry, info)

    async def _keep_info(self, entry: Entry, info: Info) -> None:
        try:
            async with self._running.turn(entry):
                await self._keeping.keep_info(entry, info)
                await self._keeping.save_totals()
        except EntryUnknownError:
            pass  # it was removed meanwhile
        except StorageError as error:
            log.warning("%s; its metadata is fetched again after a restart", error)

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


def _labels(labels: Sequence[str]) -> tuple[str, ...]:
    for label in labels:
        fault = label_fault(label)
        if fault is not None:
            raise ConfigError(f"labels: a label {fault}; got {shown(label, MAX_LABEL)!r}")
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
        raise ConfigError(in_one_line(error, name)) from None
