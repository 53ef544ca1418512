"""The work of a list's entries: begun, ended, queued, and seeded until their goals."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from trio_swarm import events
from trio_swarm.errors import EntryUnknownError, MetainfoError
from trio_swarm.logs import logger_of
from trio_swarm.loop_turn import LoopTurn
from trio_swarm.node import Node
from trio_swarm.peer.torrent import Torrent
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.progress import TorrentLimits
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.goals import ENDLESS, Goal, goal_of
from trio_swarm.service.entries.incomplete import Incomplete
from trio_swarm.service.entries.limits import NodeLimits
from trio_swarm.service.entries.queue import STALLED_AFTER, Queued, chosen_to_run
from trio_swarm.service.fetches import Fetch
from trio_swarm.service.seeding import RATIO_LOOK
from trio_swarm.service.shares import Share
from trio_swarm.service.supervised import Care, Learned, Supervised
from trio_swarm.settings import FetchSettings, ShareSettings

log = logger_of(__name__)


class Running:
    """Lets the entries of a list run, as many as the queue allows, each as long as it should.

    `entries` is the list, in the order of the queue. `changed` is called when the state of an entry
    is another, or it was completed.
    """

    def __init__(
        self,
        node: Node,
        nursery: trio.Nursery,
        *,
        begin: Callable[[Supervised], object],
        forget: Callable[[Supervised], None],
        emit: Callable[[events.Event], None],
        trackers: Sequence[str],
        entries: Sequence[Entry],
        learned_before: Callable[[Entry], Learned | None],
        incomplete: Incomplete,
        wakeup: Wakeup,
        changed: Callable[[Entry], None],
    ) -> None:
        self.limits = NodeLimits()
        self.is_ending = False
        """Whether the node is about to end: what ends now is no news, and nothing begins."""
        self.wakeup = wakeup
        """Set when something is to be looked at before its time."""
        self._is_undecided = True
        self._node = node
        self._nursery = nursery
        self._begin = begin
        self._forget = forget
        self._emit = emit
        self.trackers = tuple(trackers)
        """Those to ask about fetches that name none."""
        self._entries = entries
        self._learned_before = learned_before
        self.incomplete = incomplete
        """Where fetches begin."""
        self._changed = changed
        self._seeding: dict[int, tuple[Entry, Torrent]] = {}
        """By their ids, the entries that are seeded."""
        self._rested = trio.Event()

    # --- beginning and ending -------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, entry: Entry) -> AsyncIterator[None]:
        """Let one call at a time begin and end the work of an entry, which is settled afterwards.

        Raises EntryUnknownError if it was removed before its turn came.
        """
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
                self.settle_or_queue(entry)

    def settle_or_queue(self, entry: Entry) -> None:
        """Have the work of an entry begin or end, as the queue allows."""
        if self.has_queue:
            self.decide_later()
        else:
            self.settle(entry)
            self.wakeup.set()  # its goal may be another

    def settle(self, entry: Entry) -> None:
        """Begin or end the work of an entry, as it is wanted now."""
        if self.is_ending or entry.is_turn_taken:
            return  # whoever has its turn settles it afterwards
        if entry.run is not None and not entry.run.is_over:
            if not self._may_run(entry) and entry.run.state != "removed":
                self._nursery.start_soon(self._end_in_turn, entry, name=f"end {entry.name}")
        elif self._may_run(entry):
            self._begin_work(entry)
        if entry.wants is None:
            self._rest()

    async def end(self, entry: Entry) -> None:
        """End the work of an entry, which has its turn, and forget it; its data stays."""
        run = entry.run
        if run is None:
            return
        if run.is_over:
            await trio.lowlevel.checkpoint()
        else:
            await run.remove()
        self._changed(entry)  # its last bytes are counted
        entry.run = None
        self._forget(run)

    async def revise(self, entry: Entry) -> None:
        """Let the work of an entry, which has its turn, go on by the settings that it has now."""
        run, settings = entry.run, entry.settings
        if run is None or run.is_over:
            await trio.lowlevel.checkpoint()
        elif isinstance(run, Fetch) and isinstance(settings, FetchSettings):
            await run.change(settings, trackers=self.trackers)
        elif isinstance(run, Share) and isinstance(settings, ShareSettings):
            await run.change(settings)
        self.wakeup.set()

    @property
    def has_queue(self) -> bool:
        """Whether only so many entries may run at once."""
        limits = self.limits
        return limits.max_active_downloads is not None or limits.max_active_seeds is not None

    def decide_later(self) -> None:
        """Take note that other entries than before may be chosen."""
        self._is_undecided = True
        self.wakeup.set()

    def decide(self) -> None:
        """Choose which entries run, and begin and end what follows; nothing if that is decided."""
        if not self._is_undecided:
            return
        self._is_undecided = False
        chosen: set[int] | None = None
        if self.has_queue:
            chosen = chosen_to_run(
                self._queued(trio.current_time()),
                max_downloads=self.limits.max_active_downloads,
                max_seeds=self.limits.max_active_seeds,
            )
        for entry in list(self._entries):
            is_chosen = chosen is None or entry.wants is None or entry.id in chosen
            if is_chosen != entry.is_chosen:
                entry.is_chosen = is_chosen
                self._changed(entry)
            self.settle(entry)

    async def wait_idle(self) -> None:
        """Wait until no entry runs or waits for its turn; at once if none does."""
        while not all(each.wants is None for each in self._entries):
            await self._rested.wait()

    def _may_run(self, entry: Entry) -> bool:
        return entry.is_chosen and entry.wants is not None

    def _begin_work(self, entry: Entry) -> None:
        settings, care = entry.settings, _EntryCare(self, entry)
        if entry.run is not None:
            self._forget(entry.run)
        entry.waits_since = trio.current_time()
        if isinstance(settings, ShareSettings):
            on_progress = entry.on_progress
            entry.run = Share(
                settings, self._node, emit=self._emit, on_progress=on_progress, care=care
            )
        else:
            entry.run = Fetch(
                settings,
                self._node,
                trackers=self.trackers,
                emit=self._emit,
                choose=None,
                care=care,
            )
        self._begin(entry.run)
        self._changed(entry)

    async def _end_in_turn(self, entry: Entry) -> None:
        async with entry.turn:
            if not self._may_run(entry):
                await self.end(entry)
        self.settle(entry)

    def _rest(self) -> None:
        self._rested.set()
        self._rested = trio.Event()

    # --- the queue ------------------------------------------------------------------------------

    def _queued(self, now: float) -> list[Queued]:
        return [
            Queued(
                entry.id,
                wants,
                is_running=entry.run is not None,
                is_stalled=wants == "download" and _idle_for(entry, now) >= STALLED_AFTER,
                at_once=entry.at_once,
            )
            for entry in self._entries
            if (wants := entry.wants) is not None
        ]

    def _next_stall(self, now: float) -> float:
        """Return when the next running download may count as stalled; inf if none is waited for."""
        if self.limits.max_active_downloads is None:
            return float("inf")
        wanting = [each for each in self._entries if each.wants == "download"]
        if all(each.is_chosen for each in wanting):
            return float("inf")
        idle = [_idle_for(each, now) for each in wanting if each.run is not None]
        return now + min(
            (STALLED_AFTER - each for each in idle if each < STALLED_AFTER), default=60
        )

    # --- goals ----------------------------------------------------------------------------------

    async def look_at_goals(self) -> float:
        """End the seeding of entries that have reached their goal; return when to look again.

        Others have their turns meanwhile.
        """
        now = trio.current_time()
        soonest = self._next_stall(now)
        turn = LoopTurn()
        for entry, torrent in list(self._seeding.values()):
            await turn.step()
            if entry.id not in self._seeding:
                continue
            goal = self._goal(entry)
            if goal.is_endless:
                continue
            if self.enough(entry, torrent):
                assert entry.run is not None  # it is seeded
                entry.run.get_up()
                continue
            if goal.ratio != ENDLESS.ratio:
                soonest = min(soonest, now + RATIO_LOOK)
            soonest = min(soonest, now + max(0.0, goal.seconds - entry.seconds_seeding))
        return soonest

    def enough(self, entry: Entry, torrent: Torrent) -> str:
        """Return in words why an entry was seeded long enough; empty if it was not."""
        size = 0 if torrent.info is None else torrent.info.size
        return self._goal(entry).reached(ratio=entry.ratio(size), seconds=entry.seconds_seeding)

    def _goal(self, entry: Entry) -> Goal:
        if entry.record.is_endless:
            return ENDLESS
        return goal_of(entry.settings, entry.limits, self.limits)

    def run_changed(self, entry: Entry) -> None:
        """Take note that the work of an entry has another state, or another torrent."""
        run = entry.run
        if run is None or self.is_ending:
            return
        self._note_seeding(entry, run)
        self.limit(entry)
        if run.state in ("done", "failed"):
            entry.outcome = "done" if run.state == "done" else "failed"
            entry.error = "" if run.error is None or run.state == "done" else str(run.error)
            entry.at_once = False
            self._rest()
        wanted = entry.wants
        self._changed(entry)
        if self.has_queue and (entry.outcome or entry.wants != wanted):
            self.decide_later()

    def _note_seeding(self, entry: Entry, run: Supervised) -> None:
        if run.state != "seeding":
            self._seeding.pop(entry.id, None)
        elif run.torrent is not None:
            self._seeding[entry.id] = entry, run.torrent
            if not self._goal(entry).is_endless:
                self.wakeup.set()

    def limit(self, entry: Entry) -> None:
        """Have its torrent, if it runs, keep to the limits that the entry has now."""
        torrent, own = entry.torrent, entry.limits
        if torrent is None:
            return
        wanted = TorrentLimits(
            upload_rate=own.upload_rate,
            download_rate=own.download_rate,
            upload_slots=own.upload_slots,
        )
        if torrent.limits != wanted:
            torrent.set_limits(
                upload_rate=own.upload_rate,
                download_rate=own.download_rate,
                upload_slots=own.upload_slots,
            )

    def learned_before(self, entry: Entry) -> Learned | None:
        """Return what was learned of a fetch before. Blocking."""
        try:
            return self._learned_before(entry)
        except MetainfoError:
            return None


class _EntryCare(Care):
    """The hand of the list in one share or fetch."""

    __slots__ = ("_entry", "_running")

    def __init__(self, running: Running, entry: Entry) -> None:
        self._running = running
        self._entry = entry

    def changed(self) -> None:
        self._running.run_changed(self._entry)

    def learned_before(self) -> Learned | None:
        return self._running.learned_before(self._entry)

    async def incomplete_folder(self) -> Path | None:
        return await self._running.incomplete.folder_of(self._entry)

    async def bring_home(self, info: Info, root: Path) -> None:
        await self._running.incomplete.bring_home(self._entry, (info, root))

    async def is_home(self) -> None:
        await self._running.incomplete.is_home(self._entry)

    def enough(self, torrent: Torrent) -> str | None:
        return self._running.enough(self._entry, torrent)


def _idle_for(entry: Entry, now: float) -> float:
    """Return for how many seconds no byte of a download has come."""
    torrent = entry.torrent
    return now - (entry.waits_since if torrent is None else torrent.moved_at)
