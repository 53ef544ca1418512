"""Odd torrents, as libtorrent 2.1.1 (PyPI wheel) reads them and as we do.

`docs/reading-torrents.md` has the same table for people. The info-hash is of the raw bytes, so that
being lenient about the rest is safe.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import MetainfoError
from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo.magnet import parse_magnet
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo, parse_info, parse_metainfo

lt = pytest.importorskip("libtorrent")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

HASH = b"h" * 20
BITCOMET = "_____padding_file_0_if you see this file, please update to BitComet 0.85 or above____"


class Raw(bytes):
    """Bencode as it is to stand in the file."""


def write(value: Any) -> bytes:
    """Return bencode with every fault that `value` holds as Raw."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, dict):
        inner = sorted(value.items())
        return b"d" + b"".join(write(key) + write(each) for key, each in inner) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(write, value)) + b"e"
    return bencode.encode(value)


def pairs(*entries: tuple[str, Any]) -> Raw:
    return Raw(b"d" + b"".join(write(key) + write(value) for key, value in entries) + b"e")


def info(**changes: Any) -> dict[str, Any]:
    entries: dict[str, Any] = {"length": 100, "name": "n", "piece length": 16384, "pieces": HASH}
    for key, value in changes.items():
        entries[key.replace("_", " ")] = value
    return {key: value for key, value in entries.items() if value is not None}


def listing(*files: Any) -> dict[str, Any]:
    return info(length=None, files=list(files))


def a_file(length: Any, *path: Any, **more: Any) -> dict[str, Any]:
    return {"length": length, "path": list(path), **more}


def torrent(inner: Any, **around: Any) -> bytes:
    return write({"info": inner, **{key.replace("_", " "): each for key, each in around.items()}})


PLAIN = torrent(info())
INFO = write(info())

READ_ALIKE = {
    "junk behind the dictionary": PLAIN + b"junk",
    "line break behind it": PLAIN + b"\r\n",
    "NULs behind it": PLAIN + b"\0\0",
    "a second torrent behind it": PLAIN * 2,
    "comment twice": pairs(("comment", "a"), ("comment", "b"), ("info", info())),
    "info twice and the same": pairs(("info", info()), ("info", info())),
    "source twice in info": torrent(
        pairs(*info().items(), ("source", "x"), ("source", "y")),
    ),
    "length twice in info and the same": torrent(pairs(("length", 100), *info().items())),
    "keys out of order": pairs(("info", info()), ("comment", "x")),
    "keys of info out of order": torrent(pairs(*reversed(info().items()))),
    "length and files": torrent(info(files=[a_file(40, "a"), a_file(60, "b")])),
    "length and files that disagree": torrent(
        info(length=7, files=[a_file(40, "a"), a_file(60, "b")])
    ),
    "length and a text for files": torrent(info(files="x")),
    "zeros before an integer": pairs(("creation date", Raw(b"i007e")), ("info", info())),
    "minus zero": pairs(("creation date", Raw(b"i-0e")), ("info", info())),
    "zeros before an integer of info": torrent(info(length=Raw(b"i00100e"))),
    "zeros before a text's length": pairs(("comment", Raw(b"003:abc")), ("info", info())),
    "zeros before a key's length": Raw(b"d07:comment1:x4:info" + INFO + b"e"),
    "many zeros before a text's length": pairs(
        ("comment", Raw(b"0000000000003:abc")), ("info", info())
    ),
    "zeros before the name's length": torrent(info(name=Raw(b"01:n"))),
    "pieces of 128 MiB": torrent(info(piece_length=2**27)),
    "pieces of 256 MiB": torrent(info(piece_length=2**28)),
    "pieces of nearly 512 MiB": torrent(info(piece_length=2**29 - 16384)),
    "pieces of no power of two": torrent(info(piece_length=16385)),
    "pieces of 100 bytes": torrent(info(piece_length=100)),
    "name.utf-8": torrent(info(**{"name.utf-8": "ü"})),
    "path.utf-8": torrent(listing(a_file(100, "a", **{"path.utf-8": ["ü"]}))),
    "path.utf-8 that is a text": torrent(listing(a_file(100, "a", **{"path.utf-8": "b"}))),
    "an empty component": torrent(listing(a_file(100, "a", "", "b"))),
    "a component that is a dot": torrent(listing(a_file(100, "a", ".", "b"))),
    "an empty file": torrent(listing(a_file(50, "a"), a_file(0, "z"), a_file(50, "b"))),
    "padding (BEP 47)": torrent(listing(a_file(60, "a"), a_file(40, ".pad", "40", attr="p"))),
    "padding without a path": torrent(listing(a_file(60, "a"), {"length": 40, "attr": "p"})),
    "padding of BitComet": torrent(listing(a_file(60, "a"), a_file(40, BITCOMET))),
    "padding of BitComet in a folder": torrent(listing(a_file(60, "a"), a_file(40, "d", BITCOMET))),
    "a link": torrent(
        listing(a_file(100, "a"), a_file(0, "b", attr="l", **{"symlink path": ["a"]}))
    ),
    "attr that is a number": torrent(info(attr=5)),
    "md5sum": torrent(info(md5sum="0" * 32)),
    "private that is a text": torrent(info(private="1")),
    "private 0": torrent(info(private=0)),
    "private 2": torrent(info(private=2)),
    "private -1": torrent(info(private=-1)),
    "meta version 0": torrent(info(meta_version=0)),
    "no announce": PLAIN,
    "an empty announce": torrent(info(), announce=""),
    "announce that is a number": torrent(info(), announce=5),
    "announce-list that is a text": torrent(info(), **{"announce-list": "udp://a:1"}),
    "announce-list too deep": torrent(info(), **{"announce-list": [[["udp://a:1"]]]}),
    "a date that is a text": torrent(info(), creation_date="1234567890"),
    "a date before 1970": torrent(info(), creation_date=-5),
    "a date beyond all calendars": torrent(info(), creation_date=2**63 - 1),
    "a date beyond 64 bits": torrent(info(), creation_date=Raw(b"i" + b"9" * 20 + b"e")),
    "an integer of info beyond 64 bits": torrent(info(x=Raw(b"i-18446744073709551616e"))),
    "nodes": torrent(info(), nodes=[["1.2.3.4", 6881]]),
    "nodes that are a text": torrent(info(), nodes="x"),
    "url-list that is a text": torrent(info(), **{"url-list": "http://a/x"}),
    "url-list with nonsense": torrent(info(), **{"url-list": ["http://a/x", "", "junk", 5]}),
    "an empty url-list": torrent(info(), **{"url-list": ""}),
    "encoding": torrent(info(name=b"caf\xe9"), encoding="ISO-8859-1"),
    "a path 99 deep": torrent(listing(a_file(100, *["d"] * 99))),
    "a path of 3,000 bytes": torrent(listing(a_file(100, *["d" * 200] * 15))),
}
"""libtorrent reads these, and so do we: the same info-hash, the same sizes at the same places."""

