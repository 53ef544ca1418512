"""The simulator: the same each time, nothing lost or made up, and how strategies do in it."""

import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean

import pytest
from msgspec.structs import replace

from shaped_links import MBIT, PARALLEL, SEEDER_LIMITED, SHAPED, SWARM_LIMITED, UNEQUAL, Link
from simulated_swarms import MIB, crowd, of_links, shaped
from trio_swarm.engine.lengths import BlockRun
from trio_swarm.lab.simulator import (
    Network,
    PeerSpec,
    Scenario,
    SimulatedSwarm,
    SwarmResult,
    simulate,
    strategies,
)
from trio_swarm.lab.simulator.trace import BLOCK
from trio_swarm.piece_sets import PieceSet, lowest
from trio_swarm.schedulers.api import UploadPeerView, UploadRequest, UploadView

SCHEDULERS = ["rarest-first", "round-robin", "bandwidth-weighted"]
SEEDER = PeerSpec(up=50 * MBIT, down=100 * MBIT, role="seeder")

DIGEST = """
import sys
from simulated_swarms import shaped, MIB
from trio_swarm.lab.simulator import simulate
print(simulate(shaped("unequal", size=4 * MIB, piece_length=65536), seed=7).digest)
"""


def _play(scenario: Scenario, *, seed: int = 1, **names: str) -> SwarmResult:
    return simulate(scenario, strategies(**names), seed=seed)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_same_seed_plays_the_same_swarm(scheduler: str) -> None:
    scenario = shaped(UNEQUAL, size=8 * MIB, piece_length=65536)
    one, two = (_play(scenario, scheduler=scheduler) for _ in range(2))
    assert one == two
    assert one.digest != _play(scenario, scheduler=scheduler, seed=2).digest


