"""Shares that are known or small are opened at once, as what hashing makes of them."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import FileChangedError, StorageError
from trio_swarm.piece_sets import full_set
from trio_swarm.storage import share_opening
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.share_hashes import ShareHashes
from trio_swarm.storage.share_opening import FEW, SMALL, open_share
from trio_swarm.storage.shares import LeftOut, hash_share
from trio_swarm.storage.state import StateFolder


def opened(
    path: Path, state: Path, *, name: str | None = None, piece_length: int | None = None
) -> TorrentFiles | None:
    hashes = ShareHashes(StateFolder(state))
    files = open_share(path, name=name, piece_length=piece_length, hashes=hashes)
    hashes.save()
    return files


NAMES = st.text("abcé ", min_size=1, max_size=5).filter(lambda name: name.strip() == name)


@given(
    files=st.dictionaries(
        st.tuples(NAMES) | st.tuples(st.just("folder"), NAMES), st.binary(max_size=5000), min_size=1
    ),
    piece_length=st.sampled_from([None, 1024, 3000]),
)
def test_it_is_the_torrent_that_hashing_makes_and_every_byte_is_served(
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[tuple[str, ...], bytes],
    piece_length: int | None,
) -> None:
    tmp_path = tmp_path_factory.mktemp("share")
    for path, data in files.items():
        if path == ("folder",):
            continue
        place = tmp_path.joinpath("root", *path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    root = tmp_path / "root"
    if not root.exists():
        return
    hashed = hash_share(root, piece_length=piece_length, state_folder=tmp_path / "a")
    for _ in range(2):  # the second time it is known
        share = opened(root, tmp_path / "b", piece_length=piece_length)
        assert share is not None
        assert share.info == hashed
        assert share.is_complete
        assert share.have == full_set(hashed.piece_count)
        content = b"".join(root.joinpath(*entry.path).read_bytes() for entry in hashed.files)
        for piece in range(hashed.piece_count):
            begin, size = piece * hashed.piece_length, hashed.piece_size(piece)
            assert share.read(piece, 0, size) == content[begin : begin + size]
        share.close()


def test_what_is_large_is_left_to_hashing_until_it_is_known(tmp_path: Path) -> None:
    large, many = tmp_path / "large", tmp_path / "many"
    large.write_bytes(random.Random(1).randbytes(SMALL + 1))
    many.mkdir()
    for number in range(FEW + 1):
        (many / str(number)).write_bytes(b"x")
    for path in (large, many):
        assert opened(path, tmp_path / "state") is None
        info = hash_share(path, state_folder=tmp_path / "state")
        share = opened(path, tmp_path / "state")
        assert share is not None
        assert share.info == info


@pytest.mark.parametrize("known", [False, True])
def test_a_file_that_changed_since_is_not_served(tmp_path: Path, *, known: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    if known:
        opened(path, tmp_path / "state")
    share = opened(path, tmp_path / "state")
    assert share is not None
    path.write_bytes(b"DATA")
    with pytest.raises(FileChangedError):
        share.slices(0, 0, 4)
    assert share.verify_again().lost == 1
    assert share.have == 0
    share.close()


def test_a_file_that_changes_meanwhile_is_left_to_hashing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    read = share_opening._read

    def meddle(descriptor: int, most: int) -> bytes:
        path.write_bytes(b"DATA, and more")
        return read(descriptor, most)

    monkeypatch.setattr(share_opening, "_read", meddle)
    assert opened(path, tmp_path / "state") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_left_to_hashing_which_says_why(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"data")
    path.chmod(0)
    assert opened(path, tmp_path / "state") is None


def test_what_cannot_be_shared_is_an_error_as_with_hashing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"data")
    for path, name in ((tmp_path / "none", None), (tmp_path / "empty", None)):
        with pytest.raises(StorageError):
            opened(path, tmp_path / "state", name=name)
    with pytest.raises(StorageError, match="piece length"):
        opened(tmp_path / "file", tmp_path / "state", piece_length=5)
    with pytest.raises(StorageError, match="cannot be shared"):
        opened(tmp_path / "file", tmp_path / "state", name="..")


def test_links_are_left_out_and_counted(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(b"data")
    (root / "link").symlink_to("file")
    told: list[LeftOut] = []
    hashes = ShareHashes(StateFolder(tmp_path / "state"))
    share = open_share(root, name=None, piece_length=None, hashes=hashes, on_left_out=told.append)
    assert share is not None
    assert [entry.path for entry in share.info.files] == [("file",)]
    assert told == [LeftOut(links=1)]


def test_without_a_state_folder_it_is_opened_and_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "state").write_bytes(b"no folder")
    told: list[StorageError] = []
    share = open_share(
        tmp_path / "file",
        name=None,
        piece_length=None,
        hashes=ShareHashes(StateFolder(tmp_path / "state")),
        on_state_problem=told.append,
    )
    assert share is not None
    assert share.is_complete
    assert len(told) == 1
