"""Batches and shards as bytes: nothing is lost on the way, and no bytes raise anything else."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.tracker.shared.changed_peers import ChangedPeers
from trio_swarm.tracker.shared.changes import (
    MAX_CHANGES,
    ChangedPeer,
    MalformedError,
    NamedPeer,
    ended_peers,
    joined_peers,
    pack_batch,
    unpack_batch,
)
from trio_swarm.tracker.shared.claims import OwnName, OwnSwarm
from trio_swarm.tracker.shared.snapshot import (
    Position,
    lists_of,
    names_of,
    pack_mark,
    pack_shard,
    split,
    swarm_claims,
    unpack_mark,
    unpack_shard,
)

hashes = st.binary(min_size=20, max_size=20)
addresses = st.binary(min_size=6, max_size=6) | st.binary(min_size=18, max_size=18)
changed = st.lists(st.builds(ChangedPeer, hashes, addresses, st.integers(0, 255)), max_size=20)
whole, keys = st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1)
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=255)


def packed(stride: int) -> st.SearchStrategy[bytes]:
    return st.lists(st.binary(min_size=stride, max_size=stride), max_size=5).map(b"".join)


@given(
    whole,
    changed,
    changed,
    st.lists(st.builds(NamedPeer, hashes, addresses, texts, whole, whole, keys), max_size=5),
)
def test_a_batch_is_read_as_it_was_written(
    claims: int, joined: list[ChangedPeer], ended: list[ChangedPeer], names: list[NamedPeer]
) -> None:
    batch = unpack_batch(pack_batch(claims, joined, ended, names))
    assert batch.claims == claims
    assert batch.names == names
    assert sorted(joined_peers(batch)) == sorted(joined)
    assert sorted(ended_peers(batch)) == sorted(ended)


names = st.lists(st.tuples(addresses, st.builds(OwnName, texts, whole, whole, keys)), max_size=3)


@given(
    hashes,
    st.builds(OwnSwarm, whole, packed(6), packed(6), packed(18), packed(18), names),
)
def test_a_shard_is_read_as_it_was_written(info_hash: bytes, own: OwnSwarm) -> None:
    since = Position(1, 2)
    shard = unpack_shard(pack_shard(since, [swarm_claims(info_hash, own)]))
    (swarm,) = shard.swarms
    assert shard.since == since
    assert (swarm.info_hash, swarm.completed) == (info_hash, own.completed)
    assert list(lists_of(swarm)) == [
        (split(own.seeders4, 6), split(own.leechers4, 6)),
        (split(own.seeders6, 18), split(own.leechers6, 18)),
    ]
    assert list(names_of(swarm)) == own.names


@given(st.binary(max_size=200), st.sampled_from([b"", b"\1", b"\2"]))
def test_other_bytes_are_malformed_and_nothing_else(data: bytes, beginning: bytes) -> None:
    for unpack in (unpack_batch, unpack_shard):
        with suppress(MalformedError):
            unpack(beginning + data)
    unpack_mark(beginning + data)


@given(st.data())
def test_a_batch_or_shard_that_was_cut_or_changed_is_read_or_malformed(data: st.DataObject) -> None:
    peers = [ChangedPeer(b"h" * 20, b"a" * 6, 1)]
    own = OwnSwarm(1, b"a" * 6, b"", b"", b"b" * 18, [(b"a" * 6, OwnName("n", 1, 2, 3))])
    for unpack, blob in (
        (unpack_batch, pack_batch(1, peers, peers, [NamedPeer(b"h" * 20, b"a" * 6, "n", 1, 2, 3)])),
        (unpack_shard, pack_shard(Position(1, 2), [swarm_claims(b"h" * 20, own)])),
    ):
        at = data.draw(st.integers(1, len(blob) - 1))
        other = data.draw(st.binary(max_size=3))
        with suppress(MalformedError):
            unpack(blob[:at] + other + blob[at + data.draw(st.integers(0, 3)) :])


def test_a_batch_of_more_peers_than_one_may_have_is_malformed() -> None:
    peers = [ChangedPeer(b"h" * 20, b"a" * 6, 0)] * (MAX_CHANGES + 1)
    with pytest.raises(MalformedError):
        unpack_batch(pack_batch(1, peers, [], []))
    unpack_batch(pack_batch(1, peers[1:], [], []))


def test_a_mark_tells_how_new_its_snapshot_is() -> None:
    mark = unpack_mark(pack_mark(Position(3, 4), 5))
    assert mark is not None
    assert (mark.since, mark.claims) == (Position(3, 4), 5)
    assert unpack_mark(None) is None
    assert Position(3, 4).text() == "3-4"
    assert Position(3, 9) < Position(4, 0)


def test_changed_peers_are_taken_once_in_their_order_with_all_that_happened() -> None:
    changes = ChangedPeers(3)
    for number, flags in ((1, 1), (2, 0), (1, 2)):
        changes.note(b"h" * 20, bytes([number]) * 6, flags)
    assert changes.take(1) == [(b"h" * 20, b"\1" * 6, 3)]
    assert changes.take(9) == [(b"h" * 20, b"\2" * 6, 0)]
    assert changes.take(9) == []


def test_too_many_changed_peers_are_forgotten_and_that_is_not() -> None:
    changes = ChangedPeers(3)
    for number in range(4):
        assert not changes.are_lost
        changes.note(b"h" * 20, bytes([number]) * 6, 0)
    assert changes.are_lost
    assert len(changes) == 0
