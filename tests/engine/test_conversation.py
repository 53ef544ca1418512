"""What one connection says and hears: two conversations that talk to each other, and single rules.

Messages and their rules are those of BEP 3 ("peer protocol"), BEP 6 (Fast) and BEP 21.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_swarm.engine.conversation import (
    REFUSED_LIMIT,
    REQUEST_QUEUE,
    UNREQUESTED_LIMIT,
)
from trio_swarm.engine.download.ledger import BlockOutcome
from trio_swarm.engine.lengths import BLOCK_LENGTH, BlockRun
from trio_swarm.engine.messages import (
    ALLOWED,
    ASK,
    CANCEL,
    CHOKE,
    HAVE,
    INTEREST,
    LOST,
    PIECES,
    REJECT,
)
from trio_swarm.errors import IdleTalkError
from trio_swarm.piece_sets import full_set
from trio_swarm.schedulers.api import UploadRequest
from two_ends import PIECE, End, TwoEnds

COUNT = 6
EVERY = full_set(COUNT)


def seeder_and_leecher(**settings: Any) -> tuple[TwoEnds, End, End]:
    both = TwoEnds(COUNT, (EVERY, 0), **settings)
    return both, *both.ends


def kinds(end: End) -> list[int]:
    return [kind for kind, _ in end.all_said]


def block(piece: int, number: int = 0) -> UploadRequest:
    return UploadRequest(piece, number * BLOCK_LENGTH, BLOCK_LENGTH)


# --- two that talk -------------------------------------------------------------------------------


@given(
    haves=st.tuples(st.integers(0, EVERY), st.integers(0, EVERY)),
    manners=st.fixed_dictionaries(
        {
            "fast": st.booleans(),
            "hears_losses": st.booleans(),
            "max_request": st.sampled_from([BLOCK_LENGTH, 2 * BLOCK_LENGTH, PIECE]),
            "allowed_fast": st.integers(0, EVERY),
        }
    ),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["settle", "deliver", "choke", "unchoke", "wait", "drop", "lose"]),
            st.integers(0, 1),
            st.integers(1, 8),
        ),
        max_size=150,
    ),
)
@settings(max_examples=60, deadline=None)
def test_two_that_talk_are_both_complete_in_the_end_whatever_order_things_happen_in(
    haves: tuple[int, int], manners: dict[str, Any], steps: list[tuple[str, int, int]]
) -> None:
    first, second = haves
    both = TwoEnds(COUNT, (first, EVERY & ~first | second), **manners)
    for step, index, amount in steps:
        end = both.ends[index]
        if step == "settle":
            both.settle(index)
        elif step == "deliver":
            both.deliver(index, amount)
        elif step == "wait":
            both.now += amount / 4
        elif step == "drop":
            # What others changed is taken back, and is right again soon.
            end.conversation.drop_requests(1 << amount % COUNT)
        elif step == "lose":
            # Of what both have, or nobody might have it any more.
            both.lose(index, both.ends[1 - index].side.ledger.have & 1 << amount % COUNT)
        elif end.conversation.should_unchoke != (step == "unchoke"):
            end.conversation.decide_choke(unchoke=step == "unchoke", now=both.now)
            end.side.wake(end.conversation)
    for end in both.ends:
        end.side.rechoke(both.now)
    both.run(200.0, both.are_complete)
    assert both.are_complete()
    for end in both.ends:
        conversation = end.conversation
        assert conversation.told <= EVERY
        # Nothing is asked of an end that lacks it or serves nothing, and nothing is told twice.
        assert sum(kind == PIECES for kind, _ in end.all_said) <= 1
        told = [content for kind, content in end.all_said if kind in {PIECES, HAVE}]
        lost = [content for kind, content in end.all_said if kind == LOST]
        assert sum(told) - sum(lost) == conversation.told


def test_a_seeder_is_asked_once_for_each_block_and_each_is_sent_once() -> None:
    both, seeder, leecher = seeder_and_leecher()
    both.run(30.0, both.are_complete)
    asked = sum(content[2] for kind, content in leecher.all_said if kind == ASK)
    assert asked == leecher.side.ledger.lengths.length
    assert seeder.conversation.uploaded == leecher.side.ledger.received_bytes == asked
    assert not {CANCEL, REJECT} & {*kinds(seeder), *kinds(leecher)}
    assert not leecher.side.ledger.duplicate_bytes


def test_pieces_are_told_first_and_then_what_may_be_had_though_choked() -> None:
    both, seeder, _ = seeder_and_leecher(allowed_fast=0b101)
    seeder.speak(both.now)
    shown = seeder.conversation.told
    assert shown  # not all: its uploader spreads them
    assert seeder.all_said == [(PIECES, shown), (ALLOWED, 0b101)]
    seeder.speak(both.now)
    assert len(seeder.all_said) == 2


def test_interest_is_told_when_it_changes_and_not_besides() -> None:
    both, _, leecher = seeder_and_leecher()
    both.run(30.0, both.are_complete)
    both.run(1.0)
    told = [content for kind, content in leecher.all_said if kind == INTEREST]
    assert told == [True, False] * (len(told) // 2)
    assert told


def test_a_finished_torrent_wants_nothing_back_that_others_take_from_it() -> None:
    both = TwoEnds(COUNT, (EVERY, EVERY))
    side = both.ends[0].side
    side.stop_fetching()
    side.ledger.lose(0b1)
    both.run(1.0)
    assert INTEREST not in kinds(both.ends[0])


# --- what is owed --------------------------------------------------------------------------------


@pytest.fixture
def served() -> tuple[TwoEnds, End]:
    """A seeder, whose leecher is unchoked."""
    both, seeder, _ = seeder_and_leecher()
    seeder.conversation.decide_choke(unchoke=True, now=both.now)
    seeder.speak(both.now)
    return both, seeder


def test_a_request_is_answered_by_one_block_however_often_it_comes(
    served: tuple[TwoEnds, End],
) -> None:
    both, seeder = served
    conversation = seeder.conversation
    assert conversation.heard_request(block(2)) == 0
    assert conversation.heard_request(block(2)) == 1
    assert conversation.serve(both.now) == [block(2)]
    assert not conversation.upload_queue


def test_a_cancelled_request_is_rejected_and_one_that_is_out_is_answered_by_its_block(
    served: tuple[TwoEnds, End],
) -> None:
    both, seeder = served
    conversation = seeder.conversation
    conversation.heard_request(block(2))
    conversation.heard_request(block(3))
    conversation.heard_cancel(block(3))
    assert conversation.take_answers() == [(REJECT, block(3))]
    assert conversation.serve(both.now) == [block(2)]
    assert conversation.heard_cancel(block(2)) == 1
    assert not conversation.has_answers


def test_a_choke_rejects_what_is_queued_except_for_pieces_allowed_fast() -> None:
    both, seeder, _ = seeder_and_leecher(allowed_fast=0b1)
    conversation = seeder.conversation
    conversation.decide_choke(unchoke=True, now=both.now)
    seeder.speak(both.now)
    conversation.heard_request(block(0))
    conversation.heard_request(block(1))
    conversation.decide_choke(unchoke=False, now=both.now)
    assert conversation.speak(both.now) == [(CHOKE, True), (REJECT, block(1))]
    assert conversation.serve(both.now) == [block(0)]


def test_without_fast_silence_is_the_answer_to_what_is_refused() -> None:
    _, seeder, _ = seeder_and_leecher(fast=False)
    assert seeder.conversation.heard_request(block(0)) == 1
    assert not seeder.conversation.has_answers


def test_pieces_that_are_withheld_wait_and_others_are_served(served: tuple[TwoEnds, End]) -> None:
    both, seeder = served
    conversation = seeder.conversation
    conversation.heard_request(block(1))
    conversation.heard_request(block(2))
    assert conversation.serve(both.now, withheld=0b10) == [block(2)]
    assert conversation.serve(both.now, withheld=0b10) == []
    assert conversation.serve(both.now) == [block(1)]


def test_no_more_requests_are_queued_than_were_announced(served: tuple[TwoEnds, End]) -> None:
    _, seeder = served
    conversation = seeder.conversation
    for number in range(REQUEST_QUEUE + 1):
        conversation.heard_request(UploadRequest(0, number, 2048))
    assert len(conversation.upload_queue) == REQUEST_QUEUE
    assert conversation.take_answers() == [(REJECT, UploadRequest(0, REQUEST_QUEUE, 2048))]


# --- what is charged -----------------------------------------------------------------------------


def test_who_is_refused_and_takes_no_answer_is_dropped_in_the_end() -> None:
    both, seeder, _ = seeder_and_leecher()
    for _ in range(REFUSED_LIMIT):
        seeder.conversation.heard_request(block(0))
    with pytest.raises(IdleTalkError):
        seeder.conversation.heard_request(block(0))
    seeder.speak(both.now)  # it has taken them
    seeder.conversation.heard_request(block(0))


def test_blocks_that_nobody_asked_for_are_borne_for_a_while() -> None:
    both, _, leecher = seeder_and_leecher()
    for _ in range(UNREQUESTED_LIMIT):
        outcome = leecher.conversation.heard_blocks(*block(0), both.now)
        assert outcome is BlockOutcome.UNREQUESTED
    with pytest.raises(IdleTalkError):
        leecher.conversation.heard_blocks(*block(0), both.now)


def test_what_is_told_again_is_charged_but_each_piece_of_a_bitfield_once_for_free() -> None:
    both, seeder, _ = seeder_and_leecher()
    conversation = seeder.conversation
    conversation.heard_pieces(0b1, both.now)
    assert [conversation.heard_haves(0b1) for _ in range(COUNT + 1)] == [0] * COUNT + [1]
    assert conversation.heard_haves(0b10) == 0
    assert conversation.heard_choke(choked=True, now=both.now) == 1
    assert conversation.heard_pieces(0b11, both.now) == 1
    assert conversation.heard_pieces(0b111, both.now) == 0
    assert conversation.heard_pieces(0b1, both.now) > 1


# --- what is asked -------------------------------------------------------------------------------


def test_what_was_granted_and_is_not_asked_yet_is_never_asked_once_it_is_cancelled() -> None:
    both, _, leecher = seeder_and_leecher()
    conversation = leecher.conversation
    conversation.grant(BlockRun(0, 0, 3 * BLOCK_LENGTH))
    conversation.cancel(BlockRun(0, BLOCK_LENGTH, BLOCK_LENGTH))
    messages = conversation.speak(both.now)
    asked = [content for kind, content in messages if kind == ASK]
    assert asked == [(0, at * BLOCK_LENGTH, BLOCK_LENGTH, BLOCK_LENGTH) for at in (0, 2)]
    assert CANCEL not in [kind for kind, _ in messages]


def test_what_was_granted_is_not_asked_of_anybody_once_the_torrent_is_finished() -> None:
    """BEP 3: who asks is interested, and a finished torrent is interested in nothing."""
    both = TwoEnds(COUNT, (EVERY, EVERY))
    side, conversation = both.ends[0].side, both.ends[0].conversation
    conversation.heard_pieces(EVERY, both.now)
    conversation.grant(BlockRun(0, 0, BLOCK_LENGTH))
    conversation.speak(both.now)
    side.stop_fetching()
    side.ledger.lose(0b1)
    told = [kind for kind, _ in conversation.speak(both.now)]
    assert ASK not in told
    assert conversation.grants is None


def test_whole_requests_are_cancelled_and_those_that_hold_more_are_not() -> None:
    both, _, leecher = seeder_and_leecher()
    conversation = leecher.conversation
    conversation.source.join_requests(0, 0, 4 * BLOCK_LENGTH, 2 * BLOCK_LENGTH)
    conversation.cancel(BlockRun(0, BLOCK_LENGTH, 3 * BLOCK_LENGTH))
    cancelled = [content for kind, content in conversation.speak(both.now) if kind == CANCEL]
    assert cancelled == [UploadRequest(0, 2 * BLOCK_LENGTH, 2 * BLOCK_LENGTH)]


def test_the_last_request_of_a_torrent_is_cancelled_by_its_real_length() -> None:
    both, _, leecher = seeder_and_leecher()
    lengths = leecher.side.ledger.lengths
    conversation = leecher.conversation
    last, size = COUNT - 1, lengths.piece_size(COUNT - 1)
    conversation.source.join_requests(last, 0, size, PIECE)
    conversation.cancel(BlockRun(last, 0, size))
    cancelled = [content for kind, content in conversation.speak(both.now) if kind == CANCEL]
    assert cancelled == [UploadRequest(last, 0, size)]


def test_a_choke_with_fast_leaves_what_was_asked_and_gives_back_what_was_not() -> None:
    both, _, leecher = seeder_and_leecher()
    conversation, ledger = leecher.conversation, leecher.side.ledger
    conversation.heard_pieces(EVERY, both.now)
    conversation.heard_choke(choked=False, now=both.now)
    leecher.side.settle(both.now)
    assert conversation.grants
    assert conversation.source.in_flight
    conversation.heard_choke(choked=True, now=both.now)
    assert conversation.grants is None
    assert not conversation.source.in_flight
    assert not ledger.open_pieces
    conversation.heard_choke(choked=False, now=both.now)
    leecher.side.settle(both.now)
    conversation.speak(both.now)
    asked = conversation.source.in_flight
    assert asked
    conversation.heard_choke(choked=True, now=both.now)
    assert conversation.source.in_flight == asked
    ask = conversation.source.asks[0]
    (run, *_) = ledger.lengths.runs(ask.piece, ask.blocks)
    assert conversation.heard_reject(*run, both.now) == 0
    assert conversation.heard_reject(*run, both.now) == 1
