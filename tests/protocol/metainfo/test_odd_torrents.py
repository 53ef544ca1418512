"""Some 1,500 odd torrents, as libtorrent 2.1.1 (PyPI wheel) reads them and as we do.

Where the two differ on purpose, a row here says so, and `docs/reading-torrents.md` says why. The
bytes of the torrents are made by `odd_torrents`.
"""

import re
import sys
from typing import Any

import pytest

from odd_torrents import FOLDERS, odd_torrents, write
from trio_swarm.errors import MetainfoError
from trio_swarm.protocol.metainfo.file_names import distinct_paths
from trio_swarm.protocol.metainfo.torrent import Info, parse_info, parse_metainfo

lt = pytest.importorskip("libtorrent")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

UNSAFE = "two dots|absolute|out and in|out"

REFUSED_HERE = {
    rf".*: a (name|path|folder) that is ({UNSAFE})": "unsafe file name",
    r"v1 .*: meta version (1099511627776|'2')": "version .* is not known",
    r"v1 .*: (name|piece length) of info twice, with two values": "twice, and not the same",
    r"(v2|hybrid) .*: minus zero in info": "zeros before a number",
    r"hybrid file: files in info as well|hybrid folder: files of info is an empty list": "no file",
}
"""libtorrent reads these and we do not: what is odd, reason."""

READ_HERE = (
    r"v1 file: name of info is an empty text",
    r"(v1|hybrid) file: a name that is (empty|a dot)",
    r"v2 .*: (pieces|length) in info as well",
    r"hybrid folder: padding with a number in its path",
)
"""libtorrent refuses these and we do not."""

READ_AS_VERSION_2 = (
    r"v2 .*: files in info as well",
    r"hybrid .*: (no pieces in info|pieces of info is .*)",
)
"""libtorrent says that they are of version 1 as well, though that half has no hashes."""

OTHER_FILES = (
    r"v1 file: attr 'p' in info",
    r".*: a link of version [12] (without a target|with (an empty|a text for a) target)",
)
"""A file of these is padding, or an empty file, to libtorrent only."""

OTHER_NAMES = (
    r".*: a (name|path|folder) that is .*",
    r".*: (name of info is an empty text|the same path twice|a path in another case)",
    r".*: (a file where a folder is|a folder where a file is|a name in another case in the tree)",
    r".*: (paths|folders) in two cases",
    r"v2 file: files in info as well",
)
"""Names are repaired in other ways: see "Names" in the docs."""


def is_one_of(what: str, patterns: Any) -> bool:
    return any(re.fullmatch(pattern, what) for pattern in patterns)


def theirs(data: bytes) -> Any:
    try:
        return lt.load_torrent_buffer(data).ti
    except RuntimeError:
        return None


def ours(data: bytes) -> Info | str:
    """Return the Info, or why it is refused."""
    try:
        return parse_metainfo(data).info
    except MetainfoError as error:
        return str(error)


def their_files(read: Any) -> list[tuple[str, int, int]]:
    """Return path, length and place of each file that is no padding and no link."""
    files = read.files()
    left_out = lt.file_storage.flag_pad_file | lt.file_storage.flag_symlink
    return [
        (files.file_path(at), files.file_size(at), files.file_offset(at))
        for at in range(files.num_files())
        if not files.file_flags(at) & left_out
    ]


def places(files: list[tuple[str, int, int]]) -> list[tuple[int, int]]:
    """Return length and place of each file; an empty one is nowhere."""
    return [(length, offset if length else 0) for _, length, offset in files]


ODD = dict(odd_torrents())


@pytest.fixture(scope="module")
def read() -> dict[str, tuple[Info | str, Any]]:
    """What we and libtorrent make of each odd torrent."""
    return {what: (ours(data), theirs(data)) for what, data in ODD.items()}


