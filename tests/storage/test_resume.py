"""Resuming: what a stop, a kill or a change of the files costs."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage_samples import (
    PIECE,
    Sample,
    begin,
    close_all,  # noqa: F401 - an autouse fixture
    folder,
    one_file,
)
from trio_swarm.piece_sets import iterate
from trio_swarm.storage import content as torrent_files_module
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.layout import FileSpan, Layout
from trio_swarm.storage.resume import log as resume_log
from trio_swarm.storage.resume import vouching as resume


def crash(files: TorrentFiles) -> None:
    """End a download as a kill would: nothing saved; only the lock goes."""
    assert files._lock is not None
    files._lock.release()
    files._log = None
    files._access.close()


def journals(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "state" / "resume").glob("*.journal"))


def restart(sample: Sample, tmp_path: Path) -> tuple[TorrentFiles, int, int]:
    files = TorrentFiles.for_download(sample.info, tmp_path / "downloads", tmp_path / "state")
    result = files.check()
    return files, result.have, result.hashed


@pytest.mark.parametrize("clean", [True, False])
def test_nothing_is_hashed_after_a_stop_or_a_kill_between_pieces(
    tmp_path: Path, *, clean: bool
) -> None:
    for sample in (one_file(30), folder()):
        files = begin(sample, tmp_path)
        written = 0
        for piece in range(0, sample.info.piece_count, 2):
            sample.write(files, piece)
            written |= 1 << piece
            if clean:
                files.close()
            else:
                crash(files)
            files, have, hashed = restart(sample, tmp_path)
            assert (have, hashed) == (written, 0)
        files.close()


def test_a_kill_in_the_middle_of_a_piece_costs_that_piece_only(tmp_path: Path) -> None:
    sample = one_file(30)
    files = begin(sample, tmp_path, *range(20))
    assert files._log is not None
    files._log.begin([25])
    with files.root.open("r+b") as file:
        file.seek(25 * PIECE)
        file.write(sample.piece(25)[:5000])
    crash(files)
    files, have, hashed = restart(sample, tmp_path)
    assert (have, hashed) == ((1 << 20) - 1, 1)
    # Had it been written wholly, it would be kept, though it was not recorded.
    assert files._log is not None
    files._log.begin([26])
    with files.root.open("r+b") as file:
        file.seek(26 * PIECE)
        file.write(sample.piece(26))
    crash(files)
    _, have, hashed = restart(sample, tmp_path)
    assert (have, hashed) == ((1 << 20) - 1 | 1 << 26, 1)


class KilledError(BaseException):
    """Stands for the end of the process: nothing that stores may catch it."""


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("sample", [one_file(30), folder([PIECE * 20 + 5, 3, 4, PIECE * 9])])
def test_a_kill_while_a_piece_is_written_costs_at_most_that_piece(
    sample: Sample, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = begin(sample, tmp_path, *range(20))
    recorded = files.have
    real = FileAccess.write

    def write(self: FileAccess, descriptor: int, span: FileSpan, data: memoryview) -> None:
        if share:
            real(self, descriptor, span, data[: int(len(data) * share)])
        raise KilledError

    monkeypatch.setattr(FileAccess, "write", write)
    with pytest.raises(KilledError):
        sample.write(files, 20)
    crash(files)
    monkeypatch.undo()
    files, have, hashed = restart(sample, tmp_path)
    assert have & recorded == recorded
    assert hashed <= 1
    assert have == recorded | (1 << 20 if share == 1 and sample.info.is_single_file else 0)


@pytest.mark.parametrize("clean", [True, False])
def test_a_file_changed_meanwhile_is_verified_again(tmp_path: Path, *, clean: bool) -> None:
    sample = folder([PIECE * 4, PIECE * 6, PIECE * 5])
    files = begin(sample, tmp_path, *range(15))
    root = files.root
    if clean:
        files.close()
    else:
        crash(files)
    time_before = (root / "deep" / "f1").stat().st_mtime_ns
    with (root / "deep" / "f1").open("r+b") as file:
        file.seek(PIECE * 2 + 5)
        file.write(b"changed")
    os.utime(root / "deep" / "f1", ns=(0, time_before + 10**9))
    files, have, hashed = restart(sample, tmp_path)
    assert (have, hashed) == (sample.every & ~(1 << 6), 6)
    sample.write(files, 6)
    sample.assert_at(files.finish())


def test_a_file_touched_meanwhile_is_verified_once(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, 1, 2)
    files.close()
    os.utime(files.root)
    files, have, hashed = restart(sample, tmp_path)
    assert (have, hashed) == (0b110, 10)
    files.close()
    assert restart(sample, tmp_path)[1:] == (0b110, 0)


def test_a_file_cut_short_meanwhile_loses_what_was_cut(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, *range(10))
    files.close()
    os.truncate(files.root, 4 * PIECE + 7)
    files, have, _ = restart(sample, tmp_path)
    assert have == 0b1111
    sample.write(files, *range(4, 10))
    sample.assert_at(files.finish())


def test_after_a_crash_of_the_machine_pieces_are_verified_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, *range(5))
    crash(files)
    monkeypatch.setattr(resume_log, "current_boot_id", lambda: b"another boot ...")
    files, have, hashed = restart(sample, tmp_path)
    assert (have, hashed) == (0b11111, 10)
    files.close()
    # A clean stop syncs, so that even another boot need not hash.
    monkeypatch.setattr(resume_log, "current_boot_id", lambda: b"a third boot ...")
    files, have, hashed = restart(sample, tmp_path)
    assert (have, hashed) == (0b11111, 0)


def test_a_stop_with_much_unsynced_data_is_quick_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torrent_files_module, "CLOSE_SYNC_BYTES", 3 * PIECE)
    sample = one_file()
    files = begin(sample, tmp_path, 0, 1, 2, 3)
    files.close()
    assert restart(sample, tmp_path)[0].close() is None
    files = begin(sample, tmp_path, 4, 5, 6, 7)
    files.close()
    files, have, hashed = restart(sample, tmp_path)
    assert (have, hashed) == (0xFF, 0)
    crash(files)
    monkeypatch.setattr(resume_log, "current_boot_id", lambda: b"another boot ...")
    assert restart(sample, tmp_path)[1:] == (0xFF, 10)


def test_a_finished_download_survives_another_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = folder()
    begin(sample, tmp_path, *range(sample.info.piece_count)).finish()
    monkeypatch.setattr(resume_log, "current_boot_id", lambda: b"another boot ...")
    files, have, hashed = restart(sample, tmp_path)
    assert (have, hashed, files.is_complete) == (sample.every, 0, True)


def test_a_system_without_boot_ids_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "_BOOT_ID", tmp_path / "missing")
    sample = one_file()
    crash(begin(sample, tmp_path, 3))
    assert restart(sample, tmp_path)[1:] == (0b1000, 0)


def test_a_journal_cut_anywhere_keeps_what_it_still_says(tmp_path: Path) -> None:
    sample = one_file()
    crash(begin(sample, tmp_path, *range(7)))
    (journal,) = journals(tmp_path)
    whole = journal.read_bytes()
    rng = random.Random(3)
    for cut in sorted(rng.sample(range(len(whole)), 40)):
        journal.write_bytes(whole[:cut])
        said = resume_log.load(journal, Layout(sample.info)).have
        files, have, hashed = restart(sample, tmp_path)
        assert have & said == said
        assert have | 0b1111111 == 0b1111111
        # Nearly always the file's stamp is newer than the last record left, so that all is found;
        # else it is explained by those of the pieces begun together that the journal still names.
        assert have == 0b1111111 or 1 <= hashed <= 3
        crash(files)


def test_a_journal_of_rubbish_costs_only_hashing(tmp_path: Path) -> None:
    sample = one_file()
    crash(begin(sample, tmp_path, *range(7)))
    (journal,) = journals(tmp_path)
    for rubbish in (b"", b"rubbish" * 100, os.urandom(5000)):
        journal.write_bytes(rubbish)
        files, have, hashed = restart(sample, tmp_path)
        assert (have, hashed) == (0b1111111, 10)
        crash(files)


WRITER = """
import os, sys, threading
from pathlib import Path
sys.path[:0] = [{tests!r}]
import storage_samples
from trio_swarm.piece_sets import full_set, iterate

