"""Files that somebody else changes, at any moment: nothing wrong is kept, finished or served."""

import mmap
import os
import shutil
import tempfile
from collections.abc import Callable
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
from trio_swarm.errors import FileChangedError, StorageError
from trio_swarm.piece_sets import full_set, iterate
from trio_swarm.storage import foreign_writers
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.layout import FileSpan
from trio_swarm.storage.placement import Placement
from trio_swarm.storage.shares import hash_share


def overwrite(path: Path, at: int = 0, data: bytes = b"changed") -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def overwrite_and_hide(path: Path) -> None:
    """Change bytes and set the times back, as `touch -r` and archivers do."""
    status = path.stat()
    overwrite(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def truncate_and_extend(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, 5)
    os.truncate(path, size)


def replace_by_equal_size(path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"x" * status.st_size)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def write_through_a_mapping(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[3:10] = b"changed"
        view.flush()


HARMS = [
    overwrite,
    overwrite_and_hide,
    truncate_and_extend,
    replace_by_equal_size,
    write_through_a_mapping,
]


def fetch_the_rest(files: TorrentFiles, sample: Sample) -> None:
    """Write what is missing, and finish; once more as long as pieces are lost meanwhile."""
    for _ in range(5):
        sample.write(files, *iterate(sample.every & ~files.have))
        if files.have == sample.every:
            try:
                files.finish()
            except FileChangedError:
                continue
            return
    raise AssertionError("it never was finished")


def part_of(files: TorrentFiles, sample: Sample) -> Path:
    return files.root if sample.info.is_single_file else files.root / "f0"


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("sample", [one_file(30), folder()], ids=["file", "folder"])
def test_what_others_change_between_two_pieces_is_fetched_again(
    harm: Callable[[Path], None], sample: Sample, tmp_path: Path
) -> None:
    files = begin(sample, tmp_path, 0, 1)
    harm(part_of(files, sample))
    sample.write(files, 2)
    assert not files.have & 1
    assert files.have >> 2 & 1
    changes = files.take_changes()
    assert changes is not None
    assert changes.lost & 1
    fetch_the_rest(files, sample)
    sample.assert_at(files.root)


def test_each_file_of_a_piece_that_others_changed_is_verified_once(tmp_path: Path) -> None:
    """What was written before the next changed file was found is no change of others, too."""
    sample = folder([*[1000] * 12, PIECE * 2])
    files = begin(sample, tmp_path, *range(sample.info.piece_count))
    small = [files.root.joinpath(*entry.path) for entry in sample.info.files[:12]]
    for path in small:
        overwrite(path)
    assert files.verify_again().lost & 1
    for path in small:
        path.touch()
    sample.write(files, 0)
    assert files.have & 1
    changed: list[int] = []
    while (changes := files.take_changes()) is not None:
        changed += changes.files
    assert sorted(changed) == list(range(12))
    fetch_the_rest(files, sample)
    sample.assert_at(files.root)


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("sample", [one_file(30), folder()], ids=["file", "folder"])
def test_what_others_change_after_the_last_piece_is_not_finished(
    harm: Callable[[Path], None], sample: Sample, tmp_path: Path
) -> None:
    files = begin(sample, tmp_path, *range(sample.info.piece_count))
    harm(part_of(files, sample))
    with pytest.raises(FileChangedError, match="fetched again"):
        files.finish()
    assert not (tmp_path / "downloads" / sample.info.name).exists()
    assert not files.have & 1
    fetch_the_rest(files, sample)
    sample.assert_at(files.root)


@pytest.mark.parametrize("sample", [one_file(6), folder()], ids=["file", "folder"])
def test_what_is_changed_while_it_gets_its_final_name_loses_it_again(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the change hides behind the ctime of the new name."""
    if foreign_writers._inotify_init is None and sample.info.is_single_file:
        pytest.skip("the system has no inotify(7)")
    files = begin(sample, tmp_path, *range(sample.info.piece_count))
    publish = Placement.publish

    def harm_and_publish(self: Placement) -> None:
        overwrite_and_hide(part_of(files, sample))
        publish(self)

    monkeypatch.setattr(Placement, "publish", harm_and_publish)
    with pytest.raises(FileChangedError, match="is being changed"):
        files.finish()
    monkeypatch.setattr(Placement, "publish", publish)
    assert not (tmp_path / "downloads" / sample.info.name).exists()
    files.verify_again()
    assert not files.have & 1
    fetch_the_rest(files, sample)
    sample.assert_at(files.root)


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_write_through_a_mapping_of_a_file_in_memory_is_found_at_the_end(
    *, is_resumed: bool
) -> None:
    """tmpfs stamps no write to a page that was mapped by reading it (Linux 6.18)."""
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK) or foreign_writers._inotify_init is None:
        pytest.skip("there is no file system in memory here, or no inotify(7)")
    sample = folder([PIECE - 10, 5, PIECE])
    with tempfile.TemporaryDirectory(dir=place) as name:
        files = begin(sample, Path(name), *range(sample.info.piece_count))
        if is_resumed:
            files.close()
            files = begin(sample, Path(name))
        small = files.root.joinpath(*sample.info.files[1].path)
        before = small.stat()
        with small.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
            view[0] ^= 255
        assert small.stat() == before
        with pytest.raises(FileChangedError, match="fetched again"):
            files.finish()
        fetch_the_rest(files, sample)
        sample.assert_at(files.root)
        files.close()


def test_a_finished_download_watches_nothing_any_more(tmp_path: Path) -> None:
    """A person has 128 instances of inotify(7) for all programs (fs.inotify.max_user_instances)."""

    def watches() -> int:
        places = Path("/proc/self/fd").iterdir()
        return sum(p.is_symlink() and "inotify" in str(p.readlink()) for p in places)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the system does not list a process's open files")
    before = watches()
    sample = one_file(6)
    files = begin(sample, tmp_path, *range(6))
    assert watches() > before
    files.finish()
    assert watches() == before


@pytest.mark.parametrize("can_watch", [True, False])
def test_what_others_write_while_we_write_is_found_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, can_watch: bool
) -> None:
    """Such a write leaves the very stamp that ours leaves: inotify(7) tells, or all is hashed."""
    if not can_watch:
        monkeypatch.setattr(foreign_writers, "_inotify_init", None)
    sample = one_file(30)
    files = begin(sample, tmp_path, *range(10))
    real = FileAccess.write

    def write(self: FileAccess, descriptor: int, span: FileSpan, data: memoryview) -> None:
        real(self, descriptor, span, data)
        overwrite(files.root)

    monkeypatch.setattr(FileAccess, "write", write)
    sample.write(files, 20)
    monkeypatch.setattr(FileAccess, "write", real)
    assert files.have & 1, "no stamp tells"
    fetch_the_rest(files, sample)
    sample.assert_at(files.root)


@pytest.mark.parametrize("is_killed", [True, False])
def test_what_others_write_while_we_write_is_found_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_killed: bool
) -> None:
    sample = one_file(30)
    files = begin(sample, tmp_path, *range(10))
    real = FileAccess.write

    def write(self: FileAccess, descriptor: int, span: FileSpan, data: memoryview) -> None:
        real(self, descriptor, span, data)
        overwrite(files.root)

    monkeypatch.setattr(FileAccess, "write", write)
    sample.write(files, 20)
    monkeypatch.setattr(FileAccess, "write", real)
    if is_killed:
        assert files._lock is not None
        files._lock.release()
        files._log = files._unfinished = None
    files.close()
    again = begin(sample, tmp_path)
    assert again.suspects & 1
    changes = again.verify_again()
    assert (changes.files, changes.lost) == ([0], 1)
    assert not again.suspects
    fetch_the_rest(again, sample)
    sample.assert_at(again.root)


def test_an_undisturbed_download_is_not_hashed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []
    monkeypatch.setattr(
        "trio_swarm.storage.hashing.hash_pieces",
        lambda _layout, _open, pieces, **_: hashed.append(pieces) or {},
    )
    for sample in (one_file(30), folder([PIECE * 3, 7, 0, PIECE * 40] * 20)):
        files = begin(sample, tmp_path, *range(sample.info.piece_count))
        # Readers do no harm.
        for path in (tmp_path / "downloads").rglob("*"):
            if path.is_file():
                path.read_bytes()
        sample.assert_at(files.finish())
    assert not any(hashed)


def test_an_empty_file_that_got_bytes_is_not_finished(tmp_path: Path) -> None:
    sample = folder()
    files = begin(sample, tmp_path, *range(sample.info.piece_count))
    (files.root / "deep").mkdir(exist_ok=True)
    (files.root / "deep" / "f1").write_bytes(b"not empty")
    with pytest.raises(StorageError, match="has 9 bytes now instead of 0"):
        files.finish()
    (files.root / "deep" / "f1").write_bytes(b"")
    sample.assert_at(files.finish())


def test_a_writer_that_stays_is_no_reason_to_wait(tmp_path: Path) -> None:
    sample = one_file(30)
    files = begin(sample, tmp_path, *range(29))
    with files.root.open("r+b") as other:
        other.write(b"changed")
        other.flush()
        fetch_the_rest(files, sample)
        sample.assert_at(files.root)


def test_a_file_that_changes_all_the_time_ends_the_download_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = one_file(30)
    files = begin(sample, tmp_path, 0)
    real = FileAccess.look
    monkeypatch.setattr(
        FileAccess, "look", lambda self, file: (os.utime(files.root), real(self, file))[1]
    )
    os.utime(files.root)
    with pytest.raises(StorageError, match="keeps being changed by another program"):
        sample.write(files, 1)
    monkeypatch.undo()
    files.close()
    again = begin(sample, tmp_path)
    assert again.have == 1
    fetch_the_rest(again, sample)
    sample.assert_at(again.root)


def test_bytes_that_changed_since_they_were_verified_are_not_served(tmp_path: Path) -> None:
    sample = folder()
    root = begin(sample, tmp_path, *range(sample.info.piece_count)).finish()
    files = begin(sample, tmp_path)
    buffer = memoryview(bytearray(100))
    serve: list[Callable[[], object]] = [
        lambda: files.slices(0, 0, 100),
        lambda: files.read(0, 0, 100),
        lambda: files.read_into(0, 0, buffer),
    ]
    for use in serve:
        use()
        overwrite_and_hide(root / "f0")
        with pytest.raises(FileChangedError, match="has changed since it was verified"):
            use()
        assert files.verify_again().lost == 1
        assert files.have == sample.every & ~1
        (root / "f0").write_bytes(sample.file(0))
        again = files.verify_again()
        assert (again.files, again.lost) == ([0], 0)
        assert files.have == sample.every
        use()
    assert bytes(buffer) == sample.data[:100]


@pytest.mark.parametrize("kind", ["share", "download"])
def test_a_touched_file_is_verified_and_served_on(kind: str, tmp_path: Path) -> None:
    sample = folder()
    root = begin(sample, tmp_path, *range(sample.info.piece_count)).finish()
    if kind == "share":
        files = TorrentFiles.for_share(sample.info, root, tmp_path / "state")
        files.check()
    else:
        files = begin(sample, tmp_path)
    os.utime(root / "f0")
    with pytest.raises(FileChangedError):
        files.slices(0, 0, 1)
    changes = files.verify_again()
    assert (changes.files, changes.lost, changes.faults) == ([0], 0, {})
    assert files.read(0, 0, 9) == sample.data[:9]
    files.close()
    # What was found is remembered, too.
    again = TorrentFiles.for_share(sample.info, root, tmp_path / "state")
    assert again.check().hashed == 0


def test_a_share_that_changes_all_the_time_is_shared_when_it_is_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = one_file(30)
    root = begin(sample, tmp_path, *range(30)).finish()
    files = TorrentFiles.for_share(sample.info, root, tmp_path / "state")
    files.check()
    real = FileAccess.look
    monkeypatch.setattr(
        FileAccess, "look", lambda self, file: (os.utime(root), real(self, file))[1]
    )
    changes = files.verify_again()
    assert changes.faults == {0: "keeps changing"}
    assert not files.have
    monkeypatch.undo()
    assert files.verify_again().faults == {}
    assert files.have == sample.every


def test_a_share_goes_on_without_a_file_until_it_is_back(tmp_path: Path) -> None:
    sample = folder()
    root = begin(sample, tmp_path, *range(sample.info.piece_count)).finish()
    files = TorrentFiles.for_share(sample.info, root, tmp_path / "state")
    files.check()
    lost = full_set(3)  # 40,000 bytes
    for harm, reason in (
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: os.truncate(path, 100), "has 100 bytes now instead of 40000"),
        (lambda path: path.write_bytes(bytes(50_000)), "has 50000 bytes now instead of 40000"),
        (lambda path: (path.unlink(), path.symlink_to("f2")), "is a symbolic link"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
    ):
        kept = tmp_path / "kept"
        shutil.copy2(root / "f0", kept)
        harm(root / "f0")
        changes = files.verify_again()
        assert changes.lost == lost
        assert reason in changes.faults[0]
        assert files.have == sample.every & ~lost
        assert files.read(4, 0, 9) == sample.piece(4)[:9]
        assert files.verify_again().lost == 0
        if (root / "f0").is_dir():
            (root / "f0").rmdir()
        kept.replace(root / "f0")
        files.verify_again()
        assert files.have == sample.every
    sample.assert_at(root)


def test_a_file_touched_while_it_is_hashed_is_hashed_again(tmp_path: Path) -> None:
    sample = one_file(30)
    sample.put(tmp_path / "movie.bin")
    calls: list[int] = []

    def touch_once(done: int, _total: int) -> None:
        if not calls:
            os.utime(tmp_path / "movie.bin")
        calls.append(done)

    info = hash_share(
        tmp_path / "movie.bin",
        piece_length=PIECE,
        state_folder=tmp_path / "state",
        on_progress=touch_once,
    )
    assert info == sample.info
    files = TorrentFiles.for_share(info, tmp_path / "movie.bin", tmp_path / "state")
    assert files.check().hashed == 0


@pytest.mark.parametrize("harm", [overwrite, overwrite_and_hide])
def test_a_file_changed_while_it_is_checked_is_not_complete(
    harm: Callable[[Path], None], tmp_path: Path
) -> None:
    sample = one_file(30)
    (tmp_path / "downloads").mkdir()
    sample.put(tmp_path / "downloads" / "movie.bin")
    files = TorrentFiles.for_download(sample.info, tmp_path / "downloads", tmp_path / "state")
    calls: list[int] = []

    def change_at_the_end(done: int, total: int) -> None:
        if done == total and not calls:
            calls.append(done)
            harm(tmp_path / "downloads" / "movie.bin")

    result = files.check(change_at_the_end)
    assert not result.have & 1
    assert not files.is_complete


# --- dates and numbers that no 64 bits hold -------------------------------------------------------


@pytest.mark.parametrize("year", [1, 1900, 2300, 2446])
def test_any_date_of_a_file_may_be_shared_and_resumed(year: int, tmp_path: Path) -> None:
    """ext4 holds dates up to 2446, and files come with dates of 1 and 9999 from archives."""
    seconds = int((year - 1970) * 365.2425 * 86400)
    sample = one_file(10)
    sample.put(tmp_path / "movie.bin")
    os.utime(tmp_path / "movie.bin", (seconds, seconds))
    info = hash_share(tmp_path / "movie.bin", piece_length=PIECE, state_folder=tmp_path / "state")
    assert info == sample.info
    shared = TorrentFiles.for_share(info, tmp_path / "movie.bin", tmp_path / "state")
    assert shared.check().hashed == 0
    files = begin(sample, tmp_path, 0, 1)
    root = files.root
    os.utime(root, (seconds, seconds))
    sample.write(files, 2)
    files.close()
    os.utime(root, (seconds, seconds))
    again = begin(sample, tmp_path)
    assert again.have == 0b111
    again.close()
    resumed = TorrentFiles.for_download(sample.info, tmp_path / "downloads", tmp_path / "state")
    assert resumed.check().hashed == 0
