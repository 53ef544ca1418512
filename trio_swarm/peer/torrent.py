"""One torrent of a node: its nursery, and its way from metadata to seeding."""

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import trio
from msgspec.structs import replace

from trio_swarm.engine.download.ledger import Ledger
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.errors import (
    ConfigError,
    FileChangedError,
    MetainfoError,
    StorageError,
    TrioSwarmError,
)
from trio_swarm.identities import InfoHash
from trio_swarm.peer import torrent_events
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.peer.connection import PeerConnection
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.dialing import dial_peers
from trio_swarm.peer.download import Download, lengths_of, open_pieces
from trio_swarm.peer.exchange import PeerExchange
from trio_swarm.peer.hashes import HashExchange, read_pieces
from trio_swarm.peer.keeping import Keeping
from trio_swarm.peer.latch import Latch
from trio_swarm.peer.metadata import MetadataExchange
from trio_swarm.peer.peer_set import PeerSet
from trio_swarm.peer.read_limit import ReadLimit
from trio_swarm.peer.standstill import (
    MAX_NAMED,
    Standstill,
    latest_move,
    standstill_of,
    tell_of_standstills,
)
from trio_swarm.peer.torrent_limits import OwnLimits
from trio_swarm.peer.torrent_parts import file_states_of, piece_map_of, whole_map
from trio_swarm.peer.torrent_plan import TorrentPlan
from trio_swarm.peer.torrent_progress import peer_progress_of, progress_of
from trio_swarm.peer.torrent_strategies import OwnStrategies, Strategies
from trio_swarm.peer.torrent_users import Users
from trio_swarm.peer.trackers import Trackers, part_with_trackers
from trio_swarm.peer.transport.errors import first_leaf
from trio_swarm.piece_sets import PieceSet, from_pieces, full_set
from trio_swarm.progress import (
    FileState,
    PeerProgress,
    PieceMap,
    Progress,
    SchedulerState,
    State,
    TorrentLimits,
    TrackerState,
    Verified,
)
from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.metainfo.magnet import Magnet
from trio_swarm.protocol.metainfo.selection import Selection, unwanted_files
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.protocol.trackers.url_secrets import to_give_away
from trio_swarm.storage.content import TorrentFiles

if TYPE_CHECKING:
    from trio_swarm.peer.recording import TorrentRecording
    from trio_swarm.recording.story.live import LiveDecisions, ToldDecision

STOP_DEADLINE = 2.5
"""Seconds for saying `stopped` and closing files; the node must be gone within 5."""

REST_AFTER = 30.0
"""Seconds without a peer after which a whole torrent gives back what only peers need: most that
come at all come again, or with others, within a while."""

FINISH_TRIES = 10
"""How often what others changed is fetched again before the last look, at most."""


class _Moved(NamedTuple):
    """Bytes that went out, were taken in, and came again, before the torrent rested last."""

    out: int = 0
    taken: int = 0
    again: int = 0


NOTHING_MOVED = _Moved()


