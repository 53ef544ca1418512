"""tit-for-tat and least-sent, decision by decision; time is a parameter."""

import random

import pytest
from msgspec.structs import replace

from trio_swarm.lab.testing import choker_contract, uploader_contract
from trio_swarm.lab.testing.choke_rounds import Round, served, view, waiting
from trio_swarm.lab.testing.views import rarity_of
from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.schedulers.api import (
    ChokePeerView,
    UploadPeerView,
    UploadRequest,
    UploadView,
)
from trio_swarm.schedulers.choking.tit_for_tat import TitForTat
from trio_swarm.schedulers.uploading.least_sent import LeastSent

TestTitForTat = choker_contract(TitForTat, fills_slots=True, uniform_ties=True)
TestLeastSent = uploader_contract(LeastSent)


def test_every_interested_peer_is_unchoked_at_once_while_slots_are_free() -> None:
    idle = replace(waiting(9), interested=False, waiting_since=None)
    assert set(TitForTat().unchoke(view([waiting(1), idle, waiting(2)]), random.Random(1))) == {
        1,
        2,
    }


def test_a_peer_that_is_not_interested_holds_no_slot() -> None:
    bored = replace(served(1, rate=1e9), interested=False)
    chosen = TitForTat().unchoke(view([bored, waiting(2), waiting(3)], slots=2), random.Random(1))
    assert set(chosen) == {2, 3}


def test_regular_slots_go_to_those_that_give_most() -> None:
    gives = {key: float(key) for key in range(1, 11)}
    game = Round(TitForTat(), gives, slots=4)
    game.play(600)
    assert {key for key, _ in game.held.most_common(3)} == {8, 9, 10}


def test_the_optimistic_slot_reaches_everybody() -> None:
    game = Round(TitForTat(), {key: float(key) for key in range(1, 11)}, slots=4)
    game.play(10 * 30 + 60)
    assert set(game.held) == set(range(1, 11))


def test_an_optimistic_slot_is_kept_for_its_time_and_then_goes_to_who_waited_longest() -> None:
    choker = TitForTat(optimistic_every=2)
    rng = random.Random(1)
    giving = [served(1, rate=9.0)]
    chosen = choker.unchoke(view([*giving, waiting(2, 50), waiting(3, 40)], slots=2), rng)
    assert set(chosen) == {1, 3}
    peers = [*giving, waiting(2, 50), served(3, 100)]
    assert set(choker.unchoke(view(peers, slots=2, now=129.0), rng)) == {1, 3}
    assert set(choker.unchoke(view(peers, slots=2, now=131.0), rng)) == {1, 2}


def test_an_optimistic_peer_that_gives_more_earns_a_regular_slot() -> None:
    choker = TitForTat(optimistic_every=2)
    rng = random.Random(1)
    choker.unchoke(view([served(1, rate=9.0), waiting(2), waiting(3, 50)], slots=2), rng)
    peers = [served(1, rate=9.0), served(2, 100.0, rate=20.0), waiting(3, 50)]
    assert set(choker.unchoke(view(peers, slots=2, now=131.0), rng)) == {2, 3}


def test_nobody_is_choked_soon_after_the_unchoke_unless_snubbed() -> None:
    young = served(1, 95.0)
    better = [waiting(key, rate=50.0) for key in range(2, 9)]
    rng = random.Random(1)
    assert 1 in TitForTat().unchoke(view([young, *better], slots=2), rng)
    old = served(1, 85.0)
    assert 1 not in TitForTat().unchoke(view([old, *better], slots=2), rng)
    snubbed = replace(young, snubbed=True)
    assert 1 not in TitForTat().unchoke(view([snubbed, *better], slots=2), rng)


def test_a_snubbed_peer_keeps_no_regular_slot_however_fast_it_was() -> None:
    snubbed = replace(served(1, rate=100.0), snubbed=True)
    others = [waiting(2, rate=2.0), waiting(3, rate=3.0), waiting(4), waiting(5)]
    assert 1 not in TitForTat().unchoke(view([snubbed, *others], slots=3), random.Random(1))


def test_a_slot_that_falls_free_is_filled_between_rounds() -> None:
    choker = TitForTat()
    rng = random.Random(1)
    peers = [served(1, 95), served(2, 95), served(3, 95), served(4, 95), waiting(5), waiting(6)]
    assert len(set(choker.unchoke(view(peers[1:]), rng))) == 4


def test_while_seeding_the_slots_rotate_over_all_who_wait() -> None:
    game = Round(TitForTat(), dict.fromkeys(range(12), 0.0), slots=4)
    for key in game.peers:
        game.peers[key] = replace(game.peers[key], upload_rate=1e6)
    game.play(1800, seeding=True)
    assert max(game.held.values()) <= 1.3 * min(game.held.values())


def test_while_seeding_slow_and_fast_peers_get_the_same_time() -> None:
    game = Round(TitForTat(), {1: 0.0, 2: 0.0}, slots=1)
    game.peers[1] = replace(game.peers[1], upload_rate=4e6)
    game.peers[2] = replace(game.peers[2], upload_rate=1e4)
    game.play(3600, seeding=True)
    assert game.held[1] == game.held[2] == 180


