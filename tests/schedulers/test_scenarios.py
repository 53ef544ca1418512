"""Each built-in download strategy in the situation it exists for, on a virtual clock."""

from collections.abc import Callable

import pytest

from ledger_swarm import LedgerSwarm
from toy_swarm import BLOCK, Outcome, Source, ToySwarm
from trio_swarm.piece_sets import full_set
from trio_swarm.schedulers.api import Scheduler
from trio_swarm.schedulers.bandwidth_weighted import BandwidthWeighted
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.round_robin import RoundRobin

MBIT = 125_000.0


def test_round_robin_puts_equal_load_on_equal_seeders() -> None:
    sources = [Source(10 * MBIT) for _ in range(5)]
    strategy = RoundRobin()
    outcome = ToySwarm(strategy, sources, piece_count=120).run()
    assert outcome.finished_at is not None
    assert outcome.broken_rules == []
    assert outcome.duplicate == 0
    assert max(outcome.received) - min(outcome.received) <= strategy.chunk_kib * 1024


def test_round_robin_gives_turns_not_fixed_shares() -> None:
    outcome = ToySwarm(RoundRobin(), [Source(30 * MBIT), Source(5 * MBIT)], piece_count=100).run()
    assert outcome.finished_at is not None
    ideal = 100 * 16 * BLOCK / (35 * MBIT)
    assert outcome.finished_at < 1.3 * ideal  # equal shares would take 3.5 times the ideal


def _leaving_holder(strategy: Scheduler, seed: int) -> Outcome:
    """The sole holder of half the pieces leaves soon after it could have sent those."""
    pieces = 80
    rare_seconds = 40 * 16 * BLOCK / (8 * MBIT)
    common = full_set(40)
    return ToySwarm(
        strategy,
        [
            Source(8 * MBIT, leaves_at=1.2 * rare_seconds),
            Source(4 * MBIT, common),
            Source(4 * MBIT, common),
        ],
        piece_count=pieces,
        seed=seed,
    ).run()


@pytest.mark.parametrize("seed", range(5))
def test_only_rarest_first_finishes_when_the_sole_holder_of_half_leaves_early(seed: int) -> None:
    rarest = _leaving_holder(RarestFirst(), seed)
    assert rarest.finished_at is not None
    assert rarest.broken_rules == []
    for other in (RoundRobin(), BandwidthWeighted()):
        outcome = _leaving_holder(other, seed)
        assert outcome.finished_at is None
        assert outcome.have.bit_count() < 78


UNEQUAL = [60 * MBIT, 20 * MBIT, 10 * MBIT, 5 * MBIT]


def _unequal(strategy: Scheduler, *, seed: int, endgame: bool, pieces: int = 256) -> Outcome:
    """Queues of at least 1 MiB: 0.14 s of the fastest source, 1.7 s of the slowest."""
    return ToySwarm(
        strategy,
        [Source(rate) for rate in UNEQUAL],
        piece_count=pieces,
        horizon=0.5,
        least_queue=64,
        endgame=endgame,
        jitter=0.3,
        seed=seed,
    ).run()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pieces", [128, 256])
def test_unequal_sources_finish_together_with_bandwidth_weighted(seed: int, pieces: int) -> None:
    ideal = pieces * 16 * BLOCK / sum(UNEQUAL)
    weighted = _unequal(BandwidthWeighted(), seed=seed, endgame=False, pieces=pieces)
    turns = _unequal(RoundRobin(), seed=seed, endgame=False, pieces=pieces)
    assert weighted.finished_at is not None
    assert turns.finished_at is not None
    assert weighted.broken_rules == turns.broken_rules == []
    assert weighted.finished_at < 1.03 * ideal
    assert min(weighted.last_block_at) > 0.97 * weighted.finished_at
    assert turns.finished_at > 1.1 * ideal


