"""Data of a torrent is moved to another folder: one of the two places is whole at any moment."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from local_swarm import contents
from mounts import in_memory
from moved_data import CALLS, downloaded, killed_at, refusal_without_override, sample
from trio_swarm.errors import DiskFullError, StorageError
from trio_swarm.piece_sets import full_set
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage import moving
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.hashing import HashingStopped
from trio_swarm.storage.moving import move_data

# The child of a test only moves files; other threads of the worker are of no use to it.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(params=["the same file system", "another file system"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "the same file system":
        yield tmp_path / "new"
    else:
        with in_memory(tmp_path / "new", "size=64m") as other:
            yield other


def found_at(info: Info, folder: Path, tmp_path: Path) -> tuple[int, int, Path]:
    """Start the download again in a folder; return what is there, what was hashed, and where."""
    files = TorrentFiles.for_download(info, folder, tmp_path / "state")
    result = files.check()
    root = files.root
    files.close()
    return result.have, result.hashed, root


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("pieces", [None, 20])
def test_finished_and_unfinished_data_arrive_whole_and_need_no_hashing(
    tmp_path: Path,
    folder: Path,
    pieces: int | None,
    single: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    info, original = sample(tmp_path, single=single)
    root, have = downloaded(info, original, tmp_path, pieces)
    before = contents(root)
    moved = move_data(info, root, folder, tmp_path / "state")
    assert moved == folder / root.name
    assert contents(moved) == before
    assert not root.exists()
    assert found_at(info, folder, tmp_path) == (have, 0, moved)
    assert [each.name for each in folder.iterdir()] == [moved.name]


def test_a_share_is_moved_and_known_in_its_new_place(tmp_path: Path, folder: Path) -> None:
    info, original = sample(tmp_path)
    files = TorrentFiles.for_share(info, original, tmp_path / "state")
    files.check()
    files.close()
    before = contents(original)
    moved = move_data(info, original, folder, tmp_path / "state")
    assert contents(moved) == before
    files = TorrentFiles.for_share(info, moved, tmp_path / "state")
    assert files.check().hashed == 0
    assert files.have == full_set(info.piece_count)
    files.close()


def test_what_is_not_of_the_torrent_stays_where_it_is(tmp_path: Path, folder: Path) -> None:
    info, original = sample(tmp_path)
    root, have = downloaded(info, original, tmp_path)
    (root / "deep" / "mine.txt").write_text("a person's")
    (root / "other").mkdir()
    moved = move_data(info, root, folder, tmp_path / "state")
    assert contents(root) == {"deep/mine.txt": b"a person's"}
    assert (root / "other").is_dir()
    assert contents(moved) == contents(original)
    assert found_at(info, folder, tmp_path) == (have, 0, moved)


@pytest.mark.parametrize("taken", ["data", "data.part"])
def test_nothing_is_overwritten(tmp_path: Path, folder: Path, taken: str) -> None:
    info, original = sample(tmp_path)
    root, have = downloaded(info, original, tmp_path)
    folder.mkdir(exist_ok=True)
    (folder / taken).write_text("a person's")
    with pytest.raises(StorageError, match="exists already"):
        move_data(info, root, folder, tmp_path / "state")
    assert contents(root) == contents(original)
    assert (folder / taken).read_text() == "a person's"
    assert found_at(info, tmp_path / "old", tmp_path) == (have, 0, root)


def test_what_appears_in_the_last_moment_is_not_overwritten(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, original = sample(tmp_path, single=True)
    root, _ = downloaded(info, original, tmp_path)
    rename = moving.rename_to_free

    def appears_first(source: Path, target: Path, *, by_link: bool) -> None:
        target.write_text("a person's")
        rename(source, target, by_link=by_link)

    monkeypatch.setattr(moving, "rename_to_free", appears_first)
    with pytest.raises(StorageError, match="has appeared"):
        move_data(info, root, folder, tmp_path / "state")
    assert contents(root) == contents(original)
    assert (folder / "data").read_text() == "a person's"
    assert len(list(folder.iterdir())) == 1


def test_a_file_that_was_changed_before_is_hashed_in_its_new_place(
    tmp_path: Path, folder: Path
) -> None:
    info, original = sample(tmp_path)
    root, have = downloaded(info, original, tmp_path)
    with (root / "a").open("r+b") as file:
        file.write(b"other")
    moved = move_data(info, root, folder, tmp_path / "state")
    found, hashed, where = found_at(info, folder, tmp_path)
    assert (found, where) == (have & ~1, moved.with_name("data.part"))
    assert hashed >= 30


def test_moving_to_where_it_is_does_nothing_and_into_itself_is_refused(tmp_path: Path) -> None:
    info, original = sample(tmp_path)
    root, _ = downloaded(info, original, tmp_path)
    assert move_data(info, root, tmp_path / "old", tmp_path / "state") == root
    for inside in (root, root / "deep"):
        with pytest.raises(StorageError, match="inside the folder"):
            move_data(info, root, inside, tmp_path / "state")
    assert contents(root) == contents(original)


def test_a_disk_that_is_full_and_a_stop_leave_everything_as_it_was(
    tmp_path: Path,
) -> None:
    info, original = sample(tmp_path)
    root, have = downloaded(info, original, tmp_path)
    with in_memory(tmp_path / "small", "size=512k") as small:
        with pytest.raises(DiskFullError):
            move_data(info, root, small, tmp_path / "state")
        assert list(small.iterdir()) == []
    with in_memory(tmp_path / "large", "size=8m") as large:
        with pytest.raises(HashingStopped):
            move_data(info, root, large, tmp_path / "state", should_stop=lambda: True)
        assert list(large.iterdir()) == []
    assert found_at(info, tmp_path / "old", tmp_path) == (have, 0, root)
    assert contents(root) == contents(original)


@pytest.mark.parametrize("closed", ["old", "new"])
def test_a_folder_that_cannot_be_written_to_is_named(
    tmp_path: Path, folder: Path, closed: str
) -> None:
    info, original = sample(tmp_path, single=True)
    root, _ = downloaded(info, original, tmp_path)
    folder.mkdir(exist_ok=True)
    (tmp_path / closed).chmod(0o555)
    is_copied = folder.stat().st_dev != tmp_path.stat().st_dev
    told = refusal_without_override(lambda: move_data(info, root, folder, tmp_path / "state"))
    assert contents(root) == contents(original)
    if closed == "old" and is_copied:  # it is there; a warning tells what was left
        assert told == ""
        assert contents(folder / root.name) == contents(original)
    else:
        assert told == f"{folder if closed == 'new' else root}: permission denied"
        assert list(folder.iterdir()) == []


def test_holes_stay_holes(tmp_path: Path, folder: Path) -> None:
    info, original = sample(tmp_path, single=True)
    root, _ = downloaded(info, original, tmp_path, 2)
    before = root.stat()
    moved = move_data(info, root, folder, tmp_path / "state").stat()
    assert moved.st_size == before.st_size == 1_000_000
    assert moved.st_blocks * 512 <= 200_000
    assert moved.st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("has_others", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_killed_at_any_call_it_leaves_one_place_whole_and_the_next_try_succeeds(
    tmp_path: Path,
    folder: Path,
    call: str,
    has_others: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    info, original = sample(tmp_path)
    whole = contents(original)
    root, _ = downloaded(info, original, tmp_path)
    if has_others:
        (root / "mine").write_text("a person's")
    for number in range(1, 40):
        was_killed = killed_at(
            call, number, lambda: move_data(info, root, folder, tmp_path / "state")
        )
        places = [place for place in (root, folder / "data") if place.exists()]
        assert any(whole.items() <= contents(place).items() for place in places)
        if not was_killed:
            break
        if (folder / "data").exists():  # the rest of it is for a person: begin anew
            if not whole.items() <= contents(root).items():
                return
            shutil.rmtree(folder / "data")
    assert whole.items() <= contents(folder / "data").items()
    assert [each.name for each in folder.iterdir()] == ["data"]


@pytest.mark.parametrize("call", CALLS)
def test_killed_at_any_call_it_goes_on_and_leaves_nothing_behind(
    tmp_path: Path, folder: Path, call: str
) -> None:
    info, original = sample(tmp_path)
    whole = contents(original)
    for number in range(1, 40):
        root, have = downloaded(info, original, tmp_path)
        move = partial(move_data, info, root, folder, tmp_path / "state")
        was_killed = killed_at(call, number, move)
        if root.exists():
            assert move_data(info, root, folder, tmp_path / "state", is_begun=True)
        assert contents(folder / "data") == whole
        assert not root.exists()
        assert found_at(info, folder, tmp_path)[0] == have
        assert [each.name for each in folder.iterdir()] == ["data"]
        if not was_killed:
            break
        shutil.rmtree(folder / "data")


def test_what_is_there_is_taken_for_its_own_only_by_a_move_that_goes_on(
    tmp_path: Path, folder: Path
) -> None:
    info, original = sample(tmp_path)
    root, have = downloaded(info, original, tmp_path)
    there = shutil.copytree(root, folder / "data")
    with pytest.raises(StorageError, match="exists already"):
        move_data(info, root, folder, tmp_path / "state")
    (there / "deep" / "b").write_bytes(b"another one's")
    with pytest.raises(StorageError, match="exists already"):
        move_data(info, root, folder, tmp_path / "state", is_begun=True)
    assert contents(root) == contents(original)
    shutil.copy2(root / "deep" / "b", there / "deep" / "b")
    assert move_data(info, root, folder, tmp_path / "state", is_begun=True) == there
    assert not root.exists()
    assert found_at(info, folder, tmp_path) == (have, 0, there)


def test_a_copy_for_which_there_is_no_room_is_not_begun(tmp_path: Path) -> None:
    info, original = sample(tmp_path)
    root, _ = downloaded(info, original, tmp_path)
    assert moving.bytes_to_copy(info, root, tmp_path / "new" / "deep") == 0
    with in_memory(tmp_path / "small", "size=512k") as small:
        assert moving.bytes_to_copy(info, root, small / "new") >= 800_000
        with pytest.raises(DiskFullError, match=r"free, and .* are to be copied"):
            move_data(info, root, small, tmp_path / "state", should_stop=lambda: True)
