"""The promises of the download strategies, by the kit for authors, and what is special in each."""

import random
from collections import Counter
from functools import partial

import pytest
from msgspec.structs import replace

from few_examples import one_example_in
from plugin_modules import ZoneFirst
from trio_swarm.lab.testing import scheduler_contract
from trio_swarm.lab.testing.views import BLOCK, rarity_of
from trio_swarm.piece_sets import PieceSet, from_pieces, full_set, iterate
from trio_swarm.schedulers.api import Assignment, PeerView, Scheduler, SwarmView
from trio_swarm.schedulers.bandwidth_weighted import BandwidthWeighted
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.round_robin import RoundRobin

TestRoundRobin = scheduler_contract(RoundRobin, fills_room=True, uniform_ties=True)
TestRarestFirst = scheduler_contract(RarestFirst, fills_room=True, uniform_ties=True)
TestBandwidthWeighted = scheduler_contract(BandwidthWeighted, uniform_ties=True)

# The same strategies with other options, of which each changes one decision.
with one_example_in(4):
    TestRoundRobinInOrder = scheduler_contract(
        partial(RoundRobin, chunk_kib=1, pieces="in-order"), fills_room=True
    )
    TestRarestFirstNeverRandom = scheduler_contract(
        partial(RarestFirst, random_first_pieces=0, begun_per_peer=0.0),
        fills_room=True,
        uniform_ties=True,
    )
    TestRarestFirstAlwaysRandom = scheduler_contract(
        partial(RarestFirst, random_first_pieces=10**9), fills_room=True, uniform_ties=True
    )
    TestBandwidthWeightedRarest = scheduler_contract(partial(BandwidthWeighted, pieces="rarest"))
    TestBandwidthWeightedInOrder = scheduler_contract(partial(BandwidthWeighted, pieces="in-order"))
    TestZoneFirst = scheduler_contract(partial(ZoneFirst, near=("a", "b")))
    TestZoneFirstByCost = scheduler_contract(partial(ZoneFirst, label="cost", help_below_mbit=5.0))


def _peer(
    key: int, pieces: PieceSet, *, room: int = 16, rate: float = 1e6, in_flight: int = 0
) -> PeerView:
    return PeerView(
        key=key,
        pieces=pieces,
        room=room,
        in_flight=in_flight,
        rate=rate,
        rtt=0.02,
        is_seeder=False,
    )


def _swarm(
    peers: list[PeerView], *, count: int = 24, started: PieceSet = 0, wanted: PieceSet | None = None
) -> SwarmView:
    wanted = full_set(count) if wanted is None else wanted
    return SwarmView(
        wanted=wanted,
        started=started,
        free_blocks=dict.fromkeys(iterate(started), 8),
        rarity=rarity_of([peer.pieces for peer in peers], count),
        peers=peers,
        piece_length=16 * BLOCK,
        block_length=BLOCK,
        piece_count=count,
        remaining=wanted.bit_count() * 16 * BLOCK,
        now=0.0,
    )


def _first_picks(strategy: Scheduler, view: SwarmView, times: int) -> Counter[int]:
    rng = random.Random(20240501)
    return Counter(next(iter(strategy.assign(view, rng))).piece for _ in range(times))


def test_rarest_first_picks_among_the_rarest_alone_once_it_has_some_pieces() -> None:
    rare = from_pieces({0, 1, 2, 9, 20, 21, 22, 23})
    everything = full_set(24)
    view = _swarm([_peer(1, everything), _peer(2, everything & ~rare, rate=1.0, room=1)])
    assert view.rarity[1] == rare
    alone = replace(view, peers=view.peers[:1])
    picks = _first_picks(RarestFirst(random_first_pieces=0), alone, 500)
    assert set(picks) == set(iterate(rare))
    at_first = _first_picks(RarestFirst(random_first_pieces=4), alone, 500)
    assert set(at_first) == set(range(24))


def test_rarest_first_finishes_begun_pieces_among_equally_rare_ones() -> None:
    everything = full_set(24)
    view = _swarm([_peer(1, everything)], started=1 << 13)
    assert set(_first_picks(RarestFirst(), view, 50)) == {13}


def test_rarest_first_puts_rarity_before_begun_pieces_until_too_many_are_begun() -> None:
    rare = 1 << 5
    peers = [_peer(1, full_set(24)), _peer(2, full_set(24) & ~rare, room=1, rate=1.0)]
    strategy = RarestFirst(random_first_pieces=0)
    assert set(_first_picks(strategy, _swarm(peers, started=0b111 << 13), 20)) == {5}
    begun = 0b1111 << 13
    assert set(_first_picks(strategy, _swarm(peers, started=begun), 60)) == {13, 14, 15, 16}


def test_round_robin_serves_whoever_was_served_longest_ago() -> None:
    everything = full_set(24)
    strategy = RoundRobin(chunk_kib=64)
    rng = random.Random(1)
    view = _swarm([_peer(key, everything, room=4) for key in (1, 2, 3)], wanted=everything)
    assert [a.peer for a in strategy.assign(view, rng)] == [1, 2, 3]
    only_two = replace(view, peers=view.peers[:2])
    assert [a.peer for a in strategy.assign(only_two, rng)] == [1, 2]
    assert [a.peer for a in strategy.assign(view, rng)] == [3, 1, 2]