def test_odd_torrents_are_read_and_refused_as_libtorrent_does_but_for_those_that_are_listed(
    read: dict[str, tuple[Info | str, Any]],
) -> None:
    assert len(read) > 1_500
    refused = {
        what: each for what, (each, their) in read.items() if isinstance(each, str) and their
    }
    for what, reason in refused.items():
        expected = [text for odd, text in REFUSED_HERE.items() if re.fullmatch(odd, what)]
        assert expected, f"only we refuse {what}: {reason}"
        assert re.search(expected[0], reason), what
    taken = [what for what, (each, their) in read.items() if isinstance(each, Info) and not their]
    assert [what for what in taken if not is_one_of(what, READ_HERE)] == []
    # No row is left over.
    for pattern in REFUSED_HERE:
        assert any(re.fullmatch(pattern, what) for what in refused), pattern
    for pattern in READ_HERE:
        assert any(re.fullmatch(pattern, what) for what in taken), pattern


def test_what_both_read_is_the_same_torrent(read: dict[str, tuple[Info | str, Any]]) -> None:
    for what, (info, their) in read.items():
        if isinstance(info, str) or their is None:
            continue
        hashes = their.info_hashes()
        assert info.has_v2 == hashes.has_v2(), what
        if info.has_v2:
            assert info.v2_hash == hashes.v2.to_bytes(), what
        if not is_one_of(what, READ_AS_VERSION_2):
            assert info.has_v1 == hashes.has_v1(), what
            assert their.total_size() == info.length, what
        if info.has_v1:
            assert info.info_hash == hashes.v1.to_bytes(), what
        assert (info.piece_length, info.private) == (their.piece_length(), their.priv()), what
        if is_one_of(what, OTHER_FILES):
            continue
        files = [
            ("/".join((info.name, *file.path)), file.length, file.offset)
            for file in info.files
            if not file.padding
        ]
        assert places(files) == places(their_files(their)), what
        if not is_one_of(what, OTHER_NAMES):
            assert [path for path, *_ in files] == [path for path, *_ in their_files(their)], what


def test_the_same_is_read_as_metadata_of_a_peer(read: dict[str, tuple[Info | str, Any]]) -> None:
    for what, (info, _) in read.items():
        if isinstance(info, Info):
            assert parse_info(info.raw).with_layers(info.layers()) == info, what


def test_each_refusal_is_one_short_line(read: dict[str, tuple[Info | str, Any]]) -> None:
    for what, (reason, _) in read.items():
        if isinstance(reason, str):
            assert reason.isprintable(), what
            assert 10 < len(reason) < 200, what


def test_names_that_were_read_stay_in_their_folder_and_are_distinct(
    read: dict[str, tuple[Info | str, Any]],
) -> None:
    for what, (info, _) in read.items():
        if isinstance(info, str):
            continue
        paths = [(info.name, *file.path) for file in info.files if not file.padding]
        assert len(set(paths)) == len(paths), what
        for path in paths:
            assert not {"", ".", ".."}.intersection(path), what
            assert not any("/" in part or "\0" in part for part in path), what
            assert all(len(part.encode()) <= 255 for part in path), what


def test_names_in_two_cases_are_two_files_and_none_is_lost_where_case_is_ignored() -> None:
    for base in ("v1", "v2", "hybrid"):
        for what in ("paths", "folders"):
            info = parse_metainfo(ODD[f"{base} folder: {what} in two cases"]).info
            kept = [file.path for file in info.files if not file.padding]
            assert len({"/".join(path).casefold() for path in kept}) == 1
            there = distinct_paths(kept, folded=True)
            assert len({"/".join(path).casefold() for path in there}) == 2


def calls_to_read(data: bytes) -> int:
    """Return how many functions of Python are called to read a torrent."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        parse_metainfo(data)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(("base", "most"), [("v1", 14), ("v2", 14), ("hybrid", 36)])
def test_each_file_of_many_takes_few_calls(base: str, most: int) -> None:
    """A torrent of 100,000 files is to be read in a second; decoding takes no call for a file."""
    few, many = (
        calls_to_read(
            write(FOLDERS[f"{base} folder"]({("d", f"{at:05}"): 5 for at in range(count)}))
        )
        for count in (100, 300)
    )
    assert (many - few) / 200 <= most
