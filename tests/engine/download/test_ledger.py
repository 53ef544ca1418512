"""What the ledger does with each event, block by block.

Pieces are shown as text, see `ledger_playground.picture`: `.` wanted, `a` in flight from peer 0,
`2` in flight from two, `#` received, `?` being verified, `=` verified.
"""

import math
import random
from collections.abc import Iterable

import pytest

from ledger_playground import check, picture
from trio_swarm.engine.download.ledger import BlockOutcome, BlockRun, Grant, Ledger
from trio_swarm.engine.download.source import LONGEST_WAIT, PATIENCE
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.errors import LocalProtocolError
from trio_swarm.lab.testing.downloads import BLOCK, new_ledger
from trio_swarm.piece_sets import full_set
from trio_swarm.schedulers.api import Assignment, SwarmView
from trio_swarm.schedulers.rarest_first import RarestFirst

ACCEPTED = BlockOutcome.ACCEPTED
COMPLETED = BlockOutcome.COMPLETED
DUPLICATE = BlockOutcome.DUPLICATE
UNREQUESTED = BlockOutcome.UNREQUESTED


class Script:
    """A strategy that assigns what the test puts into `next`."""

    def __init__(self) -> None:
        self.next: list[Assignment] = []
        self.views: list[SwarmView] = []

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        self.views.append(view)
        assignments, self.next = self.next, []
        return assignments


def join(ledger: Ledger, key: int, pieces: int | None = None, now: float = 0.0) -> None:
    """Add a peer that has `pieces` (all) and does not choke us."""
    ledger.add_peer(key, now, identity=f"peer {key}")
    ledger.set_pieces(key, full_set(ledger.lengths.piece_count) if pieces is None else pieces)
    ledger.set_choked(key, choked=False, fast=True)


def scripted(
    pieces: int = 4, blocks: int = 4, peers: int = 1, open_piece_limit: int = 64
) -> tuple[Ledger, Script]:
    script = Script()
    ledger = new_ledger(pieces, blocks=blocks, strategy=script, open_piece_limit=open_piece_limit)
    for key in range(peers):
        join(ledger, key)
    return ledger, script


def take(
    ledger: Ledger, key: int, piece: int, block: int, now: float, *, count: int = 1
) -> BlockOutcome:
    """Let whole blocks arrive."""
    begin = block * BLOCK
    length = min(count * BLOCK, ledger.lengths.piece_size(piece) - begin)
    return ledger.received(key, piece, begin, length, now)


def fetch(ledger: Ledger, script: Script, key: int, piece: int, now: float = 0.0) -> None:
    """Let one peer send a whole piece."""
    script.next = [Assignment(key, piece)]
    ledger.plan(now)
    for block in range(ledger.lengths.block_count(piece)):
        take(ledger, key, piece, block, now + 0.1)
    assert picture(ledger, piece).strip("?") == ""


def test_a_block_goes_from_wanted_through_in_flight_to_received() -> None:
    ledger, script = scripted()
    script.next = [Assignment(0, 1, 3)]
    assert ledger.plan(0.0) == [Grant(0, BlockRun(1, 0, 3 * BLOCK))]
    assert picture(ledger, 1) == "aaa."
    assert take(ledger, 0, 1, 0, 0.1) is ACCEPTED
    assert picture(ledger, 1) == "#aa."
    assert take(ledger, 0, 1, 1, 0.1, count=2) is ACCEPTED
    script.next = [Assignment(0, 1)]
    ledger.plan(0.2)
    assert take(ledger, 0, 1, 3, 0.3) is COMPLETED
    assert picture(ledger, 1) == "????"
    assert ledger.contributors(1) == ["peer 0"]
    assert ledger.verified(1) == []
    assert picture(ledger, 1) == "===="
    assert ledger.have == 0b10
    assert ledger.wanted == 0b1101
    assert ledger.remaining == 12 * BLOCK
    check(ledger)


def test_the_last_piece_may_be_shorter_than_a_block() -> None:
    ledger = new_ledger(2, blocks=2, last_size=7)
    join(ledger, 0)
    grants = ledger.plan(0.0)
    assert sorted(run for _, run in grants) == [BlockRun(0, 0, 2 * BLOCK), BlockRun(1, 0, 7)]
    assert ledger.received(0, 1, 0, 7, 0.1) is COMPLETED
    ledger.verified(1)
    assert take(ledger, 0, 0, 0, 0.1, count=2) is COMPLETED
    ledger.verified(0)
    assert ledger.is_complete
    assert ledger.remaining == 0


