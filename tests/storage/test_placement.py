"""What a download finds in its folder: adopted, resumed, or refused and left as it is."""

import os
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
from trio_swarm.errors import StorageError
from trio_swarm.storage import placement as placement_module
from trio_swarm.storage.content import TorrentFiles

FOREIGN = b"somebody's only copy of their thesis" * 1000


def start(sample: Sample, tmp_path: Path) -> TorrentFiles:
    return TorrentFiles.for_download(sample.info, tmp_path / "downloads", tmp_path / "state")


def downloads(tmp_path: Path) -> Path:
    result = tmp_path / "downloads"
    result.mkdir()
    return result


def tree(root: Path) -> dict[str, bytes | None]:
    """All paths below root and what the files hold."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in root.rglob("*")
    }


def test_finished_data_is_served_in_place(tmp_path: Path) -> None:
    for sample in (one_file(), folder()):
        final = tmp_path / "downloads" / sample.info.name
        final.parent.mkdir(exist_ok=True)
        sample.put(final)
        files = start(sample, tmp_path)
        result = files.check()
        assert (result.have, result.hashed) == (sample.every, sample.info.piece_count)
        assert files.is_complete
        assert files.finish() == files.root == final
        assert files.read(0, 0, 5) == sample.data[:5]
        files.close()
        again = start(sample, tmp_path)
        assert again.check().hashed == 0
        assert again.is_complete


def test_finished_data_that_lacks_an_empty_file_gets_it(tmp_path: Path) -> None:
    sample = folder()
    final = downloads(tmp_path) / "album"
    sample.put(final)
    (final / "deep" / "f1").unlink()
    assert begin(sample, tmp_path).is_complete
    sample.assert_at(final)


def test_partly_right_data_is_adopted(tmp_path: Path) -> None:
    sample = one_file()
    final = downloads(tmp_path) / "movie.bin"
    final.write_bytes(sample.data[: 3 * PIECE] + bytes(PIECE) + sample.data[4 * PIECE : 5 * PIECE])
    files = start(sample, tmp_path)
    result = files.check()
    assert (result.have, result.hashed) == (0b10111, 5)
    assert not final.exists()
    assert files.root.name == "movie.bin.part"
    sample.write(files, 3, 5, 6, 7, 8, 9)
    sample.assert_at(files.finish())


def test_a_partly_right_folder_is_adopted_with_its_extra_files(tmp_path: Path) -> None:
    sample = folder()
    final = downloads(tmp_path) / "album"
    sample.put(final)
    (final / "f0").write_bytes(b"wrong")
    (final / "notes.txt").write_bytes(FOREIGN)
    (final / "deep" / "f4").unlink()
    files = start(sample, tmp_path)
    have = files.check().have
    assert 0 < have < sample.every
    assert not final.exists()
    sample.write(files, *(p for p in range(sample.info.piece_count) if not have >> p & 1))
    assert files.finish() == final
    sample.assert_at(final)
    assert (final / "notes.txt").read_bytes() == FOREIGN


@pytest.mark.parametrize("make", [one_file, folder])
def test_empty_data_is_adopted(make: Callable[[], Sample], tmp_path: Path) -> None:
    sample = make()
    final = downloads(tmp_path) / sample.info.name
    if sample.info.is_single_file:
        final.write_bytes(b"")
    else:
        final.mkdir()
    files = begin(sample, tmp_path, *range(sample.info.piece_count))
    sample.assert_at(files.finish())


def test_foreign_data_under_the_name_is_refused_and_untouched(tmp_path: Path) -> None:
    root = downloads(tmp_path)
    (root / "movie.bin").write_bytes(FOREIGN)
    (root / "album").mkdir()
    (root / "album" / "f0").write_bytes(FOREIGN)
    before = tree(root)
    for sample in (one_file(), folder()):
        files = start(sample, tmp_path)
        with pytest.raises(StorageError, match="not of this torrent; move it away"):
            files.check()
        files.close()
    assert tree(root) == before


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    root = downloads(tmp_path)
    (root / "album").mkdir()
    (root / "album" / "something else").write_bytes(b"")
    with pytest.raises(StorageError, match="not of this torrent"):
        start(folder(), tmp_path).check()
    assert (root / "album" / "something else").exists()


def test_foreign_data_under_the_part_name_is_refused_and_untouched(tmp_path: Path) -> None:
    root = downloads(tmp_path)
    (root / "movie.bin.part").write_bytes(FOREIGN)
    (root / "album.part" / "deep").mkdir(parents=True)
    (root / "album.part" / "deep" / "f4").write_bytes(FOREIGN[:100])
    before = tree(root)
    for sample in (one_file(), folder()):
        files = start(sample, tmp_path)
        with pytest.raises(StorageError, match="not of this torrent; move it away"):
            files.check()
        files.close()
    assert tree(root) == before


def test_a_part_without_data_is_taken(tmp_path: Path) -> None:
    sample = one_file()
    part = downloads(tmp_path) / "movie.bin.part"
    part.touch()
    os.truncate(part, sample.info.length)
    assert begin(sample, tmp_path).have == 0


def test_a_part_of_ours_is_gone_on_with_even_if_nothing_in_it_is_right(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, 0)
    files.close()
    files.root.write_bytes(FOREIGN)
    again = start(sample, tmp_path)
    assert again.check().have == 0
    sample.write(again, *range(10))
    sample.assert_at(again.finish())


def test_a_part_whose_state_is_lost_is_verified_and_used(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, 2, 5)
    files.close()
    other_state = TorrentFiles.for_download(sample.info, tmp_path / "downloads", tmp_path / "new")
    result = other_state.check()
    assert (result.have, result.hashed) == (0b100100, 10)


@pytest.mark.parametrize("suffix", ["", ".part"])
def test_longer_files_are_refused_and_not_shortened(suffix: str, tmp_path: Path) -> None:
    single, many = one_file(), folder()
    root = downloads(tmp_path)
    path = root / f"movie.bin{suffix}"
    path.write_bytes(single.data + b"more")
    many.put(root / f"album{suffix}")
    with (root / f"album{suffix}" / "deep" / "f1").open("ab") as file:
        file.write(b"not empty")
    before = tree(root)
    for sample in (single, many):
        files = start(sample, tmp_path)
        with pytest.raises(StorageError, match="more than the"):
            files.check()
        files.close()
    assert tree(root) == before


def test_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    root = downloads(tmp_path)
    for suffix in ("", ".part"):
        (root / f"movie.bin{suffix}").mkdir()
        (root / f"album{suffix}").write_bytes(FOREIGN)
        with pytest.raises(StorageError, match="is not a file"):
            start(one_file(), tmp_path)
        with pytest.raises(StorageError, match="is not a folder"):
            start(folder(), tmp_path)
        (root / f"movie.bin{suffix}").rmdir()
        (root / f"album{suffix}").unlink()


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    root = downloads(tmp_path)
    (root / "album.part" / "f0").mkdir(parents=True)
    with pytest.raises(StorageError, match="f0: is a folder where a file is wanted"):
        start(folder(), tmp_path).check()


def test_both_names_the_finished_one_right(tmp_path: Path) -> None:
    sample = one_file()
    root = downloads(tmp_path)
    sample.put(root / "movie.bin")
    (root / "movie.bin.part").write_bytes(FOREIGN)
    assert begin(sample, tmp_path).is_complete
    assert (root / "movie.bin.part").read_bytes() == FOREIGN


def test_both_names_the_finished_one_wrong(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, 1, 2)
    files.close()
    root = tmp_path / "downloads"
    for data in (FOREIGN, sample.data[:-1], b""):
        (root / "movie.bin").write_bytes(data)
        before = tree(root)
        again = start(sample, tmp_path)
        with pytest.raises(StorageError, match="move"):
            again.check()
        again.close()
        assert tree(root) == before
    (root / "movie.bin").unlink()
    assert start(sample, tmp_path).check().have == 0b110


def test_a_crash_in_the_middle_of_the_final_renaming_is_mended(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, *range(10))
    files.close()
    final = tmp_path / "downloads" / "movie.bin"
    final.hardlink_to(files.root)
    again = start(sample, tmp_path)
    # The second name changed the ctime, as whoever writes and sets the mtime back does.
    assert again.check().hashed == 10
    assert again.is_complete
    assert [path.name for path in final.parent.iterdir()] == ["movie.bin"]


def test_what_was_changed_after_a_crash_in_the_final_renaming_is_not_complete(
    tmp_path: Path,
) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, *range(10))
    files.close()
    final = tmp_path / "downloads" / "movie.bin"
    final.hardlink_to(files.root)
    status = final.stat()
    with final.open("r+b") as file:
        file.write(b"changed")
    os.utime(final, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = start(sample, tmp_path)
    assert again.check().have == sample.every & ~1
    assert not again.is_complete
    assert not final.exists()


@pytest.mark.parametrize("make", [one_file, folder])
def test_a_name_that_was_taken_meanwhile_is_not_overwritten(
    make: Callable[[], Sample], tmp_path: Path
) -> None:
    sample = make()
    files = begin(sample, tmp_path, *range(sample.info.piece_count))
    final = tmp_path / "downloads" / sample.info.name
    final.write_bytes(FOREIGN)
    with pytest.raises(StorageError, match="not overwritten; the data stays"):
        files.finish()
    assert final.read_bytes() == FOREIGN
    final.unlink()
    sample.assert_at(files.finish())


def test_a_file_that_appears_in_the_last_moment_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, *range(10))
    final = tmp_path / "downloads" / "movie.bin"
    final.write_bytes(FOREIGN)
    # As if it had come right after looking.
    monkeypatch.setattr(placement_module.os.path, "lexists", lambda _path: False)
    with pytest.raises(StorageError, match="not overwritten"):
        files.finish()
    assert final.read_bytes() == FOREIGN


def test_without_hard_links_a_taken_name_is_not_overwritten_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_args: object, **_options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(placement_module.os, "link", no_links)
    sample = one_file()
    files = begin(sample, tmp_path, *range(10))
    final = tmp_path / "downloads" / "movie.bin"
    final.write_bytes(FOREIGN)
    with pytest.raises(StorageError, match="not overwritten"):
        files.finish()
    final.unlink()
    sample.assert_at(files.finish())


def test_a_file_that_appears_in_the_part_folder_is_not_overwritten(tmp_path: Path) -> None:
    sample = folder()
    files = begin(sample, tmp_path)
    (files.root / "f0").write_bytes(FOREIGN)
    with pytest.raises(StorageError, match="f0: has appeared"):
        sample.write(files, 0)
    assert (files.root / "f0").read_bytes() == FOREIGN


def test_one_torrent_in_two_folders_and_two_in_one(tmp_path: Path) -> None:
    first, second = one_file(), one_file(name="other.bin", seed=9)
    a = begin(first, tmp_path, 0)
    b = begin(second, tmp_path, 1)
    c = TorrentFiles.for_download(first.info, tmp_path / "elsewhere", tmp_path / "state")
    c.check()
    first.write(c, 2)
    for files in (a, b, c):
        files.close()
    assert begin(first, tmp_path).have == 0b001
    assert begin(second, tmp_path).have == 0b010
    c = TorrentFiles.for_download(first.info, tmp_path / "elsewhere", tmp_path / "state")
    assert c.check().have == 0b100


def test_a_second_download_to_the_same_path_is_refused(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path)
    with pytest.raises(StorageError, match="another trio-swarm is downloading"):
        start(sample, tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "downloads")
    with pytest.raises(StorageError, match="another trio-swarm is downloading"):
        TorrentFiles.for_download(sample.info, tmp_path / "link", tmp_path / "state")
    files.close()
    start(sample, tmp_path).close()


def test_a_finished_download_may_be_asked_for_and_shared_again_at_once(tmp_path: Path) -> None:
    sample = one_file()
    files = begin(sample, tmp_path, *range(10))
    root = files.finish()
    second = begin(sample, tmp_path)
    assert second.is_complete
    share = TorrentFiles.for_share(sample.info, root, tmp_path / "state")
    assert (share.check().have, share.check().hashed) == (sample.every, 0)
    for each in (files, second, share):
        assert each.read(0, 0, 9) == sample.data[:9]


def test_a_very_long_name_leaves_room_for_the_suffix(tmp_path: Path) -> None:
    sample = one_file(name="ä" * 127)
    files = begin(sample, tmp_path, *range(10))
    assert files.root.name.endswith(".part")
    sample.assert_at(files.finish())


def test_a_missing_download_folder_is_made(tmp_path: Path) -> None:
    sample = one_file()
    files = TorrentFiles.for_download(sample.info, tmp_path / "a" / "b", tmp_path / "state")
    files.check()
    assert files.root.parent == tmp_path / "a" / "b"


def test_a_download_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "downloads").write_bytes(b"")
    with pytest.raises(StorageError, match="downloads"):
        start(one_file(), tmp_path)
