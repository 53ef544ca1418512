"""Torrents of both versions made here are those that libtorrent makes of the same files."""

import os
from pathlib import Path

import pytest

from trio_swarm import create_torrent
from trio_swarm.identities import TorrentVersion
from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.torrent import Info, parse_metainfo
from trio_swarm.storage.resume.journal import stamp_of
from trio_swarm.storage.shares import hash_share, remember_download

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
