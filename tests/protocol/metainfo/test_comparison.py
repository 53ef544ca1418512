"""What a new version of a torrent shares with the old one."""

import hashlib
import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.comparison import Comparison, compare
from trio_swarm.protocol.metainfo.torrent import Info, build_info, parse_metainfo

PIECE = 16_384

Content = Mapping[str, bytes]
"""The files of a torrent, by their paths."""


def some(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def v1(content: Content, piece_length: int = PIECE) -> Info:
    data = b"".join(content.values())
    hashes = [
        hashlib.sha1(data[start : start + piece_length]).digest()
        for start in range(0, len(data), piece_length)
    ]
    return build_info(
        name="album",
        piece_length=piece_length,
        piece_hashes=b"".join(hashes),
        files=[(tuple(path.split("/")), len(each)) for path, each in content.items()],
        length=None,
    )


def v2(content: Content, piece_length: int = PIECE) -> Info:
    """Only the hashes of version 2; all files are in one folder."""
    tree: dict[str, bencode.Encodable] = {}
    layers: dict[bytes, bencode.Encodable] = {}
    for path, data in sorted(content.items()):
        layer = b"".join(
            merkle.piece_hash(
                merkle.leaf_hashes(data[start : start + piece_length]),
                piece_length,
                is_whole_file=len(data) < piece_length,
            )
            for start in range(0, len(data), piece_length)
        )
        if len(data) > piece_length:
            root = merkle.file_root(layer, merkle.height_of(piece_length))
            layers[root] = layer
        else:
            root = layer
        tree[path] = {"": {"length": len(data), **({"pieces root": root} if data else {})}}
    info: dict[str, bencode.Encodable] = {
        "file tree": tree,
        "meta version": 2,
        "name": "album",
        "piece length": piece_length,
    }
    return parse_metainfo(bencode.encode({"info": info, "piece layers": layers})).info


def told(found: Comparison) -> dict[str, tuple[str, int]]:
    return {"/".join(each.path): (each.kind, each.needed) for each in found.files}


BIG, BIGGER, SMALL = some(4 * PIECE, 1), some(4 * PIECE + 5, 2), some(7, 3)
CHANGED = BIG[: 2 * PIECE] + b"x" + BIG[2 * PIECE + 1 :]


@pytest.mark.parametrize("make", [v1, v2])
def test_files_are_the_same_changed_added_removed_or_moved(make: Callable[[Content], Info]) -> None:
    """All but the last begin and end with a piece, so version 1 can tell them as well."""
    old = {"a": BIG, "gone": some(PIECE, 4), "old name": some(2 * PIECE, 5), "z": BIGGER}
    new = {"a": CHANGED, "empty": b"", "new": some(PIECE, 6), "newer name": old["old name"]}
    found = compare(make(old), make({**new, "z": BIGGER}))
    assert told(found) == {
        "a": ("changed", PIECE),
        "empty": ("added", 0),
        "new": ("added", PIECE),
        "newer name": ("moved", 0),
        "z": ("same", 0),
        "gone": ("removed", 0),
    }
    (moved,) = (each for each in found.files if each.kind == "moved")
    assert moved.was == ("old name",)
    assert (found.needed, found.maybe) == (2 * PIECE, 0)
    assert found.size == sum(map(len, new.values())) + len(BIGGER)


def test_roots_tell_files_apart_that_hashes_of_pieces_cannot() -> None:
    """A file before them changed its length, so they lie in other places of pieces."""
    old, new = {"a": SMALL, "b": BIG}, {"a": SMALL + b"x", "b": BIG}
    assert told(compare(v2(old), v2(new))) == {"a": ("changed", 8), "b": ("same", 0)}
    found = compare(v1(old), v1(new))
    assert told(found) == {"a": ("changed", 8), "b": ("maybe", len(BIG))}
    assert (found.needed, found.maybe) == (8 + len(BIG), len(BIG))
    assert (found.by_roots, found.by_pieces) == (False, True)


def test_in_version_1_a_file_between_others_may_be_the_same_until_a_piece_of_its_own_differs() -> (
    None
):
    old = {"a": some(10), "b": BIG, "c": some(10, 9)}
    assert told(compare(v1(old), v1({**old, "a": some(10, 8)})))["b"] == ("maybe", PIECE - 10)
    assert told(compare(v1(old), v1({**old, "a": some(10, 8), "b": CHANGED})))["b"] == (
        "changed",
        2 * PIECE - 10,
    )


def test_with_other_piece_lengths_or_versions_only_path_and_length_are_compared() -> None:
    content = {"a": BIG, "b": SMALL}
    for old, new in (
        (v1(content), v1(content, 2 * PIECE)),
        (v1(content), v2(content)),
        (v2(content), v1(content)),
    ):
        found = compare(old, new)
        assert told(found) == {"a": ("maybe", len(BIG)), "b": ("maybe", len(SMALL))}
        assert (found.by_roots, found.by_pieces) == (False, False)
    # Roots do not depend on the length of pieces.
    assert {kind for kind, _ in told(compare(v2(content), v2(content, 2 * PIECE))).values()} == {
        "same"
    }


def test_single_files_are_compared_whatever_their_names() -> None:
    one = [
        build_info(
            name=name,
            piece_length=PIECE,
            piece_hashes=b"".join(hashlib.sha1(part).digest() for part in (data, b"rest")),
            files=None,
            length=PIECE + 4,
        )
        for name, data in (
            ("film", BIG[:PIECE]),
            ("film-2", CHANGED[:PIECE]),
            ("x", BIGGER[:PIECE]),
        )
    ]
    assert told(compare(one[0], one[1])) == {"film-2": ("same", 0)}
    assert told(compare(one[0], one[2])) == {"x": ("changed", PIECE)}


CONTENTS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.builds(
        lambda size, seed, end: some(size, seed) + end,
        st.sampled_from([0, 5, PIECE, 2 * PIECE, 2 * PIECE + 7]),
        st.integers(0, 2),
        st.sampled_from([b"", b"", b"x", bytes(9)]),
    ),
    min_size=1,
).filter(lambda content: any(content.values()))


@given(CONTENTS, CONTENTS, st.booleans())
def test_what_is_said_to_be_the_same_is_and_what_is_left_out_is_there(
    old: dict[str, bytes],
    new: dict[str, bytes],
    is_v2: bool,  # noqa: FBT001
) -> None:
    make = v2 if is_v2 else v1
    found = compare(make(old), make(new))
    for each in found.files:
        (path,), (was,) = each.path, each.was or each.path
        if each.kind in {"same", "moved"}:
            assert old[was] == new[path]
        elif each.kind in {"changed", "added"}:
            assert old.get(was) != new[path]
        elif each.kind == "maybe":
            assert len(old[was]) == len(new[path])
        if is_v2:
            assert each.kind != "maybe"
        assert 0 <= each.needed <= each.length
    assert {each.path[0] for each in found.files if each.kind != "removed"} == set(new)
    assert found.needed <= found.size == sum(map(len, new.values()))
    assert compare(make(new), make(new)).needed == 0
