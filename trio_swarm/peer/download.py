"""The download side of one torrent: blocks come in, grants go out, whole pieces go to disk."""

import math
from collections import deque
from collections.abc import Callable, Iterable

import trio

from trio_swarm.engine.conversation import Conversation
from trio_swarm.engine.download.block_source import BlockSource
from trio_swarm.engine.download.ledger import BlockOutcome, Ledger
from trio_swarm.engine.exchange import MIN_OPEN_LARGE_PIECES, MIN_OPEN_PIECES, open_piece_limit
from trio_swarm.engine.lengths import BlockSet, Lengths
from trio_swarm.engine.rates import RateEstimate
from trio_swarm.identities import PieceIndex
from trio_swarm.peer.disk import DiskThreads, PieceJob, WriteTurn
from trio_swarm.peer.exchange import PeerExchange
from trio_swarm.peer.piece_buffers import MOST_IN_MEMORY, PieceBuffers
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.protocol.wire.block_place import BlockPlace
from trio_swarm.protocol.wire.messages import BlockReceived
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.unfinished import Changes


def lengths_of(info: Info) -> Lengths:
    """Return what the ledger of a torrent counts by."""
    return Lengths(
        length=info.length, piece_length=info.piece_length, short_pieces=info.short_pieces
    )


def open_pieces(info: Info, memory: int) -> int:
    """Return how many pieces may be in flight, if their buffers are to take `memory` bytes."""
    is_large = info.piece_length > MOST_IN_MEMORY
    least = MIN_OPEN_LARGE_PIECES if is_large else MIN_OPEN_PIECES
    return open_piece_limit(memory, info.piece_length, least=least)


