"""Whole downloads on a virtual clock: whatever the peers do, the file arrives, and in good time."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broken_strategies import BROKEN, EXCESSIVE, HARMLESS
from ledger_playground import check
from trio_swarm.engine.download.ledger import BlockOutcome
from trio_swarm.lab.testing.downloads import BLOCK, KIB, MIB, PacedPeer, PacedSwarm, new_ledger
from trio_swarm.piece_sets import from_pieces, full_set


def test_one_seeder_delivers_at_the_speed_of_its_link() -> None:
    ledger = new_ledger(64, blocks=16)
    swarm = PacedSwarm(ledger, [PacedPeer(rate=4 * MIB, latency=0.05)])
    seconds = swarm.run()
    assert seconds < 16 / 4 * 1.15
    assert ledger.duplicate_bytes == 0


def test_a_fast_distant_link_is_filled_after_slow_start() -> None:
    ledger = new_ledger(256, blocks=64)
    ledger_limit = 2_000
    peer = PacedPeer(rate=50 * MIB, latency=0.1)
    swarm = PacedSwarm(ledger, [peer])
    swarm.at(0.0, lambda: ledger.set_queue_limit(0, ledger_limit))
    seconds = swarm.run()
    assert seconds < 256 / 50 + 2.0


def test_unequal_seeders_finish_together_with_almost_no_duplicates() -> None:
    rates = [60e6 / 8, 20e6 / 8, 10e6 / 8, 5e6 / 8]
    ledger = new_ledger(256, blocks=16)
    swarm = PacedSwarm(ledger, [PacedPeer(rate=rate) for rate in rates])
    seconds = swarm.run()
    ideal = ledger.lengths.length / sum(rates)
    assert seconds < ideal * 1.06
    assert ledger.duplicate_bytes < ledger.lengths.length * 0.01


def test_a_very_slow_seeder_does_not_hold_up_the_end() -> None:
    ledger = new_ledger(32, blocks=16)
    swarm = PacedSwarm(ledger, [PacedPeer(rate=8 * MIB), PacedPeer(rate=20 * KIB)])
    assert swarm.run() < 8 / 8 * 1.5
    assert ledger.duplicate_bytes <= 20 * BLOCK


@pytest.mark.parametrize(
    "bad",
    [
        PacedPeer(is_silent=True),
        PacedPeer(rate=1),
        PacedPeer(rejects=True),
        PacedPeer(chokes_at=0.1),
        PacedPeer(chokes_at=0.1, fast=False),
        PacedPeer(leaves_at=0.3),
    ],
    ids=["silent", "one byte a second", "rejects all", "chokes", "chokes, not fast", "leaves"],
)
def test_a_peer_that_does_not_deliver_costs_little_time(bad: PacedPeer) -> None:
    ledger = new_ledger(64, blocks=16)
    swarm = PacedSwarm(ledger, [bad, PacedPeer(rate=2 * MIB)], check=check)
    assert swarm.run() < 16 / 2 * 1.2
    assert ledger.duplicate_bytes < 40 * BLOCK


def test_a_tiny_file_does_not_wait_for_a_silent_peer() -> None:
    ledger = new_ledger(1, blocks=3)
    swarm = PacedSwarm(ledger, [PacedPeer(is_silent=True), PacedPeer()])
    assert swarm.run() < 1.5


def test_silent_peers_alone_hold_a_block_no_longer_than_their_deadline() -> None:
    ledger = new_ledger(8, blocks=4)
    swarm = PacedSwarm(
        ledger, [PacedPeer(is_silent=True), PacedPeer(is_silent=True), PacedPeer(joins_at=1.0)]
    )
    assert swarm.run() < 6.0


@pytest.mark.parametrize("rate", [1 * KIB, 3 * KIB, 20 * KIB])
def test_a_source_slower_than_any_deadline_still_completes_the_file(rate: float) -> None:
    ledger = new_ledger(3, blocks=2)
    swarm = PacedSwarm(ledger, [PacedPeer(rate=rate)], check=check)
    assert swarm.run() < 6 * 16 * KIB / rate * 1.6 + 5


def test_a_source_that_pauses_for_long_is_used_again() -> None:
    ledger = new_ledger(16, blocks=4)
    peer = PacedPeer(rate=64 * KIB)
    swarm = PacedSwarm(ledger, [peer], check=check)

    def stop() -> None:
        peer.rate = 16 * KIB / 12  # the next block takes twelve seconds

    def go_on() -> None:
        peer.rate = 64 * KIB

    swarm.at(2.0, stop)
    swarm.at(3.0, go_on)
    assert swarm.run() < 16 + 12 + 20


def test_the_queue_of_a_peer_never_exceeds_what_it_announced() -> None:
    ledger = new_ledger(64, blocks=16)
    peer = PacedPeer(rate=40 * MIB, latency=0.1)
    swarm = PacedSwarm(ledger, [peer])
    swarm.at(0.0, lambda: ledger.set_queue_limit(0, 10))
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, ledger.stats(0).in_flight)
        swarm.at(swarm.now + 0.01, look)

    swarm.at(0.0, look)
    assert swarm.run() < math.inf
    assert most == 10


def test_less_is_asked_of_a_link_that_becomes_slow() -> None:
    ledger = new_ledger(128, blocks=16)
    peer = PacedPeer(rate=4 * MIB)
    swarm = PacedSwarm(ledger, [peer])
    in_flight: list[int] = []

    def slow_down() -> None:
        in_flight.append(ledger.stats(0).in_flight)
        peer.rate = 100 * KIB

    swarm.at(3.0, slow_down)
    swarm.at(40.0, lambda: in_flight.append(ledger.stats(0).in_flight))
    swarm.run(until=41.0)
    before, after = in_flight
    assert 4 * MIB * 0.4 < before * BLOCK < 4 * MIB * 1.5
    assert after * BLOCK < 100 * KIB * 2


def test_a_download_with_few_buffers_completes_at_full_speed() -> None:
    ledger = new_ledger(64, blocks=16, open_piece_limit=4)
    swarm = PacedSwarm(ledger, [PacedPeer(rate=2 * MIB), PacedPeer(rate=2 * MIB)])
    assert swarm.run() < 16 / 4 * 1.25
    assert ledger.duplicate_bytes < 16 * BLOCK


def test_buffers_held_by_a_peer_that_left_are_freed_for_others() -> None:
    everything = full_set(16)
    mine = from_pieces(range(8))
    ledger = new_ledger(16, blocks=4, open_piece_limit=2)
    peers = [
        PacedPeer(rate=100 * KIB, pieces=mine, leaves_at=0.5),
        PacedPeer(rate=1 * MIB, pieces=everything & ~mine, joins_at=0.6),
        PacedPeer(rate=1 * MIB, pieces=mine, joins_at=20.0),
    ]
    swarm = PacedSwarm(ledger, peers, check=check)
    swarm.at(19.0, lambda: seen.append(ledger.have))
    seen: list[int] = []
    assert swarm.run() < 25
    assert seen[0] & ~mine == everything & ~mine


@pytest.mark.parametrize("name", [*BROKEN, *EXCESSIVE, *HARMLESS])
def test_a_broken_strategy_costs_no_byte(name: str) -> None:
    factory = {**BROKEN, **EXCESSIVE, **HARMLESS}[name]
    ledger = new_ledger(16, blocks=8, strategy=factory())
    half = full_set(8)
    swarm = PacedSwarm(
        ledger, [PacedPeer(), PacedPeer(pieces=half), PacedPeer(pieces=half << 8)], check=check
    )
    assert swarm.run() < 2.0
    assert ledger.duplicate_bytes < 16 * BLOCK
    assert swarm.outcomes[BlockOutcome.UNREQUESTED] == 0


def test_a_strategy_that_always_declines_does_not_stop_the_download() -> None:
    ledger = new_ledger(64, blocks=16, strategy=HARMLESS["DoesNothing"]())
    swarm = PacedSwarm(ledger, [PacedPeer(rate=4 * MIB)])
    assert swarm.run() < 16 / 4 + 2.5


def test_waiting_wakes_seldom() -> None:
    ledger = new_ledger(4, blocks=4)
    swarm = PacedSwarm(ledger, [PacedPeer(is_silent=True), PacedPeer(is_silent=True)])
    assert swarm.run(until=600.0) == math.inf
    assert swarm.wakeups < 4_000


behaviours = st.fixed_dictionaries(
    {
        "rate": st.sampled_from([1.0, 10 * KIB, 200 * KIB, 2 * MIB]),
        "latency": st.sampled_from([0.0, 0.01, 0.3]),
        "is_silent": st.booleans(),
        "rejects": st.booleans(),
        "chokes_at": st.sampled_from([math.inf, 0.0, 0.2, 3.0]),
        "leaves_at": st.sampled_from([math.inf, 0.1, 2.0, 8.0]),
        "joins_at": st.sampled_from([0.0, 0.05, 4.0]),
        "fast": st.booleans(),
    }
)


@given(
    bad=st.lists(st.tuples(behaviours, st.integers(0, 2**6 - 1)), max_size=4),
    blocks=st.integers(1, 4),
    limit=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_every_download_with_one_good_peer_finishes(
    bad: list[tuple[dict[str, Any], int]], blocks: int, limit: int, seed: int
) -> None:
    ledger = new_ledger(6, blocks=blocks, last_size=5_000, open_piece_limit=limit, seed=seed)
    peers = [PacedPeer(**options, pieces=pieces) for options, pieces in bad]
    random.Random(seed).shuffle(peers)
    swarm = PacedSwarm(ledger, [*peers, PacedPeer(rate=200 * KIB)], check=check)
    assert swarm.run() < 120
    assert swarm.outcomes[BlockOutcome.UNREQUESTED] == 0
    assert ledger.received_bytes == ledger.lengths.length + ledger.failed_bytes
    assert ledger.remaining == 0


@given(
    corrupt=st.lists(st.sampled_from(["all", "some", "one"]), max_size=3),
    good=st.integers(1, 3),
    seed=st.integers(0, 10_000),
)
def test_only_peers_that_sent_wrong_blocks_are_banned(
    corrupt: list[str], good: int, seed: int
) -> None:
    rng = random.Random(seed)
    ledger = new_ledger(5, blocks=4, seed=seed)

    def chooser(kind: str) -> Callable[[int, int], bool]:
        salt = rng.random()
        share = {"all": 1.0, "some": 0.3, "one": 0.1}[kind]
        return lambda piece, block: random.Random(f"{salt} {piece} {block}").random() < share

    peers = [
        PacedPeer(rate=200 * KIB, corrupts=chooser(kind), identity=f"bad {i}")
        for i, kind in enumerate(corrupt)
    ]
    peers += [
        PacedPeer(rate=rng.choice([100, 400]) * KIB, identity=f"good {i}") for i in range(good)
    ]
    rng.shuffle(peers)
    swarm = PacedSwarm(ledger, peers, check=check)
    assert swarm.run() < 300
    assert not any(name.startswith("good") for name in swarm.banned)
    assert len(swarm.banned) == len(set(swarm.banned))


def test_a_peer_that_corrupts_every_block_is_banned() -> None:
    ledger = new_ledger(16, blocks=8)
    peers = [
        PacedPeer(),
        PacedPeer(corrupts=lambda piece, block: True, identity="liar"),
        PacedPeer(),
    ]
    swarm = PacedSwarm(ledger, peers)
    assert swarm.run() < 10
    assert swarm.banned == ["liar"]