REFUSED_HERE = {
    "two different infos": (
        pairs(("info", info(name="a")), ("info", info(name="b"))),
        "two different info",
    ),
    "two lengths": (torrent(pairs(("length", 50), *info().items())), "'length' twice"),
    "two names": (torrent(pairs(("name", "m"), *info().items())), "'name' twice"),
    "two lengths of a file": (
        torrent(listing(pairs(("length", 60), ("length", 100), ("path", ["a"])))),
        "'length' twice",
    ),
    "a path that leaves its folder": (
        torrent(listing(a_file(100, "..", "..", "x"))),
        "leaves its folder",
    ),
    "an absolute path": (torrent(listing(a_file(100, "/x"))), "absolute"),
    "a name that leaves its folder": (torrent(info(name="../x")), "leaves its folder"),
    "a path of 5,000 bytes": (torrent(listing(a_file(100, *["d" * 200] * 25))), "longer than"),
    "nothing but padding": (torrent(listing(a_file(100, "x", attr="p"))), "holds no file"),
    "a link with a length": (
        torrent(listing(a_file(60, "a"), a_file(40, "b", attr="l", **{"symlink path": ["a"]}))),
        "link with content",
    ),
    "a meta version that is a text": (torrent(info(meta_version="2")), "version"),
}
"""libtorrent reads these and we do not: torrent, reason."""

READ_HERE = {
    "an empty name": torrent(info(name="")),
    "no bytes at all": torrent(info(length=0, pieces=b"")),
    "empty files only": torrent(info(length=None, files=[a_file(0, "a")], pieces=b"")),
    "an empty path.utf-8": torrent(listing(a_file(100, "a", **{"path.utf-8": []}))),
}
"""libtorrent refuses these, and we do not need to."""

