"""Hashes of version 2 between two peers: what one answers, the other can prove."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_swarm.errors import MetainfoError
from trio_swarm.protocol import bencode
from trio_swarm.protocol.extensions.hash_answers import HashAnswers
from trio_swarm.protocol.extensions.hash_fetch import (
    ANSWER_WITHIN,
    ASK_AGAIN_AFTER,
    REQUESTS_AT_ONCE,
    HashFetch,
    layer_ranges,
    leaf_ranges,
    with_proven_layers,
)
from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.info import Info, parse_info
from trio_swarm.protocol.wire.messages import HashRange

BLOCK = merkle.BLOCK_LENGTH


class Torrent:
    """A torrent of version 2 of files of some lengths: its content, with and without layers."""

    def __init__(self, lengths: list[int], piece_length: int) -> None:
        self.content = [
            (b"%d." % number * (length // 2 + 1))[:length] for number, length in enumerate(lengths)
        ]
        layers = {}
        tree = {}
        for number, data in enumerate(self.content):
            leaves = merkle.leaf_hashes(data)
            size = piece_length // BLOCK * 32
            root = merkle.file_root(leaves)
            if len(data) > piece_length:
                layers[root] = b"".join(
                    merkle.piece_hash(leaves[at : at + size], piece_length, is_whole_file=False)
                    for at in range(0, len(leaves), size)
                )
            entry = {"length": len(data)} | ({"pieces root": root} if data else {})
            tree[f"f{number:04}"] = {"": entry}
        raw = bencode.encode(
            {"file tree": tree, "meta version": 2, "name": "n", "piece length": piece_length}  # type: ignore[dict-item]
        )
        self.bare = parse_info(raw)
        self.whole = self.bare.with_layers(layers)

    def read(self, pieces: range) -> bytes:
        """Return the content of pieces of one file."""
        size = self.whole.piece_length
        for file, data in zip(
            [file for file in self.whole.files if not file.padding], self.content, strict=True
        ):
            if pieces and pieces.start in self.whole.pieces_of(file):
                start = pieces.start * size - file.offset
                return data[start : start + len(pieces) * size]
        return b""


def answer(torrent: Torrent, asked: HashRange) -> bytes | None:
    answers = HashAnswers(torrent.whole)
    pieces = answers.pieces_of(asked)
    return None if pieces is None else answers.answer(asked, torrent.read(pieces))


def fetch(torrent: Torrent, *, liar: bool = False) -> HashFetch:
    fetching = HashFetch()
    for wanted in layer_ranges(torrent.bare):
        fetching.want(wanted, wanted.root)
    fetching.add_peer(1)
    while not fetching.is_done:
        asks = fetching.plan(0.0)
        assert asks
        for ask in asks:
            hashes = answer(torrent, ask.range)
            assert hashes is not None
            if liar:
                hashes = bytes([hashes[0] ^ 1]) + hashes[1:]
            assert fetching.received(1, ask.range, hashes) != liar
            if liar:
                return fetching
    return fetching


lengths = st.lists(st.integers(0, 40 * BLOCK), min_size=1, max_size=4)


@given(lengths, st.sampled_from([BLOCK, 2 * BLOCK, 8 * BLOCK]))
@settings(max_examples=30)
def test_the_layers_that_peers_send_are_those_of_the_torrent(
    sizes: list[int], piece_length: int
) -> None:
    torrent = Torrent(sizes, piece_length)
    assert with_proven_layers(torrent.bare, fetch(torrent).proven) == torrent.whole


def test_a_long_layer_comes_in_parts() -> None:
    torrent = Torrent([1100 * BLOCK + 5], BLOCK)
    ranges = list(layer_ranges(torrent.bare))
    assert [(each.index, each.length) for each in ranges] == [(0, 512), (512, 512), (1024, 512)]
    assert with_proven_layers(torrent.bare, fetch(torrent).proven) == torrent.whole


def test_a_lie_is_found_and_the_hashes_are_asked_for_again() -> None:
    torrent = Torrent([10 * BLOCK], BLOCK)
    fetching = fetch(torrent, liar=True)
    fetching.remove_peer(1)
    fetching.add_peer(2)
    (ask,) = fetching.plan(0.0)
    assert ask.peer == 2


@given(lengths, st.sampled_from([BLOCK, 4 * BLOCK]), st.data())
@settings(max_examples=30)
def test_leaves_of_any_place_are_proven_by_the_root(
    sizes: list[int], piece_length: int, data: st.DataObject
) -> None:
    torrent = Torrent([*sizes, 5 * BLOCK], piece_length)
    files = [file for file in torrent.whole.files if file.length > BLOCK and not file.padding]
    file = data.draw(st.sampled_from(files))
    count = -(-file.length // BLOCK)
    width = merkle.tree_width(count)
    length = 1 << data.draw(st.integers(1, width.bit_length() - 1))
    index = length * data.draw(st.integers(0, (count - 1) // length))
    asked = HashRange(file.root, 0, index, length, max(0, width.bit_length() - 2))
    fetching = HashFetch()
    fetching.want(asked, file.root)
    fetching.add_peer(1)
    assert [ask.range for ask in fetching.plan(0.0)] == [asked]
    hashes = answer(torrent, asked)
    assert hashes is not None
    assert fetching.received(1, asked, hashes)
    assert fetching.is_done


@given(lengths, st.sampled_from([BLOCK, 2 * BLOCK, 8 * BLOCK]), st.data())
@settings(max_examples=30)
def test_the_leaves_of_a_piece_are_proven_by_its_hash(
    sizes: list[int], piece_length: int, data: st.DataObject
) -> None:
    torrent = Torrent([*sizes, 5 * BLOCK], piece_length)
    piece = data.draw(st.integers(0, torrent.whole.piece_count - 1))
    fetching = HashFetch()
    fetching.add_peer(1)
    leaves = b""
    for wanted in leaf_ranges(torrent.whole, piece):
        fetching.want(wanted, torrent.whole.v2_piece_hash(piece))
        fetching.plan(0.0)
        hashes = answer(torrent, wanted)
        assert hashes is not None
        assert fetching.received(1, wanted, hashes)
        leaves += fetching.proven[wanted]
    assert fetching.is_done
    right = merkle.leaf_hashes(torrent.read(range(piece, piece + 1)))
    assert leaves.startswith(right) or (not leaves and len(right) == 32)


ROOT = Torrent([10 * BLOCK], 2 * BLOCK).whole.files[0].root


@pytest.mark.parametrize(
    "asked",
    [
        HashRange(b"x" * 32, 1, 0, 4, 0),
        HashRange(ROOT, 2, 0, 2, 0),
        HashRange(ROOT, 1, 0, 16, 0),
        HashRange(ROOT, 1, 0, 3, 0),
        HashRange(ROOT, 1, 0, 1, 0),
        HashRange(ROOT, 1, 1, 2, 0),
        HashRange(ROOT, 1, 8, 2, 0),
        HashRange(ROOT, 0, 10, 2, 0),
        HashRange(ROOT, 1, 0, 2, 9),
        HashRange(ROOT, 1, 0, 2**31, 2**32 - 1),
        HashRange(ROOT, 0, 2**32 - 2, 2, 0),
    ],
)
def test_impossible_requests_are_rejected(asked: HashRange) -> None:
    assert answer(Torrent([10 * BLOCK], 2 * BLOCK), asked) is None


def test_leaves_of_very_long_pieces_are_not_given_out() -> None:
    root = b"r" * 32
    tree = {"a": {"": {"length": 2**40, "pieces root": root}}}
    raw = {"file tree": tree, "meta version": 2, "name": "n", "piece length": 2**25}
    info = parse_info(bencode.encode(raw))  # type: ignore[arg-type]
    assert HashAnswers(info).pieces_of(HashRange(root, 0, 0, 512, 0)) is None


def some_range(index: int = 0) -> HashRange:
    return HashRange(ROOT, 1, index, 2, 2)


def test_a_late_answer_is_asked_of_another_and_of_the_same_much_later() -> None:
    fetching = HashFetch()
    fetching.want(some_range(), ROOT)
    fetching.add_peer(1)
    assert [ask.peer for ask in fetching.plan(0.0)] == [1]
    assert fetching.next_deadline() == ANSWER_WITHIN
    assert fetching.plan(ANSWER_WITHIN) == []
    assert fetching.next_deadline() == ANSWER_WITHIN + ASK_AGAIN_AFTER
    fetching.add_peer(2)
    assert [ask.peer for ask in fetching.plan(ANSWER_WITHIN)] == [2]
    fetching.rejected(2, some_range(), ANSWER_WITHIN)
    assert fetching.plan(ANSWER_WITHIN + 1) == []
    assert [ask.peer for ask in fetching.plan(ANSWER_WITHIN + ASK_AGAIN_AFTER)] == [1]


def test_a_peer_has_few_requests_at_a_time_and_what_it_leaves_goes_to_others() -> None:
    fetching = HashFetch()
    for index in range(0, 4 * REQUESTS_AT_ONCE, 2):
        fetching.want(some_range(index), ROOT)
    assert fetching.plan(0.0) == []
    assert fetching.next_deadline() == math.inf
    fetching.add_peer(1)
    assert len(fetching.plan(0.0)) == REQUESTS_AT_ONCE
    assert fetching.plan(0.0) == []
    fetching.remove_peer(1)
    fetching.add_peer(2)
    fetching.add_peer(3)
    assert len(fetching.plan(0.0)) == 2 * REQUESTS_AT_ONCE


def test_answers_that_nobody_asked_for_are_left_alone() -> None:
    fetching = HashFetch()
    fetching.want(some_range(), ROOT)
    assert fetching.received(1, some_range(), b"")
    fetching.add_peer(1)
    assert fetching.received(1, some_range(), b"")
    assert not fetching.is_done


def test_hashes_that_are_not_wanted_any_more_are_not_asked_for() -> None:
    fetching = HashFetch()
    fetching.want(some_range(), ROOT)
    assert fetching.drop(some_range()) is None
    fetching.add_peer(1)
    assert fetching.plan(0.0) == []
    assert fetching.is_done


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda layers: {root: layer[:-32] for root, layer in layers.items()}, "bytes for 5 pie"),
        (lambda layers: {root: bytes(len(layer)) for root, layer in layers.items()}, "is wrong"),
        (lambda layers: layers | {b"x" * 32: b"y" * 32}, "of no file"),
    ],
)
def test_wrong_layers_are_refused(change: object, reason: str) -> None:
    torrent = Torrent([10 * BLOCK], 2 * BLOCK)
    with pytest.raises(MetainfoError, match=reason):
        torrent.bare.with_layers(change(torrent.whole.layers()))  # type: ignore[operator]


def test_without_all_layers_nothing_is_known() -> None:
    torrent = Torrent([10 * BLOCK, 20 * BLOCK], 2 * BLOCK)
    known: Info = torrent.bare.with_layers(dict(list(torrent.whole.layers().items())[:1]))
    assert not known.can_verify
    assert torrent.whole.can_verify
