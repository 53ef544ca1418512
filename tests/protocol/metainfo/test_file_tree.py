"""Hybrid torrents (BEP 52, "Upgrade Path"): both halves have the same files, or it is refused."""

from pathlib import Path
from typing import Any

import pytest

from trio_swarm.errors import MetainfoError
from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo.torrent import Info, parse_info, parse_metainfo

PIECE = 16384


def leaf(length: int, **more: Any) -> dict[str, Any]:
    return {"": {"length": length, **({"pieces root": b"r" * 32} if length else {}), **more}}


def hybrid(**changes: Any) -> dict[str, Any]:
    """Return an info dictionary of a/z (5 bytes), a-b (7 bytes) and the empty c."""
    return {
        "name": "n",
        "piece length": PIECE,
        "pieces": b"h" * 40,
        "meta version": 2,
        "files": [
            {"path": ["a", "z"], "length": 5},
            {"path": [".pad", "16379"], "length": PIECE - 5, "attr": "p"},
            {"path": ["a-b"], "length": 7},
            {"path": ["c"], "length": 0},
        ],
        "file tree": {"a": {"z": leaf(5)}, "a-b": leaf(7), "c": leaf(0)},
    } | {key.replace("_", " "): value for key, value in changes.items()}


def read(entries: dict[str, Any]) -> Info:
    return parse_info(bencode.encode(entries))


def test_a_hybrid_with_the_same_files_in_both_halves_is_read() -> None:
    files = read(hybrid()).files
    assert [file.path for file in files if not file.padding] == [("a", "z"), ("a-b",), ("c",)]


TREE = hybrid()["file tree"]
FILES = hybrid()["files"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"file_tree": TREE | {"a-b": leaf(8)}}, "version 1 and version 2 differ at 'a-b'"),
        ({"file_tree": TREE | {"d": leaf(1)}}, "version 1 and version 2 differ at 'd'"),
        ({"file_tree": {"a": TREE["a"], "a-b": TREE["a-b"]}}, "'c' is missing in its version 2"),
        ({"file_tree": TREE | {"a": {"y": leaf(5)}}}, "differ at 'a/y'"),
        ({"files": [FILES[2], FILES[1], FILES[0], FILES[3]]}, "differ at 'a/z'"),
        ({"files": [FILES[0], *FILES[2:]], "pieces": b"h" * 20}, "'a-b' does not begin with a pi"),
        (
            {"files": [FILES[0], FILES[1], *FILES[1:]], "pieces": b"h" * 60},
            "'a-b' does not begin with a pi",
        ),
        (
            {
                "files": [FILES[0], FILES[1] | {"length": 16379 + 16384}, *FILES[2:]],
                "pieces": b"h" * 60,
            },
            "'a-b' begins with another piece in version 2",
        ),
        ({"piece_length": 20_000, "pieces": b"h" * 40}, "needs a power of two"),
        ({"piece_length": 8192, "pieces": b"h" * 60}, "needs a power of two from 16 KiB"),
        ({"file_tree": []}, "not a folder of files"),
        ({"file_tree": leaf(5)}, "not a folder of files"),
        ({"file_tree": TREE | {"a-b": 5}}, "'a-b' is neither a file nor a folder"),
        ({"file_tree": TREE | {"a-b": leaf(7) | {"x": leaf(1)}}}, "'a-b' is a file and a folder"),
        ({"file_tree": TREE | {"a-b": {"": {"length": 7}}}}, "'a-b' has no root of 32 bytes"),
        ({"file_tree": TREE | {"c": {"": {"length": -1}}}}, "'c' has no length"),
    ],
)
def test_a_hybrid_that_is_not_valid_is_refused_with_its_reason(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(MetainfoError, match=reason):
        read(hybrid(**changes))


def test_an_unsorted_or_ambiguous_file_tree_is_refused() -> None:
    """BEP 52 demands sorted keys; of a name given twice, programs would take one or the other."""
    raw = bencode.encode(hybrid(files=[*FILES[:2], FILES[3], FILES[2]]))
    first, second = (
        bencode.encode({name: leaf(size)})[1:-1] for name, size in (("a-b", 7), ("c", 0))
    )
    assert first + second in raw
    with pytest.raises(MetainfoError, match="not sorted at 'a-b'"):
        parse_info(raw.replace(first + second, second + first))
    other = bencode.encode({"a-b": leaf(8)})[1:-1]
    with pytest.raises(MetainfoError, match="says 'a-b' twice"):
        parse_info(raw.replace(first, first + other))


def test_a_file_tree_without_version_2_is_refused() -> None:
    """As libtorrent 2.1.1 does: nothing says which of its halves counts."""
    with pytest.raises(MetainfoError, match="has a file tree, but says"):
        read(hybrid(meta_version=1))


def test_zeros_before_a_number_are_no_version_2() -> None:
    raw = bencode.encode(hybrid())
    with pytest.raises(MetainfoError, match="zeros before a number"):
        parse_info(raw.replace(b"i16384e", b"i016384e"))


def test_hybrids_made_by_libtorrent_are_read_and_refused_as_it_does(tmp_path: Path) -> None:
    """libtorrent 2.1.1: tiny, empty, executable and linked files, and files larger than a piece."""
    lt = pytest.importorskip("libtorrent")
    folder = tmp_path / "folder"
    for name, size in (("a/é", 5), ("a/z", 100_000), ("empty", 0), ("run", 20_000), ("z", 1)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * size)
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("a/z")
    entries = lt.list_files(str(folder), lambda _: True, lt.create_torrent.symlinks)
    maker = lt.create_torrent(entries, PIECE, lt.create_torrent.symlinks)
    lt.set_piece_hashes(maker, str(tmp_path))
    made = maker.generate()
    read = parse_metainfo(lt.bencode(made)).info
    assert read.info_hash.hex() == str(lt.load_torrent_buffer(lt.bencode(made)).info_hashes.v1)
    names = ["/".join(file.path) for file in read.files if not file.padding]
    assert sorted(names) == ["a/z", "a/é", "empty", "run", "z"]
    made[b"info"][b"file tree"][b"z"][b""][b"length"] = 2
    with pytest.raises(MetainfoError, match="version 1 and version 2 differ at 'z'"):
        parse_metainfo(lt.bencode(made))
    with pytest.raises(RuntimeError):
        lt.load_torrent_buffer(lt.bencode(made))