def test_while_seeding_left_over_slots_stay_with_the_fastest() -> None:
    done = [replace(served(key), uploaded=10**9, upload_rate=float(key)) for key in range(1, 6)]
    chosen = TitForTat().unchoke(view([*done, waiting(9)], slots=4, seeding=True), random.Random(1))
    assert set(chosen) == {9, 5, 4, 3}


def test_while_seeding_who_takes_nothing_makes_way_as_soon_as_it_may_be_choked() -> None:
    idle = served(1, since=89.0)
    busy = replace(served(2, since=89.0), uploaded=1)
    chosen = TitForTat().unchoke(
        view([idle, busy, waiting(9)], slots=2, seeding=True), random.Random(1)
    )
    assert set(chosen) == {2, 9}
    early = [served(1, since=91.0), busy, waiting(9)]
    assert set(TitForTat().unchoke(view(early, slots=2, seeding=True), random.Random(1))) == {1, 2}
    # Nobody waits.
    assert set(
        TitForTat().unchoke(view([idle, busy], slots=2, seeding=True), random.Random(1))
    ) == {
        1,
        2,
    }


def rider(peer: ChokePeerView, *, gave_at: float | None = None) -> ChokePeerView:
    """It has what we want, and chokes us."""
    return replace(peer, is_interesting=True, choking_us=True, gave_at=gave_at)


def test_free_riders_get_one_slot_of_all_even_while_others_are_free() -> None:
    peers = [waiting(1, rate=5.0), rider(waiting(2, 50)), rider(waiting(3, 40)), rider(waiting(4))]
    rng = random.Random(1)
    assert set(TitForTat().unchoke(view(peers, slots=16), rng)) == {1, 4}
    # While we seed there is nothing to be had from anybody.
    chosen = TitForTat().unchoke(view(peers, slots=16, seeding=True), rng)
    assert set(chosen) == {1, 2, 3, 4}


def test_the_slot_of_the_free_riders_goes_round() -> None:
    game = Round(TitForTat(), {1: 5.0}, slots=16)
    for key in range(2, 6):
        game.peers[key] = rider(waiting(key))
    game.now = 20.0
    game.play(600)
    assert game.held[1] == 60
    assert sum(game.held[key] for key in range(2, 6)) == 60
    assert max(game.held[key] for key in range(2, 6)) <= 18


def test_free_riders_are_served_while_nobody_else_wants_anything() -> None:
    peers = [rider(waiting(1)), rider(waiting(2)), replace(waiting(3), interested=False)]
    assert set(TitForTat().unchoke(view(peers), random.Random(1))) == {1, 2}


def test_who_has_nothing_for_us_gave_lately_or_is_new_is_no_free_rider() -> None:
    behind = replace(rider(waiting(2)), is_interesting=False)
    gave = rider(waiting(3), gave_at=95.0)
    new = replace(rider(waiting(4)), joined_at=95.0)
    gives = replace(rider(waiting(5)), choking_us=False)
    peers = [waiting(1), behind, gave, new, gives, rider(waiting(6)), rider(waiting(7))]
    chosen = set(TitForTat().unchoke(view(peers, slots=16), random.Random(1)))
    assert len(chosen) == 6
    assert {1, 2, 3, 4, 5} < chosen


@pytest.mark.parametrize(
    "options",
    [
        {"optimistic_every": 0},
        {"optimistic_seconds": -1.0},
        {"minimum_seconds": -1.0},
        {"turn_seconds": -1.0},
        {"rider_seconds": -1.0},
    ],
)
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        TitForTat(**options)  # type: ignore[arg-type]


PIECE = 65536


def upload_peer(key: int, pieces: PieceSet = 0) -> UploadPeerView:
    return UploadPeerView(
        key=key,
        pieces=pieces,
        is_seeder=False,
        interested=True,
        unchoked=True,
        uploaded=0,
        rate=0.0,
    )


def upload_view(
    peers: list[UploadPeerView], *, sent: dict[int, int] | None = None, count: int = 40
) -> UploadView:
    return UploadView(
        have=full_set(count),
        sent=sent or {},
        rarity=rarity_of([peer.pieces for peer in peers], count),
        peers=peers,
        piece_length=PIECE,
        piece_count=count,
        is_seeder=True,
        now=0.0,
    )


def requests(*pieces: int) -> list[UploadRequest]:
    return [
        UploadRequest(piece, begin, 16384) for piece in pieces for begin in range(0, PIECE, 16384)
    ]


def test_what_was_sent_least_often_is_served_first() -> None:
    peers = [upload_peer(1), upload_peer(2)]
    view = upload_view(peers, sent={3: 2 * PIECE, 4: PIECE, 5: PIECE // 2})
    ordered = LeastSent().order(view, peers[0], requests(3, 4, 5, 6))
    assert ordered == requests(5, 6, 4, 3)


def test_what_another_peer_has_comes_after_what_only_we_have() -> None:
    peers = [upload_peer(1), upload_peer(2, pieces=1 << 3)]
    assert LeastSent().order(upload_view(peers), peers[0], requests(3, 4)) == requests(4, 3)


def test_by_default_everything_is_revealed() -> None:
    peers = [upload_peer(1), upload_peer(2)]
    assert LeastSent().offer(upload_view(peers), peers[0]) is None
