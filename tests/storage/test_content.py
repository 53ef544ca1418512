"""A download from its first piece to its final name, and what is served meanwhile."""

import os
import random
import resource
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_samples import (
    PIECE,
    Sample,
    begin,
    close_all,  # noqa: F401 - an autouse fixture
    folder,
    make_info,
    one_file,
    padded,
)
from trio_swarm.errors import StorageError
from trio_swarm.storage import content as torrent_files
from trio_swarm.storage import reservation, write_out
from trio_swarm.storage.access import FileSlice
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.hashing import block_digests, verify_piece
from trio_swarm.storage.tree import holds_data

SAMPLES = [one_file, folder, padded]


@pytest.fixture(params=SAMPLES, ids=lambda make: make.__name__)
def sample(request: pytest.FixtureRequest) -> Sample:
    make: Callable[[], Sample] = request.param
    return make()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def content(slices: list[FileSlice]) -> bytes:
    return b"".join(
        bytes(part.length) if part.fd is None else os.pread(part.fd, part.length, part.offset)
        for part in slices
    )


def test_a_download_is_part_until_finished(sample: Sample, tmp_path: Path) -> None:
    files = begin(sample, tmp_path)
    final = tmp_path / "downloads" / sample.info.name
    part = final.with_name(final.name + ".part")
    assert files.root == part
    order = list(range(sample.info.piece_count))
    random.Random(1).shuffle(order)
    sample.write(files, *order)
    assert files.have == sample.every
    assert part.exists()
    assert not final.exists()
    assert not files.is_complete

    assert files.finish() == final
    assert files.finish() == final
    assert files.is_complete
    assert files.root == final
    assert not part.exists()
    sample.assert_at(final)
    files.close()
    files.close()


def test_blocks_are_served_while_downloading_and_after(sample: Sample, tmp_path: Path) -> None:
    files = begin(sample, tmp_path)
    rng = random.Random(5)
    for piece in range(sample.info.piece_count):
        sample.write(files, piece)
        size = sample.info.piece_size(piece)
        start = rng.randrange(size)
        length = rng.randrange(1, size - start + 1)
        wanted = sample.piece(piece)[start : start + length]
        assert content(files.slices(piece, start, length)) == wanted
        assert files.read(piece, start, length) == wanted
    files.finish()
    for piece in range(sample.info.piece_count):
        size = sample.info.piece_size(piece)
        assert content(files.slices(piece, 0, size)) == sample.piece(piece)
        assert files.read(piece, 0, size) == sample.piece(piece)
    files.close()


def test_pad_files_are_never_on_the_disk(tmp_path: Path) -> None:
    sample = padded()
    files = begin(sample, tmp_path, 0, 1, 2)
    assert content(files.slices(1, 0, PIECE)) == sample.piece(1)
    assert [part.fd is None for part in files.slices(1, 0, PIECE)] == [False, True]
    root = files.finish()
    assert sorted(path.name for path in root.iterdir()) == ["f0", "f2"]
    files.close()
    again = begin(sample, tmp_path)
    assert again.is_complete


def test_a_torrent_of_empty_files_is_finished_at_once(tmp_path: Path) -> None:
    sample = folder([0, 0, 0])
    files = begin(sample, tmp_path)
    assert files.have == sample.every == 0
    root = files.finish()
    sample.assert_at(root)
    single = one_file(0, cut=0, name="nothing")
    assert begin(single, tmp_path).finish().read_bytes() == b""


def test_finishing_without_all_pieces_is_refused(sample: Sample, tmp_path: Path) -> None:
    files = begin(sample, tmp_path, 0)
    with pytest.raises(ValueError, match="all its pieces"):
        files.finish()
    assert files.root.name.endswith(".part")


def test_files_have_their_length_from_the_start_and_their_blocks_too(tmp_path: Path) -> None:
    sample = one_file(1000)
    files = begin(sample, tmp_path, 999)
    status = files.root.stat()
    assert status.st_size == sample.info.length
    assert status.st_blocks * 512 >= sample.info.length
    # What is reserved is no data: an interrupted start is not taken for someone's file.
    assert not begin_holds_data(one_file(999, name="empty.bin"), tmp_path)