def test_round_robin_forgets_peers_that_are_gone() -> None:
    strategy = RoundRobin()
    for key in range(1000):
        list(strategy.assign(_swarm([_peer(key, full_set(24))]), random.Random(1)))
    assert len(strategy._turns) <= 100


def test_bandwidth_weighted_leaves_the_last_blocks_to_a_busy_faster_peer() -> None:
    fast = _peer(1, 1, room=0, rate=10e6, in_flight=4)
    slow = _peer(2, 1, room=8, rate=0.1e6)
    view = _swarm([slow], count=1, started=1)
    view = replace(view, busy=[fast], remaining=12 * BLOCK)
    assert list(BandwidthWeighted().assign(view, random.Random(1))) == []


def test_bandwidth_weighted_asks_a_slow_peer_for_what_only_it_has() -> None:
    fast = _peer(1, 0b01, room=0, rate=10e6, in_flight=4)
    slow = _peer(2, 0b11, room=8, rate=0.1e6)
    view = _swarm([slow], count=2, started=0b11)
    view = replace(view, busy=[fast], remaining=20 * BLOCK)
    assert list(BandwidthWeighted().assign(view, random.Random(1))) == [Assignment(2, 1)]


@pytest.mark.parametrize(
    "strategy", [RarestFirst(random_first_pieces=0), BandwidthWeighted(), RoundRobin()]
)
def test_what_a_peer_suggests_is_asked_of_it_first(strategy: Scheduler) -> None:
    suggesting = replace(_peer(1, full_set(9), room=1), suggested=1 << 5)
    view = replace(_swarm([suggesting, _peer(2, 1 << 5, room=0)], count=9), peers=[suggesting])
    assert [a.piece for a in strategy.assign(view, random.Random(1))] == [5]
    unwanted = replace(view, wanted=full_set(9) & ~(1 << 5))
    (other,) = strategy.assign(unwanted, random.Random(1))
    assert other.piece != 5


def test_zone_first_leaves_to_a_busy_near_peer_what_it_has() -> None:
    near = PeerView(1, 0b01, 0, 9, 1e6, 0.0, is_seeder=False, labels={"zone": "here"})
    far = PeerView(2, 0b11, 99, 0, 9e6, 0.0, is_seeder=True, labels={"zone": "there"})
    view = replace(_swarm([far], count=2), busy=[near])
    rng = random.Random(1)
    assert [a.piece for a in ZoneFirst(near=("here",)).assign(view, rng)] == [1]
    helped = ZoneFirst(near=("here",), help_below_mbit=100.0).assign(view, rng)
    assert {a.piece for a in helped} == {0, 1}


def test_zone_first_by_cost_prefers_the_cheapest() -> None:
    dear = PeerView(1, 1, 99, 0, 9e6, 0.0, is_seeder=True, labels={"zone": "3.5"})
    cheap = PeerView(2, 1, 99, 0, 1e6, 0.0, is_seeder=True, labels={"zone": "0.1"})
    unknown = PeerView(3, 1, 99, 0, 9e6, 0.1, is_seeder=True)
    view = _swarm([dear, cheap, unknown], count=1)
    assert [a.peer for a in ZoneFirst().assign(view, random.Random(1))] == [2]


def test_zone_first_judges_peers_without_a_label_by_their_round_trip() -> None:
    far = PeerView(1, 1, 99, 0, 9e6, 0.080, is_seeder=True)
    lan = PeerView(2, 1, 99, 0, 1e6, 0.001, is_seeder=True)
    view = _swarm([far, lan], count=1)
    assert [a.peer for a in ZoneFirst().assign(view, random.Random(1))] == [2]
    both = ZoneFirst(near_ms=100.0).assign(view, random.Random(1))
    assert [a.peer for a in both] == [1]


@pytest.mark.parametrize("strategy", [RarestFirst, RoundRobin, BandwidthWeighted])
def test_what_a_reader_waits_for_is_asked_for_first_and_of_fast_peers(
    strategy: type[Scheduler],
) -> None:
    fast, slow = _peer(1, full_set(24), room=40), _peer(2, full_set(24), room=16, rate=1e5)
    view = replace(_swarm([slow, fast]), deadlines={17: 1.0, 3: 2.0, 18: 9.0})
    for seed in range(20):
        assigned = list(strategy().assign(view, random.Random(seed)))
        of_fast = [piece for peer, piece, _ in assigned if peer == 1]
        assert list(dict.fromkeys(of_fast))[:3] == [17, 3, 18]
        assert not {17, 3, 18} & {piece for peer, piece, _ in assigned if peer == 2}


@pytest.mark.parametrize("strategy", [RarestFirst, RoundRobin, BandwidthWeighted])
def test_a_slow_peer_is_asked_for_what_a_reader_wants_if_nobody_else_has_it(
    strategy: type[Scheduler],
) -> None:
    fast, slow = _peer(1, 0b0111), _peer(2, 0b1111, rate=1e5)
    view = replace(_swarm([slow, fast]), deadlines={3: 1.0})
    assigned = list(strategy().assign(view, random.Random(1)))
    assert next(piece for peer, piece, _ in assigned if peer == 2) == 3