REFUSED_ALIKE = {
    "nothing": b"",
    "no dictionary": b"li1ee",
    "no info": write({"comment": "x"}),
    "cut off": PLAIN[:-1],
    "a byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "an integer without digits": torrent(info(), creation_date=Raw(b"ie")),
    "an integer of 21 digits": torrent(info(), creation_date=Raw(b"i1" + b"0" * 20 + b"e")),
    "a fraction": torrent(info(), creation_date=Raw(b"i1.5e")),
    "too many hashes": torrent(info(pieces=HASH * 2)),
    "too few hashes": torrent(info(pieces=HASH[:19])),
    "no hashes": torrent(info(pieces=None)),
    "no length": torrent(info(length=None)),
    "a negative length": torrent(info(length=-1)),
    "no name": torrent(info(name=None)),
    "no files": torrent(info(length=None, files=[])),
    "a length and no files": torrent(info(files=[])),
    "a file without a path": torrent(listing({"length": 100})),
    "a file without a length": torrent(listing({"path": ["a"]}, a_file(100, "b"))),
    "a path with a number in it": torrent(listing(a_file(100, "a", 5))),
    "pieces of 1 GiB": torrent(info(piece_length=2**30)),
    "pieces of no bytes": torrent(info(piece_length=0)),
    "meta version 3": torrent(info(meta_version=3)),
    "a path 1,000 deep": torrent(listing(a_file(100, *["d"] * 1000))),
}


def theirs(data: bytes) -> Any:
    return lt.load_torrent_buffer(data).ti


def extents(ours: Info) -> list[tuple[int, int, bool]]:
    return [(entry.length, entry.offset, entry.padding) for entry in ours.files]


def their_extents(read: Any) -> list[tuple[int, int, bool]]:
    files = read.files()
    flags = lt.file_storage
    return [
        (
            files.file_size(at),
            files.file_offset(at),
            bool(files.file_flags(at) & flags.flag_pad_file),
        )
        for at in range(files.num_files())
        if not files.file_flags(at) & flags.flag_symlink
    ]


def assert_alike(read: Metainfo, their: Any) -> None:
    ours = read.info
    assert ours.info_hash == their.info_hashes().v1.to_bytes()
    assert (ours.length, ours.piece_length) == (their.total_size(), their.piece_length())
    assert ours.private == their.priv()
    assert extents(ours) == their_extents(their)


@pytest.mark.parametrize("case", READ_ALIKE)
def test_what_libtorrent_reads_is_read_alike(case: str) -> None:
    data = READ_ALIKE[case]
    read = parse_metainfo(data)
    assert_alike(read, theirs(data))
    # The same as metadata of a peer (BEP 9), and when written again.
    assert parse_info(read.info.raw) == read.info
    assert parse_metainfo(read.to_bytes()).info == read.info


CONTENT_HERE = {
    "the only file": torrent(info(attr="p")),
    "the only file, BitComet's name": torrent(info(name=BITCOMET)),
    "the torrent's name": torrent(
        {**listing(a_file(60, "a"), a_file(40, "b")), "name": BITCOMET},
    ),
    "a folder's name": torrent(listing(a_file(60, "a"), a_file(40, BITCOMET, "b"))),
    "the end of a name": torrent(listing(a_file(60, "a"), a_file(40, f"b{BITCOMET}"))),
}


@pytest.mark.parametrize("case", CONTENT_HERE)
def test_what_only_libtorrent_takes_for_padding_is_content(case: str) -> None:
    """No tool writes padding so; to programs without BEP 47 all of it is content."""
    read, their = parse_metainfo(CONTENT_HERE[case]), theirs(CONTENT_HERE[case])
    assert any(padding for _, _, padding in their_extents(their))
    assert not any(padding for _, _, padding in extents(read.info))


@pytest.mark.parametrize("case", REFUSED_HERE)
def test_what_other_programs_would_read_otherwise_or_is_unsafe_is_refused(case: str) -> None:
    data, reason = REFUSED_HERE[case]
    theirs(data)
    with pytest.raises(MetainfoError, match=reason):
        parse_metainfo(data)


@pytest.mark.parametrize("case", READ_HERE)
def test_more_than_libtorrent_reads_is_read(case: str) -> None:
    with pytest.raises(RuntimeError):
        theirs(READ_HERE[case])
    parse_metainfo(READ_HERE[case])


@pytest.mark.parametrize("case", REFUSED_ALIKE)
def test_what_libtorrent_refuses_for_good_reason_is_refused(case: str) -> None:
    with pytest.raises(RuntimeError):
        theirs(REFUSED_ALIKE[case])
    with pytest.raises(MetainfoError):
        parse_metainfo(REFUSED_ALIKE[case])


@pytest.mark.parametrize(
    "name", ["aux.c", "v1.", "x ", "C:notes", "C:", "con", "x" * 240, "e\u0301"]
)
def test_names_are_those_of_libtorrent_on_linux(name: str) -> None:
    for inner in (info(name=name), listing(a_file(50, name), a_file(50, "d", name))):
        data = torrent(inner)
        read, their = parse_metainfo(data).info, theirs(data).files()
        assert ["/".join((read.name, *entry.path)) for entry in read.files] == [
            their.file_path(at) for at in range(their.num_files())
        ]