def begin_holds_data(sample: Sample, tmp_path: Path) -> bool:
    root = begin(sample, tmp_path).root
    with root.open("rb") as file:
        return holds_data(file.fileno())


@pytest.mark.parametrize("failing", ["no system call", "no room", "fails", "in memory"])
def test_without_reserved_blocks_files_are_sparse(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if failing == "no system call":
        monkeypatch.setattr(reservation, "_fallocate", None)
    elif failing == "fails":
        monkeypatch.setattr(reservation, "_fallocate", lambda *_: -1)
    elif failing == "in memory":
        monkeypatch.setattr(reservation, "is_in_memory", lambda _: True)
    else:
        full = SimpleNamespace(f_bavail=1, f_frsize=4096)
        monkeypatch.setattr(os, "fstatvfs", lambda _: full)
    sample = one_file(1000)
    files = begin(sample, tmp_path, 999)
    status = files.root.stat()
    assert status.st_size == sample.info.length
    assert status.st_blocks * 512 < 10 * PIECE


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a file system in memory")
def test_a_file_in_memory_is_told_from_others() -> None:
    with tempfile.TemporaryFile(dir="/dev/shm") as in_memory:
        assert reservation.is_in_memory(in_memory.fileno())
    with Path("/proc/self/status").open() as other:
        assert not reservation.is_in_memory(other.fileno())


def test_files_and_folders_get_ordinary_modes(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        files = begin(folder(), tmp_path, *range(8))
        root = files.finish()
    finally:
        os.umask(old)
    for path in root.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o750 if path.is_dir() else 0o640)


def test_a_piece_of_the_wrong_length_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path)
    with pytest.raises(ValueError, match="bytes"):
        files.write_pieces([(0, sample.piece(0)[:-1])])
    assert files.have == 0


