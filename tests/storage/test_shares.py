"""Sharing: what a file or folder becomes as a torrent, and when it is hashed."""

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_samples import (
    PIECE,
    Sample,
    begin,
    close_all,  # noqa: F401 - an autouse fixture
    folder,
    hash_all,
    one_file,
)
from trio_swarm.errors import MetainfoError, StorageError
from trio_swarm.protocol.metainfo.torrent import choose_piece_length, parse_metainfo
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.hashing import HashingStopped
from trio_swarm.storage.shares import create_metainfo, hash_share


class Watch:
    """Counts the bytes that were hashed."""

    def __init__(self) -> None:
        self.hashed = 0

    def __call__(self, done: int, _total: int) -> None:
        self.hashed = done


def put_folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name, size in (("b/2", 5), ("a.txt", 20_000), (".hidden", 3), ("b/1", 40_000), ("é", 0)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashlib.sha1(name.encode()).digest() * (size // 20) + b"x" * (size % 20))
    return root


def share(path: Path, tmp_path: Path, **options: object) -> tuple[bytes, int]:
    watch = Watch()
    info = hash_share(
        path,
        state_folder=tmp_path / "state",
        on_progress=watch,
        **options,  # type: ignore[arg-type]
    )
    return info.info_hash, watch.hashed


def test_a_file_becomes_a_torrent_of_its_name(tmp_path: Path) -> None:
    sample = one_file(name="movie.bin")
    sample.put(tmp_path / "movie.bin")
    info = hash_share(tmp_path / "movie.bin", piece_length=PIECE, state_folder=tmp_path / "state")
    assert info == sample.info
    automatic = hash_share(tmp_path / "movie.bin", state_folder=tmp_path / "state")
    assert automatic.piece_length == choose_piece_length(len(sample.data))


def test_a_folder_lists_all_regular_files_sorted(tmp_path: Path) -> None:
    root = put_folder(tmp_path)
    (root / "link").symlink_to(root / "a.txt")
    (root / "outside").symlink_to("/etc")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
        info = hash_share(root, piece_length=PIECE, state_folder=tmp_path / "state")
    assert [entry.path for entry in info.files] == [
        (".hidden",),
        ("a.txt",),
        ("b", "1"),
        ("b", "2"),
        ("é",),
    ]
    data = b"".join(root.joinpath(*entry.path).read_bytes() for entry in info.files)
    assert info.piece_hashes == hash_all(data)
    assert info.name == "photos"


def test_names_and_links_to_the_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = put_folder(tmp_path)
    state = tmp_path / "state"
    assert hash_share(root, name="holiday", state_folder=state).name == "holiday"
    (tmp_path / "link").symlink_to(root)
    assert hash_share(tmp_path / "link", state_folder=state).name == "link"
    monkeypatch.chdir(root)
    assert hash_share(Path(), state_folder=state).name == "photos"
    assert hash_share(Path("b"), state_folder=state).name == "b"
    with pytest.raises(StorageError, match="cannot be shared"):
        hash_share(root, name="../up", state_folder=state)


@pytest.mark.parametrize("make", [put_folder, lambda tmp_path: put_folder(tmp_path) / "a.txt"])
def test_unchanged_data_is_hashed_once(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    first, hashed = share(path, tmp_path)
    assert hashed
    assert share(path, tmp_path) == (first, 0)
    info = hash_share(path, state_folder=tmp_path / "state")
    files = TorrentFiles.for_share(info, path, tmp_path / "state")
    result = files.check()
    assert (result.have.bit_count(), result.hashed) == (info.piece_count, 0)
    assert files.is_complete
    # Another name, length or privacy is another torrent.
    assert share(path, tmp_path, name="other")[1]
    assert share(path, tmp_path, piece_length=32768)[1]
    assert share(path, tmp_path, private=True)[1]


def change(path: Path) -> None:
    path.write_bytes(b"y" * path.stat().st_size)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 0))


def swap_keeping_size_and_time(path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"z" * status.st_size)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def add(path: Path) -> None:
    (path.parent / "new").write_bytes(b"1")


def rename(path: Path) -> None:
    path.rename(path.with_name("renamed"))


@pytest.mark.parametrize("alter", [change, touch, swap_keeping_size_and_time, add, rename])
def test_changed_data_is_hashed_again(alter: Callable[[Path], None], tmp_path: Path) -> None:
    root = put_folder(tmp_path)
    first, _ = share(root, tmp_path)
    alter(root / "b" / "1")
    second, hashed = share(root, tmp_path)
    assert hashed
    assert (second == first) == (alter is touch)


@given(st.binary())
def test_remembered_hashes_that_are_damaged_are_not_believed(
    tmp_path_factory: pytest.TempPathFactory, rubbish: bytes
) -> None:
    tmp_path = tmp_path_factory.mktemp("remembered")
    (tmp_path / "file").write_bytes(b"data")
    first, _ = share(tmp_path / "file", tmp_path)
    (remembered,) = (tmp_path / "state" / "hashes").iterdir()
    remembered.write_bytes(remembered.read_bytes()[:40] + rubbish)
    assert share(tmp_path / "file", tmp_path) == (first, 4)
    remembered.write_bytes(rubbish)
    assert share(tmp_path / "file", tmp_path) == (first, 4)


def test_a_file_that_changes_while_it_is_hashed_is_an_error(tmp_path: Path) -> None:
    sample = one_file(1000)
    path = tmp_path / "movie.bin"
    sample.put(path)

    def meddle(_done: int, _total: int) -> None:
        path.write_bytes(sample.data[:-1] + b"!")

    with pytest.raises(StorageError, match="changed while it was hashed"):
        hash_share(path, state_folder=tmp_path / "state", on_progress=meddle)


def test_hashing_of_a_share_stops_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "movie.bin"
    one_file(1000).put(path)
    with pytest.raises(HashingStopped):
        hash_share(path, state_folder=tmp_path / "state", should_stop=lambda: True)


def test_what_cannot_be_shared_is_a_clear_error(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with pytest.raises(StorageError, match="does not exist"):
        hash_share(tmp_path / "missing", state_folder=state)
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    (tmp_path / "empty" / "link").symlink_to("/etc/passwd")
    with pytest.raises(StorageError, match="holds no files"):
        hash_share(tmp_path / "empty", state_folder=state)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(StorageError, match="neither a file nor a folder"):
        hash_share(tmp_path / "fifo", state_folder=state)
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(StorageError, match="piece length 5"):
        hash_share(tmp_path / "file", piece_length=5, state_folder=state)


def test_a_name_that_is_not_utf8_is_a_clear_error(tmp_path: Path) -> None:
    """BEP 3: text in a torrent is UTF-8."""
    root = tmp_path / "photos"
    root.mkdir()
    Path(os.fsdecode(os.fsencode(root) + b"/not utf-8 \xff")).write_bytes(b"1")
    with pytest.raises(StorageError, match=r"cannot be shared .* rename it") as caught:
        hash_share(root, state_folder=tmp_path / "state")
    str(caught.value).encode()


def test_names_that_only_look_odd_are_shared_as_they_are(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    for name in ("a:b", "dot.", "CON", "Case", "case", "ß…", "a\\b", "a\nb", "C:", "..\\up"):
        (root / name).write_bytes(name.encode())
    info = hash_share(root, state_folder=tmp_path / "state")
    files = TorrentFiles.for_share(info, root, tmp_path / "state")
    assert files.check().hashed == 0
    assert files.read(0, 0, info.length) == b"".join(
        (root / entry.path[0]).read_bytes() for entry in info.files
    )


def test_files_are_in_the_order_of_path_components(tmp_path: Path) -> None:
    """As in a file tree of BEP 52, whose dictionaries are sorted by the bytes of each name.

    libtorrent 2.1.1 refuses a hybrid torrent whose version 1 files are in another order.
    """
    for name in ("a-b", "a/z", "a.c", "B", "a/é", "a/z-1"):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    info = hash_share(tmp_path / "folder", state_folder=tmp_path / "state")
    names = ["/".join(file.path) for file in info.files]
    assert names == ["B", "a/z", "a/z-1", "a/é", "a-b", "a.c"]
    assert info.piece_hash(0) == hashlib.sha1("".join(names).encode()).digest()


def test_an_empty_file_may_be_shared(tmp_path: Path) -> None:
    (tmp_path / "nothing").touch()
    info = hash_share(tmp_path / "nothing", state_folder=tmp_path / "state")
    files = TorrentFiles.for_share(info, tmp_path / "nothing", tmp_path / "state")
    assert files.check().have == 0
    assert files.is_complete


def test_a_metainfo_names_its_trackers(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    options = {"comment": "by me", "created_by": "a test", "creation_date": 5}
    made = create_metainfo(
        tmp_path / "file",
        trackers=["udp://a:1", "http://b/announce"],
        state_folder=tmp_path / "state",
        **options,  # type: ignore[arg-type]
    )
    assert made.announce_tiers == (("udp://a:1",), ("http://b/announce",))
    assert parse_metainfo(made.to_bytes()) == made
    with pytest.raises(MetainfoError):
        create_metainfo(
            tmp_path / "missing", trackers=["gopher://x"], state_folder=tmp_path / "state"
        )


@pytest.mark.parametrize("make", [one_file, folder])
def test_a_share_has_any_name_on_the_disk(make: Callable[[], Sample], tmp_path: Path) -> None:
    sample = make()
    root = tmp_path / "whatever it is called"
    sample.put(root)
    files = TorrentFiles.for_share(sample.info, root, tmp_path / "state")
    result = files.check()
    assert (result.have, result.hashed) == (sample.every, sample.info.piece_count)
    assert files.check().hashed == 0
    assert files.root == root
    assert files.read(1, 5, 100) == sample.piece(1)[5:105]
    with pytest.raises(StorageError, match="not open for writing"):
        sample.write(files, 0)
    files.close()


def test_several_nodes_may_share_the_same_files(tmp_path: Path) -> None:
    sample = one_file()
    sample.put(tmp_path / "movie")
    nodes = [
        TorrentFiles.for_share(sample.info, tmp_path / "movie", tmp_path / "state")
        for _ in range(3)
    ]
    for files in nodes:
        assert files.check().have == sample.every
    for files in nodes:
        assert files.read(3, 0, 7) == sample.piece(3)[:7]


def test_a_share_with_missing_and_changed_files_serves_the_rest(tmp_path: Path) -> None:
    sample = folder([PIECE * 2, PIECE * 2, PIECE * 2, PIECE * 2])
    root = tmp_path / "album"
    sample.put(root)
    (root / "f0").unlink()
    (root / "deep" / "f1").write_bytes(sample.file(1) + b"longer")
    change(root / "deep" / "deep" / "f2")
    files = TorrentFiles.for_share(sample.info, root, tmp_path / "state")
    assert files.check().have == 0b11000000
    assert not files.is_complete
    with pytest.raises(StorageError, match="does not exist"):
        files.slices(0, 0, 1)
    sample.put(root)
    assert files.check().have == sample.every


def test_a_share_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    one_file().put(tmp_path / "file")
    for sample, path in ((one_file(), tmp_path), (folder(), tmp_path / "file")):
        with pytest.raises(StorageError, match="as the torrent says"):
            TorrentFiles.for_share(sample.info, path, tmp_path / "state")
    with pytest.raises(StorageError, match="does not exist"):
        TorrentFiles.for_share(one_file().info, tmp_path / "missing", tmp_path / "state")


def test_a_finished_download_is_shared_without_hashing(tmp_path: Path) -> None:
    sample = folder()
    files = begin(sample, tmp_path, *range(sample.info.piece_count))
    root = files.finish()
    files.close()
    again = TorrentFiles.for_share(sample.info, root, tmp_path / "state")
    assert (again.check().hashed, again.have) == (0, sample.every)