class Download:
    """Owns the piece buffers; `run` is the one task that plans.

    After completion the exchange stays: its ledger knows what peers have. `judge` gets a wrong
    piece of version 2 and the digests of its blocks; it returns whether `judged` will be told.
    """

    def __init__(
        self,
        info: Info,
        files: TorrentFiles,
        exchange: PeerExchange,
        *,
        disk: DiskThreads,
        piece_verified: Callable[[int], None],
        piece_failed: Callable[[int, Iterable[str]], None],
        peers_banned: Callable[[Iterable[str]], None],
        judge: Callable[[int, bytes], bool] = lambda _piece, _leaves: False,
        files_changed: Callable[[Changes], None] = lambda _changes: None,
    ) -> None:
        self.info = info
        self.exchange = exchange
        self.rate = RateEstimate()
        self.moved_at = -math.inf
        """When a block that was asked for came last."""
        self.sources: dict[str, int] = {}
        self._files = files
        self._disk = disk
        self._write_turn = WriteTurn()
        self._buffers = PieceBuffers(info.piece_length, files.root.parent)
        self._piece_verified = piece_verified
        self._piece_failed = piece_failed
        self._peers_banned = peers_banned
        self._files_changed = files_changed
        self._judge = judge
        self._finished_jobs: deque[PieceJob] = deque()
        self._judged_jobs: dict[int, PieceJob] = {}
        self._jobs_pending = 0
        self._job_done = Wakeup()

    @property
    def ledger(self) -> Ledger:
        """What is here, and what is asked of whom."""
        return self.exchange.ledger

    # --- called by connections ------------------------------------------------------------------

    def place_block(
        self, key: int, piece: PieceIndex, begin: int, length: int
    ) -> BlockPlace | None:
        """Return where a block that begins to arrive from a peer belongs; None: not yet certain.

        Only what that peer alone was asked for has a place.
        """
        if self.ledger.awaits(key, piece, begin, length):
            return self._buffers.lend(piece, begin, length)
        return None

    def blocks_received(
        self, conversation: Conversation, event: BlockReceived, length: int, now: float
    ) -> bool:
        """Take adjacent blocks of one piece in, `length` bytes in all.

        Returns whether they were ever asked for. Raises IdleTalkError if too many were not.
        """
        place = event.place
        if place is not None:
            self._buffers.end_loan(place)
        outcome = conversation.heard_blocks(event.piece, event.begin, length, now)
        if outcome is BlockOutcome.UNREQUESTED:
            return False
        self._note(length, now)
        if outcome is not BlockOutcome.DUPLICATE:
            if place is None or not place.is_lent:
                self._buffers.write(event.piece, event.begin, event.data, event.following or ())
            self._keep(conversation, outcome, event.piece, length)
        return True

    def source_gave(
        self, source: BlockSource, piece: PieceIndex, begin: int, data: memoryview, now: float
    ) -> bool:
        """Take in what a source gave that is no peer; False if it was not asked for that."""
        length = len(data)
        outcome = self.exchange.blocks_received(source.key, piece, begin, length, now)
        if outcome is BlockOutcome.UNREQUESTED:
            return False
        self._note(length, now)
        if outcome is not BlockOutcome.DUPLICATE:
            self._buffers.write(piece, begin, data)
            self._keep(source, outcome, piece, length)
        return True

    def _note(self, length: int, now: float) -> None:
        self.rate.add(length, now)
        self.moved_at = now

    def _keep(self, source: BlockSource, outcome: BlockOutcome, piece: int, length: int) -> None:
        """Count blocks that are in their piece's buffer, and send it to disk if it is whole."""
        address = source.address
        self.sources[address] = self.sources.get(address, 0) + length
        if outcome is BlockOutcome.COMPLETED:
            self._submit(piece)

    def peer_left(self, conversation: Conversation, place: BlockPlace | None, now: float) -> None:
        """Forget a peer; `place` is where it was about to put a block."""
        self.exchange.leave(conversation, now)
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
        self.exchange.replan()
        self._job_done.set()

    # --- the planning task ------------------------------------------------------------------------

    async def run(self) -> None:
        """Plan whenever something changed, until every piece is verified and written.

        Raises StorageError (DiskFullError) when a piece cannot be written.
        """
        exchange = self.exchange
        while True:
            self._collect_finished()
            if self.ledger.is_complete:
                exchange.cancel_unneeded()
                self._buffers.clear()
                return
            now = trio.current_time()
            for piece in exchange.plan(now):
                self._buffers.release(piece)
            if now >= exchange.tells_at:
                exchange.tell_everybody()
            with trio.move_on_at(min(exchange.plans_at, exchange.tells_at)):
                await exchange.plan_wakeup.wait()

    def _collect_finished(self) -> None:
        verified: PieceSet = 0
        while self._finished_jobs:
            job = self._finished_jobs.popleft()
            self._jobs_pending -= 1
            if job.crash is not None:
                raise job.crash
            if job.error is not None:
                raise job.error
            if job.leaves and not job.was_judged and self._judge(job.piece, job.leaves):
                self._judged_jobs[job.piece] = job
                continue
            if job.wrong:
                self._fail_blocks(job)
                continue
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
            self.exchange.tell_of(verified, trio.current_time())
        while self._files.changes:
            self._files_changed(self._files.changes.popleft())
        if self.ledger.is_complete:
            self.reconcile()

    def judged(self, piece: int, wrong: BlockSet) -> None:
        """Note which blocks of a piece that failed are wrong; none: nobody knows."""
        job = self._judged_jobs.pop(piece)
        job.wrong, job.was_judged = wrong, True
        self._jobs_pending += 1
        self._job_is_done(job)

    def _fail_blocks(self, job: PieceJob) -> None:
        """Fetch the wrong blocks again; the buffer keeps the others."""
        culprits = self.ledger.senders_of(job.piece, job.wrong)
        banned = self.ledger.failed_blocks(job.piece, job.wrong)
        self._piece_failed(job.piece, culprits)
        if banned:
            self._peers_banned(banned)

    def reconcile(self) -> PieceSet:
        """Have the ledger know what the files have; returns what it lost: others changed them."""
        ledger, have = self.ledger, self._files.have
        lost = ledger.have & ~have
        if lost:
            ledger.lose(lost)
            self.exchange.replan()
        elif self._files.is_complete and have & ~ledger.have:
            ledger.regain(have & ~ledger.have)
        return lost

    def wanted_bytes(self) -> int:
        """Return the bytes of all pieces that are wanted, whether they are here or not."""
        return self.ledger.lengths.bytes_in(self.ledger.chosen)

    def have_bytes(self) -> int:
        """Return the bytes of verified pieces that are wanted."""
        return self.ledger.lengths.bytes_in(self.ledger.chosen & self.ledger.have)

    def missing_bytes(self) -> int:
        """Return the bytes of pieces not yet verified, of all pieces: what trackers are told."""
        return self.ledger.lengths.bytes_in(self.exchange.every & ~self.ledger.have)

    async def drain(self) -> None:
        """Wait until the disk threads have finished this download's pieces, and record them."""
        while self._jobs_pending > len(self._finished_jobs):
            await self._job_done.wait()
        while self._finished_jobs:
            job = self._finished_jobs.popleft()
            if job.crash is not None:
                raise job.crash
        self._buffers.clear()
