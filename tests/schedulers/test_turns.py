"""The chokers for seeders: round-robin and fastest-first, round by round; time is a parameter."""

import random

import pytest
from msgspec.structs import replace

from trio_swarm.lab.testing import choker_contract
from trio_swarm.lab.testing.choke_rounds import Round, served, view, waiting
from trio_swarm.schedulers.api import Choker
from trio_swarm.schedulers.choking.fastest_first import FastestFirst
from trio_swarm.schedulers.choking.taking_turns import TakingTurns

TestTakingTurns = choker_contract(TakingTurns, fills_slots=True, uniform_ties=True)
TestFastestFirst = choker_contract(FastestFirst, fills_slots=True, uniform_ties=True)

CHOKERS = [TakingTurns, FastestFirst]


@pytest.mark.parametrize("choker", CHOKERS)
def test_every_interested_peer_is_unchoked_at_once_while_slots_are_free(
    choker: type[Choker],
) -> None:
    idle = replace(waiting(9), interested=False, waiting_since=None)
    peers = [waiting(1), idle, waiting(2), served(3)]
    assert set(choker().unchoke(view(peers), random.Random(1))) == {1, 2, 3}


def test_round_robin_gives_everybody_the_same_time_however_fast() -> None:
    game = Round(TakingTurns(), dict.fromkeys(range(9), 0.0), slots=2)
    for key in game.peers:
        game.peers[key] = replace(game.peers[key], upload_rate=10.0**key)
    game.play(1800, every=5.0, seeding=True)
    assert max(game.held.values()) <= 1.1 * min(game.held.values())


def test_round_robin_ends_no_turn_early_and_none_that_nobody_waits_for() -> None:
    choker = TakingTurns(turn_seconds=15.0)
    rng = random.Random(1)
    young = [served(1, 90.0), served(2, 80.0)]
    assert set(choker.unchoke(view([*young, waiting(3, 1.0)], slots=2), rng)) == {1, 3}
    assert set(choker.unchoke(view(young, slots=2), rng)) == {1, 2}


def test_fastest_first_keeps_the_fastest_and_tries_everybody() -> None:
    game = Round(FastestFirst(), dict.fromkeys(range(12), 0.0), slots=4)
    for key in game.peers:
        game.peers[key] = replace(game.peers[key], upload_rate=float(key))
    game.play(600, seeding=True)
    assert {key for key, _ in game.held.most_common(3)} == {9, 10, 11}
    assert set(game.held) == set(range(12))


def test_fastest_first_ends_no_trial_early() -> None:
    fast = [served(key, 0.0) for key in range(3)]
    fast = [replace(peer, upload_rate=1e6) for peer in fast]
    trying = replace(served(7, 95.0), upload_rate=1.0)
    rng = random.Random(1)
    peers = [*fast, trying, waiting(8, 1.0)]
    assert set(FastestFirst().unchoke(view(peers, slots=4), rng)) == {0, 1, 2, 7}
    peers[3] = replace(trying, unchoked_at=80.0)
    assert set(FastestFirst().unchoke(view(peers, slots=4), rng)) == {0, 1, 2, 8}


@pytest.mark.parametrize(
    ("choker", "options"),
    [
        (TakingTurns, {"turn_seconds": -1.0}),
        (FastestFirst, {"trial_every": 0}),
        (FastestFirst, {"trial_seconds": -1.0}),
    ],
)
def test_impossible_options_are_refused(choker: type[Choker], options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        choker(**options)