def test_what_is_had_at_the_start_is_not_asked_for() -> None:
    ledger = new_ledger(4, blocks=2, have=0b1011)
    join(ledger, 0)
    assert {run.piece for _, run in ledger.plan(0.0)} == {2}
    assert ledger.remaining == 2 * BLOCK
    complete = new_ledger(4, have=0b1111)
    assert complete.is_complete
    assert complete.next_deadline() == math.inf
    with pytest.raises(ValueError, match="beyond"):
        new_ledger(4, have=0b10000)


def test_a_peer_without_pieces_or_that_chokes_is_not_asked() -> None:
    ledger = new_ledger()
    ledger.add_peer(0, 0.0, identity="peer 0")
    assert ledger.plan(0.0) == []
    ledger.set_pieces(0, 0b11)
    assert ledger.is_interesting(0)
    assert ledger.plan(0.0) == []
    ledger.set_choked(0, choked=False, fast=True)
    assert {run.piece for _, run in ledger.plan(0.0)} <= {0, 1}
    check(ledger)


def test_a_have_makes_an_idle_peer_useful() -> None:
    ledger = new_ledger()
    join(ledger, 0, pieces=0)
    assert ledger.plan(0.0) == []
    assert not ledger.is_interesting(0)
    ledger.add_piece(0, 3)
    assert {run.piece for _, run in ledger.plan(0.0)} == {3}
    assert ledger.rarity[1] == 0b1000


def test_a_strategy_sees_what_a_peer_suggests() -> None:
    ledger, script = scripted(peers=2)
    ledger.suggest(0, 2)
    ledger.suggest(0, 99)
    ledger.plan(0.0)
    assert [peer.suggested for peer in script.views[-1].peers] == [0b100, 0]


def test_allowed_fast_pieces_are_asked_while_choked() -> None:
    ledger = new_ledger()
    ledger.add_peer(0, 0.0, identity="peer 0")
    ledger.set_pieces(0, 0b0111)
    ledger.allow_fast(0, 2)
    ledger.allow_fast(0, 3)
    ledger.allow_fast(0, 99)
    assert {run.piece for _, run in ledger.plan(0.0)} == {2}


def test_a_choke_without_fast_extension_gives_everything_back_at_once() -> None:
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 3)]
    ledger.plan(0.0)
    take(ledger, 0, 0, 0, 0.1)
    ledger.set_choked(0, choked=True, fast=False)
    assert picture(ledger, 0) == "#..."
    assert take(ledger, 0, 0, 1, 0.2) is ACCEPTED, "it was on its way"
    check(ledger)


def test_a_choke_with_fast_extension_waits_for_the_rejects() -> None:
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 2)]
    ledger.plan(0.0)
    ledger.set_choked(0, choked=True, fast=True)
    assert picture(ledger, 0) == "aa.."
    assert take(ledger, 0, 0, 0, 0.1) is ACCEPTED
    assert ledger.rejected(0, 0, BLOCK, BLOCK, 0.1)
    assert picture(ledger, 0) == "#..."
    assert not ledger.rejected(0, 0, BLOCK, BLOCK, 0.1), "it was never asked for that"
    check(ledger)


@pytest.mark.parametrize("replaces", [False, True], ids=["dont have", "bitfield"])
def test_what_was_asked_of_a_piece_that_a_peer_has_no_longer_is_asked_of_others(
    replaces: bool,  # noqa: FBT001 - a case
) -> None:
    """BEP 54: the piece is gone at the sender; BEP 3: a piece set replaces the one before."""
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 3), Assignment(0, 1, 2)]
    ledger.plan(0.0)
    take(ledger, 0, 0, 0, 0.1)
    ledger.suggest(0, 0)
    if replaces:
        ledger.set_pieces(0, 0b1110)
    else:
        ledger.take_back(0, 1)
        ledger.take_back(0, 1)  # again, which changes nothing
    assert picture(ledger, 0) == "#..."
    assert picture(ledger, 1) == "aa..", "it still has that"
    assert list(ledger.rarity) == [0, 0b0001, 0b1110]
    assert ledger.source(0).suggested == 0
    script.next = [Assignment(0, 0), Assignment(1, 0)]
    ledger.plan(0.2)
    assert picture(ledger, 0) == "#bbb"
    assert take(ledger, 0, 0, 1, 0.3) is ACCEPTED, "it was on its way"
    assert ledger.rejected(0, 0, 2 * BLOCK, BLOCK, 0.3), "it may be refused as well (BEP 6)"
    assert not ledger.source(0).paused
    check(ledger)


