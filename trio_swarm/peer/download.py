"""The download side of one torrent: blocks come in, grants go out, whole pieces go to disk."""

import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import trio

from trio_swarm import piece_sets
from trio_swarm.engine.download.ledger import BlockOutcome, Ledger
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.engine.lazy_haves import LazyHaves
from trio_swarm.engine.lengths import Lengths
from trio_swarm.engine.rates import RateEstimate
from trio_swarm.peer.connection import PeerConnection
from trio_swarm.peer.disk import DiskThreads, PieceJob, WriteTurn
from trio_swarm.peer.piece_buffers import MOST_IN_MEMORY, PieceBuffers
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.protocol.wire.block_place import BlockPlace
from trio_swarm.protocol.wire.messages import BlockReceived
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.unfinished import Changes

MIN_OPEN_PIECES = 4
"""Pieces that may be in flight however large they are: fewer would serialise peers."""

MIN_OPEN_LARGE_PIECES = 2
"""The same for pieces above MOST_IN_MEMORY: one arrives while one is verified."""

MAX_OPEN_PIECES = 4096
"""Pieces in flight however small they are: beyond it bookkeeping outgrows the gain."""


class Download:
    """Owns the ledger and the piece buffers; `run` is the one task that plans.

    After completion the ledger stays: it knows what peers have.
    """

    def __init__(
        self,
        info: Info,
        files: TorrentFiles,
        have: int,
        *,
        scheduler: GuardedScheduler,
        rng: random.Random,
        piece_memory: int,
        disk: DiskThreads,
        connections: Mapping[int, PeerConnection],
        make_ledger: Callable[..., Ledger] = Ledger,
        piece_verified: Callable[[int], None],
        piece_failed: Callable[[int, Iterable[str]], None],
        peers_banned: Callable[[Iterable[str]], None],
        files_changed: Callable[[Changes], None] = lambda _changes: None,
    ) -> None:
        self.info = info
        self.all_pieces = piece_sets.full_set(info.piece_count)
        least = MIN_OPEN_LARGE_PIECES if info.piece_length > MOST_IN_MEMORY else MIN_OPEN_PIECES
        limit = max(least, min(MAX_OPEN_PIECES, piece_memory // max(1, info.piece_length)))
        self.ledger = make_ledger(
            Lengths(length=info.length, piece_length=info.piece_length),
            scheduler=scheduler,
            rng=rng,
            have=have,
            open_piece_limit=limit,
        )
        self.wakeup = Wakeup()
        self.rate = RateEstimate()
        self.moved_at = -math.inf
        """When a block that was asked for came last."""
        self.sources: dict[str, int] = {}
        self._files = files
        self._disk = disk
        self._write_turn = WriteTurn()
        self._buffers = PieceBuffers(info.piece_length, files.root.parent)
        self._connections = connections
        self._piece_verified = piece_verified
        self._piece_failed = piece_failed
        self._peers_banned = peers_banned
        self._files_changed = files_changed
        self._finished_jobs: deque[PieceJob] = deque()
        self._jobs_pending = 0
        self._job_done = Wakeup()
        self._lazy_haves = LazyHaves()
        self._plans_at = math.inf  # when the planning task plans next if nobody wakes it

    # --- called by connections ------------------------------------------------------------------

    def place_block(self, key: int, piece: int, begin: int, length: int) -> BlockPlace | None:
        """Return where a block that begins to arrive from a peer belongs; None: not yet certain.

        Only what that peer alone was asked for has a place.
        """
        if self.ledger.awaits(key, piece, begin, length):
            return self._buffers.lend(piece, begin, length)
        return None

    def blocks_received(self, connection: PeerConnection, event: BlockReceived, now: float) -> bool:
        """Take adjacent blocks of one piece in, and send the piece to disk if that was all.

        Returns whether they were ever asked for.
        """
        piece, begin, place, following = event.piece, event.begin, event.place, event.following
        length = len(event.data)
        if following is not None:
            length += sum(map(len, following))
        ledger = self.ledger
        outcome = ledger.received(connection.key, piece, begin, length, now)
        if ledger.is_due(now) or ledger.next_deadline() < self._plans_at:
            self.wakeup.set()
        is_accepted = outcome is BlockOutcome.ACCEPTED or outcome is BlockOutcome.COMPLETED
        if place is not None:
            self._buffers.end_loan(place)
        if is_accepted and (place is None or not place.is_lent):
            self._buffers.write(piece, begin, event.data, following or ())
        if outcome is BlockOutcome.UNREQUESTED:
            return False
        self.rate.add(length, now)
        self.moved_at = now
        connection.downloaded += length
        connection.moved_at = connection.received_at = now
        if is_accepted:
            address = connection.address
            self.sources[address] = self.sources.get(address, 0) + length
            if outcome is BlockOutcome.COMPLETED:
                self._submit(piece)
        return True

    def peer_left(self, connection: PeerConnection) -> None:
        """Forget a peer: what it was asked for is asked of others."""
        self.ledger.remove_peer(connection.key)
        place = connection.wire.give_up_place()
        if place is not None:
            self._buffers.end_loan(place)

    def _submit(self, piece: int) -> None:
        self._jobs_pending += 1
        self._disk.submit(
            PieceJob(
                info=self.info,
                files=self._files,
                turn=self._write_turn,
                piece=piece,
                data=self._buffers.of(piece)[: self.info.piece_size(piece)],
                wants_digests=self.ledger.needs_digests(piece),
                done=self._job_is_done,
            )
        )

    def _job_is_done(self, job: PieceJob) -> None:
        self._finished_jobs.append(job)
        self.wakeup.set()
        self._job_done.set()

    # --- the planning task ------------------------------------------------------------------------

    async def run(self) -> None:
        """Plan whenever something changed, until every piece is verified and written.

        Raises StorageError (DiskFullError) when a piece cannot be written.
        """
        while True:
            self._collect_finished()
            if self.ledger.is_complete:
                self._buffers.clear()
                return
            now = trio.current_time()
            self.ledger.expire(now)
            self._hand_out(now)
            if now >= self._lazy_haves.due_at:
                self._tell_everybody()
            self._plans_at = self.ledger.next_deadline()
            with trio.move_on_at(min(self._plans_at, self._lazy_haves.due_at)):
                await self.wakeup.wait()

    def _hand_out(self, now: float) -> None:
        woken: set[int] = set()
        connections = self._connections
        for grant in self.ledger.plan(now):
            connections[grant.peer].grants.append(grant.run)
            woken.add(grant.peer)
        for grant in self.ledger.take_cancels():
            connection = connections.get(grant.peer)
            if connection is not None:
                connection.cancels.append(grant.run)
                woken.add(grant.peer)
        for piece in self.ledger.take_abandoned():
            self._buffers.release(piece)
        for key in woken:
            connections[key].wakeup.set()

    def _collect_finished(self) -> None:
        verified: PieceSet = 0
        while self._finished_jobs:
            job = self._finished_jobs.popleft()
            self._jobs_pending -= 1
            if job.crash is not None:
                raise job.crash
            if job.error is not None:
                raise job.error
            self._buffers.release(job.piece)
            if job.is_valid:
                banned = self.ledger.verified(job.piece, job.digests)
                verified |= 1 << job.piece
                self._piece_verified(job.piece)
            else:
                contributors = self.ledger.contributors(job.piece)
                banned = self.ledger.failed(job.piece, job.digests or [])
                self._piece_failed(job.piece, contributors)
            if banned:
                self._peers_banned(banned)
        if verified:
            self._say_haves(verified)
        while self._files.changes:
            self._files_changed(self._files.changes.popleft())
        if self.ledger.is_complete:
            self.reconcile()

    def reconcile(self) -> PieceSet:
        """Have the ledger know what the files have; returns what it lost: others changed them."""
        ledger, have = self.ledger, self._files.have
        lost = ledger.have & ~have
        if lost:
            ledger.lose(lost)
            self.wakeup.set()
        elif self._files.is_complete and have & ~ledger.have:
            ledger.regain(have & ~ledger.have)
        return lost

    def _say_haves(self, verified: PieceSet) -> None:
        """Have the connections told of new pieces: those that lack one at once, others in time."""
        ledger = self.ledger
        is_due = self._lazy_haves.add(verified.bit_count(), trio.current_time())
        if is_due or ledger.is_complete:
            self._tell_everybody()
            return
        for connection in self._connections.values():
            if not connection.is_attached:
                connection.wakeup.set()
                continue
            source = ledger.source(connection.key)
            if verified & ~source.pieces or ledger.may_show_more(source):
                connection.wakeup.set()

    def _tell_everybody(self) -> None:
        self._lazy_haves.told()
        for connection in self._connections.values():
            connection.wakeup.set()

    def have_bytes(self) -> int:
        """Return the bytes of verified pieces."""
        return self.info.length - self.missing_bytes()

    def missing_bytes(self) -> int:
        """Return the bytes of pieces not yet verified."""
        missing = self.all_pieces & ~self.ledger.have
        if not missing:
            return 0
        last = self.info.piece_count - 1
        result = missing.bit_count() * self.info.piece_length
        if (missing >> last) & 1:
            result -= self.info.piece_length - self.info.piece_size(last)
        return result

    async def drain(self) -> None:
        """Wait until the disk threads have finished this download's pieces, and record them."""
        while self._jobs_pending > len(self._finished_jobs):
            await self._job_done.wait()
        while self._finished_jobs:
            job = self._finished_jobs.popleft()
            if job.crash is not None:
                raise job.crash
        self._buffers.clear()
