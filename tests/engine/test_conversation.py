"""What one connection says and hears: two conversations that talk to each other, and single rules.

Messages and their rules are those of BEP 3 ("peer protocol"), BEP 6 (Fast) and BEP 21.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_swarm.engine.conversation import (
    LOSS_WEIGHT,
    LOSSES_TOLD,
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


def asking(max_request: int = BLOCK_LENGTH) -> tuple[TwoEnds, End]:
    """A leecher that has asked for something, and its peer has not answered."""
    both, seeder, leecher = seeder_and_leecher(max_request=max_request)
    while ASK not in kinds(leecher):
        for index in (0, 1):
            both.settle(index)
            both.deliver(index, 10)
        both.now += 0.01
    seeder.said.clear()
    return both, leecher


def test_what_was_granted_and_is_not_asked_yet_is_never_asked_once_it_is_cancelled() -> None:
    both, _, leecher = seeder_and_leecher()
    conversation = leecher.conversation
    conversation.grant(BlockRun(0, 0, 3 * BLOCK_LENGTH))
    conversation.cancel(BlockRun(0, BLOCK_LENGTH, BLOCK_LENGTH))
    messages = conversation.speak(both.now)
    asked = [content for kind, content in messages if kind == ASK]
    assert asked == [(0, at * BLOCK_LENGTH, BLOCK_LENGTH, BLOCK_LENGTH) for at in (0, 2)]
    assert CANCEL not in [kind for kind, _ in messages]


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
    both, leecher = asking()
    source, ledger = leecher.conversation.source, leecher.side.ledger
    in_flight = source.in_flight
    assert in_flight
    leecher.conversation.heard_choke(choked=True, now=both.now)
    assert source.in_flight == in_flight
    assert leecher.conversation.grants is None
    piece, blocks = source.asks[0].piece, source.asks[0].blocks
    (run, *_) = ledger.lengths.runs(piece, blocks)
    assert leecher.conversation.heard_reject(*run, both.now) == 0
    assert leecher.conversation.heard_reject(*run, both.now) == 1


# --- what is lost (BEP 54) -----------------------------------------------------------------------


def test_a_lost_piece_is_taken_back_once_and_told_again_when_it_is_back() -> None:
    both, seeder, _ = seeder_and_leecher(hears_losses=True)
    both.run(0.05)
    seeder.all_said.clear()
    both.lose(0, 0b101)
    both.settle(0)
    both.settle(0)
    assert [content for kind, content in seeder.all_said if kind == LOST] == [0b101]
    assert seeder.conversation.told == EVERY & ~0b101
    seeder.side.ledger.regain(0b101)
    seeder.all_said.clear()
    seeder.speak(both.now)
    assert [content for kind, content in seeder.all_said if kind == HAVE] == [0b101]


def test_who_does_not_listen_to_it_is_told_of_no_loss() -> None:
    both, seeder, _ = seeder_and_leecher()
    both.run(0.05)
    both.lose(0, 0b1)
    both.settle(0)
    assert LOST not in kinds(seeder)
    assert seeder.conversation.told == EVERY
    assert not seeder.conversation.will_tell_losses


def test_a_piece_that_was_never_told_is_not_taken_back() -> None:
    both, seeder, _ = seeder_and_leecher(hears_losses=True)
    seeder.side.ledger.lose(0b1)
    both.run(0.05)
    assert LOST not in kinds(seeder)


def test_who_loses_more_than_a_few_pieces_tells_of_none() -> None:
    both = TwoEnds(LOSSES_TOLD + 1, (full_set(LOSSES_TOLD + 1), 0), hears_losses=True)
    seeder = both.ends[0]
    both.run(0.05)
    seeder.conversation.told = full_set(LOSSES_TOLD + 1)
    both.lose(0, full_set(LOSSES_TOLD + 1))
    both.settle(0)
    assert LOST not in kinds(seeder)
    assert not seeder.conversation.will_tell_losses
    seeder.side.ledger.regain(0b1)
    seeder.speak(both.now)
    assert seeder.all_said[-1] == (LOST, full_set(LOSSES_TOLD + 1) & ~0b1)


@pytest.mark.parametrize("fast", [True, False])
def test_requests_for_a_lost_piece_are_rejected_and_without_fast_dropped(*, fast: bool) -> None:
    """BEP 54, "Sender operation"."""
    both, seeder, leecher = seeder_and_leecher(hears_losses=True, fast=fast)
    both.run(0.05)
    seeder.conversation.peer_interested = True
    seeder.conversation.am_choking = False
    seeder.conversation.upload_queue = dict.fromkeys([block(0), block(1), block(0, 1)])
    seeder.conversation.drop_requests(0b1)
    assert list(seeder.conversation.upload_queue) == [block(1)]
    rejected = [content for kind, content in seeder.conversation.take_answers() if kind == REJECT]
    assert rejected == ([block(0), block(0, 1)] if fast else [])
    del leecher


def test_what_was_asked_of_a_piece_that_the_other_end_lost_is_given_back() -> None:
    """BEP 54, "Receiver operation"; a block or reject that is on its way is no fault."""
    both, leecher = asking()
    conversation, ledger = leecher.conversation, leecher.side.ledger
    source = conversation.source
    pieces = {ask.piece for ask in source.asks}
    lost = min(pieces)
    last = 3 * BLOCK_LENGTH
    conversation.grant(BlockRun(lost, last, BLOCK_LENGTH))
    charged = conversation.heard_losses(1 << lost, both.now)
    assert charged > 1
    assert not source.pieces >> lost & 1
    assert lost not in {ask.piece for ask in source.asks}
    assert conversation.grants is None
    leecher.side.settle(both.now)
    leecher.all_said.clear()
    leecher.speak(both.now)
    assert lost not in {content[0] for kind, content in leecher.all_said if kind == ASK}
    assert conversation.heard_losses(1 << lost, both.now) == 1
    assert ledger.rejected(conversation.key, lost, 0, BLOCK_LENGTH, both.now)


def test_interest_ends_with_the_only_piece_and_begins_with_the_next_have() -> None:
    both = TwoEnds(COUNT, (0b1, 0), hears_losses=True)
    leecher = both.ends[1]
    both.run(0.02)
    assert leecher.conversation.am_interested
    leecher.conversation.heard_losses(0b1, both.now)
    leecher.speak(both.now)
    assert not leecher.conversation.am_interested
    assert leecher.conversation.heard_haves(0b1) == 0
    leecher.speak(both.now)
    assert leecher.conversation.am_interested


def test_a_seeder_that_takes_a_piece_back_is_one_no_longer() -> None:
    both, _, leecher = seeder_and_leecher()
    conversation = leecher.conversation
    conversation.heard_pieces(EVERY, both.now)
    assert conversation.wants_nothing
    conversation.heard_losses(0b1, both.now)
    assert not conversation.wants_nothing
    conversation.heard_haves(0b1)
    assert conversation.wants_nothing


def test_who_has_and_has_not_in_turns_is_ended() -> None:
    both, _, leecher = seeder_and_leecher()
    conversation = leecher.conversation
    conversation.heard_pieces(EVERY, both.now)
    charged = 0
    for _ in range(1000):
        charged += conversation.heard_losses(0b1, both.now) + conversation.heard_haves(0b1)
    assert charged == 1000 * LOSS_WEIGHT
    conversation.charge(charged, both.now)
    with pytest.raises(IdleTalkError):
        conversation.charge(charged, both.now)