def test_bandwidth_weighted_leaves_an_endgame_next_to_nothing_to_duplicate() -> None:
    size = 256 * 16 * BLOCK
    weighted = _unequal(BandwidthWeighted(), seed=1, endgame=True)
    turns = _unequal(RoundRobin(), seed=1, endgame=True)
    assert weighted.finished_at is not None
    assert weighted.finished_at < 1.03 * size / sum(UNEQUAL)
    assert weighted.duplicate <= 0.001 * size
    assert weighted.duplicate <= turns.duplicate


def test_bandwidth_weighted_waits_for_no_slow_peer_that_is_the_only_one_with_a_piece() -> None:
    # The slow peer alone has the last two pieces: it must begin them before the end.
    outcome = ToySwarm(
        BandwidthWeighted(),
        [Source(40 * MBIT, full_set(38)), Source(10 * MBIT)],
        piece_count=40,
    ).run()
    assert outcome.finished_at is not None
    assert outcome.broken_rules == []
    alone = 2 * 16 * BLOCK / (10 * MBIT)
    assert outcome.finished_at < 40 * 16 * BLOCK / (50 * MBIT) + alone


@pytest.mark.parametrize("make", [RoundRobin, RarestFirst, BandwidthWeighted])
@pytest.mark.parametrize("seed", range(4))
def test_every_strategy_finishes_with_partial_sources_that_leave(
    make: Callable[[], Scheduler], seed: int
) -> None:
    low, high = full_set(30), full_set(60) & ~full_set(20)
    outcome = ToySwarm(
        make(),
        [
            Source(20 * MBIT, low),
            Source(2 * MBIT, high, rtt=0.2),
            Source(0.3 * MBIT),
            Source(50 * MBIT, leaves_at=0.5),
        ],
        piece_count=60,
        begun_limit=6,
        seed=seed,
    ).run()
    assert outcome.finished_at is not None
    assert outcome.broken_rules == []


# The same three scenarios with the real ledger as the host: its queues, deadlines and endgame.


def test_round_robin_puts_equal_load_on_equal_seeders_of_a_real_ledger() -> None:
    sources = [Source(10 * MBIT) for _ in range(5)]
    outcome = LedgerSwarm(RoundRobin(), sources, piece_count=120).run()
    assert outcome.finished_at is not None
    assert outcome.broken_rules == []
    mean = sum(outcome.received) / 5
    assert all(abs(load - mean) < 0.05 * mean for load in outcome.received)


@pytest.mark.parametrize("seed", range(3))
def test_only_rarest_first_finishes_with_a_real_ledger_when_the_sole_holder_leaves(
    seed: int,
) -> None:
    def leaving_holder(strategy: Scheduler) -> Outcome:
        sources = [
            Source(8 * MBIT, leaves_at=1.2 * 40 * 16 * BLOCK / (8 * MBIT)),
            Source(4 * MBIT, full_set(40)),
            Source(4 * MBIT, full_set(40)),
        ]
        return LedgerSwarm(strategy, sources, piece_count=80, seed=seed).run()

    assert leaving_holder(RarestFirst()).finished_at is not None
    assert leaving_holder(RoundRobin()).finished_at is None
    assert leaving_holder(BandwidthWeighted()).finished_at is None


@pytest.mark.parametrize("make", [RoundRobin, RarestFirst, BandwidthWeighted])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pieces", [128, 256])
def test_with_a_real_ledger_every_strategy_comes_near_the_ideal(
    make: Callable[[], Scheduler], seed: int, pieces: int
) -> None:
    sources = [Source(rate) for rate in UNEQUAL]
    outcome = LedgerSwarm(make(), sources, piece_count=pieces, jitter=0.3, seed=seed).run()
    size = pieces * 16 * BLOCK
    assert outcome.finished_at is not None
    assert outcome.broken_rules == []
    assert outcome.finished_at < 1.02 * size / sum(UNEQUAL)
    assert outcome.duplicate <= 0.001 * size