def test_hash_randomisation_changes_nothing() -> None:
    digests = set()
    for hash_seed in ("0", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            cwd=Path(__file__).parents[2] / "support",
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


@pytest.mark.parametrize("topology", [SEEDER_LIMITED, UNEQUAL, SWARM_LIMITED, PARALLEL])
def test_every_byte_is_sent_once_for_each_time_it_is_received(topology: str) -> None:
    scenario = shaped(topology, size=8 * MIB - 5000, piece_length=65536)
    swarm = SimulatedSwarm(scenario, strategies())
    result = swarm.run()
    assert result.unfinished == 0
    for peer in result.peers:
        if peer.role == "seeder":
            assert peer.received == 0
        else:
            assert peer.accepted == scenario.size
            assert peer.received == peer.accepted + peer.duplicate
    under_way = sum(peer.sent for peer in result.peers) - sum(p.received for p in result.peers)
    assert under_way == sum(pipe.sent - pipe.taken for pipe in swarm.pipes)
    assert 0 <= under_way <= 2 * len(swarm.pipes) * 256 * 1024


def test_no_uplink_sends_and_no_downlink_takes_more_than_its_rate() -> None:
    scenario = shaped(UNEQUAL, size=16 * MIB, piece_length=65536)
    slow = replace(scenario.peers[1], down=15 * MBIT)
    scenario = replace(scenario, peers=(*scenario.peers[:1], slow, *scenario.peers[2:]))
    sent: defaultdict[tuple[int, int], int] = defaultdict(int)
    taken: defaultdict[tuple[int, int], int] = defaultdict(int)
    largest = 0

    def sink(
        kind: int, now: float, sender: int, receiver: int, _piece: int, _begin: int, length: int
    ) -> None:
        nonlocal largest
        if kind == BLOCK:
            largest = max(largest, length)
            sent[sender, int(now)] += length
            taken[receiver, int(now)] += length

    result = simulate(scenario, strategies(), sink=sink)
    assert result.unfinished == 0
    spare = len(scenario.peers) * largest  # a block counts whole in the second in which it ends
    for (peer, _second), count in sent.items():
        assert count <= scenario.peers[peer].up + spare
    for (peer, _second), count in taken.items():
        assert count <= scenario.peers[peer].down + spare
    assert result.peers[1].finished_at is not None
    assert result.peers[1].finished_at >= 16 * MIB / slow.down
    assert result.utilisation <= 1.0


# What is reached today with the default uploader, to the Kumar-Ross bound (five seeds, the worst,
# and a little), and where that misses what issue 4 calls the goal.
REACHED = {
    SEEDER_LIMITED: 1.10,  # 1.04-1.08; goal 1.10
    UNEQUAL: 1.17,  # 1.13-1.14 (for real 1.13-1.14, too); goal 1.10
    SWARM_LIMITED: 1.06,  # 1.02-1.04; goal 1.08
    PARALLEL: 1.13,  # 1.00-1.01, but 1.11 with one seed of five; goal 1.03: missed by it
}
# Goal 1.05, which is reached on real links; there connections that rest are slow to start again.
COPIES = {SEEDER_LIMITED: 1.10, UNEQUAL: 1.17}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("topology", REACHED)
def test_swarms_on_shaped_links_stay_as_near_to_the_bound_as_they_are(
    topology: str, scheduler: str
) -> None:
    result = _play(shaped(topology), scheduler=scheduler)
    assert result.unfinished == 0
    assert 1.0 <= result.ratio <= REACHED[topology]
    assert 0.99 <= result.copies <= COPIES.get(topology, 7.0)
    assert result.duplicate <= 0.02 * sum(peer.received for peer in result.peers)


# The same where links are first come, first served, and the leechers come 50 ms after each other:
# the first of them has two thirds of the seeder's uplink as long as it has requests. Ratio and
# copies: worst of four seeds, and a little.
FIRST_COME = {
    SEEDER_LIMITED: (1.18, 1.17),  # 1.14-1.16
    UNEQUAL: (1.20, 1.18),  # 1.16-1.17; 1.35-1.38 if backlogs that a leecher takes slowly grow
    SWARM_LIMITED: (1.08, 7.0),  # 1.02-1.04; 1.08-1.16 if queues of 60 ms are not left alone
    PARALLEL: (1.13, 7.0),  # 1.00-1.01
}


@pytest.mark.parametrize("topology", FIRST_COME)
def test_swarms_on_first_come_links_stay_as_near_to_the_bound_as_they_are(topology: str) -> None:
    joins = [0.05 * number for number in range(len(SHAPED[topology].leechers))]
    result = _play(shaped(topology, joins=joins, sharing="first-come"))
    most, most_copies = FIRST_COME[topology]
    assert result.unfinished == 0
    assert 1.0 <= result.ratio <= most
    assert 0.99 <= result.copies <= most_copies
    assert result.duplicate <= 0.02 * sum(peer.received for peer in result.peers)


def _share_of_the_first(scenario: Scenario) -> float:
    """Return the share of the seeder's uplink that the first leecher has while all of them ask."""
    sent: Counter[int] = Counter()

    def sink(
        kind: int, now: float, sender: int, receiver: int, _piece: int, _begin: int, length: int
    ) -> None:
        if kind == BLOCK and sender == 0 and 0.5 < now < 4.0:
            sent[receiver] += length

    # All is shown to all, so all of them ask.
    simulate(scenario, strategies(uploader="least-sent"), sink=sink)
    return sent[1] / sent.total()


def test_the_first_to_come_has_the_uplink_of_a_seeder_whose_links_are_first_come() -> None:
    joins = [0.0, *[0.3] * 6]
    swarm = partial(shaped, UNEQUAL, sharing="first-come", shares_uplink=False)
    assert _share_of_the_first(swarm(joins=joins, size=32 * MIB)) > 0.5


def test_a_peer_may_have_another_link_than_the_rest() -> None:
    scenario = shaped(
        UNEQUAL,
        joins=[0.0, *[0.3] * 6],
        sharing="first-come",
        shares_uplink=False,
        size=32 * MIB,
    )
    fair = replace(scenario.peers[0], sharing="fair")
    assert _share_of_the_first(replace(scenario, peers=(fair, *scenario.peers[1:]))) < 0.3


def test_first_copies_do_not_wait_for_whoever_has_the_uplink_and_passes_little_on() -> None:
    # It has 20 Mbit/s up, and two thirds of 40. 1.34 copies where it was given all that it took.
    scenario = shaped(UNEQUAL, joins=[0.0, *[0.3] * 6], sharing="first-come", shares_uplink=False)
    result = _play(scenario)
    assert result.copies < 1.15
    assert result.ratio < 1.17


def test_who_would_be_much_sooner_is_given_what_another_alone_has_and_nobody_else_is() -> None:
    # 4 MiB for seven leechers: 1.27 times the bound and 1.00 copies without any help, 1.17 times
    # and 1.08 copies with help for whoever would be sooner at all, on the mean of these six.
    link = Link(50)
    scenario = of_links([link], [link] * 7, size=4 * MIB, piece_length=64 * 1024)
    results = [_play(scenario, seed=seed) for seed in range(1, 7)]
    assert mean(result.ratio for result in results) < 1.23  # 1.19
    assert mean(result.copies for result in results) < 1.065  # 1.044


def test_a_long_fat_link_need_not_wait_a_round_trip_for_each_of_its_first_pieces() -> None:
    # 200 Mbit/s and 100 ms. 1.29 s with two pieces ahead instead of FIRST_AHEAD.
    link = {"up": 200 * MBIT, "down": 400 * MBIT, "latency": 0.025}
    seeder = PeerSpec(**link, role="seeder")
    leechers = [PeerSpec(**link)] * 3
    scenario = Scenario(size=8 * MIB, piece_length=64 * 1024, peers=(seeder, *leechers))
    assert _play(scenario).last < 1.22  # 1.15


def test_a_seeder_that_only_orders_sends_more_copies() -> None:
    # For real, on shaped links: 1.32 of the bound with 1.24 copies, the first second not counted.
    result = _play(shaped(SEEDER_LIMITED), uploader="least-sent")
    assert 1.10 < result.copies < 1.40  # 1.16-1.19 on the mean of three seeds
    assert result.ratio < 1.40


def _left_behind(copies: float, **names: str) -> tuple[SwarmResult, int]:
    """Return what comes of a seeder that leaves, and how many pieces the swarm has at the end."""
    scenario = shaped(SEEDER_LIMITED)
    leaving = replace(scenario.peers[0], leaves_after_copies=copies)
    swarm = SimulatedSwarm(
        replace(scenario, peers=(leaving, *scenario.peers[1:])), strategies(**names)
    )
    result = swarm.run()
    pieces = 0
    for peer in swarm.peers[1:]:
        pieces |= peer.ledger.have
    return result, pieces.bit_count()


def test_a_seeder_may_leave_after_1_05_copies() -> None:
    result, pieces = _left_behind(1.05)
    assert result.unfinished == 0
    assert pieces == 256
    assert result.copies < 1.06


def test_a_seeder_that_only_orders_leaves_holes() -> None:
    result, pieces = _left_behind(1.05, uploader="least-sent")
    assert result.unfinished == 7
    assert 200 < pieces < 256


def test_free_riders_do_not_keep_the_others_from_their_pieces() -> None:
    result = _play(crowd(SEEDER, 7, 3))
    assert result.unfinished == 0
    assert all(peer.sent == 0 for peer in result.peers[8:])
    assert result.ratio < 2.2


def test_free_riders_are_given_few_first_copies() -> None:
    # For real, on shaped links with 64 MiB: 1.5 to 2.5 copies if they are given as many as others.
    result = _play(crowd(SEEDER, 5, 2, size=32 * MIB))
    assert result.unfinished == 0
    assert result.copies < 1.33  # else 1.38 to 1.45


def test_a_seeder_that_falls_silent_is_replaced_by_the_other() -> None:
    dying = replace(SEEDER, dies_at=1.0)
    scenario = crowd(SEEDER, 4)
    result = _play(replace(scenario, peers=(dying, *scenario.peers)))
    assert result.unfinished == 0
    assert result.peers[0].sent <= 50 * MBIT * 1.0


def test_peers_that_leave_when_complete_let_late_ones_finish() -> None:
    scenario = crowd(SEEDER, 4)
    hasty = tuple(replace(peer, seeds_for=0.0) for peer in scenario.peers[1:])
    late = tuple(replace(peer, joins_at=2.0 + n) for n, peer in enumerate(hasty))
    result = _play(replace(scenario, peers=(SEEDER, *hasty, *late)))
    assert result.unfinished == 0
    assert all(peer.seconds is not None and peer.seconds > 0 for peer in result.peers[1:])


def test_delay_costs_about_what_it_takes_to_answer() -> None:
    scenario = crowd(SEEDER, 1)
    far = tuple(replace(peer, latency=0.05) for peer in scenario.peers)
    near, away = _play(scenario), _play(replace(scenario, peers=far))
    assert near.ratio < 1.02
    assert near.last + 0.3 < away.last < near.last + 1.5


def test_fewer_neighbours_make_the_same_swarm_of_fewer_connections() -> None:
    scenario = replace(crowd(SEEDER, 19, size=4 * MIB), neighbours=4)
    swarm = SimulatedSwarm(scenario, strategies())
    result = swarm.run()
    assert result.unfinished == 0
    assert len(swarm.pipes) <= 2 * 20 * 4
    connections = Counter(id(pipe.up) for pipe in swarm.pipes)
    assert min(connections.values()) >= 4
    assert max(connections.values()) < 19  # chance chose, not the order of joining


@pytest.mark.parametrize("send_buffer", [16384, 1024 * 1024])
def test_a_deeper_socket_buffer_answers_later(send_buffer: int) -> None:
    scenario = replace(crowd(SEEDER, 3, size=8 * MIB), network=Network(send_buffer=send_buffer))
    result = _play(scenario)
    assert result.unfinished == 0
    assert result.ratio < (1.6 if send_buffer == 16384 else 2.2)


def _mean_ratio(scenario: Scenario) -> float:
    return sum(_play(scenario, seed=seed).ratio for seed in range(1, 5)) / 4


def test_requests_of_whole_pieces_change_little_in_a_swarm_of_many_small_pieces() -> None:
    peers = (SEEDER, *(PeerSpec(up=50 * MBIT, down=100 * MBIT) for _ in range(11)))
    fine = Scenario(size=16 * MIB, piece_length=128 * 1024, peers=peers)
    coarse = replace(fine, network=Network(least_request=128 * 1024))
    assert fine.least_request == 16384
    assert fine.quantum == 16384
    assert coarse.quantum == 65536
    assert _mean_ratio(coarse) == pytest.approx(_mean_ratio(fine), rel=0.06)


def test_large_swarms_are_simulated_in_longer_requests() -> None:
    peers = (SEEDER, *(PeerSpec(up=50 * MBIT) for _ in range(1000)))
    large = Scenario(size=64 * MIB, piece_length=256 * 1024, peers=peers)
    assert large.least_request == 256 * 1024
    assert replace(large, peers=peers[:101]).least_request == 32 * 1024
    assert replace(large, piece_length=65536).least_request == 65536
    assert replace(large, network=Network(least_request=16384)).least_request == 16384


def test_what_a_peer_owes_or_is_to_be_asked_is_what_the_asking_ledger_knows_to_be_asked() -> None:
    seen = Counter[str]()

    def look(swarm: SimulatedSwarm) -> None:
        for peer in swarm.peers:
            for end in peer.neighbours.values():
                source = end.source
                owed = list(end.other.upload_queue)
                for piece, begin, length in [*owed, *(end.grants or ())]:
                    assert peer.ledger.was_asked(source, piece, begin, length)
                for request in owed:
                    assert request[1:] in source.requests_within(BlockRun(*request))
                seen["late or cancelled"] += bool(source.late or source.excused)
                seen["owed"] += len(owed)

    for least_request in (16384, 65536):
        network = Network(least_request=least_request)
        scenario = replace(crowd(SEEDER, 15, size=6 * MIB), network=network)
        swarm = SimulatedSwarm(scenario, replace(strategies(), slots=3))
        for tick in range(1, 200):
            swarm.timeline.at(tick / 50 - 0.001, look, swarm)
        assert swarm.run().unfinished == 0
    assert seen["late or cancelled"]
    assert seen["owed"]


def test_nothing_a_strategy_is_asked_breaks_its_contract() -> None:
    asked: list[Callable[[], object]] = []
    chosen = strategies(scheduler="bandwidth-weighted")

    def watched() -> object:
        asked.append(chosen.scheduler)
        return chosen.scheduler()

    scenario = shaped(UNEQUAL, size=4 * MIB, piece_length=65536)
    swarm = SimulatedSwarm(scenario, replace(chosen, scheduler=watched))
    assert swarm.run().unfinished == 0
    assert len(asked) == len(scenario.peers)
    assert not any(guard.faults for peer in swarm.peers for guard in peer.guards)


@dataclass
class SuperSeeding:
    """Shows each leecher its next piece when it is heard to have the last (BEP 16)."""

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        return peer.pieces | (1 << lowest(view.have & ~peer.pieces)) if not peer.is_seeder else None

    def order(
        self, view: UploadView, peer: UploadPeerView, requests: Sequence[UploadRequest]
    ) -> Sequence[UploadRequest]:
        del view, peer
        return requests


def test_a_seeder_that_waits_for_haves_hears_of_each_piece_at_once() -> None:
    scenario = crowd(SEEDER, 1)
    playing = strategies()
    playing = replace(playing, uploader=SuperSeeding)
    result = simulate(scenario, playing)
    assert result.unfinished == 0
    # 256 pieces, each after a round trip of 4 ms and a look of the seeder's; with half a second
    # between them it would be 128 s.
    assert result.last < 12.0
