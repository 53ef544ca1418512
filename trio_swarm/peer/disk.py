"""Long-lived threads that verify pieces and write them, fed by one queue.

One `trio.to_thread` hop per piece costs 150-190 µs; a queue costs a few. hashlib and pwrite release
the interpreter lock, so two threads keep two cores busy while Trio goes on receiving.
"""

import queue
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

import trio
from msgspec import Struct

from trio_swarm.engine.lengths import BlockSet
from trio_swarm.errors import StorageError
from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.hashing import block_digests, verify_piece

THREADS = 2
"""Enough to overlap hashing with writing; more only contend for the interpreter lock."""

BATCH_PIECES = 16
BATCH_BYTES = 4 * 1024 * 1024
"""Pieces a thread takes at a time at most: each taking, recording and reporting hands the
interpreter lock over several times. Few enough to be written soon after they were announced."""


class WriteTurn:
    """Which pieces of one torrent wait to be written, and who does that.

    A system lets one thread write to a file at a time; another one would spin until it may, and
    leave its processor to nobody. So whoever holds the turn writes for both.
    """

    __slots__ = ("_lock", "_waiting")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[PieceJob] = deque()

    def write(self, jobs: Iterable["PieceJob"], report: "Report") -> None:
        """Write `jobs`, or leave them to the thread that is writing; reports what was written."""
        self._waiting.extend(jobs)
        # Who finds the turn taken may go: its holder looks again after giving it back.
        while self._waiting and self._lock.acquire(blocking=False):
            batch: list[PieceJob] = []
            try:
                size = 0
                while self._waiting and len(batch) < BATCH_PIECES and size < BATCH_BYTES:
                    batch.append(self._waiting.popleft())
                    size += len(batch[-1].data)
                if batch:
                    _guarded(_write, batch)
            finally:
                self._lock.release()
            report(batch)


Report = Callable[[Sequence["PieceJob"]], None]


class PieceJob(Struct):
    """One whole piece to verify and, if it is right, to write."""

    info: Info
    files: TorrentFiles
    turn: WriteTurn
    """Of the torrent."""
    piece: int
    data: memoryview
    """The piece's bytes; not touched by anybody else until `done` is called."""
    wants_digests: bool
    """Also hash its blocks, to find who sent a wrong one."""
    done: Callable[["PieceJob"], None]
    """Called in the Trio thread, as a plain function, when the job is over."""
    is_valid: bool = False
    digests: Sequence[bytes] | None = None
    leaves: bytes = b""
    """Of a wrong piece of version 2: the SHA-256 digests of its blocks, 32 bytes each."""
    wrong: BlockSet = 0
    """Of a wrong piece: the blocks that are known to be wrong; none if that is not known."""
    was_judged: bool = False
    """It was asked which blocks are wrong."""
    error: StorageError | None = None
    """Set when the piece was valid but could not be written."""
    queued_at: float = 0.0
    """Seconds on Trio's clock."""
    crash: BaseException | None = None
    """A bug in a thread; the receiver raises it."""


def _guarded(work: Callable[[Sequence[PieceJob]], None], jobs: Sequence[PieceJob]) -> None:
    try:
        work(jobs)
    except BaseException as error:  # noqa: BLE001 - carried to the Trio thread and raised there
        for job in jobs:
            job.crash = error


def _verify(jobs: Sequence[PieceJob]) -> None:
    for job in jobs:
        job.is_valid = verify_piece(job.info, job.piece, job.data)
        if job.wants_digests or not job.is_valid:
            job.digests = block_digests(job.data)
        if not job.is_valid and job.info.v2_piece_hashes:
            job.leaves = merkle.leaf_hashes(job.data)


def _write(jobs: Sequence[PieceJob]) -> None:
    """Write verified pieces of one torrent."""
    done, error = jobs[0].files.write_pieces([(job.piece, job.data) for job in jobs])
    for job in jobs[done:]:
        job.error = error


class DiskThreads:
    """The queue into the threads; made by `open_disk_threads`."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[PieceJob | None] = queue.SimpleQueue()
        self._finished: deque[PieceJob] = deque()
        self._token = trio.lowlevel.current_trio_token()
        self.waiting = 0
        """Pieces that were queued, and are not over yet."""
        self.done = 0
        """Pieces that are over."""
        self.seconds = 0.0
        """Seconds from being queued to being over, of all of them together."""

    def submit(self, job: PieceJob) -> None:
        """Queue a job; its `done` is called later in the Trio thread. Never blocks."""
        job.queued_at = trio.current_time()
        self.waiting += 1
        self._jobs.put(job)

    def _work(self) -> None:
        while jobs := self._take():
            for job in jobs:
                _guarded(_verify, [job])
            self._report([job for job in jobs if not job.is_valid])
            valid = [job for job in jobs if job.is_valid]
            for _, of_torrent in groupby(valid, lambda job: id(job.turn)):
                pieces = list(of_torrent)
                pieces[0].turn.write(pieces, self._report)

    def _report(self, jobs: Sequence[PieceJob]) -> None:
        if jobs:
            self._finished.extend(jobs)
            self._token.run_sync_soon(self._deliver, idempotent=True)

    def _take(self) -> list[PieceJob]:
        """Wait for a job; return it with its share of those that follow. None: it is over."""
        first = self._jobs.get()
        if first is None:
            return []
        jobs = [first]
        size = len(first.data)
        more = min(BATCH_PIECES - 1, self._jobs.qsize() // THREADS)
        while len(jobs) <= more and size < BATCH_BYTES:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)  # for whoever comes next
                break
            jobs.append(job)
            size += len(job.data)
        return jobs

    def _deliver(self) -> None:
        while self._finished:
            job = self._finished.popleft()
            self.waiting -= 1
            self.done += 1
            self.seconds += trio.current_time() - job.queued_at
            job.done(job)

    async def _serve(self) -> None:
        # Not cancellable: pieces already received are worth writing. The sentinel ends it.
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._work, limiter=trio.CapacityLimiter(1))
            self._deliver()

    def _stop(self) -> None:
        for _ in range(THREADS):
            self._jobs.put(None)


@asynccontextmanager
async def open_disk_threads() -> AsyncIterator[DiskThreads]:
    """Run the disk threads for as long as the context is open; queued jobs are finished first."""
    threads = DiskThreads()
    async with trio.open_nursery() as nursery:
        for number in range(THREADS):
            nursery.start_soon(threads._serve, name=f"disk thread {number}")  # noqa: SLF001 - its own class
        try:
            yield threads
        finally:
            threads._stop()  # noqa: SLF001 - its own class
