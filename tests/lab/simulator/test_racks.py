"""Racks with a link between them that all share, against exact max-min fair shares."""

import math
import random
from collections import defaultdict
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from pipe_ends import End
from shaped_links import MBIT
from simulated_swarms import MIB
from trio_swarm.engine.messages import Message
from trio_swarm.lab.simulator import PeerSpec, Scenario, SimulatedSwarm, simulate, strategies
from trio_swarm.lab.simulator.pipes import Downlink, Pipe, Receiving, Uplink
from trio_swarm.lab.simulator.racks import Crossing, Trunk, labels_seen
from trio_swarm.lab.simulator.scenario import CrossLink, Network, Sharing
from trio_swarm.lab.simulator.timeline import Timeline
from trio_swarm.lab.simulator.trace import BLOCK, PIECE
from trio_swarm.schedulers.api import Assignment, SwarmView
from trio_swarm.schedulers.rarest_first import RarestFirst

QUANTUM = 16384
Flow = tuple[int, int]
Link = tuple[str, int]


def exact_shares(rates: dict[Link, float], flows: dict[Flow, list[Link]]) -> dict[Flow, float]:
    """Progressive filling: all flows rise together until a link is full, then its flows stop."""
    shares: dict[Flow, float] = {}
    left = dict(rates)
    rising = dict(flows)
    while rising:
        users: defaultdict[Link, int] = defaultdict(int)
        for links in rising.values():
            for link in links:
                users[link] += 1
        level, full = min((left[link] / count, link) for link, count in users.items())
        for flow in [flow for flow, links in rising.items() if full in links]:
            shares[flow] = level
            for link in rising.pop(flow):
                left[link] -= level
    return shares


class Pouring:
    """Pipes that always have something to send, some of them over the trunk."""

    def __init__(self, rates: dict[Link, float], flows: dict[Flow, list[Link]]) -> None:
        self.timeline = timeline = Timeline()
        self.arrived: dict[Flow, list[tuple[float, int]]] = {flow: [] for flow in flows}
        self.up = {n: Uplink(timeline, r, QUANTUM) for (kind, n), r in rates.items() if kind == "u"}
        self.down = {n: Downlink(timeline, r) for (kind, n), r in rates.items() if kind == "d"}
        self.trunk = Trunk(timeline, rates["t", 0], QUANTUM, 0.002)
        for flow, links in flows.items():
            self._pour(flow, crosses=("t", 0) in links)

    def _pour(self, flow: Flow, *, crosses: bool) -> None:
        def deliver(messages: list[Message]) -> None:
            for _, length in messages:
                self.arrived[flow].append((self.timeline.now, length))

        def refill() -> None:
            pipe.send([(QUANTUM, (0, QUANTUM))] * 8)

        down: Receiving = self.down[flow[1]]
        told = End(deliver)
        if crosses:
            down = crossing = Crossing(
                self.timeline, self.trunk, self.down[flow[1]], latency=0.001, receiver=End(deliver)
            )
            told = crossing
        pipe = Pipe(
            self.timeline,
            self.up[flow[0]],
            down,
            latency=0.001,
            send_buffer=4 * QUANTUM,
            sender=End(deliver, refill),
            receiver=told,
        )
        refill()

    def rates(self, begin: float, end: float) -> dict[Flow, float]:
        self.timeline.run(lambda: None, until=end)
        return {
            flow: sum(length for when, length in arrived if when > begin) / (end - begin)
            for flow, arrived in self.arrived.items()
        }


@pytest.mark.parametrize("seed", range(8))
def test_shares_over_a_trunk_are_near_max_min_fair(seed: int) -> None:
    rng = random.Random(seed)
    rates: dict[Link, float] = {("t", 0): rng.choice([10, 30, 60, 200]) * MBIT}
    rates |= {("u", n): rng.choice([10, 20, 50, 100]) * MBIT for n in range(6)}
    rates |= {("d", n): rng.choice([10, 20, 50, 100]) * MBIT for n in range(6)}
    flows: dict[Flow, list[Link]] = {}
    for sender in range(6):
        for receiver in range(6):
            # The first three are in one rack; what goes back has a trunk of its own, left out.
            if sender != receiver and not (sender >= 3 > receiver) and rng.random() < 0.7:
                crosses = sender < 3 <= receiver
                trunk: list[Link] = [("t", 0)] if crosses else []
                flows[sender, receiver] = [("u", sender), ("d", receiver), *trunk]
    exact = exact_shares(rates, flows)
    found = Pouring(rates, flows).rates(5.0, 15.0)
    errors = {flow: abs(found[flow] / exact[flow] - 1.0) for flow in flows}
    assert max(errors.values()) < 0.15, errors
    assert sum(errors.values()) / len(flows) < 0.04, errors