def test_of_a_key_given_twice_the_first_counts_as_in_libtorrent() -> None:
    data = pairs(("comment", "a"), ("comment", "b"), ("info", info()))
    assert parse_metainfo(data).comment == "a" == lt.load_torrent_buffer(data).comment


def test_metadata_of_a_peer_has_nothing_behind_it() -> None:
    with pytest.raises(MetainfoError, match="after its end"):
        parse_info(INFO + b"x")


def test_so_many_keys_given_twice_are_no_accident() -> None:
    flood = Raw(b"d" + b"1:xi0e" + b"1:xi1e" * (bencode.MAX_REPEATS + 1) + b"e")
    with pytest.raises(MetainfoError, match="twice"):
        parse_metainfo(torrent(info(), z=flood))


def test_messages_about_hostile_values_are_short() -> None:
    for inner in (
        info(meta_version="x" * 10**6),
        info(name="/" * 10**6),
        info(pieces=b"x" * 10**6),
    ):
        with pytest.raises(MetainfoError) as caught:
            parse_metainfo(torrent(inner))
        assert len(str(caught.value)) < 300


# --- the same, from all over ---

NAMES = st.sampled_from(
    ["a", "b", "A", "aux.c", "v1.", "a\\b", "", ".", "é", b"\xff", 7, "x" * 300]
)
LENGTHS: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 100), st.sampled_from([Raw(b"i007e"), Raw(b"i-0e"), -1, "5", Raw(b"i1.5e")])
)
FILES = st.builds(
    lambda length, path, more: {"length": length, "path": path, **more},
    LENGTHS,
    st.lists(NAMES, min_size=0, max_size=3),
    st.sampled_from(
        [{}, {}, {}, {"attr": "p"}, {"attr": "x"}, {"path.utf-8": ["u"]}, {"md5sum": "0"}]
    ),
)


@st.composite
def odd_torrents(draw: st.DrawFn) -> bytes:
    inner: dict[str, Any] = {"name": draw(NAMES), "pieces": HASH, "piece length": 16384}
    if draw(st.booleans()):
        inner["length"] = draw(LENGTHS)
    if draw(st.booleans()):
        inner["files"] = draw(st.one_of(st.lists(FILES, max_size=4), st.just("x")))
    entries = draw(st.permutations(list(inner.items())))
    if draw(st.booleans()):
        entries = [*entries, draw(st.sampled_from(entries))]
    around = [("info", pairs(*entries)), *draw(st.sampled_from([[], [("x", 1)], [("x", 1)] * 2]))]
    return pairs(*around) + draw(st.sampled_from([b"", b"\n", b"junk"]))


@given(odd_torrents())
def test_whatever_both_read_is_the_same_torrent(data: bytes) -> None:
    try:
        read = parse_metainfo(data)
    except MetainfoError:
        read = None
    try:
        their = theirs(data)
    except RuntimeError:
        return
    if read is not None:
        assert_alike(read, their)
    else:
        # The only thing in these that we refuse and libtorrent does not: padding and nothing else.
        assert all(padding for _, _, padding in their_extents(their))


# --- magnet links ---

DIGEST = "aa" * 20
XT = f"xt=urn:btih:{DIGEST}"


@pytest.mark.parametrize(
    "link",
    [
        f"magnet:?{XT}&amp;dn=x&amp;tr=udp://t:1/a",
        f"magnet:?dn=x&AMP;{XT}&#38;tr=udp://t:1/a",
        f"magnet:?xt=urn:btih:nonsense&{XT}&dn=x&tr=udp://t:1/a",
        f"magnet:?{XT}&dn=x&tr=udp://t\udce9:1/a&x.pe=h\udce9:1&tr=udp://t:1/a&\udce9=1",
        f"magnet:?{'so=1&' * 400}{XT}&dn=x&tr=udp://t:1/a",
        f"MAGNET:?XT=URN:BTIH:{DIGEST.upper()}&DN=x&TR=udp://t:1/a",
        f"magnet:?{XT}&{XT}&xt=urn:btmh:1220{'cc' * 32}&dn=x&tr=udp%3A%2F%2Ft%3A1%2Fa",
        f"magnet:?{XT}&dn=x&tr=%zz&tr=garbage&tr=udp://t:1/a&x.pe=garbage&x.pe=1.2.3.4",
    ],
)
def test_an_odd_magnet_link_is_read(link: str) -> None:
    """As libtorrent 2.1.1 reads what is odd, and as pages of the web write `&` (`&amp;`)."""
    magnet = parse_magnet(link)
    assert (magnet.info_hash.hex(), magnet.name, magnet.peers) == (DIGEST, "x", ())
    assert magnet.trackers == ("udp://t:1/a",)