class Torrent:
    """A swarm that this node is in, as seeder or leecher; made by `Node.share` and `Node.fetch`."""

    __slots__ = (
        "_adopt_hash",
        "_bare_info",
        "_before",
        "_began_at",
        "_complete",
        "_decisions",
        "_hashes",
        "_is_leaving",
        "_is_resting",
        "_keeper",
        "_limits",
        "_metadata",
        "_metadata_here",
        "_on_over",
        "_over",
        "_plan",
        "_recording",
        "_resting_progress",
        "_run_again",
        "_scope",
        "_selecting",
        "_selection",
        "_started",
        "_started_at",
        "_strategies",
        "_trackers",
        "_twin_hash",
        "_twin_of",
        "_users",
        "bytes_checked",
        "context",
        "download",
        "error",
        "expected_size",
        "files",
        "info_hash",
        "metainfo",
        "name",
        "nursery",
        "peer_set",
        "state",
        "times_waiting_was_told",
        "v2_hash",
    )

    def __init__(
        self,
        context: NodeContext,
        plan: TorrentPlan,
        *,
        adopt_hash: Callable[["Torrent", InfoHash], bool] = lambda _torrent, _info_hash: True,
        run_again: Callable[["Torrent"], None] = lambda _torrent: None,
    ) -> None:
        self.context = context
        self.info_hash = plan.info_hash
        self.v2_hash = plan.v2_hash
        self._adopt_hash = adopt_hash
        self._run_again = run_again
        self._bare_info: Info | None = None
        """Its info dictionary, while the hashes of its pieces are fetched."""
        self._twin_of: Info | None = None
        self._twin_hash: bytes | None = None
        self.name = plan.name
        self.metainfo = plan.metainfo
        self.expected_size = plan.size
        self.error: TrioSwarmError | None = None
        self.state: State = "metadata" if plan.metainfo is None else "checking"
        self.bytes_checked = self.times_waiting_was_told = 0
        """Of the files that were there; how often it was said what it waits for."""
        self.files: TorrentFiles | None = None
        self.download: Download | None = None
        self.peer_set = PeerSet(self)
        self.nursery: trio.Nursery | None = None
        """Where its tasks run; None while it has none."""
        self._limits = OwnLimits(context, self.group)
        self._decisions: LiveDecisions | None = None
        self._users: Users | None = None
        self._plan = plan
        self._selection = plan.selection
        self._selecting: trio.Lock | None = None
        self._strategies = OwnStrategies(context, plan.scheduler, plan.scheduler_options)
        self._recording: TorrentRecording | None = None
        if plan.record is not None:
            self._recording = _recording(plan.record, context, self._strategies.chosen)
        if not plan.is_share:  # a wrong name or option is told now
            self._made_strategies()
        self._metadata: MetadataExchange | None = None
        self._hashes: HashExchange | None = None
        self._keeper: Keeping | None = None
        self._before = NOTHING_MOVED
        self._trackers = Trackers(self, plan)
        self._started_at = self._began_at = trio.current_time()
        self._scope: trio.CancelScope | None = None
        self._is_leaving = False
        self._is_resting = False
        """It has no task; `get_up` gives it one."""
        self._resting_progress: Progress | None = None
        self._started = Latch()
        self._metadata_here = Latch()
        self._complete = Latch()
        self._over = Latch()
        self._on_over: Callable[[], None] | None = None
        for address in (*plan.peers, *plan.linked_peers):
            self.peer_set.candidates.add(address, self._started_at)

    # --- made when it is first needed -----------------------------------------------------------

    @property
    def metadata(self) -> MetadataExchange:
        """The info dictionary as it goes over the wire (BEP 9)."""
        if self._metadata is None:
            plan, connections = self._plan, self.peer_set.connections
            self._metadata = MetadataExchange(
                plan.info_hash, plan.v2_hash, info=lambda: self.info, peers=connections
            )
        return self._metadata

    @property
    def hashes(self) -> HashExchange:
        """The hashes of version 2 as they go over the wire (BEP 52)."""
        if self._hashes is None:
            self._hashes = HashExchange(
                info=lambda: self.info,
                peers=self.peer_set.connections,
                read=self._read_pieces,
                start=self._start,
            )
        return self._hashes

    def _read_pieces(self, pieces: range) -> bytes | None:
        info, files = self.info, self.files
        wanted = from_pieces(pieces)
        if info is None or files is None or wanted & ~files.have:
            return None
        return read_pieces(info, pieces, files.read)

    def _start(self, task: Callable[[], Awaitable[None]], *, name: str) -> None:
        if self.nursery is not None:
            self.nursery.start_soon(task, name=f"{name} of {self.name}")

    @property
    def keeping(self) -> Keeping:
        """What looks after its files."""
        if self._keeper is None:
            self._keeper = Keeping(
                self,
                emit=self.context.emit,
                peers=self.peer_set.connections.values,
                wake_peers=self.peer_set.wake,
                looked=self._readable_changed,
            )
        return self._keeper

    @property
    def _in_use(self) -> Users:
        if self._users is None:
            self._users = Users(self)
        return self._users

    def _made_strategies(self) -> Strategies:
        recording = self._recording
        return self._strategies.made(recording.make_scheduler if recording else GuardedScheduler)

    # --- what a program asks --------------------------------------------------------------------

    @property
    def info(self) -> Info | None:
        """The info dictionary; None until the metadata is known."""
        return self.metainfo.info if self.metainfo is not None else None

    @property
    def twin_hash(self) -> bytes | None:
        """The other info-hash of a hybrid torrent, 20 bytes; empty while it is not known."""
        info = self.info
        if info is None:
            return b""
        if self._twin_of is not info:
            v2_hash = info.v2_hash if info.is_hybrid else None
            self._twin_of, self._twin_hash = info, v2_hash and v2_hash[:20]
        return self._twin_hash

    @property
    def short_v2_hash(self) -> bytes | None:
        """The version 2 info-hash, 20 bytes; None: it has none, or it is not known yet."""
        info = self.info or self._bare_info
        if info is None or not info.has_v2:
            return None
        return self.twin_hash if info.has_v1 else self.info_hash

    @property
    def offers_v2(self) -> bool:
        """Whether a peer that is asked for the version 1 info-hash may answer with the other.

        Only once it is known to be a hybrid: libtorrent 2.1.1 ends a connection that offers version
        2 of a torrent that has none.
        """
        return self.info is not None and self.info.is_hybrid

    @property
    def is_complete(self) -> bool:
        """Whether every wanted piece is verified and the data has its final name."""
        return self._complete.is_set() and self.error is None

    @property
    def is_whole(self) -> bool:
        """Whether it is complete, and no file is left out."""
        return self.is_complete and self.files is not None and not self.files.unwanted

    @property
    def selection(self) -> Selection:
        """Which of its files are wanted."""
        return self._selection

    @property
    def unwanted_files(self) -> frozenset[int]:
        """The numbers of the files that are not wanted (`FileState.index`), once that is known."""
        return frozenset() if self.files is None else self.files.unwanted

    async def select(self, selection: Selection) -> None:
        """Want these of its files from now on.

        What is here stays. A file that becomes wanted is fetched, also if all that was wanted
        before is complete. Raises MetainfoError, and changes nothing, if no file would be left;
        StorageError (DiskFullError) if what is here of a file cannot be given its place. A share
        has all its files: ConfigError.
        """
        if self._plan.is_share:
            raise ConfigError(f"{self.name}: is shared, so all of it is here")
        if self._selecting is None:
            self._selecting = trio.Lock()
        async with self._selecting:
            if self.info is not None:
                await trio.to_thread.run_sync(unwanted_files, self.info, selection)
            self._selection = selection
            if self.is_open and not self.is_over:
                await self._use_selection()

    async def _use_selection(self) -> None:
        """Have files and peers know what is wanted now; the files are open."""
        files, info = self.files, self.info
        assert files is not None
        assert info is not None
        unwanted = await trio.to_thread.run_sync(unwanted_files, info, self._selection)
        if unwanted == files.unwanted:
            return
        await run_stoppable(lambda should_stop: files.want(unwanted, should_stop))
        self._resting_progress = None
        if self.download is None:  # it rests, and all of it is here
            return
        now = trio.current_time()
        self.download.reconcile()
        self.download.ledger.choose(files.wanted_pieces, now)
        exchange = self.download.exchange
        if not files.is_complete and self._complete.is_set():
            self._complete = Latch()
            self.state = "downloading"
            exchange.fetch_again()
            self.peer_set.candidates.try_again(now)
            self.peer_set.dial_wakeup.set()
            self._trackers.announce_now()
        exchange.replan()
        exchange.tell_everybody()
        self.peer_set.wake()
        self.peer_set.tell_changed()
        self._readable_changed()

    @property
    def path(self) -> Path | None:
        """The path of the data now; None until the metadata is known."""
        return self.files.root if self.files is not None else None

    async def wait_complete(self) -> Path:
        """Wait until all that is wanted is verified and synced; return the final path of the data.

        Raises the error that ended the torrent: StorageError (DiskFullError) or MetainfoError; or
        TrioSwarmError if it was removed first.
        """
        await self._complete.wait()
        if self.error is not None:
            raise self.error
        assert self.files is not None
        return self.files.root

    async def wait_metadata(self) -> Metainfo:
        """Wait until it is known what the torrent says of itself; raises as `wait_complete`."""
        if self.metainfo is None:
            await self._metadata_here.wait()
        if self.metainfo is not None:
            return self.metainfo
        raise self.error or TrioSwarmError(f"{self.name}: removed before its metadata was here")

    async def wait_started(self) -> None:
        """Wait until peers can connect to the torrent, or until it has ended."""
        await self._started.wait()

    async def wait_over(self) -> None:
        """Wait until the torrent was removed or has failed."""
        await self._over.wait()

    @property
    def is_over(self) -> bool:
        """Whether it was removed or has failed."""
        return self._over.is_set()

    def call_when_over(self, call: Callable[[], None]) -> None:
        """Have a function called once the torrent was removed or has failed; one, the last."""
        self._on_over = call

    def magnet(self) -> str:
        """Return the magnet link, with our trackers (BEP 9), but without our keys for them."""
        return Magnet(
            info_hash=self.info_hash,
            name=self.info.name if self.info is not None else self.name or None,
            trackers=tuple(to_give_away(url) for tier in self._trackers.tiers for url in tier),
            peers=(),
            length=self.info.size if self.info is not None else self.expected_size,
            v2_hash=self.info.v2_hash if self.info is not None else self.v2_hash,
        ).to_uri()

    def progress(self) -> Progress:
        """Return the progress of the torrent at this moment; while it rests, the same object."""
        if self._resting_progress is not None:
            return self._resting_progress
        progress = progress_of(self, self.peer_set.connections.values(), trio.current_time())
        if self._is_resting:
            self._resting_progress = progress
        return progress

    @property
    def moved_at(self) -> float:
        """The time when the last needed byte arrived, or when the download started; seconds."""
        blocks = -math.inf if self.download is None else self.download.moved_at
        metadata = self.metadata.moved_at if self.metainfo is None else -math.inf
        whole = max(self._began_at, metadata, blocks)
        return latest_move(whole, self.peer_set.connections.values())

    @property
    def uploaded(self) -> int:
        """Bytes of blocks put out so far, to anybody."""
        download = self.download
        return self._before.out + (0 if download is None else download.exchange.uploads.uploaded)

    @property
    def downloaded(self) -> int:
        """Bytes of blocks received so far, from anybody, without the duplicates."""
        download = self.download
        return self._before.taken + (0 if download is None else download.ledger.received_bytes)

    @property
    def duplicate(self) -> int:
        """Bytes of blocks that came though they were here."""
        download = self.download
        return self._before.again + (0 if download is None else download.ledger.duplicate_bytes)

    @property
    def is_open(self) -> bool:
        """Whether its files are open and checked: it is known which pieces are here."""
        return self.download is not None or self.is_complete

    @property
    def have(self) -> PieceSet:
        """The verified pieces; none before the files are open."""
        if self.download is not None:
            return self.download.ledger.have
        return self.files.have if self.is_complete and self.files is not None else 0

    @property
    def missing(self) -> int | None:
        """Bytes of pieces that are not verified; None while nothing is known of them."""
        if self.download is not None:
            return self.download.missing_bytes()
        return 0 if self.is_complete else None

    def standstill(self) -> Standstill:
        """Return how long no needed byte has arrived, and what the download waits for."""
        return standstill_of(self, trio.current_time())

    @property
    def peers_changed(self) -> trio.Event:
        """An event that is set after a peer left or an address was dialled.

        Read it before `standstill`.
        """
        return self.peer_set.changed

    def tracker_news(self) -> list[str]:
        """Return the latest news of some trackers, a line for each."""
        return list(islice(self._trackers.news(), MAX_NAMED))

    def peers(self) -> list[PeerProgress]:
        """Return the connected peers, in the order they joined."""
        now = trio.current_time()
        return [peer_progress_of(c, now) for c in self.peer_set.connections.values()]

    # --- what a program tells it ------------------------------------------------------------------

    @property
    def limits(self) -> TorrentLimits:
        """The limits of its own; the node's hold beside them."""
        return self._limits.told

    def set_limits(
        self,
        *,
        upload_rate: float | None = None,
        download_rate: float | None = None,
        upload_slots: int | None = None,
    ) -> None:
        """Set the limits of its own, at once: bytes/s, and peers that are served at once.

        None: no limit but the node's. Raises ConfigError, and changes nothing, for a limit that is
        not above 0.
        """
        self._limits.set(
            upload_rate=upload_rate,
            download_rate=download_rate,
            upload_slots=upload_slots,
            is_over=self._over.is_set(),
        )
        if self.download is not None:
            exchange = self.download.exchange
            exchange.uploads.slots = self._limits.slots
            exchange.rechoke(trio.current_time())
        self.node_limits_changed()

    def scheduler_state(self) -> SchedulerState:
        """Return the download strategy, and what its decisions cost."""
        return self._strategies.scheduler_state

    def tracker_states(self) -> list[TrackerState]:
        """Return the trackers, tier by tier, at most MAX_TRACKERS, and what each said last."""
        return self._trackers.states()

    def file_states(self, first: int = 0, count: int | None = None) -> list[FileState]:
        """Return `count` files (None: all) from number `first` on; none without the metadata."""
        if self.info is None:
            return []
        return file_states_of(self.info, self.have, first, count)

    def piece_map(self, *, peers: int = 0) -> PieceMap | None:
        """Return all pieces, with those of some peers; None until the files are open."""
        if self.download is None:
            info = self.info
            return whole_map(info.piece_count) if self.is_complete and info is not None else None
        connections = self.peer_set.connections.values()
        return piece_map_of(self.download.ledger, connections, peers)

    def decisions(self, since: int = 0, limit: int = 100) -> list["ToldDecision"]:
        """Return why something was asked of whom lately: after decision number `since`, the last.

        Decisions are recorded while somebody looks: the first call switches that on, and it goes
        off half a minute after the last one.
        """
        if self.download is None:
            return []
        if self._decisions is None:
            # Few look, and importing what it takes would delay the others.
            from trio_swarm.recording.story.live import LiveDecisions  # noqa: PLC0415

            clock = time.time() - trio.current_time()
            self._decisions = LiveDecisions(self.download.ledger, clock)
        return self._decisions.look(since, limit, trio.current_time())

    def reannounce(self) -> None:
        """Ask the trackers for peers, no sooner than they allow (BEP 3, "min interval")."""
        self._trackers.announce_now()

    async def set_scheduler(
        self, name: str, options: Mapping[str, object] | None = None, *, text_values: bool = False
    ) -> None:
        """Let another strategy decide what is fetched from whom, from now on.

        What was asked stays asked. `text_values`: the options' values are text as typed. A
        recording ends here. Raises ConfigError, and changes nothing, for a name that is unknown or
        an option that is wrong.
        """
        scheduler = await self._strategies.choose_scheduler(name, options, text_values=text_values)
        if self.download is not None:
            self.download.ledger.set_scheduler(scheduler)
            self.download.exchange.replan()

    def set_trackers(self, urls: Sequence[str]) -> None:
        """Announce to other trackers than a person named before; its own ones stay."""
        self._trackers.set_named(urls)

    def add_peers(self, addresses: Sequence[Address]) -> None:
        """Dial these peers, too."""
        now = trio.current_time()
        for address in addresses:
            self.peer_set.candidates.add(address, now)
        self.peer_set.dial_wakeup.set()
        self.get_up()

    def settings_changed(self) -> None:
        """Serve peers as the node's settings say now: by other strategies, in other slots.

        Raises ConfigError, and changes nothing, for a strategy that is unknown or a wrong option.
        """
        uploader, choker = self._strategies.renew()
        if self.download is not None:
            now = trio.current_time()
            uploads = self.download.exchange.uploads
            uploads.slots = self._limits.slots
            uploads.set_strategies(uploader, choker, now)
            self.download.exchange.rechoke(now)

    def node_limits_changed(self) -> None:
        """Keep to limits that are others now: the node's, or its own."""
        if self._limits.review():
            self.peer_set.wake()

    @property
    def read_limit(self) -> ReadLimit:
        """What limits reading from its peers."""
        return self._limits.read_limit

    @property
    def largest_request(self) -> int:
        """Most bytes that one request may ask of us, by the limits of uploads."""
        return self._limits.largest_request

    @property
    def group(self) -> int:
        """What the uplink knows its connections by."""
        return id(self)

    async def read_at(self, file_index: int, offset: int, size: int) -> bytes:
        """Return `size` bytes of a file from `offset` on, once verified; cut off at the file's end.

        Strategies see which pieces are waited for, and which may be next. `file_index` as in
        `FileState`; at most 4 MiB at once (ValueError). How long it takes depends on peers; it ends
        with the torrent. Raises the error that ended it; FileChangedError if finished data was
        changed by others; StorageError if it cannot be read; ConfigError for a file that the
        torrent has not; TrioSwarmError if 64 others read already.
        """
        return await self._in_use.read_at(file_index, offset, size)

    def _readable_changed(self) -> None:
        if self._users is not None:
            self._users.changed()

    @property
    def why_over(self) -> TrioSwarmError | None:
        """What readers are told once it was removed or has failed; None: it goes on."""
        if not self._over.is_set():
            return None
        return self.error or TrioSwarmError(f"{self.name}: was removed")

    @property
    def verifying(self) -> float | None:
        """How much of a check by `verify` is done, 0 to 1; None: there is none."""
        return None if self._users is None else self._users.verifying

    async def verify(self) -> Verified:
        """Hash all pieces that are here, while the torrent goes on, and return the result.

        Bad pieces are fetched again; those of finished data are only offered no longer, since its
        files are a person's. Whoever comes during a check waits for its result; it ends with the
        torrent. Raises StorageError if a file is missing or cannot be read, and TrioSwarmError if
        the files are not open, or the torrent ends before.
        """
        return await self._in_use.verify()

    async def remove(self) -> None:
        """Leave the swarm: announce `stopped`, save the state, close the files; data is kept."""
        self._is_leaving = True
        if self._scope is not None:
            self._scope.cancel()
        self.get_up()
        await self._over.wait()

    # --- its life -------------------------------------------------------------------------------

    def begin_whole(self, files: TorrentFiles) -> None:
        """Begin as a seeder of verified files, at rest: nothing is to be done before peers come."""
        self.files = files
        self.state = "seeding"
        self._started.set()
        self._complete.set()
        self._is_resting = True
        self._trackers.begin()

    def get_up(self) -> None:
        """If it rests: be active again, until there was nothing to do for a while."""
        if self._is_resting:
            self._is_resting = False
            self._resting_progress = None
            self._run_again(self)

    @property
    def rests(self) -> bool:
        """Whether it has no task, and nothing to do."""
        return self._is_resting

    def leave_trackers(self) -> Trackers:
        """Ask its trackers nothing more, and return them: they are to be told that we stopped."""
        self._trackers.end()
        return self._trackers

    def left(self) -> None:
        """End while it rests; its trackers were told."""
        self._is_resting = False
        self._resting_progress = None
        self.peer_set.end()
        self._end()

    async def run(self) -> bool:
        """Take part in the swarm until removed, cancelled, or ended by a failure of its own.

        Returns earlier, and true, if it rests. It has no task then: `run` is to be called again
        when it calls for that, and `part_with` if the node ends.
        """
        scope = self._scope = trio.CancelScope()
        if self._is_leaving:
            scope.cancel()
        rests = False
        try:
            try:
                with scope:
                    rests = await self._take_part()
            except* (StorageError, MetainfoError) as group:
                self._fail(first_leaf(group))
        finally:
            self._scope = None
            if not rests:
                self._end()
        return rests

    def _end(self) -> None:
        """Let everybody know that it is over."""
        if self.error is None and not self._complete.is_set():
            self.error = TrioSwarmError(f"{self.name}: removed before it was complete")
        self._limits.forget()
        self._complete.set()
        self._metadata_here.set()
        if self.state != "failed":
            self.state = "removed"
        self._started.set()
        self._over.set()
        if self._users is not None and (error := self.why_over) is not None:
            self._users.end(error)
        if self._on_over is not None:
            self._on_over()

    async def _take_part(self) -> bool:
        """Be active until there is nothing to do; true then. At the end, part with everybody."""
        try:
            while True:
                await self._be_active()
                await self.peer_set.rest()
                # Here it is cancelled, or not before somebody else knows that it rests.
                await trio.lowlevel.checkpoint()
                if not self.peer_set.is_wanted:
                    self._is_resting = True
                    return True
        finally:
            if not self._is_resting:
                self.nursery = None
                self.peer_set.end()
                with trio.move_on_after(STOP_DEADLINE, shield=True):
                    await self._part()

    async def _be_active(self) -> None:
        """Have peers, and whatever they need; return when nobody has come for REST_AFTER."""
        async with trio.open_nursery() as nursery:
            if self.files is not None:
                # Before the peers that woke it are let in: they join at once.
                assert self.info is not None
                self._make_download(self.info, self.files, self.files.have)
            self.nursery = nursery
            await nursery.start(self.peer_set.run, name=f"peers of {self.name}")
            self._started.set()
            nursery.start_soon(dial_peers, self, name=f"dial for {self.name}")
            if self.download is None:
                nursery.start_soon(self._tell_of_standstills, name=f"watch peers of {self.name}")
                await self._find_out()
            assert self.download is not None
            exchange = self.download.exchange
            nursery.start_soon(exchange.choke_in_time, name=f"choke for {self.name}")
            nursery.start_soon(exchange.reveal_in_time, name=f"reveal for {self.name}")
            if self._recording is not None:
                connections = self.peer_set.connections
                nursery.start_soon(self._recording.run, connections, name=f"record {self.name}")
            assert self.files is not None
            nursery.start_soon(self.keeping.run, self.files, name=f"keep {self.name}")
            while True:
                if not self.is_complete:
                    await self._fetch()
                if await self._until_idle():
                    break
            self.nursery = None
            self.peer_set.shut()
            nursery.cancel_scope.cancel()
        await self._give_back()

    async def _find_out(self) -> None:
        """Get the metadata, if it is not known, and find out which pieces are here."""
        if self.metainfo is None:
            self._trackers.begin()
            info = await self.metadata.wait()
            if info.info_hash != self.info_hash:
                self._become_v1(info)
            if self._plan.metadata_only:
                self._learned(info)
                await trio.sleep_forever()
            self._learned(await self._with_layers(info))
            await self._open()
        elif self._plan.metadata_only:
            await trio.sleep_forever()
        elif not self.metainfo.info.can_verify:
            self._trackers.begin()
            self.state = "metadata"
            self._know(await self._with_layers(self.metainfo.info))
            await self._open()
        else:
            # First what is there, so that the first announce tells seeder from leecher.
            await self._open()
            self._trackers.begin()

    async def _with_layers(self, info: Info) -> Info:
        """Return the torrent with what its pieces are verified by (BEP 52, "piece layers").

        A torrent of version 2 needs it of the peers; a hybrid begins without, and learns it later.
        """
        if not info.can_verify:
            self._bare_info = info
            return await self.hashes.layers_of(info)
        if info.has_v2 and info.length and not info.v2_piece_hashes:
            assert self.nursery is not None
            self.nursery.start_soon(self._learn_layers, info, name=f"learn layers of {self.name}")
        return info

    async def _learn_layers(self, info: Info) -> None:
        self._know(await self.hashes.layers_of(info))

    def _know(self, info: Info) -> None:
        """Go on with what is known of the torrent now: the hashes of its version 2."""
        assert self.metainfo is not None
        self.metainfo = replace(self.metainfo, info=info)
        if self.download is not None:
            self.download.info = info

    async def _until_idle(self) -> bool:
        """Wait until nobody was there, and nobody to be dialled, for REST_AFTER seconds.

        Returns false if there is something to fetch again.
        """
        while True:
            if not self.is_complete:
                return False
            changed = self.peer_set.changed
            if not self._may_rest():
                await changed.wait()
                continue
            with trio.move_on_after(REST_AFTER) as scope:
                await changed.wait()
            if scope.cancelled_caught and self._may_rest():
                return True

    def _may_rest(self) -> bool:
        """Whether nothing is to be done before somebody comes, as it looks now."""
        files, info = self.files, self.info
        assert files is not None
        assert info is not None
        return (
            self._recording is None
            and not (self._users is not None and self._users.is_any)
            and not files.suspects
            # A look now and then finds out when what others took away is there again.
            and files.have == full_set(info.piece_count)
            and self.peer_set.is_idle_until(trio.current_time() + REST_AFTER)
        )

    async def _give_back(self) -> None:
        """Give back what only peers need; what was moved stays known."""
        download, files = self.download, self.files
        assert download is not None
        assert files is not None
        await download.drain()
        self._before = _Moved(self.uploaded, self.downloaded, self.duplicate)
        self.download = None
        self._hashes = None
        self._metadata = self._keeper = self._decisions = None
        self._strategies.forget()
        if self._users is not None:
            self._users.forget()
        files.rest()

    async def _part(self) -> None:
        """Tell the trackers that we stopped, and close the files."""
        if self.download is None and self.is_complete:
            await self._trackers.stop()
            return
        async with trio.open_nursery() as nursery:
            if self._recording is not None:
                nursery.start_soon(self._recording.close)
            nursery.start_soon(self._trackers.stop)
            nursery.start_soon(self._close_files)

    def _become_v1(self, info: Info) -> None:
        """Go on by the version 1 info-hash of a hybrid torrent that was asked for by the other.

        Clients that know version 1 only are in that swarm, and so are those that know both.
        """
        if not self._adopt_hash(self, info.info_hash):
            raise MetainfoError(
                f"{info.name} is in this node already, by its version 1 info-hash "
                f"{info.info_hash.hex()}"
            )
        self.info_hash = info.info_hash
        self._trackers.change_swarm()

    def _learned(self, info: Info) -> None:
        self.name = self.name or info.name
        if info.private:
            self._trackers.keep_private()
        self.metainfo = Metainfo(
            info=info, announce_tiers=tuple(tuple(tier) for tier in self._trackers.tiers)
        )
        self._metadata_here.set()
        if self.twin_hash:
            self._adopt_hash(self, InfoHash(self.twin_hash))
            self._trackers.join_twin()
        self.peer_set.wake()
        self.context.emit(torrent_events.metadata_received(self, info))

    async def _open(self) -> None:
        """Open the files, find out which pieces are there, and let the peers join."""
        info = self.info
        assert info is not None
        self.state = "checking"
        if self._recording is not None:
            await self._recording.open(info, self.name)
        files = await trio.to_thread.run_sync(self._plan.open_files, info)
        selection = self._selection
        if not selection.is_everything:
            files.want(await trio.to_thread.run_sync(unwanted_files, info, selection))
        self.files = files
        if files.renamed:
            self.context.emit(torrent_events.files_renamed(self, files.renamed))

        def note(done: int, _total: int) -> None:
            self.bytes_checked = done

        result = await run_stoppable(lambda should_stop: files.check(note, should_stop))
        download = self._make_download(info, files, result.have)
        if files.state_problem is not None:
            self.context.tell_state_problem(files.state_problem, self.info_hash, self.name)
        if not self._plan.is_share:
            size, have = download.wanted_bytes(), download.have_bytes()
            self.context.emit(torrent_events.checked(self, size, info, result, have=have))
        if self._selection is not selection:  # it was told otherwise meanwhile
            await self._use_selection()

    def _make_download(self, info: Info, files: TorrentFiles, have: PieceSet) -> Download:
        """Make what peers exchange pieces by, and let them join."""
        download = self.download = Download(
            info,
            files,
            self._make_exchange(info, have),
            disk=self.context.disk,
            piece_verified=self._piece_verified,
            piece_failed=self._piece_failed,
            peers_banned=self.peer_set.ban,
            judge=self._judge,
            files_changed=self.keeping.tell,
        )
        # Each joins in its own task, where a fault of a peer ends only that peer.
        self.peer_set.wake()
        if self._users is not None:
            self._users.changed()
            self._users.woken()
        return download

    def _make_exchange(self, info: Info, have: PieceSet) -> PeerExchange:
        context, recording, strategies = self.context, self._recording, self._made_strategies()
        settings = context.settings
        make_ledger = Ledger if recording is None else recording.make_ledger
        return PeerExchange(
            make_ledger(
                lengths_of(info),
                scheduler=strategies.scheduler,
                rng=context.rng,
                have=have,
                chosen=None if self.files is None else self.files.wanted_pieces,
                open_piece_limit=open_pieces(info, settings.piece_memory),
            ),
            uploader=strategies.uploader,
            choker=strategies.choker,
            rng=context.rng,
            slots=self._limits.slots,
            own_number=int.from_bytes(context.peer_id[-8:], "big"),
            part_useless=self.peer_set.part_seeders,
            sent=None if recording is None else recording.sent,
        )

    async def _fetch(self) -> None:
        """Download what is missing, give the data its final name, and go on as a seeder."""
        download, files, info = self.download, self.files, self.info
        assert download is not None
        assert files is not None
        assert info is not None
        was_complete = download.ledger.is_complete
        if self._plan.is_share and not was_complete:
            raise StorageError("changed while it was about to be shared", path=files.root)
        for _ in range(FINISH_TRIES):
            if not download.ledger.is_complete:
                was_complete = False
                self.state = "downloading"
                self._began_at = trio.current_time()
                await download.run()
                self.state = "finishing"
            if await self._finish(files) and files.is_complete:
                break
        else:
            raise StorageError("keeps being changed by another program", path=files.root)
        self.state = "seeding"
        self._complete.set()
        if not was_complete and not files.unwanted:  # else we are a partial seeder (BEP 21)
            self._trackers.completed()
        if not self._plan.is_share:
            self.context.emit(
                torrent_events.completed(
                    self,
                    files.root,
                    download.wanted_bytes(),
                    seconds=trio.current_time() - self._started_at,
                    sources=download.sources,
                )
            )
        download.exchange.stop_fetching()
        download.exchange.rechoke(trio.current_time())
        if files.unwanted:
            self.peer_set.wake()  # to be told that we only upload
        self.peer_set.part_seeders()

    async def _finish(self, files: TorrentFiles) -> bool:
        """Give the data its final name; False if others changed it: pieces are missing again."""
        if files.is_complete:
            return True
        is_whole = True
        try:
            await trio.to_thread.run_sync(files.finish)
        except FileChangedError:
            is_whole = False
        while (changes := files.take_changes()) is not None:
            self.keeping.tell(changes)
        assert self.download is not None
        self.download.reconcile()
        self._readable_changed()
        return is_whole

    async def _close_files(self) -> None:
        await self._in_use.close()
        if self.download is not None:
            await self.download.drain()
        if self.files is not None:
            await trio.to_thread.run_sync(self.files.close)

    def _fail(self, error: BaseException) -> None:
        assert isinstance(error, TrioSwarmError)
        self.error = error
        self.state = "failed"
        self.context.emit(torrent_events.failed(self, error))

    async def _tell_of_standstills(self) -> None:
        def tell(reason: str) -> None:
            self.times_waiting_was_told += 1
            self.context.emit(torrent_events.waiting(self, reason))

        await tell_of_standstills(self, tell, is_done=self._complete.is_set)

    # --- what its connections tell --------------------------------------------------------------

    def learned_listen_address(self, connection: PeerConnection, address: Address) -> None:
        """Note where a peer listens that came in."""
        self.peer_set.learned_listen_address(connection, address)

    def part_useless(self) -> None:
        """Once everything is here, part with peers that want nothing."""
        self.peer_set.part_seeders()

    def file_changed(self, error: StorageError) -> None:
        """Note that serving found a file changed, or could not read it."""
        self.keeping.changed(error)

    def peer_left(self, connection: PeerConnection) -> None:
        """Take a gone peer out of everything that counts on it."""
        if self._recording is not None:
            self._recording.name(connection)
        if self.download is not None:
            connection.leave(self.download)
        if self.metainfo is None:
            self.metadata.peer_left(connection.key)
        if self._hashes is not None:
            self._hashes.peer_left(connection.key)
        if not self.peer_set.connections and not self.is_complete:
            self._trackers.announce_now()

    def _piece_verified(self, piece: int) -> None:
        self.context.tally.pieces_verified += 1
        self._readable_changed()
        self.context.emit(torrent_events.piece_verified(self, piece))

    def _judge(self, piece: int, leaves: bytes) -> bool:
        """Ask peers which blocks of a wrong piece are wrong (BEP 52); False if there is nobody."""
        if self.nursery is None or not self.hashes.may_be_asked:
            return False
        name = f"find wrong blocks of {self.name}"
        self.nursery.start_soon(self._find_wrong_blocks, piece, leaves, name=name)
        return True

    async def _find_wrong_blocks(self, piece: int, leaves: bytes) -> None:
        info, download = self.info, self.download
        assert info is not None
        assert download is not None
        download.judged(piece, await self.hashes.wrong_blocks(info, piece, leaves) or 0)

    def _piece_failed(self, piece: int, contributors: Iterable[str]) -> None:
        self.context.tally.pieces_failed += 1
        self.context.emit(torrent_events.piece_failed(self, piece, contributors))


def _recording(
    path: Path, context: NodeContext, scheduler: tuple[str, Mapping[str, object]]
) -> "TorrentRecording":
    # Few downloads are recorded, and importing what it takes would delay the others.
    from trio_swarm.peer.recording import TorrentRecording  # noqa: PLC0415

    return TorrentRecording(path, context, scheduler)


async def part_with(torrents: Iterable[Torrent]) -> None:
    """End torrents that rest: their trackers are told, as many as STOP_DEADLINE allows."""
    resting = [torrent for torrent in torrents if torrent.rests]
    with trio.move_on_after(STOP_DEADLINE, shield=True):
        await part_with_trackers([torrent.leave_trackers() for torrent in resting])
    for torrent in resting:
        if torrent.rests:
            torrent.left()
