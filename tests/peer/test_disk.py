"""Disk threads: every piece is verified, written by one thread at a time, and reported once."""

import random
import threading
from collections.abc import Sequence
from pathlib import Path

import trio

from storage_samples import Sample, begin, one_file
from trio_swarm.errors import StorageError
from trio_swarm.peer.disk import BATCH_PIECES, DiskThreads, PieceJob, WriteTurn, open_disk_threads
from trio_swarm.storage.content import TorrentFiles

PIECES = 400
WRONG = frozenset(range(0, PIECES, 7))


class WatchedFiles(TorrentFiles):
    """Notices how many threads write at once, and how many pieces are written together."""

    writers = 0
    most_writers = 0
    most_pieces = 0
    failing = False

    def write_pieces(
        self, pieces: Sequence[tuple[int, bytes | bytearray | memoryview]]
    ) -> tuple[int, StorageError | None]:
        self.writers += 1
        self.most_writers = max(self.most_writers, self.writers)
        self.most_pieces = max(self.most_pieces, len(pieces))
        threading.Event().wait(0.001)  # lets the other thread in, if it may come in
        if self.failing:
            raise RuntimeError("a bug")
        try:
            return super().write_pieces(pieces)
        finally:
            self.writers -= 1


def started(sample: Sample, tmp_path: Path) -> WatchedFiles:
    files = WatchedFiles.for_download(sample.info, tmp_path / "downloads", tmp_path / "state")
    files.check()
    return files


async def all_done(
    threads: DiskThreads, sample: Sample, files: TorrentFiles, pieces: Sequence[int]
) -> list[PieceJob]:
    """Submit a job for each piece, those in WRONG with wrong bytes; wait until all are over."""
    over: list[PieceJob] = []
    last = trio.Event()

    def done(job: PieceJob) -> None:
        over.append(job)
        if len(over) == len(pieces):
            last.set()

    turn = WriteTurn()
    for piece in pieces:
        data = bytearray(sample.piece(piece))
        data[0] ^= piece in WRONG
        threads.submit(
            PieceJob(
                info=sample.info,
                files=files,
                turn=turn,
                piece=piece,
                data=memoryview(data),
                wants_digests=False,
                done=done,
            )
        )
    await last.wait()
    return over


async def test_every_right_piece_is_written_by_one_thread_at_a_time(tmp_path: Path) -> None:
    samples = [one_file(PIECES, name=f"{number}.bin", seed=number) for number in range(2)]
    watched = [started(sample, tmp_path) for sample in samples]
    pieces = list(range(PIECES))
    random.Random(5).shuffle(pieces)
    with trio.fail_after(30):
        async with open_disk_threads() as threads, trio.open_nursery() as nursery:
            for sample, files in zip(samples, watched, strict=True):
                nursery.start_soon(all_done, threads, sample, files, pieces)
    for sample, files in zip(samples, watched, strict=True):
        assert files.most_writers == 1
        assert 1 < files.most_pieces <= BATCH_PIECES
        assert files.have == sample.every & ~sum(1 << piece for piece in WRONG)
        files.close()


async def test_jobs_say_what_became_of_each_piece(tmp_path: Path) -> None:
    sample = one_file(PIECES)
    files = begin(sample, tmp_path)
    with trio.fail_after(30):
        async with open_disk_threads() as threads:
            over = await all_done(threads, sample, files, range(PIECES))
    assert sorted(job.piece for job in over) == list(range(PIECES))
    assert {job.piece for job in over if not job.is_valid} == WRONG
    assert all(job.digests for job in over if not job.is_valid)
    assert not any(job.error or job.crash for job in over)
    files.close()


async def test_pieces_of_closed_files_are_errors(tmp_path: Path) -> None:
    sample = one_file(30)
    files = begin(sample, tmp_path)
    files.close()
    with trio.fail_after(30):
        async with open_disk_threads() as threads:
            over = await all_done(threads, sample, files, range(1, 7))
    assert [str(job.error).endswith("is not open for writing") for job in over] == [True] * 6


async def test_a_bug_while_writing_is_carried_out_and_blocks_nobody(tmp_path: Path) -> None:
    sample = one_file(30)
    files = started(sample, tmp_path)
    files.failing = True
    with trio.fail_after(30):
        async with open_disk_threads() as threads:
            over = await all_done(threads, sample, files, range(1, 7))
            assert {type(job.crash) for job in over} == {RuntimeError}
            files.failing = False
            over = await all_done(threads, sample, files, range(1, 7))
    assert not any(job.crash for job in over)
    files.close()