def test_late_blocks_of_a_piece_that_a_peer_has_no_longer_are_owed_no_more() -> None:
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 2)]
    ledger.plan(0.0)
    ledger.expire(60.0)
    assert ledger.source(0).late
    ledger.take_back(0, 1)
    assert not ledger.source(0).late
    assert ledger.open_pieces == 0
    check(ledger)


def test_another_takes_over_a_parole_whose_owner_has_the_piece_no_longer() -> None:
    ledger, script = mixed_failure(peers=4)
    script.next = [Assignment(2, 0, 2)]
    ledger.plan(1.0)
    ledger.take_back(2, 1)
    assert picture(ledger, 0) == "...."
    script.next = [Assignment(2, 0), Assignment(3, 0)]
    ledger.plan(1.2)
    assert picture(ledger, 0) == "dddd"
    check(ledger)


def test_a_peer_that_leaves_gives_everything_back() -> None:
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 2), Assignment(1, 0, 2)]
    ledger.plan(0.0)
    assert picture(ledger, 0) == "aabb"
    ledger.remove_peer(0)
    assert picture(ledger, 0) == "..bb"
    assert list(ledger.rarity) == [0, 0b1111]
    check(ledger)


def test_a_piece_of_which_nothing_came_needs_no_buffer() -> None:
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 2)]
    ledger.plan(0.0)
    assert ledger.open_pieces == 1
    ledger.remove_peer(0)
    assert ledger.open_pieces == 0
    assert ledger.take_abandoned() == [0]
    assert ledger.take_abandoned() == []


def test_blocks_out_of_order_are_taken() -> None:
    ledger, script = scripted()
    script.next = [Assignment(0, 0), Assignment(0, 1)]
    ledger.plan(0.0)
    assert take(ledger, 0, 1, 2, 0.1) is ACCEPTED
    assert take(ledger, 0, 0, 3, 0.1) is ACCEPTED
    assert take(ledger, 0, 0, 0, 0.1) is ACCEPTED
    assert [picture(ledger, 0), picture(ledger, 1)] == ["#aa#", "aa#a"]
    check(ledger)


@pytest.mark.parametrize(
    ("piece", "begin", "length"),
    [
        (1, 0, BLOCK),
        (0, 1, BLOCK),
        (0, 0, 100),
        (0, 0, 0),
        (0, 3 * BLOCK, 2 * BLOCK),
        (0, 2 * BLOCK, BLOCK),
        (0, BLOCK, 2 * BLOCK),
        (9, 0, BLOCK),
        (-1, 0, BLOCK),
    ],
)
def test_what_was_not_asked_for_is_not_taken(piece: int, begin: int, length: int) -> None:
    ledger, script = scripted()
    script.next = [Assignment(0, 0, 2)]
    ledger.plan(0.0)
    assert ledger.received(0, piece, begin, length, 0.1) is UNREQUESTED
    assert ledger.received_bytes == 0
    check(ledger)


def test_a_late_block_goes_back_to_the_pool_and_is_still_taken_when_it_comes() -> None:
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 2)]
    ledger.plan(0.0)
    deadline = ledger._planner.expiry_at
    assert 3 < deadline < 10
    ledger.expire(deadline - 0.01)
    assert picture(ledger, 0) == "aa.."
    assert not ledger.snubbed(0, deadline - 0.01)
    ledger.expire(deadline)
    assert picture(ledger, 0) == "...."
    assert ledger.snubbed(0, deadline)
    assert take(ledger, 0, 0, 1, deadline + 1) is ACCEPTED
    assert not ledger.snubbed(0, deadline + 1)
    assert picture(ledger, 0) == ".#.."
    check(ledger)