def test_a_message_keeps_its_place_behind_a_block_on_the_way_over_a_trunk() -> None:
    timeline = Timeline()
    heard: list[tuple[float, object]] = []

    def deliver(messages: list[Message]) -> None:
        heard.extend((timeline.now, content) for _, content in messages)

    trunk = Trunk(timeline, 100.0, QUANTUM, 0.25)
    crossing = Crossing(timeline, trunk, None, latency=0.25, receiver=End(deliver))
    pipe = Pipe(
        timeline,
        Uplink(timeline, 1000.0, QUANTUM),
        crossing,
        latency=0.5,
        send_buffer=5000,
        sender=End(deliver),
        receiver=crossing,
    )
    pipe.say([(0, "first")])
    pipe.send([(1000, (0, "block"))])
    pipe.say([(0, "behind")])
    timeline.run(lambda: None, until=60.0)
    # 1 s to leave, 0.5 s to the trunk, 10 s through it, and 0.5 s to the other end.
    assert heard == [(1.0, "first"), (12.0, "block"), (12.0, "behind")]
    assert trunk.sent == 1000


def two_racks(rate: float, *, size: int = 8 * MIB, sharing: Sharing = "fair") -> Scenario:
    here = PeerSpec(up=100 * MBIT, down=100 * MBIT, rack="a")
    there = replace(here, rack="b")
    return Scenario(
        size=size,
        piece_length=65536,
        peers=(
            replace(here, role="seeder"),
            *([here] * 4),
            *([there] * 5),
        ),
        network=Network(
            cross_links=(CrossLink(between=("a", "b"), rate=rate, latency=0.003),),
            sharing=sharing,
        ),
    )


@pytest.mark.parametrize("sharing", ["fair", "first-come"])
def test_a_thin_link_bounds_the_swarm_and_no_byte_is_lost_on_it(sharing: Sharing) -> None:
    scenario = two_racks(8 * MBIT, sharing=sharing)
    assert scenario.bound == pytest.approx(8 * MIB / (8 * MBIT))
    swarm = SimulatedSwarm(scenario, strategies())
    result = swarm.run()
    assert result.unfinished == 0
    assert result.ratio >= 1.0
    assert result.crossed >= scenario.size
    assert result.crossed == sum(trunk.sent for trunk in swarm.trunks.values())
    there = swarm.trunks["a", "b"]
    assert there.sent <= result.ended_at * there.rate + QUANTUM
    for peer in result.peers[1:]:
        assert peer.accepted == scenario.size
        assert peer.received == peer.accepted + peer.duplicate


@pytest.mark.parametrize("sharing", ["fair", "first-come"])
def test_word_of_a_piece_takes_the_way_over_the_link_as_blocks_do(sharing: Sharing) -> None:
    latency = 0.5
    scenario = two_racks(8 * MBIT, size=2 * MIB)
    link = replace(scenario.network.cross_links[0], latency=latency)
    verified: dict[tuple[int, int], float] = {}
    soonest = math.inf

    def sink(
        kind: int, now: float, peer: int, to: int, piece: int, _begin: int, _length: int
    ) -> None:
        nonlocal soonest
        if kind == PIECE:
            verified[peer, piece] = now
        elif kind == BLOCK and (peer, piece) in verified and (peer < 5) != (to < 5):
            soonest = min(soonest, now - verified[peer, piece])

    network = Network(cross_links=(link,), sharing=sharing)
    result = simulate(replace(scenario, network=network), sink=sink)
    assert result.unfinished == 0
    # Over the link go: that it is there, that it is wanted, and the block.
    assert 3 * latency <= soonest < math.inf


def test_a_wide_link_is_as_good_as_one_rack_but_for_its_delay() -> None:
    wide = simulate(two_racks(10_000 * MBIT))
    none = simulate(replace(two_racks(1.0), network=Network()))
    assert wide.last < 1.15 * none.last
    assert none.crossed == 0


def test_a_strategy_is_told_of_racks_from_where_its_peer_is() -> None:
    here = PeerSpec(up=1.0, rack="a")
    other = PeerSpec(up=1.0, rack="b", labels={"zone": "eu"})
    assert labels_seen(here, here) == {"rack": "a", "distance": "0"}
    assert labels_seen(here, other) == {"rack": "b", "distance": "1", "zone": "eu"}
    assert labels_seen(here, PeerSpec(up=1.0)) == {}
    seen: list[Mapping[str, str]] = []

    class Curious(RarestFirst):
        def assign(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
            seen.extend(peer.labels for peer in view.peers)
            return super().assign(view, rng)

    racks = two_racks(8 * MBIT)
    seeders = [replace(racks.peers[0], rack=rack) for rack in "ab"]
    simulate(
        replace(racks, peers=(*seeders, *racks.peers[1:])),
        replace(strategies(), scheduler=Curious),
    )
    assert {(labels["rack"], labels["distance"]) for labels in seen} == {
        (rack, distance) for rack in "ab" for distance in "01"
    }
