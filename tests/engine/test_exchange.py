"""What the conversations of one torrent have in common: when to decide, and whom to tell."""

import math

import pytest

from trio_swarm.engine.conversation import Conversation
from trio_swarm.engine.exchange import MAX_OPEN_PIECES, MIN_OPEN_PIECES, open_piece_limit
from trio_swarm.engine.lengths import BlockRun
from trio_swarm.engine.messages import ASK, HAVE
from trio_swarm.engine.upload.serving import CHOKE_PAUSE, CHOKE_ROUND, WELCOME
from trio_swarm.piece_sets import full_set
from two_ends import PIECE, Side, TwoEnds

COUNT = 6
EVERY = full_set(COUNT)
SLOTS = 4
NOW = 100.0


class Serving:
    """A seeder with four slots and five peers."""

    def __init__(self, have: int = EVERY) -> None:
        self.side = Side(COUNT, have, choke_pause=CHOKE_PAUSE)
        self.peers = [self.join(key) for key in range(SLOTS + 1)]
        self.side.settle(NOW)

    def join(self, key: int) -> Conversation:
        conversation = Conversation(self.side, key, NOW, address=f"10.0.0.{key}:1")
        self.side.join(conversation, NOW, identity=conversation.address)
        return conversation

    def unchoked(self) -> list[int]:
        return [each.key for each in self.peers if each.should_unchoke]


@pytest.fixture
def busy() -> Serving:
    """The same, with all slots taken and one peer waiting."""
    serving = Serving()
    for each in serving.peers[:SLOTS]:
        each.heard_interest(interested=True, now=NOW)
        serving.side.settle(NOW)
    assert serving.unchoked() == [0, 1, 2, 3]
    return serving


def test_a_free_slot_is_given_at_once(busy: Serving) -> None:
    busy.peers[0].heard_interest(interested=False, now=NOW + 1.0)
    busy.side.settle(NOW + 1.0 + CHOKE_PAUSE)
    busy.peers[SLOTS].heard_interest(interested=True, now=NOW + 2.0)
    assert busy.side.choke_at == NOW + 2.0


def test_without_a_pause_a_slot_that_becomes_free_is_given_at_once(busy: Serving) -> None:
    busy.side.choke_pause = 0.0  # as real peers have it
    busy.peers[SLOTS].heard_interest(interested=True, now=NOW + 1.0)
    busy.side.settle(NOW + 1.0)
    busy.peers[0].heard_interest(interested=False, now=NOW + 1.1)
    assert busy.side.choke_at == NOW + 1.1
    busy.side.settle(NOW + 1.1)
    assert busy.unchoked() == [1, 2, 3, 4]


def test_interest_that_comes_and_goes_is_not_decided_about_each_time(busy: Serving) -> None:
    side, last = busy.side, busy.peers[SLOTS]
    side.rechoke(NOW + 1.0)
    side.settle(NOW + 1.0)
    for tick in range(1, 20):
        last.heard_interest(interested=tick % 2 == 1, now=NOW + 1.0 + tick / 100)
        assert side.choke_at == NOW + 1.0 + CHOKE_PAUSE
        side.settle(NOW + 1.0 + tick / 100)
    assert side.round_ends_at == NOW + 1.0 + CHOKE_ROUND


def test_who_lacks_a_piece_is_told_of_it_at_once_and_others_soon() -> None:
    serving = Serving(have=0)
    giver, lacks, *_ = serving.peers
    side = serving.side
    giver.heard_pieces(0b11111, NOW)
    giver.heard_choke(choked=False, now=NOW)
    for each in serving.peers:
        each.speak(NOW)
    side.settle(NOW)
    # One piece comes, and there is something else to ask of the giver.
    new = giver.source.asks[0].piece
    for ask in [each for each in giver.source.asks if each.piece == new]:
        for run in side.ledger.lengths.runs(new, ask.blocks):
            giver.heard_blocks(*run, NOW)
    side.ledger.verified(new)
    side.to_speak.clear()
    side.tell_of(1 << new, NOW)
    assert lacks.key in side.to_speak
    assert giver.key not in side.to_speak
    assert (HAVE, 1 << new) in lacks.speak(NOW)
    assert NOW < side.tells_at < math.inf
    side.settle(side.tells_at)
    assert giver.key in side.to_speak


def test_who_has_everything_is_parted_with_once_everything_is_here() -> None:
    serving = Serving()
    serving.peers[0].heard_haves(EVERY & ~1)
    assert not serving.side.parted
    serving.peers[0].heard_haves(1)
    serving.peers[1].heard_pieces(EVERY, NOW)
    assert serving.side.parted == [0, 1]


class Elsewhere:
    """A source that is no peer."""

    key = 99
    address = "elsewhere"

    def __init__(self) -> None:
        self.granted: list[BlockRun] = []
        self.cancelled: list[BlockRun] = []

    def grant(self, run: BlockRun) -> None:
        self.granted.append(run)

    def cancel(self, run: BlockRun) -> None:
        self.cancelled.append(run)


def test_blocks_are_handed_out_to_sources_that_are_no_peers_until_they_are_removed() -> None:
    side = Side(COUNT, 0)
    source = Elsewhere()
    side.add_source(source, NOW, queue_limit=8)
    side.settle(NOW)
    asked = len(source.granted)
    assert 0 < asked <= 8
    side.remove_source(source)
    side.remove_source(source)
    side.settle(NOW + 100.0)
    assert len(source.granted) == asked
    assert not side.ledger.open_pieces


def test_few_pieces_are_open_at_a_time_but_some_always_are() -> None:
    assert open_piece_limit(64 * PIECE, PIECE) == 64
    assert open_piece_limit(0, PIECE) == MIN_OPEN_PIECES
    assert open_piece_limit(1 << 40, PIECE) == MAX_OPEN_PIECES
    assert open_piece_limit(0, PIECE, least=2) == 2


def test_newcomers_are_unchoked_before_they_say_anything_while_slots_are_free() -> None:
    serving = Serving()
    assert serving.unchoked() == [0, 1, 2, 3]
    # Who says that it wants something comes first.
    serving.peers[SLOTS].heard_interest(interested=True, now=NOW + 0.1)
    assert serving.side.choke_at == NOW + 0.1
    serving.side.settle(NOW + 0.1)
    assert serving.unchoked() == [0, 1, 2, 4]


def test_a_slot_is_kept_for_no_newcomer_that_says_nothing() -> None:
    serving = Serving()
    serving.side.choke(NOW + WELCOME)
    assert serving.unchoked() == []


def test_no_slot_is_given_to_a_newcomer_that_wants_nothing() -> None:
    side = Side(COUNT, EVERY)
    seeder = Conversation(side, 1, NOW, address="10.0.0.1:1", wants_nothing=True)
    side.join(seeder, NOW, identity=seeder.address)
    side.settle(NOW)
    assert not seeder.should_unchoke


def test_the_first_request_leaves_with_the_first_message() -> None:
    ends = TwoEnds(COUNT, (EVERY, 0))
    ends.settle(0)  # what it has, and an unchoke
    ends.deliver(0, 1000)
    for _ in range(2):
        ends.settle(1)
    assert ASK in [kind for kind, _ in ends.ends[1].all_said]
