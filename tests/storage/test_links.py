"""Symbolic links and special files planted in a download or a share lead nowhere."""

import os
import threading
from pathlib import Path

import pytest

from storage_samples import (
    Sample,
    begin,
    close_all,  # noqa: F401 - an autouse fixture
    folder,
    one_file,
)
from trio_swarm.errors import StorageError
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.tree import Tree

SECRET = b"secret outside of the folder" * 1000


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    place = tmp_path / "outside"
    place.mkdir()
    (place / "f4").write_bytes(SECRET)
    return place


def untouched(outside: Path) -> bool:
    return [(p.name, p.read_bytes()) for p in outside.iterdir()] == [("f4", SECRET)]


@pytest.mark.parametrize("suffix", ["", ".part"])
def test_a_link_in_the_place_of_the_download_is_refused(
    suffix: str, outside: Path, tmp_path: Path
) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    (downloads / f"movie.bin{suffix}").symlink_to(outside / "f4")
    (downloads / f"album{suffix}").symlink_to(outside)
    for sample in (one_file(), folder()):
        with pytest.raises(StorageError, match="symbolic link"):
            begin(sample, tmp_path)
    assert untouched(outside)


@pytest.mark.parametrize(("planted", "target"), [("deep", ""), ("f0", "f4"), ("deep/f4", "f4")])
def test_a_link_planted_before_the_start_is_refused(
    planted: str, target: str, outside: Path, tmp_path: Path
) -> None:
    sample = folder()
    link = tmp_path / "downloads" / "album.part" / planted
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / target)
    with pytest.raises(StorageError, match="symbolic link"):
        begin(sample, tmp_path)
    assert untouched(outside)


@pytest.mark.parametrize(("planted", "target"), [("deep", ""), ("f0", "f4"), ("f0", "new")])
def test_a_link_planted_while_downloading_is_not_followed(
    planted: str, target: str, outside: Path, tmp_path: Path
) -> None:
    sample = folder()
    files = begin(sample, tmp_path)
    (files.root / planted).symlink_to(outside / target)
    with pytest.raises(StorageError):
        sample.write(files, *range(sample.info.piece_count))
    assert untouched(outside)


def write_rest_and_finish(sample: Sample, files: TorrentFiles) -> None:
    sample.write(files, *range(1, sample.info.piece_count))
    files.finish()


def test_a_root_that_becomes_a_link_while_downloading_is_not_followed(
    outside: Path, tmp_path: Path
) -> None:
    for sample in (folder(), one_file()):
        files = begin(sample, tmp_path, 0)
        files.root.rename(tmp_path / f"moved {sample.info.name}")
        files.root.symlink_to(outside if not sample.info.is_single_file else outside / "f4")
        with pytest.raises(StorageError):
            write_rest_and_finish(sample, files)
    assert untouched(outside)


def test_a_finished_file_replaced_by_a_link_is_not_served(outside: Path, tmp_path: Path) -> None:
    sample = folder()
    root = begin(sample, tmp_path, *range(sample.info.piece_count)).finish()
    again = begin(sample, tmp_path)
    (root / "deep" / "f4").rename(outside / "gone")
    (root / "deep" / "f4").symlink_to(outside / "gone")
    with pytest.raises(StorageError, match="symbolic link"):
        again.read(sample.info.piece_count - 1, 0, 1)


def test_a_shared_folder_swapped_for_a_link_is_not_served(outside: Path, tmp_path: Path) -> None:
    sample = folder()
    root = tmp_path / "shared"
    sample.put(root)
    share = TorrentFiles.for_share(sample.info, root, tmp_path / "state")
    assert share.check().have == sample.every
    (root / "deep").rename(outside / "deep")
    (root / "deep").symlink_to(outside / "deep")
    with pytest.raises(StorageError, match="symbolic link"):
        share.slices(sample.info.piece_count - 1, 0, 1)


def test_a_fifo_does_not_block_the_download(tmp_path: Path) -> None:
    sample: Sample = folder()
    root = tmp_path / "downloads" / "album.part"
    root.mkdir(parents=True)
    os.mkfifo(root / "f0")
    with pytest.raises(StorageError, match="not a regular file"):
        begin(sample, tmp_path)
    tree = Tree(root)
    with pytest.raises(OSError, match="not a regular file"):
        tree.open(("f0",), os.O_RDONLY)


def test_a_folder_that_flips_to_a_link_all_the_time_never_lets_a_file_out(
    outside: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "real" / "f4").write_bytes(b"inside")
    (root / "link").symlink_to(outside)
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            for source in ("real", "link"):
                (root / source).rename(root / "deep")
                (root / "deep").rename(root / source)

    tree = Tree(root)
    flipping = threading.Thread(target=flip)
    flipping.start()
    read = set()
    try:
        for _ in range(2000):
            try:
                descriptor = tree.open(("deep", "f4"), os.O_RDWR)
            except OSError:
                continue
            read.add(os.pread(descriptor, 6, 0))
            os.close(descriptor)
    finally:
        stop.set()
        flipping.join()
    assert read <= {b"inside"}
    assert untouched(outside)
