"""The reference schedule: it cheats nowhere, and takes as few rounds as can be."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.lab.simulator import PeerSpec, Scenario, simulate
from trio_swarm.lab.simulator.reference import SEEDER, best_seconds, least_rounds, schedule


def rounds_of(leechers: int, pieces: int) -> int:
    """Carry the schedule out, and return its rounds."""
    have: list[set[int]] = [set(range(pieces)), *(set() for _ in range(leechers))]
    rounds = 0
    for sent in schedule(leechers, pieces):
        rounds += 1
        assert len({transfer.sender for transfer in sent}) == len(sent)
        assert len({(transfer.receiver, transfer.piece) for transfer in sent}) == len(sent)
        assert all(transfer.piece in have[transfer.sender] for transfer in sent)
        assert not any(transfer.piece in have[transfer.receiver] for transfer in sent)
        assert all(transfer.receiver != SEEDER for transfer in sent)
        for transfer in sent:
            have[transfer.receiver].add(transfer.piece)
    assert all(len(pieces_had) == pieces for pieces_had in have)
    return rounds


@pytest.mark.parametrize("leechers", range(1, 66))
def test_every_small_swarm_takes_as_few_rounds_as_can_be(leechers: int) -> None:
    for pieces in (*range(1, 12), 63, 64, 65):
        assert rounds_of(leechers, pieces) == pieces + math.floor(math.log2(leechers))


@given(st.integers(1, 300), st.integers(1, 80))
def test_so_does_any_other(leechers: int, pieces: int) -> None:
    assert rounds_of(leechers, pieces) == pieces + math.floor(math.log2(leechers))


def test_one_piece_doubles_each_round() -> None:
    assert [len(sent) for sent in schedule(7, 1)] == [1, 2, 4]


@pytest.mark.parametrize(("leechers", "pieces"), [(0, 1), (1, 0)])
def test_nothing_is_no_swarm(leechers: int, pieces: int) -> None:
    with pytest.raises(ValueError, match="a leecher and a piece"):
        least_rounds(leechers, pieces)


def equals(leechers: int, size: int) -> Scenario:
    peers = (PeerSpec(up=1e6, role="seeder"), *(PeerSpec(up=1e6) for _ in range(leechers)))
    return Scenario(size=size, piece_length=65536, peers=peers)


def test_only_equals_have_a_best_time_and_it_is_no_less_than_the_bound() -> None:
    scenario = equals(7, 64 * 65536)
    best = best_seconds(scenario)
    assert best == pytest.approx(66 * 65536 / 1e6)
    assert best is not None
    assert best > scenario.bound
    slower = PeerSpec(up=5e5)
    limited = PeerSpec(up=1e6, down=2e6)
    for other in (slower, limited, PeerSpec(up=1e6, role="seeder"), PeerSpec(up=1e6, joins_at=1.0)):
        changed = Scenario(size=1 << 22, piece_length=65536, peers=(*scenario.peers, other))
        assert best_seconds(changed) is None
    assert best_seconds(equals(7, 64 * 65536 - 1000)) is None


def test_no_strategy_beats_the_reference() -> None:
    scenario = equals(7, 64 * 65536)
    best = best_seconds(scenario)
    assert best is not None
    assert best <= simulate(scenario).last <= 1.8 * best
