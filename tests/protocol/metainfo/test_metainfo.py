"""Metainfo: round trips, limits, attributes, and only MetainfoError for arbitrary bytes."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import MetainfoError
from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo import info as info_dictionary
from trio_swarm.protocol.metainfo import torrent as metainfo
from trio_swarm.protocol.metainfo.torrent import (
    FileEntry,
    Info,
    Metainfo,
    build_info,
    choose_piece_length,
    parse_info,
    parse_metainfo,
)

SINGLE: dict[str, bencode.Encodable] = {
    "name": "file.iso",
    "piece length": 16384,
    "pieces": b"h" * 40,
    "length": 16385,
}
MULTI: dict[str, bencode.Encodable] = {
    "name": "folder",
    "piece length": 16384,
    "pieces": b"h" * 60,
    "files": [
        {"length": 16380, "path": ["a", "one.bin"]},
        {"length": 0, "path": ["empty"]},
        {"length": 4, "path": [".pad", "4"], "attr": "p"},
        {"length": 20000, "path": ["a", "two.bin"], "attr": "x"},
    ],
}


def raw(base: Mapping[str, bencode.Encodable], **changes: Any) -> bytes:
    """Return an info dictionary with keys changed (`_` for space), or removed by None."""
    entries = dict(base)
    for key, value in changes.items():
        entries.pop(key.replace("_", " "), None)
        if value is not None:
            entries[key.replace("_", " ")] = value
    return bencode.encode(entries)


def torrent(info: bytes = raw(SINGLE), **outer: bencode.Encodable) -> bytes:
    """Return a .torrent of `info`, with keys around it (`_` for space, `__` for a hyphen)."""
    before = {key.replace("__", "-").replace("_", " "): value for key, value in outer.items()}
    return bencode.encode(before)[:-1] + b"4:info" + info + b"e"


@st.composite
def infos(draw: st.DrawFn) -> Info:
    names = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="/\\:\0"),
        min_size=1,
        max_size=20,
    ).filter(lambda name: name.strip() not in (".", ".."))
    piece_length = draw(st.integers(1024, 100_000))
    files = None
    length = None
    if draw(st.booleans()):
        total = length = draw(st.integers(0, 10 * piece_length))
    else:
        # One folder a file, so that no file is another one's folder.
        sizes = draw(st.lists(st.integers(0, piece_length), min_size=1, max_size=10))
        files = [((str(at), draw(names)), size) for at, size in enumerate(sizes)]
        total = sum(sizes)
    count = -(-total // piece_length)
    return build_info(
        name=draw(names),
        piece_length=piece_length,
        piece_hashes=draw(st.binary(min_size=20 * count, max_size=20 * count)),
        files=files,
        length=length,
        private=draw(st.booleans()),
    )


URLS = st.sampled_from(["udp://a:1/announce", "http://b/", "https://[::1]:5/x?y=z", "udp://c:2"])
TORRENTS = st.builds(
    Metainfo,
    info=infos(),
    announce_tiers=st.lists(URLS, unique=True).map(lambda urls: tuple((url,) for url in urls)),
    comment=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    created_by=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    creation_date=st.none() | st.integers(0, 2**32),
    web_seeds=st.lists(st.sampled_from(["http://a/b", "ftp://c/"]), unique=True).map(tuple),
)


@given(infos())
def test_an_info_built_here_is_parsed_back(info: Info) -> None:
    assert parse_info(info.raw, keep_names=True) == info
    assert info.info_hash == hashlib.sha1(info.raw).digest()
    assert sum(map(info.piece_size, range(info.piece_count))) == info.length
    assert b"".join(map(info.piece_hash, range(info.piece_count))) == info.piece_hashes


@given(TORRENTS)
def test_a_torrent_written_here_is_parsed_back(made: Metainfo) -> None:
    read = parse_metainfo(made.to_bytes())
    assert bencode.encode(bencode.decode(made.to_bytes())) == made.to_bytes()
    # Only the names may differ: those read from a file are made safe.
    assert read.info.raw == made.info.raw
    assert read.info.info_hash == made.info.info_hash
    assert parse_metainfo(read.to_bytes()) == read
    assert (read.announce_tiers, read.comment, read.created_by) == (
        made.announce_tiers,
        made.comment,
        made.created_by,
    )
    assert (read.creation_date, read.web_seeds) == (made.creation_date, made.web_seeds)


@given(st.binary())
def test_arbitrary_bytes_raise_only_metainfo_errors(data: bytes) -> None:
    for parse in (parse_metainfo, parse_info):
        with suppress(MetainfoError):
            parse(data)


# What could stand where a well-formed torrent has a value.
ODD = st.recursive(
    st.sampled_from([b"", b"..", b"p", b"l", b"\xff", b"udp://x:1", 0, 1, 2, -1, 16384, 2**63])
    | st.integers(-(2**63), 2**64)
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=5), inner),
    max_leaves=5,
)
KEYS = st.sampled_from(
    b"info,name,name.utf-8,piece length,pieces,length,files,path,path.utf-8,attr,private,announce,"
    b"announce-list,comment,created by,creation date,url-list,meta version,file tree".split(b",")
)


def mutate(value: bencode.Value, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    """Return `value` with something in it, at any depth, replaced, added or removed."""
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], mutate(value[at], draw), *value[at + 1 :]]
    if isinstance(value, dict) and value and draw(st.integers(0, 7)):
        key = draw(st.sampled_from(sorted(value)))
        action = draw(st.sampled_from(["change", "change", "change", "add", "remove"]))
        if action == "change":
            return {**value, key: mutate(value[key], draw)}
        if action == "add":
            return {**value, draw(KEYS): draw(ODD)}
        return {other: inner for other, inner in value.items() if other != key}
    return draw(ODD)


@given(st.data())
def test_mutated_torrents_raise_only_metainfo_errors_or_are_consistent(data: st.DataObject) -> None:
    value = bencode.decode(
        torrent(
            raw(data.draw(st.sampled_from([SINGLE, MULTI]))),
            announce="udp://a:1/",
            announce__list=[["udp://b:1/"], ["http://c/"]],
            comment="x",
            creation_date=5,
        )
    )
    for _ in range(data.draw(st.integers(1, 3))):
        value = mutate(value, data.draw)
    encoded = bencode.encode(value)
    try:
        read = parse_metainfo(encoded)
    except MetainfoError:
        return
    info = read.info
    raw_info = encoded[bencode.decode_leniently(encoded).spans[b"info"]]
    assert info.info_hash == hashlib.sha1(raw_info).digest()
    assert info.piece_count == -(-info.length // info.piece_length)
    offset = 0
    for entry in info.files:
        assert entry.offset == offset
        offset += entry.length
    assert offset == info.length
    assert parse_metainfo(read.to_bytes()) == read


@given(st.sampled_from([torrent(), torrent(raw(MULTI))]), st.data())
def test_torrents_with_changed_bytes_raise_only_metainfo_errors(
    whole: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    width = data.draw(st.integers(0, 3))
    with suppress(MetainfoError):
        parse_metainfo(whole[:at] + data.draw(st.binary(max_size=3)) + whole[at + width :])


def test_a_single_file_is_read() -> None:
    info = parse_info(raw(SINGLE))
    assert info.name == "file.iso"
    assert info.is_single_file
    assert not info.private
    assert info.files == (FileEntry((), 16385, 0, padding=False),)
    assert (info.piece_count, info.piece_size(0), info.piece_size(1)) == (2, 16384, 1)
    assert info.piece_hash(1) == b"h" * 20


def test_files_padding_and_attributes_are_read() -> None:
    info = parse_info(raw(MULTI, private=1))
    assert not info.is_single_file
    assert info.private
    assert info.files == (
        FileEntry(("a", "one.bin"), 16380, 0, padding=False),
        FileEntry(("empty",), 0, 16380, padding=False),
        FileEntry((".pad", "4"), 4, 16380, padding=True),
        FileEntry(("a", "two.bin"), 20000, 16384, padding=False),
    )


def test_the_last_piece_of_an_exact_multiple_is_whole() -> None:
    info = parse_info(raw(SINGLE, length=32768))
    assert (info.piece_count, info.piece_size(1)) == (2, 16384)


def test_content_may_be_empty() -> None:
    info = parse_info(raw(SINGLE, length=0, pieces=b""))
    assert (info.piece_count, info.length, len(info.files)) == (0, 0, 1)
    info = parse_info(raw(MULTI, files=[{"length": 0, "path": ["a"]}], pieces=b""))
    assert (info.piece_count, info.length, len(info.files)) == (0, 0, 1)


def test_padding_needs_no_path_and_may_repeat() -> None:
    pad: Any = {"length": 10, "attr": "hp"}
    listed: list[Any] = [
        {"length": 1, "path": ["a"]},
        pad,
        pad,
        {"length": 1, "path": [".pad", "10"]},
    ]
    info = parse_info(raw(MULTI, files=listed, pieces=b"h" * 20))
    assert [entry.padding for entry in info.files] == [False, True, True, False]
    assert info.files[3] == FileEntry((".pad", "10"), 1, 21, padding=False)


def test_symbolic_links_are_left_out() -> None:
    link: Any = {"attr": "l", "path": ["evil"], "symlink path": ["..", "..", "etc", "passwd"]}
    listed: list[Any] = [link, {"length": 5, "path": ["a"]}, {**link, "length": 0}]
    info = parse_info(raw(MULTI, files=listed, pieces=b"h" * 20))
    assert info.files == (FileEntry(("a",), 5, 0, padding=False),)


@pytest.mark.parametrize(
    "listed",
    [
        [{"length": 1, "attr": "l", "path": ["x"]}, {"length": 5, "path": ["a"]}],
        [{"attr": "l", "path": ["x"]}],
        [{"length": 5, "attr": "p"}],
        [],
        {},
        ["a"],
        [{"length": -1, "path": ["a"]}],
        [{"path": ["a"]}],
        [{"length": 5}],
        [{"length": 5, "path": []}],
        [{"length": 5, "path": "a"}],
        [{"length": 5, "path": [1]}],
        [{"length": 5, "path": ["..", "a"]}],
        [{"length": 5, "path": ["a", "/etc"]}],
        [{"length": 5, "path": ["x"] * 1000}],
        [{"length": 5, "path": ["x" * 200] * 21}],
        [{"length": 2**63, "path": ["a"]}, {"length": 2**63, "path": ["b"]}],
    ],
)
def test_bad_file_lists_are_refused(listed: bencode.Encodable) -> None:
    with pytest.raises(MetainfoError):
        parse_info(raw(MULTI, files=listed, pieces=b"h" * 20))


@pytest.mark.parametrize(
    "changes",
    [
        {"piece_length": 0},
        {"piece_length": -1},
        {"piece_length": 2**29 + 1},
        {"piece_length": "16384"},
        {"piece_length": None},
        {"pieces": None},
        {"pieces": 5},
        {"pieces": b""},
        {"pieces": b"h" * 39},
        {"pieces": b"h" * 41},
        {"pieces": b"h" * 60},
        {"length": None},
        {"length": -1},
        {"length": "5"},
        {"length": 2**63},
        {"length": 32769},
        {"length": 16384},
        {"files": [{"length": 5, "path": ["a"]}]},
        {"files": []},
        {"name": None},
        {"name": 5},
        {"name": ".."},
        {"name": "../../x"},
        {"name": "/etc/passwd"},
        {"attr": "l"},
    ],
)
def test_bad_info_dictionaries_are_refused(changes: dict[str, bencode.Encodable | None]) -> None:
    with pytest.raises(MetainfoError):
        parse_info(raw(SINGLE, **changes))


def test_names_that_linux_can_hold_are_kept() -> None:
    """As libtorrent 2.1.1 keeps them on Linux (but for the backslash, which it drops)."""
    listed: list[Any] = [
        {"length": 3, "path": ["a\\b", "con"]},
        {"length": 1, "path": ["CON"]},
        {"length": 1, "path": ["C:notes "]},
        {"length": 0, "path": ["x" * 255]},
    ]
    odd = raw(MULTI, name="aux.", files=listed, pieces=b"h" * 20)
    for info in (parse_info(odd), parse_info(odd, keep_names=True)):
        assert info.name == "aux."
        paths = [file.path for file in info.files]
        assert paths == [("a\\b", "con"), ("CON",), ("C:notes ",), ("x" * 255,)]
        assert info.renamed == ()


def test_names_that_no_linux_holds_are_changed_and_told_and_refused_for_the_sharer() -> None:
    long = "x" * 300 + ".iso"
    listed: list[Any] = [
        {"length": 1, "path": path} for path in (["a/b"], ["", "c"], [b"caf\xe9"], ["d"], ["d"])
    ]
    odd = raw(MULTI, name=long, files=[*listed, {"length": 0, "path": ["."]}], pieces=b"h" * 20)
    info = parse_info(odd)
    assert info.name == "x" * 251 + ".iso"
    assert info.renamed == (
        (long, info.name),
        ("a/b", "a_b"),
        ("/c", "_/c"),
        ("caf\udce9", "caf\ufffd"),
        ("d", "d (2)"),
        (".", "_ (2)"),
    )
    with pytest.raises(MetainfoError, match=r"unsafe|two files"):
        parse_info(odd, keep_names=True)


@pytest.mark.parametrize(
    "path", [["..", "a"], ["a", "."], [""], ["a/b"], ["a\0"], [], ["/x"], ["x" * 256]]
)
def test_the_sharers_paths_stay_in_their_folder_too(path: list[str]) -> None:
    listed: list[Any] = [{"length": 5, "path": path}]
    with pytest.raises(MetainfoError):
        parse_info(raw(MULTI, files=listed, pieces=b"h" * 20), keep_names=True)


@pytest.mark.parametrize("paths", [[["a"], ["a"]], [["a", "b"], ["a"]]])
def test_the_sharers_paths_are_distinct_too(paths: list[list[str]]) -> None:
    listed: list[Any] = [{"length": 1, "path": path} for path in paths]
    with pytest.raises(MetainfoError):
        parse_info(raw(MULTI, files=listed, pieces=b"h" * 20), keep_names=True)


def test_a_name_that_utf8_cannot_hold_is_not_shared() -> None:
    with pytest.raises(MetainfoError, match="cannot be shared"):
        build_info(name="\udcff", piece_length=16384, piece_hashes=b"h" * 20, files=None, length=5)


def test_utf8_names_are_preferred_and_other_encodings_survive() -> None:
    listed: list[Any] = [
        {"length": 1, "path": [b"\xc4"], "path.utf-8": ["Ä"]},
        {"length": 1, "path": [b"\xc4", b"b"]},
    ]
    info = parse_info(
        raw(MULTI, name=b"\xc4", files=listed, pieces=b"h" * 20, **{"name.utf-8": "Ä"})
    )
    assert info.name == "Ä"
    assert [entry.path for entry in info.files] == [("Ä",), ("\ufffd", "b")]


def test_a_torrent_without_a_name_is_called_by_its_info_hash() -> None:
    info = parse_info(raw(SINGLE, name=""))
    assert info.name == info.info_hash.hex()


def test_a_name_beyond_255_bytes_is_cut() -> None:
    assert len(parse_info(raw(SINGLE, name="é" * 200)).name.encode()) == 254


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"meta_version": 2, "file_tree": {}, "pieces": None}, "holds no file"),
        ({"meta_version": 2, "pieces": None, "length": None}, "no file tree"),
        ({"file_tree": {}, "pieces": None}, "has a file tree, but says"),
        ({"meta_version": 2}, "no file tree"),
        ({"pieces": None}, "no piece hashes"),
        ({"meta_version": 3}, "version 3"),
        ({"meta_version": "2"}, "version"),
    ],
)
def test_versions_without_what_they_need_are_refused(
    changes: dict[str, bencode.Encodable | None], reason: str
) -> None:
    with pytest.raises(MetainfoError, match=reason):
        parse_info(raw(SINGLE, **changes))


def test_a_hybrid_is_read_as_version_1() -> None:
    tree: Any = {"file.iso": {"": {"length": 16385, "pieces root": b"r" * 32}}}
    assert parse_info(raw(SINGLE, meta_version=2, file_tree=tree)).length == 16385


def test_a_hybrid_has_another_info_hash_and_others_have_none() -> None:
    """BEP 52, "infohash": the SHA-256 digest of the same bytes."""
    tree: Any = {"file.iso": {"": {"length": 16385, "pieces root": b"r" * 32}}}
    hybrid = raw(SINGLE, meta_version=2, file_tree=tree)
    assert parse_info(hybrid).v2_hash == hashlib.sha256(hybrid).digest()
    assert parse_info(raw(SINGLE)).v2_hash is None


def test_pieces_that_end_with_padding_are_fetched_without_it() -> None:
    files: Any = [
        {"length": 5, "path": ["a"]},
        {"length": 16379, "path": ["pad"], "attr": "p"},
        {"length": 16385, "path": ["b"]},
    ]
    info = parse_info(raw(MULTI, files=files, pieces=bytes(60)))
    assert [info.piece_size(piece) for piece in range(3)] == [5, 16384, 1]
    assert [info.padded_size(piece) for piece in range(3)] == [16384, 16384, 1]
    assert (info.size, info.length, info.padding) == (16390, 32769, 16379)


def test_the_hash_of_a_torrent_with_unsorted_keys_is_of_its_own_bytes() -> None:
    info = b"d6:lengthi5e4:name1:x6:pieces20:" + b"h" * 20 + b"12:piece lengthi16384ee"
    read = parse_metainfo(b"d4:info" + info + b"7:comment1:xe\r\n")
    assert read.info.raw == info
    assert read.info.info_hash == hashlib.sha1(info).digest()
    assert read.to_bytes() == b"d7:comment1:x4:info" + info + b"e"


@pytest.mark.parametrize("data", [b"", b"de", b"d4:info2:xxe", b"i5e", b"x" + torrent(), b"\n"])
def test_what_is_no_torrent_is_refused(data: bytes) -> None:
    with pytest.raises(MetainfoError, match=r"\.torrent"):
        parse_metainfo(data)


def test_sizes_and_counts_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metainfo, "MAX_TORRENT_SIZE", len(torrent()))
    parse_metainfo(torrent())
    with pytest.raises(MetainfoError, match="more than"):
        parse_metainfo(torrent(comment="x"))
    monkeypatch.setattr(info_dictionary, "MAX_FILES", 4)
    parse_info(raw(MULTI))
    monkeypatch.setattr(info_dictionary, "MAX_FILES", 3)
    with pytest.raises(MetainfoError, match="up to 3 files"):
        parse_info(raw(MULTI))
    monkeypatch.setattr(info_dictionary, "MAX_INFO_SIZE", len(raw(SINGLE)) - 1)
    with pytest.raises(MetainfoError, match="more than"):
        parse_info(raw(SINGLE))
    with pytest.raises(MetainfoError, match="more than"):
        parse_metainfo(torrent())


def test_tiers_are_kept_and_the_lone_tracker_counts_only_without_them() -> None:
    tiers: list[Any] = [
        ["udp://a:1/", "udp://b:1/", "udp://a:1/"],
        ["wss://x:1/", 5, ""],
        ["udp://a:1/"],
        7,
    ]
    both = parse_metainfo(torrent(announce="udp://z:1/", announce__list=[*tiers, ["http://c/ "]]))
    assert both.announce_tiers == (("udp://a:1/", "udp://b:1/"), ("http://c/",))
    useless: list[Any] = [[], [[]], "x", [["wss://x:1/"]]]
    for nothing in useless:
        lone = parse_metainfo(torrent(announce="udp://z:1/", announce__list=nothing))
        assert lone.announce_tiers == (("udp://z:1/",),)
    assert parse_metainfo(torrent()).announce_tiers == ()


def test_trackers_are_limited() -> None:
    many = [[f"udp://a:{port}/"] for port in range(1, 200)]
    assert len(parse_metainfo(torrent(announce__list=many)).announce_tiers) == 100


def test_advice_that_makes_no_sense_is_left_out() -> None:
    read = parse_metainfo(
        torrent(announce=5, comment=[], created_by=1, creation_date=-1, announce__list={"a": 1})
    )
    assert read == Metainfo(read.info)
    long = parse_metainfo(torrent(comment="é" * 10_000, creation_date=2**62))
    assert long.comment == "é" * metainfo.MAX_TEXT_LENGTH
    assert long.creation_date is None


def test_web_seeds_are_kept() -> None:
    info = raw(SINGLE)
    lone = b"d4:info" + info + b"8:url-list10:http://a/be"
    assert parse_metainfo(lone).web_seeds == ("http://a/b",)
    several = b"d4:info" + info + b"8:url-listl9:ftp://a/b5:wrong8:http://be" + b"e"
    assert parse_metainfo(several).web_seeds == ("ftp://a/b", "http://b")


def test_new_trackers_are_tiers_of_their_own() -> None:
    made = Metainfo(parse_info(raw(SINGLE)), (("udp://old:1/",),))
    changed = made.with_trackers(["udp://a:1/", "http://b/", "udp://a:1/"])
    assert changed.announce_tiers == (("udp://a:1/",), ("http://b/",))
    assert parse_metainfo(changed.to_bytes()) == changed
    for bad in (["udp://a/"], ["nonsense"], [f"udp://a:{port}/" for port in range(1, 200)]):
        with pytest.raises(MetainfoError):
            made.with_trackers(bad)


@given(st.integers(0, 2**42))
def test_the_piece_length_follows_from_the_size_alone(total: int) -> None:
    length = choose_piece_length(total)
    assert length == choose_piece_length(total)
    assert length.bit_count() == 1
    assert 16 * 2**10 <= length <= 16 * 2**20
    if total > 64 * 2**20:
        assert length >= 256 * 2**10
    if 512 * 2**20 <= total <= 2**34:
        assert 1000 <= total / length <= 2000


def test_piece_lengths_grow_with_the_size() -> None:
    sizes = [0, 2**20, 2**26, 2**26 + 1, 2**30, 2**33, 2**40]
    assert [choose_piece_length(size) // 1024 for size in sizes] == [
        16,
        16,
        64,
        256,
        1024,
        8192,
        16384,
    ]
