"""A disk that fills up: one clear line, nothing verified lost, and on when there is room."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mounts import in_memory
from storage_samples import (
    PIECE,
    Sample,
    close_all,  # noqa: F401 - an autouse fixture
    folder,
    one_file,
)
from trio_swarm.errors import DiskFullError, StorageError
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.shares import hash_share


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    with in_memory(tmp_path / "tiny", "size=1m") as place:
        yield place


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(files: TorrentFiles, sample: Sample) -> tuple[int, DiskFullError]:
    """Write pieces until the disk is full; return the set of those that went, and the error."""
    written = 0
    for piece in range(sample.info.piece_count):
        try:
            sample.write(files, piece)
        except DiskFullError as error:
            return written, error
        written |= 1 << piece
    raise AssertionError("the disk never was full")


@pytest.mark.parametrize("sample", [one_file(80), folder([900_000, 10, 400_000])])
@pytest.mark.parametrize("state_on_disk", [True, False])
def test_a_full_disk_is_one_line_and_the_download_goes_on_when_there_is_room(
    sample: Sample, tiny_disk: Path, tmp_path: Path, *, state_on_disk: bool
) -> None:
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    state = (tiny_disk if state_on_disk else tmp_path) / "state"
    files = TorrentFiles.for_download(sample.info, tiny_disk, state)
    files.check()
    written, error = fill(files, sample)
    assert written
    assert files.have == written
    needed = (sample.info.length - PIECE * written.bit_count()) / 1024
    assert str(error).startswith(str(tiny_disk))
    assert "the disk is full (" in str(error)
    assert f"{needed:.1f} KiB still needed" in str(error) or "state" in str(error)
    assert "free)" in str(error)
    assert "\n" not in str(error)
    files.close()

    # Nothing is lost, and nothing hashed, by starting on the full disk.
    files = TorrentFiles.for_download(sample.info, tiny_disk, state)
    try:
        result = files.check()
    except DiskFullError:
        assert state_on_disk
        files.close()
    else:
        assert (result.have, result.hashed) == (written, 0)
        fill(files, sample)
        files.close()
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(tiny_disk)], check=True)
    files = TorrentFiles.for_download(sample.info, tiny_disk, state)
    result = files.check()
    assert result.have & written == written
    # A piece that was cut off may have to be looked at, no other.
    assert result.hashed <= 1
    sample.write(
        files, *(piece for piece in range(sample.info.piece_count) if not result.have >> piece & 1)
    )
    sample.assert_at(files.finish())
    files.close()


def test_the_same_download_goes_on_without_a_restart(tiny_disk: Path, tmp_path: Path) -> None:
    sample = one_file(80)
    files = TorrentFiles.for_download(sample.info, tiny_disk, tmp_path / "state")
    files.check()
    written, _ = fill(files, sample)
    subprocess.run(["mount", "-o", "remount,size=4m", str(tiny_disk)], check=True)
    sample.write(files, *(piece for piece in range(80) if not written >> piece & 1))
    sample.assert_at(files.finish())
    files.close()


def test_a_share_on_a_full_disk_for_its_state_says_so(tiny_disk: Path, tmp_path: Path) -> None:
    sample = one_file()
    sample.put(tmp_path / "movie.bin")
    with pytest.raises(OSError, match="No space"):
        (tiny_disk / "ballast").write_bytes(bytes(2_000_000))
    with pytest.raises(DiskFullError):
        hash_share(tmp_path / "movie.bin", state_folder=tiny_disk / "state")


@pytest.mark.parametrize("make", ["file", "folder"])
def test_a_file_too_large_for_the_file_system_is_one_line(make: str, tmp_path: Path) -> None:
    sample = one_file(10) if make == "file" else folder([PIECE, 200_000, PIECE])
    files = TorrentFiles.for_download(sample.info, tmp_path / "d", tmp_path / "state")
    if make == "file":
        with file_size_limit(100_000), pytest.raises(DiskFullError, match="larger than the file"):
            files.check()
    else:
        files.check()
        with file_size_limit(100_000), pytest.raises(DiskFullError, match="larger than the file"):
            sample.write(files, *range(sample.info.piece_count))
    if make == "folder":
        assert files.have == 1
    files.close()
    files = TorrentFiles.for_download(sample.info, tmp_path / "d", tmp_path / "state")
    have = files.check().have
    sample.write(files, *(p for p in range(sample.info.piece_count) if not have >> p & 1))
    sample.assert_at(files.finish())


def test_a_write_that_fails_is_not_recorded_and_may_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = one_file()
    files = TorrentFiles.for_download(sample.info, tmp_path / "d", tmp_path / "state")
    files.check()
    real = os.pwrite
    answers = iter([100, OSError(28, "No space left"), 1, 5000])

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        answer = next(answers, None)
        if isinstance(answer, OSError):
            raise answer
        return real(descriptor, data[:answer], offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(DiskFullError):
        sample.write(files, 0)
    assert files.have == 0
    sample.write(files, *range(10))
    sample.assert_at(files.finish())


def test_an_unreadable_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = one_file()
    files = TorrentFiles.for_download(sample.info, tmp_path / "d", tmp_path / "state")
    files.check()

    def broken(*_args: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pwrite", broken)
    with pytest.raises(StorageError, match=r"movie\.bin\.part: the disk reports an input/output"):
        sample.write(files, 0)


def test_a_file_that_may_not_be_opened_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = one_file()
    files = TorrentFiles.for_download(sample.info, tmp_path / "d", tmp_path / "state")

    def denied(*_args: object, **_options: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(StorageError, match=r"movie\.bin\.part: permission denied"):
        files.check()