def test_a_late_block_that_somebody_else_delivered_is_cancelled_and_then_a_duplicate() -> None:
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 1)]
    ledger.plan(0.0)
    ledger.expire(6.0)
    script.next = [Assignment(1, 0, 1)]
    ledger.plan(6.0)
    assert picture(ledger, 0) == "b..."
    assert take(ledger, 1, 0, 0, 6.1) is ACCEPTED
    assert ledger.take_cancels() == [Grant(0, BlockRun(0, 0, BLOCK))]
    assert ledger.take_cancels() == []
    assert take(ledger, 0, 0, 0, 6.2) is DUPLICATE
    assert ledger.duplicate_bytes == BLOCK
    assert ledger.stats(0).duplicate == BLOCK
    assert take(ledger, 0, 0, 0, 6.3) is UNREQUESTED
    check(ledger)


def test_a_late_block_calls_off_whoever_was_asked_instead() -> None:
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 1)]
    ledger.plan(0.0)
    ledger.expire(6.0)
    script.next = [Assignment(1, 0, 2)]
    ledger.plan(6.0)
    assert take(ledger, 0, 0, 0, 6.1) is ACCEPTED
    assert picture(ledger, 0) == "#b.."
    assert ledger.take_cancels() == [Grant(1, BlockRun(0, 0, BLOCK))]
    check(ledger)


def test_bytes_that_overwrite_others_are_credited_to_who_sent_them_last() -> None:
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 2)]
    ledger.plan(0.0)
    ledger.expire(6.0)
    script.next = [Assignment(1, 0, 1)]
    ledger.plan(6.0)
    assert take(ledger, 1, 0, 0, 6.1) is ACCEPTED
    assert ledger.contributors(0) == ["peer 1"]
    assert take(ledger, 0, 0, 0, 6.2, count=2) is ACCEPTED
    assert ledger.contributors(0) == ["peer 0"]
    assert ledger.duplicate_bytes == BLOCK
    check(ledger)


def test_a_silent_peer_is_asked_for_one_block_at_a_time() -> None:
    ledger, script = scripted(pieces=8)
    script.next = [Assignment(0, 0)]
    ledger.plan(0.0)
    ledger.expire(6.0)
    ledger.plan(6.0)
    assert ledger.stats(0).in_flight == 0, "it owes us"
    now = 6.0
    while not ledger.stats(0).in_flight:
        now = max(now + 0.001, ledger.next_deadline())
        ledger.expire(now)
        ledger.plan(now)
    assert now < 60
    assert ledger.stats(0).in_flight == 1


