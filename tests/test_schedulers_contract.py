"""What every download strategy must keep to, on any snapshot of any swarm."""

import importlib.util
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trio_swarm.piece_sets import PieceSet, from_pieces, full_set, iterate
from trio_swarm.schedulers.api import Assignment, PeerView, Scheduler, SwarmView
from trio_swarm.schedulers.bandwidth_weighted import BandwidthWeighted
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.round_robin import RoundRobin

PLUGINS = Path(__file__).parent.parent / "plugins"


def _module(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


Sequential: Any = _module(
    PLUGINS / "trio-swarm-sequential" / "trio_swarm_sequential" / "__init__.py",
    "sequential_under_test",
).Sequential
ZoneFirst: Any = _module(PLUGINS / "zone_first.py", "zone_first_under_test").ZoneFirst

STRATEGIES: dict[str, Callable[[], Scheduler]] = {
    "round-robin": RoundRobin,
    "round-robin in order": lambda: RoundRobin(chunk_kib=1, pieces="in-order"),
    "rarest-first": RarestFirst,
    "rarest-first never random": lambda: RarestFirst(random_first_pieces=0, begun_per_peer=0.0),
    "rarest-first always random": lambda: RarestFirst(random_first_pieces=10**9),
    "bandwidth-weighted": BandwidthWeighted,
    "bandwidth-weighted rarest": lambda: BandwidthWeighted(pieces="rarest"),
    "bandwidth-weighted in order": lambda: BandwidthWeighted(pieces="in-order"),
    "sequential": Sequential,
    "sequential from the middle": lambda: Sequential(window_mib=0.1, start_percent=50.0),
    "zone-first": lambda: ZoneFirst(near=("a", "b")),
    "zone-first by cost": lambda: ZoneFirst(label="cost", help_below_mbit=5.0),
}
ALWAYS_BUSY = [
    "round-robin",
    "round-robin in order",
    "rarest-first",
    "rarest-first never random",
    "rarest-first always random",
]
"""These fill all the room they can."""

BLOCK = 16384


@st.composite
def swarms(draw: st.DrawFn) -> SwarmView:
    count = draw(st.integers(1, 40))
    everything = full_set(count)
    blocks = draw(st.integers(1, 20))
    sets = st.one_of(st.just(everything), st.just(0), st.integers(0, everything))
    keys = draw(st.lists(st.integers(-5, 10**6), max_size=8, unique=True))
    rates = st.one_of(st.just(0.0), st.floats(0.0, 1e9), st.sampled_from([1e5, 1e6]))
    everybody = []
    for key in keys:
        pieces = draw(sets)
        everybody.append(
            PeerView(
                key=key,
                pieces=pieces,
                room=draw(st.integers(0, 60)),
                in_flight=draw(st.integers(0, 60)),
                rate=draw(rates),
                rtt=draw(st.sampled_from([0.0, 0.01, 2.0])),
                is_seeder=pieces == everything,
                labels=draw(
                    st.sampled_from(
                        [{}, {"zone": "a"}, {"zone": "b"}, {"cost": "2.5"}, {"cost": "nan"}]
                    )
                ),
            )
        )
    wanted = draw(sets)
    started = wanted & draw(sets) if blocks > 1 else 0
    rarity = [0] * (len(keys) + 1)
    for piece in range(count):
        rarity[sum(peer.pieces >> piece & 1 for peer in everybody)] |= 1 << piece
    missing = wanted.bit_count() * blocks * BLOCK
    return SwarmView(
        wanted=wanted,
        started=started,
        free_blocks={piece: draw(st.integers(1, blocks - 1)) for piece in iterate(started)},
        rarity=rarity,
        peers=[peer for peer in everybody if peer.room],
        busy=[peer for peer in everybody if not peer.room],
        piece_length=blocks * BLOCK,
        block_length=BLOCK,
        piece_count=count,
        remaining=draw(st.integers(0, missing)),
        now=draw(st.floats(0, 1e6)),
    )


def _check(view: SwarmView, assignments: list[Assignment]) -> None:
    peers = {peer.key: peer for peer in view.peers}
    room = {peer.key: peer.room for peer in view.peers}
    free = {piece: view.blocks_of(piece) for piece in iterate(view.wanted)}
    for assignment in assignments:
        assert type(assignment) is Assignment
        key, piece, blocks = assignment
        assert key in peers
        assert view.wanted >> piece & 1
        assert peers[key].pieces >> piece & 1
        possible = min(room[key], free[piece])
        taken = possible if blocks is None else blocks
        assert 0 < taken <= possible
        room[key] -= taken
        free[piece] -= taken


@given(view=swarms(), seed=st.integers(0, 2**32))
def test_only_what_is_wanted_held_free_and_fits_is_assigned(view: SwarmView, seed: int) -> None:
    for make in STRATEGIES.values():
        strategy = make()
        for _ in range(2):  # the second time with what it remembers
            _check(view, list(strategy.assign(view, random.Random(seed))))


@given(view=swarms(), seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_plan(view: SwarmView, seed: int) -> None:
    for make in STRATEGIES.values():
        first = list(make().assign(view, random.Random(seed)))
        assert list(make().assign(view, random.Random(seed))) == first


@given(view=swarms(), seed=st.integers(0, 2**32))
def test_no_room_is_left_that_could_be_used(view: SwarmView, seed: int) -> None:
    for name in ALWAYS_BUSY:
        room = {peer.key: peer.room for peer in view.peers}
        free = {piece: view.blocks_of(piece) for piece in iterate(view.wanted)}
        for key, piece, blocks in STRATEGIES[name]().assign(view, random.Random(seed)):
            taken = min(room[key], free[piece], blocks or 10**9)
            room[key] -= taken
            free[piece] -= taken
        left = from_pieces(piece for piece, blocks in free.items() if blocks)
        for peer in view.peers:
            assert not (room[peer.key] and left & peer.pieces)


@given(view=swarms(), seed=st.integers(0, 2**32))
def test_a_peer_alone_is_never_left_idle(view: SwarmView, seed: int) -> None:
    for peer in view.peers[:1]:
        alone = _replace(view, peers=[peer], busy=[])
        if view.wanted & peer.pieces and not peer.in_flight:
            for make in STRATEGIES.values():
                assert list(make().assign(alone, random.Random(seed)))


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_empty_view_gives_an_empty_plan(name: str) -> None:
    view = _swarm([])
    strategy = STRATEGIES[name]()
    assert list(strategy.assign(view, random.Random(1))) == []
    assert list(strategy.assign(_replace(view, wanted=0), random.Random(1))) == []


def _replace(view: SwarmView, **changes: Any) -> SwarmView:
    fields = {name: getattr(view, name) for name in SwarmView.__slots__}
    return SwarmView(**fields | changes)


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
    rarity = [0] * (len(peers) + 1)
    for piece in range(count):
        rarity[sum(peer.pieces >> piece & 1 for peer in peers)] |= 1 << piece
    wanted = full_set(count) if wanted is None else wanted
    return SwarmView(
        wanted=wanted,
        started=started,
        free_blocks=dict.fromkeys(iterate(started), 8),
        rarity=rarity,
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


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        # Pieces 0-2, 9 and 20-23 are held by one peer, the others by both; gaps of all sizes.
        (RarestFirst(random_first_pieces=0), {0, 1, 2, 9, 20, 21, 22, 23}),
        (RarestFirst(random_first_pieces=4), set(range(24))),
        (RoundRobin(), set(range(24))),
        (BandwidthWeighted(), set(range(24))),
    ],
)
def test_ties_are_broken_uniformly(strategy: Scheduler, expected: set[int]) -> None:
    rare = from_pieces({0, 1, 2, 9, 20, 21, 22, 23})
    everything = full_set(24)
    view = _swarm([_peer(1, everything), _peer(2, everything & ~rare, rate=1.0, room=1)])
    if strategy == RarestFirst(random_first_pieces=0):
        assert view.rarity[1] == rare
    times = 6000
    picks = _first_picks(strategy, _replace(view, peers=view.peers[:1]), times)
    assert set(picks) == expected
    mean = times / len(expected)
    chi_square = sum((picks[piece] - mean) ** 2 / mean for piece in expected)
    # The seed is fixed, so this cannot flake; the bound is the 99.9 % quantile for 23 degrees of
    # freedom. Picking the lowest bit after a random rotation scores in the thousands.
    assert chi_square < 49.7


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
    only_two = _replace(view, peers=view.peers[:2])
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
    view = _replace(view, busy=[fast], remaining=12 * BLOCK)
    assert list(BandwidthWeighted().assign(view, random.Random(1))) == []


def test_bandwidth_weighted_asks_a_slow_peer_for_what_only_it_has() -> None:
    fast = _peer(1, 0b01, room=0, rate=10e6, in_flight=4)
    slow = _peer(2, 0b11, room=8, rate=0.1e6)
    view = _swarm([slow], count=2, started=0b11)
    view = _replace(view, busy=[fast], remaining=20 * BLOCK)
    assert list(BandwidthWeighted().assign(view, random.Random(1))) == [Assignment(2, 1)]


@pytest.mark.parametrize(
    "strategy", [RarestFirst(random_first_pieces=0), BandwidthWeighted(), RoundRobin()]
)
def test_what_a_peer_suggests_is_asked_of_it_first(strategy: Scheduler) -> None:
    suggesting = replace(_peer(1, full_set(9), room=1), suggested=1 << 5)
    view = _replace(_swarm([suggesting, _peer(2, 1 << 5, room=0)], count=9), peers=[suggesting])
    assert [a.piece for a in strategy.assign(view, random.Random(1))] == [5]
    unwanted = _replace(view, wanted=full_set(9) & ~(1 << 5))
    (other,) = strategy.assign(unwanted, random.Random(1))
    assert other.piece != 5


def test_zone_first_leaves_to_a_busy_near_peer_what_it_has() -> None:
    near = PeerView(1, 0b01, 0, 9, 1e6, 0.0, is_seeder=False, labels={"zone": "here"})
    far = PeerView(2, 0b11, 99, 0, 9e6, 0.0, is_seeder=True, labels={"zone": "there"})
    view = _replace(_swarm([far], count=2), busy=[near])
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