sample = storage_samples.{make}
files = storage_samples.begin(sample, Path({tmp_path!r}))
print(files.have, flush=True)
todo = list(iterate(full_set(sample.info.piece_count) & ~files.have))
{random}.shuffle(todo)

def work():
    # One piece for each byte of leave, so that the test decides how far this gets.
    while todo and os.read(0, 1):
        try:
            piece = todo.pop()
        except IndexError:
            return
        sample.write(files, piece)
        os.write(1, b"%d\\n" % piece)  # one write: two prints may mix

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
files.finish()
print("finished", flush=True)
"""


@pytest.mark.parametrize(
    ("make", "sample"),
    [
        ("one_file(600)", one_file(600)),
        ("folder([50_000, 3, 0, 900_000, 70] * 8)", folder([50_000, 3, 0, 900_000, 70] * 8)),
    ],
    ids=["file", "folder"],
)
def test_kill_9_at_random_moments_loses_no_recorded_piece_and_hashes_nothing_unchanged(
    make: str, sample: Sample, tmp_path: Path
) -> None:
    rng = random.Random(os.urandom(8))
    reported = 0
    kills = 0
    while True:
        program = WRITER.format(
            tests=str(Path(__file__).parents[1] / "support"),
            make=make,
            tmp_path=str(tmp_path),
            random=f"__import__('random').Random({rng.random()})",
        )
        leave = rng.randrange(3, 150)
        finished = False
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdin is not None
            assert writer.stdout is not None
            have = int(writer.stdout.readline())
            assert have & reported == reported, "a recorded piece was lost"
            left = (sample.every & ~have).bit_count()
            writer.stdin.write("." * leave)
            writer.stdin.flush()
            if leave > left:
                writer.stdin.close()
            # Killed with 0 to 3 pieces on their way, just begun or just recorded.
            lines = iter(writer.stdout)
            for _ in range(min(leave - rng.randrange(4), left)):
                reported |= 1 << int(next(lines))
            if leave <= left:
                time.sleep(rng.random() * 0.001)
                writer.send_signal(signal.SIGKILL)
                kills += 1
            for line in lines:
                if line.strip() == "finished":
                    finished = True
                else:
                    reported |= 1 << int(line)
        if finished:
            break
        files, have, hashed = restart(sample, tmp_path)
        assert have & reported == reported
        assert hashed <= 2, "only the two pieces being written may need hashing"
        for piece in iterate(have):
            assert files.read(piece, 0, sample.info.piece_size(piece)) == sample.piece(piece)
        reported = have
        files.close() if rng.random() < 0.5 else crash(files)
    assert kills > 0
    sample.assert_at(tmp_path / "downloads" / sample.info.name)
