"""The plugin's own tests: they need nothing but trio-swarm and the plugin."""

import random
from collections.abc import Sequence

import pytest
from trio_swarm_sequential import Sequential

from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.schedulers.api import PeerView, SwarmView

ALL = full_set(100)


def peer(key: int, *, pieces: PieceSet = ALL, room: int = 16, rate: float = 1e6) -> PeerView:
    return PeerView(
        key=key, pieces=pieces, room=room, in_flight=0, rate=rate, rtt=0.02, is_seeder=True
    )


def swarm(
    peers: Sequence[PeerView], *, wanted: PieceSet = ALL, busy: Sequence[PeerView] = ()
) -> SwarmView:
    return SwarmView(
        wanted=wanted,
        started=0,
        free_blocks={},
        rarity=[0] * len(peers) + [ALL],
        peers=peers,
        piece_length=16 * 16384,
        block_length=16384,
        piece_count=100,
        remaining=wanted.bit_count() * 16 * 16384,
        now=0.0,
        busy=busy,
    )


def picked(strategy: Sequential, view: SwarmView, key: int = 0) -> list[int]:
    return [a.piece for a in strategy.assign(view, random.Random(1)) if a.peer == key]


def test_the_first_piece_then_the_tail_then_the_window_in_order() -> None:
    view = swarm([peer(0, room=16 * 6)])
    strategy = Sequential(window_mib=4, tail_mib=0.5)
    assert picked(strategy, view) == [0, 98, 99, 1, 2, 3]


def test_the_window_moves_to_the_first_missing_piece() -> None:
    view = swarm([peer(0, room=16 * 3)], wanted=ALL & ~full_set(40))
    assert picked(Sequential(tail_mib=0), view) == [40, 41, 42]


def test_beyond_the_window_the_rarest_comes_first() -> None:
    rare = 1 << 77
    view = swarm([peer(0, room=16 * 3)])
    view = SwarmView(
        **{name: getattr(view, name) for name in view.__slots__}
        | {"rarity": [0, rare, ALL & ~rare]}
    )
    assert picked(Sequential(window_mib=0.5, tail_mib=0), view) == [0, 1, 77]


def test_a_slow_peer_leaves_the_urgent_pieces_to_a_fast_one_even_if_that_is_busy() -> None:
    slow = peer(0, rate=1e5, room=8)
    fast = peer(1, rate=1e6, room=0)
    view = swarm([slow], busy=[fast])
    assert picked(Sequential(window_mib=2, tail_mib=0.25), view) == [4]


def test_a_slow_peer_fetches_an_urgent_piece_that_only_it_has() -> None:
    slow = peer(0, rate=1e5, room=8)
    fast = peer(1, rate=1e6, room=0, pieces=ALL & ~1)
    assert picked(Sequential(), swarm([slow], busy=[fast])) == [0]


def test_what_lies_before_the_start_is_fetched_last() -> None:
    strategy = Sequential(start_percent=50, window_mib=0.5, tail_mib=0)
    order = picked(strategy, swarm([peer(0, room=16 * 100)]))
    assert order[:2] == [50, 51]
    assert set(order[:50]) == set(range(50, 100))


@pytest.mark.parametrize(
    "options",
    [{"window_mib": 0}, {"tail_mib": -1}, {"slow_below": 2}, {"start_percent": 100}],
)
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Sequential(**options)