@given(
    st.lists(st.integers(0, 50) | st.integers(0, 40_000), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_any_layout_written_in_any_order_is_served_and_finished(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], rng: random.Random
) -> None:
    tmp_path = tmp_path_factory.mktemp("layout")
    sample = folder(lengths)
    files = begin(sample, tmp_path)
    order = list(range(sample.info.piece_count))
    rng.shuffle(order)
    sample.write(files, *order)
    for piece in order:
        assert content(files.slices(piece, 0, sample.info.piece_size(piece))) == sample.piece(piece)
    sample.assert_at(files.finish())
    files.close()
    assert begin(sample, tmp_path).is_complete


def test_two_threads_write_the_same_files(tmp_path: Path) -> None:
    sample = folder([100_000, 17, 0, 3, 200_000, 99_999])
    files = begin(sample, tmp_path)
    order = list(range(sample.info.piece_count))
    threads = [
        threading.Thread(target=sample.write, args=(files, *order[start::2])) for start in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files.have == sample.every
    files.close()
    again = TorrentFiles.for_download(sample.info, tmp_path / "downloads", tmp_path / "state")
    result = again.check()
    assert (result.have, result.hashed) == (sample.every, 0)
    sample.assert_at(again.finish())


def test_a_block_in_very_many_files_is_one_slice(tmp_path: Path) -> None:
    sample = folder([1] * 1000)
    before = open_descriptors()
    files = begin(sample, tmp_path, 0)
    (only,) = files.slices(0, 7, 900)
    assert content([only]) == sample.data[7:907]
    assert open_descriptors() - before < 80
    files.close()


def test_descriptors_of_many_files_are_bounded(tmp_path: Path) -> None:
    sample = folder([PIECE] * 300)
    before = open_descriptors()
    files = begin(sample, tmp_path, *range(300))
    for piece in range(300):
        assert content(files.slices(piece, 0, PIECE)) == sample.piece(piece)
        assert files.read(piece, 0, PIECE) == sample.piece(piece)
    assert open_descriptors() - before < 80
    files.close()
    assert open_descriptors() == before


def test_a_file_removed_while_downloading_stops_it_with_a_line(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, 0, 1)
    files.root.unlink()
    with pytest.raises(StorageError, match=r"movie\.bin\.part: .*removed"):
        sample.write(files, 2)
    files.close()
    again = begin(sample, tmp_path, *range(10))
    sample.assert_at(again.finish())


def test_a_folder_removed_while_downloading_stops_it_with_a_line(tmp_path: Path) -> None:
    sample = folder()
    files = begin(sample, tmp_path, 0)
    files.root.rename(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="does not exist"):
        sample.write(files, *range(1, sample.info.piece_count))
    files.close()
    assert begin(sample, tmp_path).have == 0


def test_a_file_that_vanished_before_the_end_is_not_published(tmp_path: Path) -> None:
    sample = folder()
    files = begin(sample, tmp_path, *range(sample.info.piece_count))
    (files.root / "f0").unlink()
    with pytest.raises(StorageError, match="f0: was removed"):
        files.finish()
    assert not (tmp_path / "downloads" / "album").exists()
    files.close()
    again = begin(sample, tmp_path)
    assert again.have == sample.every & ~0b111
    sample.write(again, 0, 1, 2)
    sample.assert_at(again.finish())


def test_a_finished_file_that_changes_is_not_served(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, *range(10))
    root = files.finish()
    files.close()
    again = begin(sample, tmp_path)
    os.utime(root, ns=(1, 1))
    with pytest.raises(StorageError, match="has changed"):
        again.slices(0, 0, 1)
    os.truncate(root, 5)
    with pytest.raises(StorageError, match="has 5 bytes now"):
        again.read(0, 0, 1)
    root.unlink()
    with pytest.raises(StorageError, match="does not exist"):
        again.slices(0, 0, 1)


def test_writing_after_close_is_refused(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, 3)
    files.close()
    assert files.have == 1 << 3
    with pytest.raises(StorageError, match="not open"):
        sample.write(files, 1)


def test_pieces_and_blocks_are_hashed_by_sha1() -> None:
    sample = one_file()
    assert verify_piece(sample.info, 9, sample.piece(9))
    assert not verify_piece(sample.info, 9, sample.piece(8))
    assert len(block_digests(bytes(3 * 16384 + 1))) == 4
    assert len(set(block_digests(bytes(3 * 16384 + 1)))) == 2


@pytest.mark.parametrize("path", [("..", "x"), ("a/b",), ("",), (".",), ("a\0b",)])
def test_traversal_names_are_refused_even_if_metainfo_let_them_through(
    path: tuple[str, ...], tmp_path: Path
) -> None:
    info = make_info([10], paths=[path])
    with pytest.raises(StorageError, match="not a safe file name"):
        TorrentFiles.for_download(info, tmp_path, tmp_path / "state")


def test_the_disk_is_set_to_work_while_downloading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def start_write_out(descriptor: int) -> None:
        os.fstat(descriptor)
        started.append(descriptor)
        write_out.start_write_out(descriptor)

    monkeypatch.setattr(torrent_files, "WRITE_OUT_BYTES", 3 * PIECE)
    monkeypatch.setattr(torrent_files, "start_write_out", start_write_out)
    files = begin(one_file(10), tmp_path, *range(10))
    assert len(started) == 3
    files.finish()


def test_of_pieces_written_together_those_before_a_fault_are_kept(tmp_path: Path) -> None:
    sample = one_file(600)
    files = begin(sample, tmp_path)
    limit = 3 * sample.info.piece_length + 7
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        written, error = files.write_pieces([(i, sample.piece(i)) for i in (1, 2, 3, 0)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert written == 2
    assert error is not None
    assert files.have == 0b110
    sample.write(files, 0, 3)
    files.close()
    again = begin(sample, tmp_path)
    assert again.have == 0b1111
    again.close()
