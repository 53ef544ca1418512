"""One torrent of a node: its nursery, and its way from metadata to seeding."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trio_swarm import events
from trio_swarm.engine.download.ledger import Ledger
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.errors import FileChangedError, MetainfoError, StorageError, TrioSwarmError
from trio_swarm.identities import InfoHash
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.peer.connection import PeerConnection
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.dialing import dial_peers
from trio_swarm.peer.download import Download, lengths_of, open_pieces
from trio_swarm.peer.exchange import PeerExchange
from trio_swarm.peer.keeping import Keeping
from trio_swarm.peer.metadata import MetadataExchange
from trio_swarm.peer.peer_set import PeerSet
from trio_swarm.peer.read_limit import ReadLimit
from trio_swarm.peer.reading import Reading
from trio_swarm.peer.saying import longest_block
from trio_swarm.peer.standstill import (
    MAX_NAMED,
    QUIET_PEERS,
    SAY_AGAIN,
    SAY_AT_MOST,
    SAY_FIRST,
    Standstill,
    standstill_of,
)
from trio_swarm.peer.strategies import (
    checked_options,
    choker_for,
    chosen_scheduler,
    scheduler_for,
    uploader_for,
)
from trio_swarm.peer.torrent_parts import file_states_of, piece_map_of
from trio_swarm.peer.torrent_plan import TorrentPlan
from trio_swarm.peer.torrent_progress import peer_progress_of, progress_of
from trio_swarm.peer.trackers import Trackers
from trio_swarm.peer.transport.errors import first_leaf
from trio_swarm.peer.verifying import Verifying
from trio_swarm.piece_sets import PieceSet
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
    require_limits,
)
from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.metainfo.info import version_2_hash
from trio_swarm.protocol.metainfo.magnet import Magnet
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.storage.content import CheckResult, TorrentFiles

if TYPE_CHECKING:
    from trio_swarm.peer.recording import TorrentRecording
    from trio_swarm.recording.story.live import LiveDecisions, ToldDecision

STOP_DEADLINE = 2.5
"""Seconds for saying `stopped` and closing files; the node must be gone within 5."""

NAME_TOLD = 500
"""Characters of a changed name in the event: a torrent may hold names of megabytes."""

RENAMED_TOLD = 20
"""Changed names that are told one by one; of others only how many there are."""

LEAST_RATE = 128
"""Bytes/s at which a block that is not whole yet counts as coming: one of 16 KiB takes 128 s then,
about as long as a `get` waits for one. Who sends less holds nobody up by it."""

FINISH_TRIES = 10
"""How often what others changed is fetched again before the last look, at most."""


class Torrent:
    """A swarm that this node is in, as seeder or leecher; made by `Node.share` and `Node.fetch`."""

    def __init__(
        self,
        context: NodeContext,
        plan: TorrentPlan,
        *,
        adopt_hash: Callable[["Torrent", InfoHash], bool] = lambda _torrent, _info_hash: True,
    ) -> None:
        self.context = context
        self.info_hash = plan.info_hash
        self.v2_hash = plan.v2_hash
        self._adopt_hash = adopt_hash
        self._twin_of: Info | None = None
        self._twin_hash: bytes | None = None
        self.name = plan.name
        self.metainfo = plan.metainfo
        self.expected_size = plan.size
        self.error: TrioSwarmError | None = None
        self.state: State = "metadata" if plan.metainfo is None else "checking"
        self.bytes_checked = 0
        self.files: TorrentFiles | None = None
        self.download: Download | None = None
        self.peer_set = PeerSet(self)
        connections = self.peer_set.connections
        self.metadata = MetadataExchange(
            plan.info_hash, plan.v2_hash, info=lambda: self.info, peers=connections
        )
        self._keeping = Keeping(
            self,
            emit=context.emit,
            peers=connections.values,
            wake_peers=self.peer_set.wake,
            looked=self._readable_changed,
        )
        self.read_limit = ReadLimit(context.download_bucket)
        self._upload_slots: int | None = None
        self.largest_request = self._longest_block()
        self._plan = plan
        chosen = chosen_scheduler(context, plan.scheduler, plan.scheduler_options)
        recording = None if plan.record is None else _recording(plan.record, context, chosen)
        self._recording = recording
        make_scheduler = recording.make_scheduler if recording else GuardedScheduler
        self._chosen = chosen
        self._scheduler = scheduler_for(context, *chosen, make_scheduler)
        self._uploader = uploader_for(context)
        self._choker = choker_for(context)
        self._decisions: LiveDecisions | None = None
        self._reading: Reading | None = None
        self._is_closing = False
        self._verifying: Verifying | None = None
        self._nursery: trio.Nursery | None = None
        self._trackers = Trackers(self, plan)
        self._started_at = self._began_at = trio.current_time()
        self._scope = trio.CancelScope()
        self._started = trio.Event()
        self._complete = trio.Event()
        self._over = trio.Event()
        for address in (*plan.peers, *plan.linked_peers):
            self.peer_set.candidates.add(address, self._started_at)

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
            self._twin_of, self._twin_hash = info, version_2_hash(info.raw)
        return self._twin_hash

    @property
    def is_complete(self) -> bool:
        """Whether every piece is verified and the data has its final name."""
        return self._complete.is_set() and self.error is None

    @property
    def path(self) -> Path | None:
        """The path of the data now; None until the metadata is known."""
        return self.files.root if self.files is not None else None

    async def wait_complete(self) -> Path:
        """Wait until every piece is verified and synced, and return the final path of the data.

        Raises the error that ended the torrent: StorageError (DiskFullError) or MetainfoError; or
        TrioSwarmError if it was removed first.
        """
        await self._complete.wait()
        if self.error is not None:
            raise self.error
        assert self.files is not None
        return self.files.root

    async def wait_started(self) -> None:
        """Wait until peers can connect to the torrent, or until it has ended."""
        await self._started.wait()

    async def wait_over(self) -> None:
        """Wait until the torrent was removed or has failed."""
        await self._over.wait()

    def magnet(self) -> str:
        """Return the magnet link, with our trackers (BEP 9)."""
        return Magnet(
            info_hash=self.info_hash,
            name=self.info.name if self.info is not None else self.name or None,
            trackers=tuple(url for tier in self._trackers.tiers for url in tier),
            peers=(),
            length=self.info.length if self.info is not None else self.expected_size,
        ).to_uri()

    def progress(self) -> Progress:
        """Return the progress of the torrent at this moment."""
        return progress_of(self, self.peer_set.connections.values(), trio.current_time())

    @property
    def moved_at(self) -> float:
        """The time when the last needed byte arrived, or when the download started; seconds."""
        blocks = -math.inf if self.download is None else self.download.moved_at
        whole = max(self._began_at, self.metadata.moved_at, blocks)
        # On a slow link a long block takes minutes, and every byte of it is one that came.
        coming = [
            connection
            for connection in self.peer_set.connections.values()
            if connection.wire.bytes_within_block
        ]
        latest = max((each.last_received for each in coming), default=whole)
        nbytes = sum(each.wire.bytes_within_block for each in coming)
        return max(whole, min(latest, whole + nbytes / LEAST_RATE))

    @property
    def uploaded(self) -> int:
        """Bytes of blocks put out so far, to anybody."""
        return 0 if self.download is None else self.download.exchange.uploads.uploaded

    @property
    def downloaded(self) -> int:
        """Bytes of blocks received so far, from anybody, duplicates included."""
        return 0 if self.download is None else self.download.ledger.received_bytes

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
        return TorrentLimits(
            upload_rate=self.context.uplink.limit_of(self.group),
            download_rate=self.read_limit.rate,
            upload_slots=self._upload_slots,
        )

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
        require_limits(
            upload_rate=upload_rate, download_rate=download_rate, upload_slots=upload_slots
        )
        now = trio.current_time()
        if not self._over.is_set():  # nobody would forget it again
            self.context.uplink.set_group_limit(self.group, upload_rate, now)
        self.read_limit.set_rate(download_rate, now)
        self._upload_slots = upload_slots
        if self.download is not None:
            exchange = self.download.exchange
            exchange.uploads.slots = self._slots
            exchange.rechoke(now)
        self.node_limits_changed()

    def scheduler_state(self) -> SchedulerState:
        """Return the download strategy, and what its decisions cost."""
        name, options = self._chosen
        guard = self._scheduler
        return SchedulerState(
            name=name,
            options=dict(options),
            decisions=guard.decisions,
            seconds=guard.seconds,
            faults=guard.faults,
            is_replaced=guard.is_replaced,
        )

    def tracker_states(self) -> list[TrackerState]:
        """Return the trackers, tier by tier, at most MAX_TRACKERS, and what each said last."""
        return self._trackers.states()

    def file_states(self, first: int = 0, count: int | None = None) -> list[FileState]:
        """Return `count` files (None: all) from number `first` on; none without the metadata."""
        if self.info is None:
            return []
        have = 0 if self.download is None else self.download.ledger.have
        return file_states_of(self.info, have, first, count)

    def piece_map(self, *, peers: int = 0) -> PieceMap | None:
        """Return all pieces, with those of some peers; None until the files are open."""
        if self.download is None:
            return None
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
        find = partial(checked_options, text_values=text_values)
        checked = await trio.to_thread.run_sync(
            find, self.context.strategies, name, dict(options or {})
        )
        scheduler = scheduler_for(self.context, name, checked)
        self._chosen, self._scheduler = (name, checked), scheduler
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

    def settings_changed(self) -> None:
        """Serve peers as the node's settings say now: by other strategies, in other slots.

        Raises ConfigError, and changes nothing, for a strategy that is unknown or a wrong option.
        """
        uploader, choker = uploader_for(self.context), choker_for(self.context)
        self._uploader, self._choker = uploader, choker
        if self.download is not None:
            now = trio.current_time()
            uploads = self.download.exchange.uploads
            uploads.slots = self._slots
            uploads.set_strategies(uploader, choker, now)
            self.download.exchange.rechoke(now)

    def node_limits_changed(self) -> None:
        """Keep to limits that are others now: the node's, or its own."""
        self.read_limit.review()
        largest = self._longest_block()
        if largest != self.largest_request:
            self.largest_request = largest
            self.peer_set.wake()

    @property
    def group(self) -> int:
        """What the uplink knows its connections by."""
        return id(self)

    @property
    def _slots(self) -> int:
        own = self._upload_slots
        return self.context.settings.upload_slots if own is None else own

    def _longest_block(self) -> int:
        uplink = self.context.uplink
        rates = [rate for rate in (uplink.limit, uplink.limit_of(self.group)) if rate is not None]
        return longest_block(min(rates, default=None))

    async def read_at(self, file_index: int, offset: int, size: int) -> bytes:
        """Return `size` bytes of a file from `offset` on, once verified; cut off at the file's end.

        Strategies see which pieces are waited for, and which may be next. `file_index` as in
        `FileState`; at most 4 MiB at once (ValueError). How long it takes depends on peers; it ends
        with the torrent. Raises the error that ended it; FileChangedError if finished data was
        changed by others; StorageError if it cannot be read; ConfigError for a file that the
        torrent has not; TrioSwarmError if 64 others read already.
        """
        if self._reading is None:
            self._reading = Reading(self, lambda: self._keeping.looks, is_closing=self._is_closing)
            if self._over.is_set():
                self._reading.end(self._why_over)
        return await self._reading.read_at(file_index, offset, size)

    def _readable_changed(self) -> None:
        if self._reading is not None:
            self._reading.changed()

    @property
    def _why_over(self) -> TrioSwarmError:
        return self.error or TrioSwarmError(f"{self.name}: was removed")

    @property
    def verifying(self) -> float | None:
        """How much of a check by `verify` is done, 0 to 1; None: there is none."""
        verifying = self._verifying
        return None if verifying is None or verifying.is_over else verifying.part

    async def verify(self) -> Verified:
        """Hash all pieces that are here, while the torrent goes on, and return the result.

        Bad pieces are fetched again; those of finished data are only offered no longer, since its
        files are a person's. Whoever comes during a check waits for its result; it ends with the
        torrent. Raises StorageError if a file is missing or cannot be read, and TrioSwarmError if
        the files are not open, or the torrent ends before.
        """
        if self.verifying is None:
            if self._nursery is None or self.files is None or self.download is None:
                raise TrioSwarmError(f"{self.name}: its files are not open, so not checked")
            self._verifying = Verifying(self.name, self.files, self._keeping.tell)
            self._nursery.start_soon(self._verifying.run, name=f"verify {self.name}")
        assert self._verifying is not None
        return await self._verifying.wait()

    async def remove(self) -> None:
        """Leave the swarm: announce `stopped`, save the state, close the files; data is kept."""
        self._scope.cancel()
        await self._over.wait()

    # --- its life -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take part in the swarm until removed, cancelled, or ended by a failure of its own."""
        try:
            try:
                with self._scope:
                    await self._take_part()
            except* (StorageError, MetainfoError) as group:
                self._fail(first_leaf(group))
        finally:
            if self.error is None and not self._complete.is_set():
                self.error = TrioSwarmError(f"{self.name}: removed before it was complete")
            self.context.uplink.set_group_limit(self.group, None, trio.current_time())
            if self._reading is not None:
                self._reading.end(self._why_over)
            self._complete.set()
            if self.state != "failed":
                self.state = "removed"
            self._started.set()
            self._over.set()

    async def _take_part(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await nursery.start(self.peer_set.run, name=f"peers of {self.name}")
                self._started.set()
                nursery.start_soon(dial_peers, self, name=f"dial for {self.name}")
                nursery.start_soon(self._trackers.watch_name, name=f"watch the name {self.name}")
                nursery.start_soon(self._say_what_it_waits_for, name=f"watch peers of {self.name}")
                if self.metainfo is None:
                    nursery.start_soon(self._trackers.run, name=f"announce {self.name}")
                    info = await self.metadata.wait()
                    if info.info_hash != self.info_hash:
                        self._become_v1(info)
                    self._learned(info)
                    await self._open()
                else:
                    # First what is there, so that the first announce tells seeder from leecher.
                    await self._open()
                    nursery.start_soon(self._trackers.run, name=f"announce {self.name}")
                assert self.download is not None
                exchange = self.download.exchange
                nursery.start_soon(exchange.choke_in_time, name=f"choke for {self.name}")
                nursery.start_soon(exchange.reveal_in_time, name=f"reveal for {self.name}")
                if self._recording is not None:
                    connections = self.peer_set.connections
                    nursery.start_soon(self._recording.run, connections, name=f"record {self.name}")
                assert self.files is not None
                nursery.start_soon(self._keeping.run, self.files, name=f"keep {self.name}")
                await self._fetch()
        finally:
            self._nursery = None
            with trio.move_on_after(STOP_DEADLINE, shield=True):
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
        self.peer_set.wake()
        self.context.emit(
            events.MetadataReceived(
                info_hash=self.info_hash.hex(),
                share_name=self.name,
                size=info.length,
                pieces=info.piece_count,
                files=sum(not entry.padding for entry in info.files),
            )
        )

    async def _open(self) -> None:
        """Open the files, find out which pieces are there, and let the peers join."""
        info = self.info
        assert info is not None
        self.state = "checking"
        if self._recording is not None:
            await self._recording.open(info, self.name)
        files = await trio.to_thread.run_sync(self._plan.open_files, info)
        self.files = files
        if files.renamed:
            self._tell_renamed(files.renamed)

        def note(done: int, _total: int) -> None:
            self.bytes_checked = done

        result = await run_stoppable(lambda should_stop: files.check(note, should_stop))
        self.download = Download(
            info,
            files,
            self._make_exchange(info, result.have),
            disk=self.context.disk,
            piece_verified=self._piece_verified,
            piece_failed=self._piece_failed,
            peers_banned=self.peer_set.ban,
            files_changed=self._keeping.tell,
        )
        if files.state_problem is not None:
            self.context.tell_state_problem(files.state_problem, self.info_hash, self.name)
        if not self._plan.is_share:
            self._tell_checked(self.download, result)
        # Each joins in its own task, where a fault of a peer ends only that peer.
        self.peer_set.wake()
        self._readable_changed()

    def _make_exchange(self, info: Info, have: PieceSet) -> PeerExchange:
        context, recording = self.context, self._recording
        settings = context.settings
        make_ledger = Ledger if recording is None else recording.make_ledger
        return PeerExchange(
            make_ledger(
                lengths_of(info),
                scheduler=self._scheduler,
                rng=context.rng,
                have=have,
                open_piece_limit=open_pieces(info, settings.piece_memory),
            ),
            uploader=self._uploader,
            choker=self._choker,
            rng=context.rng,
            slots=self._slots,
            own_number=int.from_bytes(context.peer_id[-8:], "big"),
            part_useless=self.peer_set.part_seeders,
            sent=None if recording is None else recording.sent,
        )

    def _tell_renamed(self, renamed: Sequence[tuple[str, str]]) -> None:
        self.context.emit(
            events.FilesRenamed(
                info_hash=self.info_hash.hex(),
                share_name=self.name,
                count=len(renamed),
                renamed=[
                    {"name": name[:NAME_TOLD], "here": here[:NAME_TOLD]}
                    for name, here in renamed[:RENAMED_TOLD]
                ],
            )
        )

    def _tell_checked(self, download: Download, result: CheckResult) -> None:
        info = download.info
        self.context.emit(
            events.Checked(
                info_hash=self.info_hash.hex(),
                share_name=self.name,
                have=download.have_bytes(),
                size=info.length,
                hashed=min(info.length, result.hashed * info.piece_length),
            )
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
            if await self._finish(files):
                break
        else:
            raise StorageError("keeps being changed by another program", path=files.root)
        self.state = "seeding"
        self._complete.set()
        if not was_complete:
            self._trackers.completed()
        if not self._plan.is_share:
            self._tell_completed(download, files.root, info.length)
        download.exchange.stop_fetching()
        download.exchange.rechoke(trio.current_time())
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
            self._keeping.tell(changes)
        assert self.download is not None
        self.download.reconcile()
        self._readable_changed()
        return is_whole

    def _tell_completed(self, download: Download, path: Path, size: int) -> None:
        self.context.emit(
            events.Completed(
                info_hash=self.info_hash.hex(),
                share_name=self.name,
                path=str(path),
                size=size,
                downloaded=download.ledger.received_bytes,
                duplicate=download.ledger.duplicate_bytes,
                seconds=trio.current_time() - self._started_at,
                sources=dict(download.sources),
            )
        )

    async def _close_files(self) -> None:
        self._is_closing = True
        if self._reading is not None:
            await self._reading.close()
        if self.download is not None:
            await self.download.drain()
        if self.files is not None:
            await trio.to_thread.run_sync(self.files.close)

    def _fail(self, error: BaseException) -> None:
        assert isinstance(error, TrioSwarmError)
        self.error = error
        self.state = "failed"
        self.context.emit(
            events.TorrentFailed(
                info_hash=self.info_hash.hex(), share_name=self.name, reason=str(error)
            )
        )

    async def _say_what_it_waits_for(self) -> None:
        """Tell of a standstill, ever more seldom, and of each new one soon."""
        pause, told = SAY_FIRST, -math.inf
        while not self._complete.is_set():
            await trio.sleep(pause)
            standstill = self.standstill()
            least = SAY_FIRST if standstill.alone is not None else QUIET_PEERS
            if standstill.seconds < least:
                pause = SAY_FIRST
                continue
            pause = SAY_AGAIN if self.moved_at > told else min(SAY_AT_MOST, 2 * pause)
            told = trio.current_time()
            self.context.emit(
                events.Waiting(
                    info_hash=self.info_hash.hex(),
                    share_name=self.name,
                    reason=standstill.reason,
                )
            )

    # --- what its connections tell --------------------------------------------------------------

    def learned_listen_address(self, connection: PeerConnection, address: Address) -> None:
        """Note where a peer listens that came in."""
        self.peer_set.learned_listen_address(connection, address)

    def part_useless(self) -> None:
        """Once everything is here, part with peers that want nothing."""
        self.peer_set.part_seeders()

    def file_changed(self, error: StorageError) -> None:
        """Note that serving found a file changed, or could not read it."""
        self._keeping.changed(error)

    def peer_left(self, connection: PeerConnection) -> None:
        """Take a gone peer out of everything that counts on it."""
        if self._recording is not None:
            self._recording.name(connection)
        if self.download is not None:
            connection.leave(self.download)
        self.metadata.peer_left(connection.key)
        if not self.peer_set.connections and not self.is_complete:
            self._trackers.announce_now()

    def _piece_verified(self, piece: int) -> None:
        self.context.tally.pieces_verified += 1
        self._readable_changed()
        self.context.emit(events.PieceVerified(info_hash=self.info_hash.hex(), piece=piece))

    def _piece_failed(self, piece: int, contributors: Iterable[str]) -> None:
        self.context.tally.pieces_failed += 1
        self.context.emit(
            events.PieceFailed(
                info_hash=self.info_hash.hex(), piece=piece, peers=sorted(contributors)
            )
        )


def _recording(
    path: Path, context: NodeContext, scheduler: tuple[str, Mapping[str, object]]
) -> "TorrentRecording":
    # Few downloads are recorded, and importing what it takes would delay the others.
    from trio_swarm.peer.recording import TorrentRecording  # noqa: PLC0415

    return TorrentRecording(path, context, scheduler)
