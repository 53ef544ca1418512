"""The simulator's links against exact max-min fair shares."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_ends import End
from trio_swarm.engine.messages import Message
from trio_swarm.lab.simulator.pipes import Downlink, Pipe, Uplink
from trio_swarm.lab.simulator.timeline import Timeline

MBIT = 125_000.0
QUANTUM = 16384


def exact_shares(
    ups: list[float], downs: list[float], flows: list[tuple[int, int]]
) -> dict[tuple[int, int], float]:
    """Progressive filling: all flows rise together until a link is full, then its flows stop."""
    shares: dict[tuple[int, int], float] = {}
    links = {("up", i): rate for i, rate in enumerate(ups)}
    links |= {("down", i): rate for i, rate in enumerate(downs)}
    open_flows = set(flows)
    while open_flows:

        def users(link: tuple[str, int], among: set[tuple[int, int]]) -> list[tuple[int, int]]:
            return [flow for flow in among if flow[link[0] == "down"] == link[1]]

        level, full = min(
            (rate / len(users(link, open_flows)), link)
            for link, rate in links.items()
            if users(link, open_flows)
        )
        for flow in users(full, open_flows):
            shares[flow] = level
            open_flows.discard(flow)
            for link in (("up", flow[0]), ("down", flow[1])):
                links[link] -= level
    return shares


class Pouring:
    """Pipes that always have something to send."""

    def __init__(self, ups: list[float], downs: list[float], flows: list[tuple[int, int]]) -> None:
        self.timeline = Timeline()
        uplinks = [Uplink(self.timeline, rate, QUANTUM) for rate in ups]
        downlinks = [Downlink(self.timeline, rate) for rate in downs]
        self.arrived: dict[tuple[int, int], list[tuple[float, int]]] = {flow: [] for flow in flows}
        for flow in flows:
            self._pour(flow, uplinks[flow[0]], downlinks[flow[1]])

    def _pour(self, flow: tuple[int, int], up: Uplink, down: Downlink) -> None:
        def deliver(messages: list[Message]) -> None:
            for _, length in messages:
                self.arrived[flow].append((self.timeline.now, length))

        def refill() -> None:
            pipe.send([(QUANTUM, (0, QUANTUM))] * 8)

        pipe = Pipe(
            self.timeline,
            up,
            down,
            latency=0.001,
            send_buffer=4 * QUANTUM,
            sender=End(deliver, refill),
            receiver=End(deliver),
        )
        refill()

    def rates(self, begin: float, end: float) -> dict[tuple[int, int], float]:
        self.timeline.run(lambda: None, until=end)
        return {
            flow: sum(length for when, length in arrived if when > begin) / (end - begin)
            for flow, arrived in self.arrived.items()
        }


@pytest.mark.parametrize("seed", range(6))
def test_shares_of_random_links_are_near_max_min_fair(seed: int) -> None:
    rng = random.Random(seed)
    ups = [rng.choice([5, 10, 20, 50, 100]) * MBIT for _ in range(6)]
    downs = [rng.choice([10, 20, 50, 100]) * MBIT for _ in range(6)]
    flows = [(a, b) for a in range(6) for b in range(6) if a != b and rng.random() < 0.6]
    exact = exact_shares(ups, downs, flows)
    found = Pouring(ups, downs, flows).rates(5.0, 15.0)
    errors = {flow: abs(found[flow] / exact[flow] - 1.0) for flow in flows}
    assert max(errors.values()) < 0.15, errors
    assert sum(errors.values()) / len(flows) < 0.03


def test_no_link_carries_more_than_its_rate_in_any_second() -> None:
    ups, downs = [50 * MBIT, 100 * MBIT, 5 * MBIT], [20 * MBIT, 60 * MBIT]
    flows = [(a, b) for a in range(3) for b in range(2)]
    pouring = Pouring(ups, downs, flows)
    pouring.rates(0.0, 10.0)
    for side, rates in enumerate((ups, downs)):
        for link, rate in enumerate(rates):
            bytes_in = [0.0] * 11
            for flow, arrived in pouring.arrived.items():
                if flow[side] == link:
                    for when, length in arrived:
                        bytes_in[math.floor(when)] += length
            # A block counts in the second it is complete in, whenever it began.
            most = rate + len(flows) * QUANTUM
            assert max(bytes_in[:10]) <= most
            assert min(bytes_in[1:10]) >= 0.95 * rate or side == 0


def test_a_message_keeps_its_place_behind_blocks_that_the_socket_took() -> None:
    timeline = Timeline()
    heard: list[tuple[float, object]] = []

    def deliver(messages: list[Message]) -> None:
        heard.extend((timeline.now, content) for _, content in messages)

    pipe = Pipe(
        timeline,
        Uplink(timeline, 1000.0, QUANTUM),
        None,
        latency=0.5,
        send_buffer=1000,
        sender=End(deliver),
        receiver=End(deliver),
    )
    pipe.say([(0, "first")])
    pipe.send([(1000, (0, "block")), (1000, (0, "block"))])
    pipe.say([(0, "behind")])
    timeline.run(lambda: None, until=10.0)
    assert heard == [(0.5, "first"), (1.5, "block"), (2.5, "block"), (2.5, "behind")]


def test_a_message_does_not_overtake_a_block_that_waits_for_the_downlink() -> None:
    timeline = Timeline()
    heard: list[tuple[float, object]] = []

    def deliver(messages: list[Message]) -> None:
        heard.extend((timeline.now, content) for _, content in messages)

    pipe = Pipe(
        timeline,
        Uplink(timeline, 1000.0, QUANTUM),
        Downlink(timeline, 100.0),
        latency=0.5,
        send_buffer=1000,
        sender=End(deliver),
        receiver=End(deliver),
    )
    pipe.send([(1000, (0, "block"))])
    timeline.at(2.0, pipe.say, [(0, "behind")])
    timeline.run(lambda: None, until=20.0)
    assert heard == [(10.5, "block"), (10.5, "behind")]


@given(
    st.lists(
        st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.booleans()), min_size=1, max_size=20
    )
)
def test_quanta_under_way_are_counted_until_they_are_through(
    steps: list[tuple[float, float, bool]],
) -> None:
    timeline = Timeline()
    end = End(lambda _: None)
    pipe = Pipe(
        timeline,
        Uplink(timeline, MBIT, QUANTUM),
        None,
        latency=0.0,
        send_buffer=QUANTUM,
        sender=end,
        receiver=end,
    )
    arrivals: list[float] = []
    looked_at = 0.0
    last = 0.0
    for passed, took, is_forgotten in steps:
        looked_at += passed
        last = max(last, looked_at) + took + 0.001
        pipe.note_arrival(last)
        arrivals.append(last)
        if is_forgotten and took > 0.9:
            pipe.forget_arrivals()
            arrivals.clear()
        assert pipe.quanta_arriving_after(looked_at) == sum(each > looked_at for each in arrivals)
