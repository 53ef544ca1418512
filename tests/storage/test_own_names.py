"""Files of a torrent get other names on the disk; the torrent stays the same."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm import contents, make_file
from moved_data import CALLS, downloaded, killed_at, sample
from trio_swarm.errors import ConfigError, StorageError
from trio_swarm.protocol.metainfo.info import parse_info
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.moving import move_data
from trio_swarm.storage.own_names import (
    checked_renaming,
    listed_path,
    own_name,
    path_below,
    with_another,
    with_own_names,
)
from trio_swarm.storage.renaming import rename_data
from trio_swarm.storage.shares import hash_share

# The child of a test only renames files; other threads of the worker are of no use to it.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

TOP = ("", "other")
INNER = ("deep/b", "c d.mkv")
FOLDER = ("deep", "shallow")


def _info() -> Info:
    with TemporaryDirectory() as folder:
        return sample(Path(folder))[0]


_INFO = _info()
"""`data`, with `a`, `deep/b` and `deep/empty`."""


def renamed(
    info: Info, tmp_path: Path, renaming: tuple[str, str], before: tuple[tuple[str, str], ...] = ()
) -> Path | None:
    """Rename what is in `old`; return where it is."""
    found = rename_data(
        info,
        before,
        renaming,
        folder=tmp_path / "old",
        incomplete=None,
        state_folder=tmp_path / "state",
    )
    return None if found is None else found[1]


def found_by(
    info: Info, tmp_path: Path, renamings: tuple[tuple[str, str], ...]
) -> tuple[int, int, Path]:
    """Start the download again; return what is there, what was hashed, and where it is."""
    folder, state = tmp_path / "old", tmp_path / "state"
    files = TorrentFiles.for_download(info, folder, state, renamings)
    result = files.check()
    root = files.root
    files.close()
    return result.have, result.hashed, root


def test_names_are_changed_one_after_the_other_and_nothing_else(tmp_path: Path) -> None:
    info, _ = sample(tmp_path)
    new = with_own_names(info, [TOP, FOLDER, ("shallow/b", "film")])
    assert new.name == own_name([TOP, FOLDER]) == "other"
    assert [each.path for each in new.files] == [("a",), ("shallow", "film"), ("shallow", "empty")]
    assert (new.raw, new.info_hash) == (info.raw, info.info_hash)
    assert [each.length for each in new.files] == [each.length for each in info.files]


def test_a_chain_of_names_is_one_renaming() -> None:
    chain = with_another((), ("deep/b", "c"))
    assert with_another(chain, ("deep/c", "d")) == (("deep/b", "d"),)
    assert with_another(chain, ("deep/c", "b")) == ()
    assert with_another(chain, ("deep", "x")) == (("deep/b", "c"), ("deep", "x"))
    assert with_another((("", "x"),), ("", "y")) == (("", "y"),)


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8))
def test_a_chain_of_names_ends_as_each_of_them_alone(names: list[str]) -> None:
    info = with_own_names(_INFO, ())
    renamings: tuple[tuple[str, str], ...] = ()
    alone: list[tuple[str, str]] = []
    for name in names:
        now = with_own_names(info, renamings)
        path = now.files[1].path
        try:
            new = checked_renaming(now, renamings, path, name)
        except ConfigError:  # another file is called so
            continue
        if new is not None:
            renamings = with_another(renamings, new)
            alone.append(new)
    assert with_own_names(info, renamings) == with_own_names(info, alone)
    assert len(renamings) <= 1


HOSTILE = ["", ".", "..", "a/b", "../x", "/etc", "x\0y", "x\ny", "\x1b[2J", "\u202egpj", "\ud800"]
HOSTILE += ["x" * 256, "é" * 128]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", [(), ("deep", "b")])
def test_hostile_names_are_refused(path: tuple[str, ...], name: str) -> None:
    with pytest.raises(ConfigError, match="no name"):
        checked_renaming(_INFO, (), path, name)


@pytest.mark.parametrize("name", ["日本\u3000語.mkv", "a:b?", " x", "x.part", "-rf", "é" * 127])
def test_odd_names_that_linux_can_store_are_taken(name: str) -> None:
    assert checked_renaming(_INFO, (), ("deep", "b"), name) == ("deep/b", name)


@pytest.mark.parametrize(("old", "new"), [("one", "one.part"), ("one.part", "one")])
def test_a_torrent_does_not_get_the_name_of_an_unfinished_one(old: str, new: str) -> None:
    info = replace(_INFO, name=old)
    with pytest.raises(ConfigError, match=r"one\.part is what an unfinished one is called"):
        checked_renaming(info, (), (), new)
    assert checked_renaming(info, (), (), "two.part") == ("", "two.part")


def test_what_the_torrent_has_not_or_has_already_is_refused() -> None:
    for path in (("deep", "x"), ("deep", "b", "c"), ("x",), ("..", "x")):
        with pytest.raises(ConfigError, match="no file or folder"):
            checked_renaming(_INFO, (), path, "y")
    with pytest.raises(ConfigError, match="a file or folder deep/empty already"):
        checked_renaming(_INFO, (), ("deep", "b"), "empty")
    with pytest.raises(ConfigError, match="already"):
        checked_renaming(_INFO, (), ("deep",), "a")
    assert checked_renaming(_INFO, (), ("deep",), "deep") is None
    assert checked_renaming(_INFO, (), (), _INFO.name) is None
    with pytest.raises(ConfigError, match="too often"):
        checked_renaming(_INFO, [("a", "b")] * 4_000_000, ("deep",), "x")


def test_paths_begin_with_the_name_or_are_as_listed() -> None:
    # Transmission's rpc-spec, "Renaming a torrent's path": a path begins with the torrent's name.
    assert path_below(_INFO, "data/deep/b") == ("deep", "b")
    assert path_below(_INFO, "data") == path_below(_INFO, "data/") == ()
    with pytest.raises(ConfigError, match="begin with"):
        path_below(_INFO, "deep/b")
    assert listed_path(_INFO, "deep/b") == listed_path(_INFO, "data/deep/b") == ("deep", "b")
    assert listed_path(_INFO, "data") == ()
    with pytest.raises(ConfigError, match="no file or folder"):
        listed_path(_INFO, "other/b")


@pytest.mark.parametrize("renaming", [TOP, INNER, FOLDER])
@pytest.mark.parametrize("pieces", [None, 20])
def test_data_gets_the_name_and_its_state_goes_along(
    tmp_path: Path, renaming: tuple[str, str], pieces: int | None
) -> None:
    info, original = sample(tmp_path)
    root, have = downloaded(info, original, tmp_path, pieces)
    before = contents(root)
    where = renamed(info, tmp_path, renaming)
    assert where is not None
    new = with_own_names(info, [renaming])
    assert where.name == new.name + root.name.removeprefix("data")
    assert sorted(before.values()) == sorted(contents(where).values())
    assert {Path(*each.path) for each in new.files} >= set(map(Path, contents(where)))
    assert found_by(info, tmp_path, (renaming,)) == (have, 0, where)
    assert [each.name for each in (tmp_path / "old").iterdir()] == [where.name]


def test_a_single_file_gets_another_name(tmp_path: Path) -> None:
    info, original = sample(tmp_path, single=True)
    root, have = downloaded(info, original, tmp_path)
    assert renamed(info, tmp_path, TOP) == root.with_name("other")
    assert found_by(info, tmp_path, (TOP,)) == (have, 0, root.with_name("other"))


@pytest.mark.parametrize(
    ("renaming", "taken"),
    [(TOP, "other"), (TOP, "other.part"), (INNER, "data/deep/c d.mkv"), (FOLDER, "data/shallow")],
)
def test_nothing_is_overwritten(tmp_path: Path, renaming: tuple[str, str], taken: str) -> None:
    info, original = sample(tmp_path)
    root, have = downloaded(info, original, tmp_path)
    mine = make_file(tmp_path / "old" / taken, 7)
    before = contents(root)
    with pytest.raises(StorageError, match="exists already"):
        renamed(info, tmp_path, renaming)
    assert (contents(root), mine.stat().st_size) == (before, 7)
    assert found_by(info, tmp_path, ())[::2] == (have, root)


def test_what_is_not_there_or_not_its_own_is_left_alone(tmp_path: Path) -> None:
    info, _ = sample(tmp_path)
    assert renamed(info, tmp_path, TOP) is None
    mine = make_file(tmp_path / "old" / "data" / "a", 500_000, 7)
    with pytest.raises(StorageError, match="not known to be of this torrent"):
        renamed(info, tmp_path, INNER)
    mine.parent.rename(tmp_path / "old" / "other")
    with pytest.raises(StorageError, match="not known to be of this torrent"):
        renamed(info, tmp_path, TOP)
    assert [each.name for each in (tmp_path / "old").iterdir()] == ["other"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    info, original = sample(tmp_path)
    root, _ = downloaded(info, original, tmp_path)
    outside = make_file(tmp_path / "outside" / "b", 3)
    (root / "deep").rename(tmp_path / "elsewhere")
    (root / "deep").symlink_to(outside.parent)
    with pytest.raises(StorageError):
        renamed(info, tmp_path, INNER)
    assert contents(outside.parent) == {"b": outside.read_bytes()}


def test_a_share_of_what_was_renamed_is_a_torrent_of_these_names(tmp_path: Path) -> None:
    info, original = sample(tmp_path)
    everything = TorrentFiles.for_share(info, original, tmp_path / "s1")
    everything.check()
    state = tmp_path / "state"
    files = TorrentFiles.for_download(info, tmp_path / "old", state, (TOP, INNER))
    files.check()
    files.write_pieces(
        [
            (piece, everything.read(piece, 0, info.piece_size(piece)))  # type: ignore[arg-type]
            for piece in range(info.piece_count)
        ]
    )
    where = files.finish()
    files.close()
    everything.close()
    assert hash_share(where, piece_length=info.piece_length, state_folder=state).raw != info.raw
    moved = move_data(files.info, where, tmp_path / "new", state)
    shared = hash_share(moved, piece_length=info.piece_length, state_folder=state)
    assert parse_info(shared.raw).name == "other"


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("renaming", [TOP, INNER, FOLDER])
def test_killed_at_any_call_the_next_try_succeeds(
    tmp_path: Path,
    renaming: tuple[str, str],
    single: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    if single and renaming != TOP:
        return
    info, original = sample(tmp_path, single=single)
    before = contents(original)
    for call in CALLS:
        for number in range(1, 20):
            _, have = downloaded(info, original, tmp_path)
            was_killed = killed_at(call, number, lambda: renamed(info, tmp_path, renaming))
            where = renamed(info, tmp_path, renaming)
            assert where is not None
            assert sorted(contents(where).values()) == sorted(before.values())
            assert found_by(info, tmp_path, (renaming,))[::2] == (have, where)
            assert [each.name for each in (tmp_path / "old").iterdir()] == [where.name]
            where.rename(tmp_path / f"{call}-{number}")  # begin anew
            if not was_killed:
                break