def test_at_the_end_idle_fast_peers_help_slow_ones() -> None:
    ledger, script = scripted(pieces=2, blocks=8, peers=2)
    now = 0.0
    script.next = [Assignment(0, 0), Assignment(1, 1)]
    ledger.plan(now)
    for block in range(8):  # peer 1: 8 blocks in 0.8 s; peer 0: two in the same time
        now += 0.1
        take(ledger, 1, 1, block, now)
        if block in {3, 7}:
            take(ledger, 0, 0, block // 4, now)
    ledger.verified(1)
    grants = ledger.plan(now)
    assert grants
    assert {grant.peer for grant in grants} == {1}
    shown = picture(ledger, 0)
    assert shown.startswith("##a"), "the block that comes next is not doubled"
    assert shown.endswith("2")
    first = shown.index("2")
    assert take(ledger, 1, 0, first, now + 0.1) is ACCEPTED
    assert ledger.take_cancels() == [Grant(0, BlockRun(0, first * BLOCK, BLOCK))]
    check(ledger)
    ledger.remove_peer(0)
    assert "a" not in picture(ledger, 0)
    check(ledger)


def test_nothing_is_asked_twice_while_blocks_are_left_to_give_out() -> None:
    ledger, script = scripted(pieces=3, blocks=8, peers=2)
    script.next = [Assignment(0, 0), Assignment(1, 1)]
    ledger.plan(0.0)
    for block in range(8):
        take(ledger, 1, 1, block, 0.1)
    ledger.plan(0.5)
    assert "2" not in picture(ledger, 0)


def test_a_strategy_that_declines_is_asked_again_without_any_event() -> None:
    ledger, script = scripted(peers=2)
    script.next = [Assignment(0, 0, 1)]
    ledger.plan(0.0)
    asked = len(script.views)
    now = ledger.next_deadline()
    assert 0.0 < now <= 0.2
    ledger.plan(now)
    assert len(script.views) == asked + 1


def test_a_strategy_is_not_asked_when_there_is_nothing_to_give() -> None:
    ledger, script = scripted(pieces=1, blocks=2)
    script.next = [Assignment(0, 0)]
    ledger.plan(0.0)
    asked = len(script.views)
    for step in range(20):
        ledger.plan(step / 100)
    assert len(script.views) == asked


def test_the_host_assigns_at_once_if_nothing_is_in_flight_and_else_after_a_second() -> None:
    ledger, script = scripted(peers=2)
    assert ledger.plan(0.0), "the strategy assigned nothing, and nothing is in flight"
    ledger, script = scripted(pieces=64, peers=2)
    script.next = [Assignment(0, 0, 1)]
    ledger.plan(0.0)
    now = 0.0
    grants: list[Grant] = []
    while not grants:
        now = ledger.next_deadline()
        ledger.expire(now)
        grants = ledger.plan(now)
    assert 0.9 < now < 1.3


def test_only_started_pieces_are_given_out_at_the_limit_of_open_pieces() -> None:
    ledger, script = scripted(pieces=4, open_piece_limit=2)
    script.next = [Assignment(0, 0, 1), Assignment(0, 1, 1), Assignment(0, 2, 1)]
    ledger.plan(0.0)
    assert [picture(ledger, piece) for piece in range(3)] == ["a...", "a...", "...."]
    assert ledger.open_pieces == 2
    assert script.views[-1].wanted == 0b11
    check(ledger)


def test_a_piece_being_verified_counts_as_open() -> None:
    ledger, script = scripted(pieces=3, open_piece_limit=1)
    fetch(ledger, script, 0, 0)
    assert ledger.open_pieces == 1
    assert ledger.plan(0.2) == []
    ledger.verified(0)
    script.next = [Assignment(0, 1)]
    assert ledger.plan(0.3)


def test_an_open_piece_that_nobody_holds_makes_way() -> None:
    ledger, script = scripted(pieces=3, peers=0, open_piece_limit=2)
    join(ledger, 0, pieces=0b011)
    script.next = [Assignment(0, 0, 3), Assignment(0, 1, 2)]
    ledger.plan(0.0)
    take(ledger, 0, 0, 0, 0.1, count=3)
    take(ledger, 0, 1, 0, 0.1, count=2)
    ledger.remove_peer(0)
    join(ledger, 1, pieces=0b100)
    grants = ledger.plan(0.2)
    assert {run.piece for _, run in grants} == {2}
    assert ledger.take_abandoned() == [1], "the one with fewer blocks"
    assert picture(ledger, 0) == "###."
    assert ledger.failed_bytes == 2 * BLOCK
    assert ledger.remaining == 9 * BLOCK
    check(ledger)


def test_the_view_tells_the_strategy_the_truth() -> None:
    ledger, script = scripted(pieces=4, peers=3)
    script.next = [Assignment(0, 1, 3)]
    ledger.plan(0.0)
    ledger.set_choked(2, choked=True, fast=True)
    ledger.plan(1.0)
    view = script.views[-1]
    assert view.wanted == 0b1111
    assert view.started == 0b0010
    assert dict(view.free_blocks) == {1: 1}
    assert list(view.rarity) == [0, 0, 0, 0b1111]
    assert [peer.key for peer in view.peers] == [0, 1]
    assert view.peers[0].in_flight == 3
    assert all(peer.room > 0 and peer.is_seeder for peer in view.peers)
    assert view.remaining == 16 * BLOCK
    assert (view.piece_length, view.block_length, view.piece_count) == (4 * BLOCK, BLOCK, 4)


def test_busy_peers_are_told_apart_from_those_with_room() -> None:
    ledger, script = scripted(pieces=16, peers=2)
    script.next = [Assignment(0, piece) for piece in range(16)]
    ledger.plan(0.0)
    ledger.plan(1.0)
    view = script.views[-1]
    assert [peer.key for peer in view.peers] == [1]
    assert [peer.key for peer in view.busy] == [0]
    assert view.busy[0].room == 0


def test_a_reject_out_of_the_blue_makes_the_peer_wait() -> None:
    ledger, script = scripted()
    script.next = [Assignment(0, 0, 1)]
    ledger.plan(0.0)
    assert ledger.rejected(0, 0, 0, BLOCK, 0.1)
    assert ledger.plan(0.1) == []
    now = ledger.next_deadline()
    assert 0.1 < now < 1.0
    ledger.expire(now)
    assert ledger.plan(now)


# Failed pieces


def test_the_only_sender_of_a_failed_piece_is_banned_at_once() -> None:
    ledger, script = scripted(peers=2)
    fetch(ledger, script, 0, 0)
    assert ledger.failed(0, [b"x"] * 4) == ["peer 0"]
    assert picture(ledger, 0) == "...."
    assert ledger.remaining == 16 * BLOCK
    assert ledger.failed_bytes == 4 * BLOCK
    script.next = [Assignment(0, 0)]
    assert all(grant.peer == 1 for grant in ledger.plan(1.0))
    ledger.remove_peer(0)
    ledger.add_peer(5, 1.0, identity="peer 0")
    ledger.set_pieces(5, 0b1111)
    ledger.set_choked(5, choked=False, fast=True)
    assert all(grant.peer == 1 for grant in ledger.plan(2.0)), "it comes back in vain"
    check(ledger)


def test_a_wrong_block_whose_hash_is_known_is_fetched_again_alone() -> None:
    """BEP 52: the leaves of version 2 tell which block is wrong, and with it who sent it."""
    ledger, script = scripted(peers=3)
    script.next = [Assignment(0, 0, 2), Assignment(1, 0, 2)]
    ledger.plan(0.0)
    take(ledger, 0, 0, 0, 0.1, count=2)
    assert take(ledger, 1, 0, 2, 0.1, count=2) is COMPLETED
    assert ledger.failed_blocks(0, 0b0100) == ["peer 1"]
    assert picture(ledger, 0) == "##.#"
    assert ledger.failed_bytes == BLOCK
    assert not ledger.needs_digests(0)
    check(ledger)
    script.next = [Assignment(2, 0)]
    grants = ledger.plan(1.0)
    assert [(grant.peer, *grant.run) for grant in grants] == [(2, 0, 2 * BLOCK, BLOCK)]
    assert take(ledger, 2, 0, 2, 1.1) is COMPLETED
    assert ledger.verified(0) == []
    assert ledger.have == 1
    check(ledger)


def mixed_failure(peers: int, pieces: int = 4) -> tuple[Ledger, Script]:
    """Return a ledger whose piece 0 failed: blocks 0 and 1 of peer 0, 2 (bad) and 3 of peer 1."""
    ledger, script = scripted(pieces, peers=peers)
    script.next = [Assignment(0, 0, 2), Assignment(1, 0, 2)]
    ledger.plan(0.0)
    take(ledger, 0, 0, 0, 0.1, count=2)
    assert take(ledger, 1, 0, 2, 0.1, count=2) is COMPLETED
    assert not ledger.needs_digests(0)
    assert ledger.failed(0, [b"0", b"1", b"bad", b"3"]) == []
    assert ledger.needs_digests(0)
    return ledger, script


def test_a_piece_on_parole_is_asked_of_one_peer_that_did_not_contribute() -> None:
    ledger, script = mixed_failure(peers=4)
    script.next = [Assignment(key, 0, 1) for key in range(4)]
    ledger.plan(1.0)
    assert picture(ledger, 0) == "c..."
    script.next = [Assignment(3, 0), Assignment(2, 0)]
    ledger.plan(1.2)
    assert picture(ledger, 0) == "cccc"
    for block in range(4):
        take(ledger, 2, 0, block, 1.3)
    assert ledger.verified(0, [b"0", b"1", b"2", b"3"]) == ["peer 1"]
    assert not ledger.needs_digests(0)
    check(ledger)


def test_suspects_are_tried_alone_when_there_is_nobody_else() -> None:
    ledger, script = mixed_failure(peers=2)
    script.next = [Assignment(1, 0), Assignment(0, 0)]
    ledger.plan(1.0)
    assert picture(ledger, 0) == "bbbb"
    for block in range(4):
        take(ledger, 1, 0, block, 1.1)
    assert ledger.failed(0, [b"0", b"1", b"bad", b"3"]) == ["peer 1"]
    script.next = [Assignment(0, 0)]
    ledger.plan(2.0)
    for block in range(4):
        take(ledger, 0, 0, block, 2.1)
    assert ledger.verified(0, [b"0", b"1", b"2", b"3"]) == []
    check(ledger)


def test_another_takes_over_a_parole_whose_owner_left() -> None:
    ledger, script = mixed_failure(peers=4)
    script.next = [Assignment(2, 0, 2)]
    ledger.plan(1.0)
    take(ledger, 2, 0, 0, 1.1)
    ledger.remove_peer(2)
    assert picture(ledger, 0) == "#..."
    script.next = [Assignment(0, 0), Assignment(3, 0)]
    ledger.plan(1.2)
    assert picture(ledger, 0) == "#ddd"
    ledger.remove_peer(3)
    script.next = [Assignment(0, 0)]
    ledger.plan(1.3)
    assert picture(ledger, 0) == "aaa.", "a suspect starts from nothing"
    check(ledger)


def test_late_blocks_of_others_are_kept_out_of_a_piece_on_parole() -> None:
    ledger, script = mixed_failure(peers=4)
    script.next = [Assignment(2, 0, 2)]
    ledger.plan(1.0)
    ledger.set_choked(2, choked=True, fast=True)
    script.next = [Assignment(3, 0)]
    ledger.plan(1.1)
    assert Grant(2, BlockRun(0, 0, 2 * BLOCK)) in ledger.take_cancels()
    shown = picture(ledger, 0)
    assert take(ledger, 2, 0, 0, 1.2) is DUPLICATE
    assert picture(ledger, 0) == shown
    check(ledger)


@pytest.mark.parametrize("other", [0, 3], ids=["a suspect", "one beyond suspicion"])
def test_another_takes_over_a_parole_whose_owner_sends_everything_but_that(other: int) -> None:
    ledger, script = mixed_failure(peers=4)
    for key in (0, 1, 3):
        ledger.remove_peer(key)
    script.next = [Assignment(2, 0)]
    ledger.plan(1.0)
    now = 1.0
    while picture(ledger, 0) in {"cccc", "...."} and now < 200.0:
        now += 1.0
        if now == LONGEST_WAIT:
            join(ledger, other, now=now)
        ledger.source(2).last_delivery = now  # of blocks that are not shown here
        ledger.expire(now)
        script.next = [Assignment(other, 0)]
        ledger.plan(now)
    assert chr(ord("a") + other) in picture(ledger, 0)
    assert now <= 1.0 + LONGEST_WAIT + 2 * PATIENCE
    check(ledger)


@pytest.mark.timeout(60)  # One plan could go on for ever.
def test_two_that_keep_us_waiting_do_not_take_a_parole_from_each_other_without_end() -> None:
    ledger, script = mixed_failure(peers=4, pieces=50)
    for key in (0, 1):
        ledger.remove_peer(key)
    asked = set()
    for tick in range(1, 200):
        now = tick / 2
        ledger.expire(now)
        script.next = [Assignment(2, 0), Assignment(3, 0)]
        asked |= {grant.peer for grant in ledger.plan(now) if grant.run.piece == 0}
    assert asked
    check(ledger)


# Misuse is a bug of ours


def test_misuse_is_loud() -> None:
    ledger, _ = scripted()
    with pytest.raises(LocalProtocolError):
        ledger.add_peer(0, 0.0, identity="again")
    with pytest.raises(LocalProtocolError):
        ledger.verified(0)
    with pytest.raises(LocalProtocolError):
        ledger.failed(0, [])
    with pytest.raises(LocalProtocolError):
        ledger.set_pieces(0, 1 << 4)
    with pytest.raises(LocalProtocolError):
        ledger.add_piece(0, 4)
    with pytest.raises(KeyError):
        ledger.received(9, 0, 0, BLOCK, 0.0)


def test_a_piece_that_is_lost_is_asked_for_again() -> None:
    ledger, script = scripted(pieces=3)
    for piece in range(3):
        script.next = [Assignment(0, piece)]
        ledger.plan(float(piece))
        take(ledger, 0, piece, 0, float(piece), count=4)
        ledger.verified(piece)
    assert ledger.is_complete
    ledger.lose(0b010)
    check(ledger)
    assert (ledger.have, ledger.wanted) == (0b101, 0b010)
    assert ledger.remaining == ledger.lengths.piece_size(1)
    assert ledger.is_interesting(0)
    script.next = [Assignment(0, 1)]
    assert [grant.run.piece for grant in ledger.plan(10.0)] == [1]
    take(ledger, 0, 1, 0, 10.5, count=4)
    ledger.verified(1)
    assert ledger.is_complete
    check(ledger)


def test_a_lost_piece_that_is_found_again_is_not_asked_for() -> None:
    ledger, _ = scripted(pieces=3)
    ledger.regain(0b111)
    ledger.lose(0b110)
    ledger.regain(0b100)
    assert (ledger.have, ledger.wanted) == (0b101, 0b010)
    assert ledger.remaining == ledger.lengths.piece_size(1)


def guarded(strategy: object) -> GuardedScheduler:
    return GuardedScheduler(strategy, "other", fallback=RarestFirst, timer=lambda: 0.0)  # type: ignore[arg-type]


def test_another_strategy_decides_from_the_moment_it_is_chosen_and_nothing_asked_is_lost() -> None:
    ledger, first = scripted(pieces=4, blocks=4, peers=2)
    first.next = [Assignment(0, 0, 3)]
    ledger.plan(0.0)
    assert picture(ledger, 0) == "aaa."
    second = Script()
    second.next = [Assignment(1, 0, 1), Assignment(1, 2, 2)]
    ledger.set_scheduler(guarded(second))
    check(ledger)
    assert ledger.is_due(0.001)
    ledger.plan(0.001)
    assert (picture(ledger, 0), picture(ledger, 2)) == ("aaab", "bb..")
    assert take(ledger, 0, 0, 0, 0.002) is ACCEPTED
    assert len(first.views) == 1
    check(ledger)


def test_a_strategy_that_takes_over_from_one_that_gave_nothing_is_asked_at_once() -> None:
    ledger, first = scripted(peers=2)
    first.next = [Assignment(0, 0, 1)]
    ledger.plan(0.0)
    assert not ledger.is_due(0.0)
    second = Script()
    second.next = [Assignment(1, 3, 4)]
    ledger.set_scheduler(guarded(second))
    assert ledger.is_due(0.0)
    ledger.plan(0.0)
    assert picture(ledger, 3) == "bbbb"


def test_only_chosen_pieces_are_asked_for_and_make_a_download_complete() -> None:
    ledger = new_ledger(4, blocks=1, chosen=0b0101)
    ledger.add_peer(0, 0.0, identity="a")
    ledger.set_pieces(0, 0b1010)
    ledger.set_choked(0, choked=False, fast=True)
    assert not ledger.is_interesting(0)
    assert ledger.plan(1.0) == []
    ledger.set_pieces(0, 0b1111)
    assert ledger.is_interesting(0)
    asked = ledger.plan(1.0)
    assert sorted(grant.run.piece for grant in asked) == [0, 2]
    for piece in (0, 2):
        ledger.received(0, piece, 0, BLOCK, 1.0)
        ledger.verified(piece)
    assert ledger.is_complete
    assert ledger.remaining == 0
    assert ledger.have == 0b0101


def test_what_is_chosen_no_longer_is_cancelled_and_what_is_chosen_now_is_asked_for() -> None:
    ledger = new_ledger(4, blocks=2, chosen=0b0001)
    ledger.add_peer(0, 0.0, identity="a")
    ledger.set_pieces(0, 0b1111)
    ledger.set_choked(0, choked=False, fast=True)
    ledger.plan(1.0)
    ledger.received(0, 0, 0, BLOCK, 1.0)
    ledger.choose(0b1000, 1.0)
    assert [grant.run.piece for grant in ledger.take_cancels()] == [0]
    assert ledger.take_abandoned() == [0]
    assert ledger.failed_bytes == BLOCK
    assert ledger.remaining == 2 * BLOCK
    assert {grant.run.piece for grant in ledger.plan(1.0)} == {3}
    # What was on its way is no fault of the peer's.
    assert ledger.received(0, 0, BLOCK, BLOCK, 1.0) is BlockOutcome.DUPLICATE
