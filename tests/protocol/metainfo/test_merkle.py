"""Merkle trees: the same hashes as libtorrent's, and proofs in which any change is found."""

import hashlib
from pathlib import Path

import libtorrent as lt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo import merkle

BLOCK = merkle.BLOCK_LENGTH


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def random_layer(count: int) -> bytes:
    return b"".join([digest(b"%d" % number) for number in range(count)])


def test_the_leaves_of_data_are_the_digests_of_its_blocks() -> None:
    data = bytes(BLOCK) + b"end"
    assert merkle.leaf_hashes(data) == digest(bytes(BLOCK)) + digest(b"end")


def test_a_file_of_one_block_has_its_digest_as_root() -> None:
    assert merkle.file_root(merkle.leaf_hashes(b"small")) == digest(b"small")


def test_leaves_behind_the_end_are_zeros() -> None:
    first, second, third = (digest(text) for text in (b"1", b"2", b"3"))
    root = digest(digest(first + second) + digest(third + bytes(32)))
    assert merkle.file_root(first + second + third) == root


@pytest.mark.parametrize("size", [1, BLOCK, 3 * BLOCK, 4 * BLOCK, 5 * BLOCK + 7, 23 * BLOCK])
def test_roots_and_layers_are_those_of_libtorrent(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    (tmp_path / "data").write_bytes(data)
    files = lt.list_files(str(tmp_path / "data"))
    made = lt.create_torrent(files, 4 * BLOCK, lt.create_torrent.v2_only)
    lt.set_piece_hashes(made, str(tmp_path))
    theirs = bencode.decode(lt.bencode(made.generate()))
    assert isinstance(theirs, dict)
    info, layers = theirs[b"info"], theirs[b"piece layers"]
    assert isinstance(info, dict)
    assert isinstance(layers, dict)
    tree = info[b"file tree"]
    assert isinstance(tree, dict)
    root = tree[b"data"][b""][b"pieces root"]  # type: ignore[index, call-overload]

    leaves = merkle.leaf_hashes(data)
    assert merkle.file_root(leaves) == root
    layer = b"".join(
        [
            merkle.piece_hash(
                leaves[begin : begin + 4 * 32], 4 * BLOCK, is_whole_file=size <= 4 * BLOCK
            )
            for begin in range(0, len(leaves), 4 * 32)
        ]
    )
    assert layers.get(root, root) == layer
    assert merkle.file_root(layer, merkle.height_of(4 * BLOCK)) == root


runs = st.integers(1, 40).flatmap(
    lambda count: st.integers(0, merkle.tree_width(count).bit_length() - 1).flatmap(
        lambda power: st.tuples(
            st.just(count),
            st.just(1 << power),
            st.integers(0, (merkle.tree_width(count) >> power) - 1),
        )
    )
)


def asked(count: int, length: int, place: int, height: int) -> tuple[bytes, bytes, list[bytes]]:
    """Return a file's root, the hashes of its layer that were asked for, and their proof."""
    layer = random_layer(count)
    whole = layer + merkle.hash_of_nothing(height) * (merkle.tree_width(count) - count)
    begin = place * length
    hashes = whole[begin * 32 : (begin + length) * 32]
    uncles = merkle.proof(layer, begin, length, height=height)
    return merkle.file_root(layer, height), hashes, uncles


@given(runs, st.integers(0, 5))
def test_a_proof_proves_what_was_asked(run: tuple[int, int, int], height: int) -> None:
    _, length, place = run
    root, hashes, uncles = asked(*run, height)
    assert merkle.proven_root(hashes, place * length, uncles, height=height) == root


@given(runs, st.integers(0, 5), st.data())
def test_any_change_of_hashes_or_proof_is_found(
    run: tuple[int, int, int], height: int, data: st.DataObject
) -> None:
    _, length, place = run
    root, hashes, uncles = asked(*run, height)
    sent = bytearray(hashes + b"".join(uncles))
    where = data.draw(st.integers(0, len(sent) - 1))
    sent[where] ^= data.draw(st.integers(1, 255))
    changed = bytes(sent)
    rest = [changed[at : at + 32] for at in range(len(hashes), len(changed), 32)]
    proven = merkle.proven_root(changed[: len(hashes)], place * length, rest, height=height)
    assert proven != root


@given(st.integers(1, 8), st.integers(0, 3), st.integers(0, 5))
def test_a_layer_may_be_wider_than_its_hashes_are_many(count: int, more: int, height: int) -> None:
    layer = random_layer(count)
    width = merkle.tree_width(count) << more
    root = merkle.root_of(layer, width=width, height=height)
    uncles = merkle.proof(layer, 0, 1, height=height, width=width)
    assert merkle.proven_root(layer[:32], 0, uncles, height=height) == root
