"""Torrents of both versions made here are those that libtorrent makes of the same files."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm import create_torrent
from trio_swarm.errors import MetainfoError, StorageError
from trio_swarm.identities import TorrentVersion
from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo, build_info, parse_metainfo
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.resume.journal import stamp_of
from trio_swarm.storage.shares import LeftOut, hash_share, remember_download

lt = pytest.importorskip("libtorrent")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MIB = 2**20
FLAGS = {"v1": lt.create_torrent.v1_only, "hybrid": 0, "v2": lt.create_torrent.v2_only}
# libtorrent orders version 1 by whole paths, so `a/` beside `a-b` makes a hybrid it cannot read.
TREE = {
    "a/deep/one": 1,
    "a/empty": 0,
    "block": 16_384,
    "larger": 3 * MIB + 5,
    "piece": 65_536,
    "piece and one": 65_537,
    "z": 40_000,
    "ä": 70_000,
    **{f"many/{number:02}": number for number in range(12)},
}


def make(folder: Path, files: dict[str, int]) -> Path:
    for name, size in files.items():
        path = folder / "share" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    return folder / "share"


def theirs(path: Path, version: str, piece_length: int) -> Info:
    maker = lt.create_torrent(lt.list_files(str(path)), piece_length, FLAGS[version])
    lt.set_piece_hashes(maker, str(path.parent))
    return parse_metainfo(lt.bencode(maker.generate())).info


# In one of version 1 libtorrent lists files in the order in which the file system gives them.
@pytest.mark.parametrize("version", ["hybrid", "v2"])
@pytest.mark.parametrize("piece_length", [16_384, 65_536, 2 * MIB])
def test_a_folder_has_the_info_hashes_that_libtorrent_gives_it(
    tmp_path: Path, version: TorrentVersion, piece_length: int
) -> None:
    path = make(tmp_path, TREE)
    made = create_torrent(
        path, version=version, piece_length=piece_length, state_folder=tmp_path / "state"
    )
    assert made.info == theirs(path, version, piece_length)
    assert parse_metainfo(made.to_bytes()) == made
    lt.load_torrent_buffer(made.to_bytes())


@pytest.mark.parametrize("version", ["v1", "hybrid", "v2"])
@pytest.mark.parametrize(
    "files",
    [
        {"only": 100_000},
        {"deep/only": 100_000},
        {"a": 5, "nothing": 0},
        {"nothing": 0, "z": 5},
        {"a": 5, "aligned": 65_536},
        {"a": 100_000, "b": 0, "c": 0},
    ],
    ids=str,
)
def test_padding_ends_where_libtorrent_ends_it(
    tmp_path: Path, version: TorrentVersion, files: dict[str, int]
) -> None:
    path = make(tmp_path, files)
    made = create_torrent(path, version=version, piece_length=65_536, state_folder=tmp_path / "s")
    of_theirs = theirs(path, version, 65_536)
    if version == "v2" and list(files) == ["only"]:
        # All readers take it for the file alone; the folder's name is in `name` there.
        assert (made.info.files, made.info.name) == (of_theirs.files, of_theirs.name)
        assert made.info.is_single_file
    elif version == "v1":
        # It lists files in the order in which the file system gives them.
        assert sorted(file.path for file in made.info.files) == sorted(
            file.path for file in of_theirs.files
        )
    else:
        assert made.info == of_theirs
    lt.load_torrent_buffer(made.to_bytes())


@pytest.mark.parametrize("version", ["hybrid", "v2"])
def test_names_whose_order_differs_by_components_make_what_libtorrent_reads(
    tmp_path: Path, version: TorrentVersion
) -> None:
    path = make(tmp_path, {"a-b": 70_000, "a/z": 5, "a.c": 0, "a/b/c": 9, "a/b-c": 20_000})
    made = create_torrent(path, version=version, piece_length=16_384, state_folder=tmp_path / "s")
    read = lt.load_torrent_buffer(made.to_bytes()).ti
    names = [read.files().file_path(i) for i in range(read.num_files())]
    wanted = ["share/" + "/".join(file.path) for file in made.info.files]
    assert names[: len(wanted)] == wanted
    assert read.info_hashes().v2.to_bytes() == made.info.v2_hash
    if version == "hybrid":
        # libtorrent 2.1.1 makes a hybrid of them that it refuses to read itself.
        with pytest.raises(MetainfoError, match="version 1 and version 2 differ"):
            theirs(path, version, 16_384)


@pytest.mark.parametrize("version", ["v1", "hybrid", "v2"])
def test_what_was_hashed_is_shared_without_hashing(tmp_path: Path, version: TorrentVersion) -> None:
    path = make(tmp_path, TREE)
    info = hash_share(path, version=version, state_folder=tmp_path / "state")
    files = TorrentFiles.for_share(info, path, tmp_path / "state")
    try:
        assert files.check().hashed == 0
        assert files.is_complete
    finally:
        files.close()


@pytest.mark.parametrize("version", ["v1", "hybrid", "v2"])
@pytest.mark.parametrize("size", [0, 5, 16_384, 65_536, 3 * MIB + 5])
def test_a_file_has_the_info_hashes_that_libtorrent_gives_it(
    tmp_path: Path, version: TorrentVersion, size: int
) -> None:
    path = make(tmp_path, {"x": size}) / "x"
    if not size:
        with pytest.raises(RuntimeError):
            theirs(path, version, 65_536)
        return
    made = create_torrent(path, version=version, piece_length=65_536, state_folder=tmp_path / "s")
    assert made.info == theirs(path, version, 65_536)


@pytest.mark.parametrize("version", ["v1", "hybrid", "v2"])
def test_a_file_that_changes_while_it_is_hashed_is_hashed_again(
    tmp_path: Path, version: TorrentVersion
) -> None:
    path = make(tmp_path, {"a": 5, "b": 5, "c": 100_000, "d": 5})
    is_changed: list[bool] = []

    def meddle(_done: int, _total: int) -> None:
        if not is_changed:
            is_changed.append(True)
            (path / "c").write_bytes(os.urandom(100_000))

    info = hash_share(path, version=version, state_folder=tmp_path / "s", on_progress=meddle)
    assert info == hash_share(path, version=version, state_folder=tmp_path / "other")


@pytest.mark.parametrize("version", ["hybrid", "v2"])
def test_files_that_were_hashed_before_are_not_hashed_again(
    tmp_path: Path, version: TorrentVersion
) -> None:
    path = make(tmp_path, TREE)
    state = tmp_path / "state"
    first = hash_share(path, version=version, state_folder=state)
    calls: list[int] = []
    again = hash_share(
        path,
        version=version,
        state_folder=state,
        on_progress=lambda done, _total: calls.append(done),
    )
    assert again == first
    assert not calls
    assert hash_share(path, state_folder=state).has_v2 is False


def test_a_source_makes_another_torrent_of_the_same_files(tmp_path: Path) -> None:
    path = make(tmp_path, {"x": 100_000})
    plain = hash_share(path, state_folder=tmp_path / "state")
    other = hash_share(path, source="S", state_folder=tmp_path / "state")
    assert other.info_hash != plain.info_hash
    assert other.piece_hashes == plain.piece_hashes
    assert hash_share(path, state_folder=tmp_path / "state") == plain
    assert hash_share(path, source="S", state_folder=tmp_path / "state") == other


def test_a_download_with_a_source_is_not_taken_for_the_share_without_one(tmp_path: Path) -> None:
    path = make(tmp_path, {"x": 100_000})
    downloaded = hash_share(path, source="S", state_folder=tmp_path / "other")
    stamps = {0: stamp_of((path / "x").stat())}
    remember_download(downloaded, path, tmp_path / "state", stamps)
    shared = hash_share(path, state_folder=tmp_path / "state")
    assert shared == hash_share(path, state_folder=tmp_path / "third")
    assert shared.info_hash != downloaded.info_hash


@pytest.mark.parametrize("version", ["v1", "hybrid", "v2"])
def test_a_download_of_any_version_leaves_the_share_of_its_files_as_it_was(
    tmp_path: Path, version: TorrentVersion
) -> None:
    path = make(tmp_path, {"x": 131_072}) / "x"
    downloaded = hash_share(
        path, version=version, private=True, piece_length=65_536, state_folder=tmp_path / "other"
    )
    remember_download(downloaded, path, tmp_path / "state", {0: stamp_of(path.stat())})
    shared = hash_share(path, piece_length=65_536, state_folder=tmp_path / "state")
    assert shared == hash_share(path, piece_length=65_536, state_folder=tmp_path / "third")


def test_what_is_excluded_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    path = make(tmp_path, {"a": 9, "b.tmp": 5, "cache/x": 5, "docs/a": 7, "docs/cache": 3})
    (path / "link.tmp").symlink_to("a")
    (tmp_path / "bare" / "share" / "docs").mkdir(parents=True)
    for name in ("a", "docs/a"):
        (tmp_path / "bare" / "share" / name).write_bytes((path / name).read_bytes())
    left_out: list[LeftOut] = []
    made = create_torrent(
        path,
        exclude=["*.tmp", "cache"],
        state_folder=tmp_path / "state",
        on_left_out=left_out.append,
    )
    assert made.info == hash_share(tmp_path / "bare" / "share", state_folder=tmp_path / "state")
    assert not left_out
    with pytest.raises(StorageError, match="no files to share"):
        create_torrent(path, exclude=["*"], state_folder=tmp_path / "state")


def test_leaving_files_out_forgets_nothing_of_the_whole_folder(tmp_path: Path) -> None:
    path = make(tmp_path, {"a": 9, "b": 5})
    state = tmp_path / "state"
    calls: list[int] = []

    def hashed(**options: Any) -> int:
        calls.clear()
        hash_share(
            path, state_folder=state, on_progress=lambda done, _: calls.append(done), **options
        )
        return len(calls)

    assert hashed()
    assert hashed(exclude=["b"])
    assert not hashed()
    assert not hashed(exclude=["b"])


NAMES = st.text(st.sampled_from("aAb-./ \u00e9\U0001f600"), min_size=1, max_size=3).filter(
    lambda name: "/" not in name and name.strip(".") == name
)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    st.integers(0, 70_000),
    min_size=2,
    max_size=8,
).filter(lambda tree: any(tree.values()) and not has_file_as_folder(tree))


def has_file_as_folder(tree: Iterable[tuple[str, ...]]) -> bool:
    paths = set(tree)
    return any(path[:depth] in paths for path in paths for depth in range(1, len(path)))


@given(TREES, st.sampled_from([16_384, 65_536]))
def test_a_hybrid_of_any_folder_is_laid_out_as_libtorrent_reads_it(
    tree: dict[tuple[str, ...], int], piece_length: int
) -> None:
    files = sorted(tree.items(), key=lambda item: [name.encode() for name in item[0]])
    roots = [bytes([number]) * 32 if size else b"" for number, (_, size) in enumerate(files, 1)]
    count = sum(-(-size // piece_length) for size in tree.values())
    info = build_info(
        name="share",
        piece_length=piece_length,
        piece_hashes=bytes(20 * count),
        files=files,
        length=None,
        roots=roots,
    )
    kept = [file for file in info.files if not file.padding]
    assert [(file.path, file.length) for file in kept] == files
    assert all(file.offset % piece_length == 0 for file in kept if file.length)
    assert info.size == sum(tree.values())
    read = lt.torrent_info(lt.bdecode(Metainfo(info).to_bytes())).files()
    found = [(read.file_size(i), read.file_offset(i)) for i in range(read.num_files())]
    assert found == [(file.length, file.offset) for file in info.files]


def test_identical_files_have_one_root(tmp_path: Path) -> None:
    path = make(tmp_path, {"a": 100_000})
    (path / "b").write_bytes((path / "a").read_bytes())
    info = hash_share(path, version="v2", piece_length=16_384, state_folder=tmp_path / "state")
    first, second = (file for file in info.files if not file.padding)
    assert first.root == second.root
    assert len(info.layers()) == 1
    assert info.piece_count == 2 * 7
    assert info.v2_piece_hash(0) == info.v2_piece_hash(7)
    assert merkle.file_root(info.layers()[first.root]) == first.root


def test_a_wrong_piece_length_of_version_2_is_told_before_anything_is_hashed(
    tmp_path: Path,
) -> None:
    path = make(tmp_path, {"a": 100_000})
    with pytest.raises(Exception, match="needs a power of two"):
        hash_share(path, version="v2", piece_length=20_000, state_folder=tmp_path / "state")
