"""Our torrents as libtorrent reads them, libtorrent's as we read them, and magnets both ways."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo.magnet import Magnet, parse_magnet
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo, build_info, parse_metainfo

lt = pytest.importorskip("libtorrent")

# Its newer interfaces are missing in older versions of libtorrent.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TREE = {
    "empty": b"",
    "sub/one.bin": bytes(range(256)) * 130,
    "sub/deep/zwei ü.bin": b"2" * 40_000,
    "z": b"z",
}
TRACKERS = ["udp://a.example:1/announce?name=x", "http://b.example/announce"]


def files_of(info: Any) -> list[tuple[str, int, int, bool]]:
    files = info.files()
    return [
        (
            files.file_path(at).replace("\\", "/"),
            files.file_size(at),
            files.file_offset(at),
            bool(files.file_flags(at) & lt.file_storage.flag_pad_file),
        )
        for at in range(files.num_files())
    ]


def our_files(info: Info) -> list[tuple[str, int, int, bool]]:
    return [
        ("/".join((info.name, *entry.path)), entry.length, entry.offset, entry.padding)
        for entry in info.files
    ]


def hashes(content: bytes, piece_length: int) -> bytes:
    return b"".join(
        hashlib.sha1(content[at : at + piece_length]).digest()
        for at in range(0, len(content), piece_length)
    )


def assert_the_same(ours: Info, theirs: Any) -> None:
    assert ours.info_hash == theirs.info_hashes().v1.to_bytes()
    assert our_files(ours) == files_of(theirs)
    assert ours.length == theirs.total_size()
    assert ours.piece_length == theirs.piece_length()
    assert ours.piece_count == theirs.num_pieces()
    assert ours.private == theirs.priv()
    for piece in range(ours.piece_count):
        assert ours.piece_hash(piece) == theirs.hash_for_piece(piece)
        assert ours.padded_size(piece) == theirs.piece_size(piece)


@pytest.mark.parametrize("private", [False, True])
def test_libtorrent_reads_our_torrent_of_a_folder(private: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    content = b"".join(TREE.values())
    info = build_info(
        name="folder",
        piece_length=16384,
        piece_hashes=hashes(content, 16384),
        files=[(tuple(path.split("/")), len(data)) for path, data in TREE.items()],
        length=None,
        private=private,
    )
    made = Metainfo(info, comment="a comment", creation_date=1).with_trackers(TRACKERS)
    theirs = lt.torrent_info(lt.bdecode(made.to_bytes()))
    assert_the_same(info, theirs)
    assert [tracker.url for tracker in theirs.trackers()] == TRACKERS
    assert [tracker.tier for tracker in theirs.trackers()] == [0, 1]
    assert theirs.comment() == "a comment"


def test_libtorrent_reads_our_torrent_of_a_file() -> None:
    content = b"x" * 100_000
    info = build_info(
        name="f.bin",
        piece_length=32768,
        piece_hashes=hashes(content, 32768),
        files=None,
        length=len(content),
    )
    assert_the_same(info, lt.torrent_info(lt.bdecode(Metainfo(info).to_bytes())))


def create(folder: Path, flags: int) -> bytes:
    """Return the .torrent that libtorrent makes of TREE."""
    for path, data in TREE.items():
        target = folder / "folder" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    storage = lt.file_storage()
    for path, data in TREE.items():
        storage.add_file(f"folder/{path}", len(data))
    maker = lt.create_torrent(storage, 16384, flags)
    for tier, url in enumerate(TRACKERS):
        maker.add_tracker(url, tier)
    maker.add_url_seed("http://seed.example/x/")
    maker.set_comment("hello")
    lt.set_piece_hashes(maker, str(folder))
    data = lt.bencode(maker.generate())
    assert isinstance(data, bytes)
    return data


@pytest.mark.parametrize("mode", ["v1_only", "hybrid"])
def test_torrents_made_by_libtorrent_are_read(tmp_path: Path, mode: str) -> None:
    data = create(tmp_path, lt.create_torrent.v1_only if mode == "v1_only" else 0)
    read = parse_metainfo(data)
    assert_the_same(read.info, lt.torrent_info(lt.bdecode(data)))
    # Hybrids align their files with padding.
    assert any(entry.padding for entry in read.info.files) == (mode == "hybrid")
    theirs = lt.torrent_info(lt.bdecode(data))
    assert read.info.v2_hash == (theirs.info_hashes().v2.to_bytes() if mode == "hybrid" else None)
    assert read.info.length - read.info.padding == sum(map(len, TREE.values()))
    assert read.announce_tiers == tuple((url,) for url in TRACKERS)
    assert read.web_seeds == ("http://seed.example/x/",)
    assert read.comment == "hello"
    assert parse_metainfo(read.to_bytes()) == read


def test_a_version_2_torrent_made_by_libtorrent_is_read(tmp_path: Path) -> None:
    data = create(tmp_path, lt.create_torrent.v2_only)
    read = parse_metainfo(data)
    theirs = lt.torrent_info(lt.bdecode(data))
    assert read.info.info_hash == theirs.info_hashes().v2.to_bytes()[:20]
    assert read.info.v2_hash == theirs.info_hashes().v2.to_bytes()
    assert our_files(read.info) == files_of(theirs)
    assert read.info.piece_count == theirs.num_pieces()
    assert read.info.size == sum(map(len, TREE.values()))
    assert read.info.layers() == bencode.decode(data)[b"piece layers"]  # type: ignore[index, call-overload]
    for entry in read.info.files:
        content = b"" if entry.padding else TREE["/".join(entry.path)]
        for piece in read.info.pieces_of(entry) if content else ():
            begin = piece * 16384 - entry.offset
            part = content[begin : begin + 16384]
            assert len(part) == read.info.piece_size(piece)
            assert read.info.piece_hash(piece) == hashlib.sha256(part).digest()
    assert parse_metainfo(read.to_bytes()) == read


def test_the_one_file_of_version_2_has_its_name_in_the_tree(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 20_000)
    maker = lt.create_torrent(
        lt.list_files(str(tmp_path / "file")), 16384, lt.create_torrent.v2_only
    )
    lt.set_piece_hashes(maker, str(tmp_path))
    made = maker.generate()
    made[b"info"][b"name"] = b"another"
    read = parse_metainfo(lt.bencode(made)).info
    assert (read.name, read.is_single_file, read.files[0].path) == ("file", True, ())
    assert lt.torrent_info(made).files().file_path(0) == "file"


@pytest.mark.parametrize("mode", ["v1_only", "hybrid", "v2_only"])
def test_bencode_agrees_with_libtorrent(tmp_path: Path, mode: str) -> None:
    data = create(tmp_path, getattr(lt.create_torrent, mode, 0))
    value = bencode.decode(data)
    assert value == lt.bdecode(data)
    assert bencode.encode(value) == data


def test_magnets_are_understood_both_ways() -> None:
    ours = Magnet(
        bytes(range(20)), "näme & co", tuple(TRACKERS), (("1.2.3.4", 5), ("::1", 6)), None
    )
    theirs = lt.parse_magnet_uri(ours.to_uri())
    assert theirs.info_hashes.v1.to_bytes() == ours.info_hash
    assert theirs.name == ours.name
    assert theirs.trackers == list(ours.trackers)
    assert set(theirs.peers) == set(ours.peers)
    assert parse_magnet(lt.make_magnet_uri(theirs)).info_hash == ours.info_hash
    assert parse_magnet(lt.make_magnet_uri(theirs)).trackers == ours.trackers
    assert parse_magnet(lt.make_magnet_uri(theirs)).name == ours.name
