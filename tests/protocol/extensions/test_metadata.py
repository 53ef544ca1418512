"""The metadata exchange (BEP 9): messages, and fetching from honest, slow and lying peers."""

import contextlib
import hashlib
import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.extensions.metadata import (
    MAX_METADATA_SIZE,
    METADATA_PIECE,
    MetadataData,
    MetadataMessage,
    MetadataReject,
    MetadataRequest,
    encode_metadata_message,
    parse_metadata_message,
)
from trio_swarm.protocol.extensions.metadata_assembler import (
    PROBE_FIRST,
    PROBE_MOST,
    REQUEST_TIMEOUT,
    MetadataAsk,
    MetadataAssembler,
)

RAW = random.Random(9).randbytes(5 * METADATA_PIECE + 100)
HASH = hashlib.sha1(RAW).digest()

pieces = st.integers(0, MAX_METADATA_SIZE // METADATA_PIECE - 1)


@given(
    st.builds(MetadataRequest, pieces)
    | st.builds(MetadataReject, pieces)
    | st.builds(MetadataData, pieces, st.none() | st.integers(0, 1 << 30), st.binary(min_size=1))
)
def test_messages_come_back_as_they_were(message: MetadataMessage) -> None:
    assert parse_metadata_message(encode_metadata_message(message)) == message


def test_the_examples_of_bep_9_are_understood() -> None:
    assert parse_metadata_message(b"d8:msg_typei0e5:piecei0ee") == MetadataRequest(0)
    assert parse_metadata_message(b"d8:msg_typei2e5:piecei0ee") == MetadataReject(0)
    data = b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxxxxxx"
    assert parse_metadata_message(data) == MetadataData(0, 34256, b"x" * 8)
    assert parse_metadata_message(b"d8:msg_typei7ee") is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"le",
        b"de",
        b"d8:msg_typei0ee",
        b"d8:msg_typei0e5:piecei-1ee",
        b"d8:msg_typei0e5:piecei1024ee",
        b"d8:msg_typei1e5:piecei0ee",
        b"d8:msg_typei1e5:piecei0ee" + bytes(METADATA_PIECE + 1),
        b"d8:msg_typei1e5:piecei0e10:total_size1:xex",
    ],
)
def test_a_message_that_makes_no_sense_is_a_fault(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_metadata_message(payload)


@given(st.binary(max_size=100) | st.binary(max_size=50).map(lambda b: b"d8:msg_typei1e" + b))
def test_arbitrary_bytes_are_a_message_or_a_fault_of_the_peer(payload: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse_metadata_message(payload)


def answer(ask: MetadataAsk, raw: bytes = RAW) -> MetadataData:
    start = ask.piece * METADATA_PIECE
    return MetadataData(ask.piece, len(raw), raw[start : start + METADATA_PIECE])


def test_several_peers_share_the_work() -> None:
    assembler = MetadataAssembler(HASH)
    for key in (1, 2, 3):
        assembler.add_peer(key, len(RAW))
    asks = assembler.plan(0.0)
    assert sorted(ask.piece for ask in asks) == list(range(6))
    assert sorted(ask.peer for ask in asks) == [1, 1, 2, 2, 3, 3]
    assert assembler.next_deadline() == 10.0
    for ask in asks:
        assert assembler.raw is None
        assert assembler.received(ask.peer, answer(ask), 1.0) == []
    assert assembler.raw == RAW
    assert assembler.plan(1.0) == []
    assert assembler.next_deadline() == math.inf


@pytest.mark.parametrize("whole", [False, True])
def test_a_version_2_info_hash_is_of_the_same_metadata(whole: bool) -> None:  # noqa: FBT001
    """BEP 52: SHA-256 of the info dictionary, cut to 20 bytes on the wire."""
    digest = hashlib.sha256(RAW).digest()
    assembler = MetadataAssembler(digest[:20], v2_hash=digest if whole else None)
    assembler.add_peer(1, len(RAW))
    for ask in assembler.plan(0.0):
        assert assembler.received(1, answer(ask), 1.0) == []
    assert assembler.raw == RAW


def test_metadata_of_another_version_2_hash_with_the_same_beginning_is_a_lie() -> None:
    digest = hashlib.sha256(RAW).digest()
    assembler = MetadataAssembler(digest[:20], v2_hash=digest[:20] + bytes(12))
    assembler.add_peer(1, len(RAW))
    liars = [assembler.received(1, answer(ask), 1.0) for ask in assembler.plan(0.0)]
    assert liars[-1] == [1]
    assert assembler.raw is None


def test_a_peer_is_not_asked_for_all_at_once() -> None:
    raw = bytes(METADATA_PIECE * 20)
    assembler = MetadataAssembler(hashlib.sha1(raw).digest())
    assembler.add_peer(1, len(raw))
    first = assembler.plan(0.0)
    assert len(first) == 8
    assert assembler.plan(0.0) == []
    assembler.received(1, answer(first[0], raw), 0.1)
    assert assembler.plan(0.1) == [MetadataAsk(1, 8)]
    assert assembler.progress == (METADATA_PIECE, len(raw))


def test_what_one_peer_is_late_with_is_asked_of_another_and_may_still_come() -> None:
    raw = bytes(METADATA_PIECE)
    assembler = MetadataAssembler(hashlib.sha1(raw).digest())
    assembler.add_peer(1, len(raw))
    (ask,) = assembler.plan(0.0)
    assert assembler.plan(9.9) == []
    assert assembler.plan(10.0) == []
    assert assembler.next_deadline() == 12.0
    assembler.add_peer(2, len(raw))
    assert assembler.plan(10.5) == [MetadataAsk(2, 0)]
    assembler.received(1, answer(ask, raw), 11.0)
    assert assembler.raw == raw


def test_an_idle_peer_doubles_a_request_but_no_third_does() -> None:
    raw = bytes(METADATA_PIECE)
    assembler = MetadataAssembler(hashlib.sha1(raw).digest())
    for key in (1, 2, 3):
        assembler.add_peer(key, len(raw))
    assert assembler.plan(0.0) == [MetadataAsk(1, 0), MetadataAsk(2, 0)]
    assert assembler.plan(1.0) == []
    assembler.received(2, answer(MetadataAsk(2, 0), raw), 1.0)
    assert assembler.raw == raw
    assert assembler.received(1, answer(MetadataAsk(1, 0), raw), 2.0) == []
    assembler.rejected(1, 0, 2.0)


def test_a_peer_that_rejects_rests_longer_each_time_and_wakes_nobody_in_vain() -> None:
    raw = bytes(METADATA_PIECE)
    assembler = MetadataAssembler(hashlib.sha1(raw).digest())
    assembler.add_peer(1, len(raw))
    now = 0.0
    pauses = []
    for _ in range(8):
        assert assembler.plan(now) == [MetadataAsk(1, 0)]
        assembler.rejected(1, 0, now)
        assert assembler.plan(now) == []
        wake = assembler.next_deadline()
        pauses.append(wake - now)
        now = wake
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assembler.plan(now)
    assert assembler.next_deadline() == now + 10.0


def test_a_peer_that_sends_what_nobody_asked_for_is_at_fault() -> None:
    assembler = MetadataAssembler(HASH)
    assembler.add_peer(1, len(RAW))
    with pytest.raises(RemoteProtocolError, match="nobody asked"):
        assembler.received(1, answer(MetadataAsk(1, 0)), 0.0)
    with pytest.raises(RemoteProtocolError, match="never asked"):
        assembler.rejected(1, 0, 0.0)
    assembler.plan(0.0)
    with pytest.raises(RemoteProtocolError, match="then of"):
        assembler.received(1, MetadataData(0, 5, RAW[:METADATA_PIECE]), 0.0)
    with pytest.raises(RemoteProtocolError, match="not 16384"):
        assembler.received(1, MetadataData(0, len(RAW), b"x"), 0.0)
    with pytest.raises(RemoteProtocolError, match="nobody asked"):
        assembler.received(2, answer(MetadataAsk(2, 0)), 0.0)


def test_peers_with_no_size_or_an_absurd_one_are_not_asked() -> None:
    assembler = MetadataAssembler(HASH)
    for key, size in enumerate((None, 0, -1, MAX_METADATA_SIZE + 1)):
        assembler.add_peer(key, size)
    assert assembler.plan(0.0) == []
    assert assembler.next_deadline() == math.inf
    assert assembler.progress == (0, 0)
    assembler.add_peer(0, len(RAW))
    assert len(assembler.plan(0.0)) == 6
    assembler.add_peer(0, len(RAW))
    assert assembler.plan(0.0) == []


def run(
    assembler: MetadataAssembler, contents: dict[int, bytes], *, rounds: int = 200
) -> tuple[set[int], int]:
    """Let every peer answer every request with its own content; return liars and requests."""
    blamed: set[int] = set()
    count = 0
    for now in range(rounds):
        asks = assembler.plan(float(now))
        for ask in asks:
            count += 1
            if ask.peer not in blamed:
                blamed.update(
                    assembler.received(ask.peer, answer(ask, contents[ask.peer]), float(now))
                )
    return blamed, count


def test_a_lone_liar_is_blamed_and_the_next_peer_asked() -> None:
    assembler = MetadataAssembler(HASH)
    lie = bytes(len(RAW))
    assembler.add_peer(1, len(RAW))
    assert run(assembler, {1: lie})[0] == {1}
    assembler.add_peer(1, len(RAW))
    assert assembler.plan(300.0) == []
    assembler.add_peer(2, len(RAW))
    assert run(assembler, {2: RAW})[0] == set()
    assert assembler.raw == RAW


@given(
    honest=st.integers(1, 4),
    liars=st.integers(0, 4),
    other_sizes=st.lists(st.integers(1, len(RAW) * 2), max_size=4),
    seed=st.integers(0, 1000),
)
def test_only_liars_are_blamed_and_the_honest_win(
    honest: int, liars: int, other_sizes: list[int], seed: int
) -> None:
    rng = random.Random(seed)
    contents = dict.fromkeys(range(honest), RAW)
    contents |= {100 + key: rng.randbytes(len(RAW)) for key in range(liars)}
    contents |= {200 + key: rng.randbytes(size) for key, size in enumerate(other_sizes)}
    keys = list(contents)
    rng.shuffle(keys)
    assembler = MetadataAssembler(HASH)
    for key in keys:
        assembler.add_peer(key, len(contents[key]))
    blamed, _ = run(assembler, contents)
    assert assembler.raw == RAW
    assert all(key >= 100 for key in blamed)


def test_claims_of_huge_sizes_do_not_fill_the_memory_nor_starve_a_small_one() -> None:
    assembler = MetadataAssembler(HASH)
    for key in range(20):
        assembler.add_peer(key, MAX_METADATA_SIZE - key)
    assembler.add_peer(99, len(RAW))
    asked = {ask.peer for ask in assembler.plan(0.0)}
    assert 99 in asked
    assert len(asked) == 4


def test_claims_of_many_silent_peers_make_way_for_one_that_answers() -> None:
    # Two peers for each huge size: more than the one honest peer's, and more than the memory.
    assembler = MetadataAssembler(HASH)
    for key in range(20):
        assembler.add_peer(key, MAX_METADATA_SIZE - key // 2)
    assembler.add_peer(99, len(RAW))
    now = 0.0
    while 99 not in {ask.peer for ask in assembler.plan(now)}:
        now = assembler.next_deadline()
        assert now <= 3 * REQUEST_TIMEOUT


def test_a_source_that_leaves_or_rests_makes_way_when_pieces_must_come_from_one() -> None:
    assembler = MetadataAssembler(HASH)
    lie = bytes(len(RAW))
    for key in (1, 2):
        assembler.add_peer(key, len(RAW))
    for ask in assembler.plan(0.0):
        assembler.received(ask.peer, answer(ask, lie if ask.peer == 1 else RAW), 0.0)
    assert assembler.raw is None
    asks = assembler.plan(0.0)
    assert {ask.peer for ask in asks} == {1}
    assembler.received(1, answer(asks[0], lie), 0.0)
    assembler.rejected(1, asks[1].piece, 0.0)
    asks = assembler.plan(0.0)
    assert {ask.peer for ask in asks} == {2}
    assembler.remove_peer(2)
    assembler.remove_peer(2)
    asks = assembler.plan(2.0)
    assert {ask.peer for ask in asks} <= {1}
    assembler.add_peer(3, len(RAW))
    run(assembler, {1: lie, 3: RAW})
    assert assembler.raw == RAW


def test_many_rejects_at_once_are_one_misfortune() -> None:
    assembler = MetadataAssembler(HASH)
    assembler.add_peer(1, len(RAW))
    for ask in assembler.plan(0.0):
        assembler.rejected(1, ask.piece, 0.0)
    assert assembler.next_deadline() == 2.0


def test_a_piece_that_comes_twice_counts_once_and_for_its_first_giver() -> None:
    raw = random.Random(1).randbytes(2 * METADATA_PIECE)
    assembler = MetadataAssembler(hashlib.sha1(raw).digest())
    assembler.add_peer(1, len(raw))
    assembler.plan(0.0)
    assembler.received(1, answer(MetadataAsk(1, 0), raw), 0.0)
    assembler.received(1, answer(MetadataAsk(1, 0), bytes(len(raw))), 0.0)
    assembler.received(1, answer(MetadataAsk(1, 1), raw), 0.0)
    assert assembler.raw == raw


def test_when_pieces_must_come_from_one_those_of_others_are_not_mixed_in() -> None:
    raw = random.Random(1).randbytes(2 * METADATA_PIECE)
    lie = bytes(len(raw))
    assembler = MetadataAssembler(hashlib.sha1(raw).digest())
    assembler.add_peer(1, len(raw))
    assembler.add_peer(2, len(raw))
    assembler.plan(0.0)
    assembler.received(1, answer(MetadataAsk(1, 0), raw), 0.0)
    assembler.plan(0.0)
    assert assembler.received(2, answer(MetadataAsk(2, 1), lie), 0.0) == []
    assert {ask.peer for ask in assembler.plan(0.0)} == {1}
    assembler.received(2, answer(MetadataAsk(2, 1), lie), 0.0)
    for piece in (0, 1):
        assembler.received(1, answer(MetadataAsk(1, piece), raw), 0.0)
    assert assembler.raw == raw


def test_a_peer_that_told_no_size_is_asked_now_and_then_for_it_may_have_learnt_it() -> None:
    """libtorrent 2.1 does so, too; nobody need repeat its extension handshake (BEP 10)."""
    assembler = MetadataAssembler(HASH)
    assembler.add_silent_peer(1, 0.0)
    assembler.add_silent_peer(1, 1.0)
    asked = []
    now = 0.0
    while len(asked) < 8:
        asked += [(now, ask) for ask in assembler.plan(now)]
        if len(asked) % 2:
            assembler.rejected(1, 0, now)
        now = assembler.next_deadline()
    times = [at for at, ask in asked if ask == MetadataAsk(1, 0)]
    assert times[0] == PROBE_FIRST
    assert all(b - a <= PROBE_MOST for a, b in itertools.pairwise(times))
    assert times[-1] - times[-2] == PROBE_MOST
    assert assembler.received(1, answer(MetadataAsk(1, 0)), now) == []
    assert [ask.piece for ask in assembler.plan(now)] == [1, 2, 3, 4, 5]
    for piece in range(1, 6):
        assembler.received(1, answer(MetadataAsk(1, piece)), now)
    assert assembler.raw == RAW


def test_what_a_silent_peer_was_asked_may_come_after_it_told_the_size() -> None:
    assembler = MetadataAssembler(HASH)
    assembler.add_silent_peer(1, 0.0)
    assert assembler.plan(PROBE_FIRST) == [MetadataAsk(1, 0)]
    assembler.add_peer(1, len(RAW))
    assert assembler.received(1, answer(MetadataAsk(1, 0)), PROBE_FIRST) == []
    assembler.rejected(1, 0, PROBE_FIRST)
    assert MetadataAsk(1, 1) in assembler.plan(PROBE_FIRST)


@pytest.mark.parametrize("piece", [0, 1])
def test_a_silent_peer_sends_nothing_unasked(piece: int) -> None:
    assembler = MetadataAssembler(HASH)
    assembler.add_silent_peer(1, 0.0)
    if piece:
        assembler.plan(PROBE_FIRST)
    with pytest.raises(RemoteProtocolError):
        assembler.received(1, answer(MetadataAsk(1, piece)), PROBE_FIRST)


def test_an_answer_that_tells_no_size_either_is_of_no_use_and_no_fault() -> None:
    assembler = MetadataAssembler(HASH)
    assembler.add_silent_peer(1, 0.0)
    assembler.plan(PROBE_FIRST)
    sizeless = MetadataData(0, None, RAW[:METADATA_PIECE])
    assert assembler.received(1, sizeless, PROBE_FIRST) == []
    assert assembler.plan(PROBE_FIRST + PROBE_MOST) == [MetadataAsk(1, 0)]
