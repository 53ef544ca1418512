"""Simulated peers share out a first-come uplink as real ones do, so that nobody is first."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from pipe_ends import End
from shaped_links import UNEQUAL
from simulated_swarms import MIB, NAMESPACE_LATENCY, shaped
from trio_swarm.engine.messages import Message
from trio_swarm.engine.upload.governor import QUEUE_TARGET, Governor
from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.engine.upload.uplink_sharing import UplinkSharing
from trio_swarm.lab.simulator.first_come import FirstComePipe, FirstComeUplink
from trio_swarm.lab.simulator.pipes import Uplink
from trio_swarm.lab.simulator.scenario import Sharing, strategies
from trio_swarm.lab.simulator.sharing_out import SharingOut
from trio_swarm.lab.simulator.swarm import SimulatedSwarm, simulate
from trio_swarm.lab.simulator.timeline import Timeline

MBIT = 125_000.0
BLOCK = 16384
RATE = 0.955 * 40 * MBIT
JOINS = [0.05 * number for number in range(7)]


class Sender:
    """A connection that has something to send until it stops."""

    def __init__(self, uplink: "SharedUplink", key: int, weight: float) -> None:
        self.key = key
        self.group = 0
        self.weight = weight
        self.rate = 0.0
        self.looks = 0
        self.is_idle = False
        self.arrived: list[float] = []
        """When each block did."""
        self._uplink = uplink
        self._pipe = FirstComePipe(
            uplink.timeline,
            uplink.up,
            None,
            latency=NAMESPACE_LATENCY,
            send_buffer=2 * BLOCK,
            sender=End(lambda _: None, self.turn_given),
            receiver=End(self._hear),
            back=Uplink(uplink.timeline, RATE, BLOCK),
            round_trip=2 * NAMESPACE_LATENCY,
        )

    def stop(self) -> None:
        self.is_idle = True

    def _hear(self, messages: list[Message]) -> None:
        self.arrived += [self._uplink.timeline.now] * len(messages)

    def turn_given(self) -> None:
        sharing = self._uplink.sharing
        while not (self.is_idle or self._pipe.is_full):
            if not sharing.may_send(self):
                return
            self._pipe.send([(BLOCK, (0, BLOCK))])
            sharing.sends(self, BLOCK, self._uplink.timeline.now)

    def link_state(self) -> LinkState:
        self.looks += 1
        return self._pipe.link_state()

    def found(self, rate: float) -> None:
        self.rate = rate


class SharedUplink:
    """Senders on one uplink: four that came while it was idle, and each of the others later."""

    def __init__(self, weights: Sequence[float] = (1.0,) * 7) -> None:
        self.timeline = Timeline()
        self.up = FirstComeUplink(self.timeline, RATE, BLOCK, buffer=0.05)
        # As if its queue of 45 ms were a long one.
        governor = Governor(QUEUE_TARGET)
        self.sharing: UplinkSharing = SharingOut(self.timeline, governor=governor)
        self.waits: list[float] = []
        self.senders = [Sender(self, key, weight) for key, weight in enumerate(weights[:4])]
        for sender in self.senders:
            self.timeline.at(0.0, sender.turn_given)
        for key, weight in enumerate(weights[4:], start=4):
            self.timeline.at(2.0 * (key - 3), self._begin, key, weight)
        for tick in range(2000):
            self.timeline.at(tick / 100, self._look)

    def _begin(self, key: int, weight: float) -> None:
        self.senders.append(Sender(self, key, weight))
        self.senders[-1].turn_given()

    def _look(self) -> None:
        self.waits.append(self.up.wait)

    def run(self, until: float) -> None:
        self.timeline.run(lambda: None, until=until)

    def shares(self, begin: float, end: float) -> list[float]:
        """Return of each sender how much of the link was its; call it after `run`."""
        return [
            BLOCK * sum(begin < when <= end for when in sender.arrived) / ((end - begin) * RATE)
            for sender in self.senders
        ]


def test_those_who_come_to_a_full_uplink_have_as_much_as_those_who_came_before_them() -> None:
    # Without turns: 23 % for each of the four that came first, 2.3 % for each of the others.
    uplink = SharedUplink()
    uplink.run(20.0)
    shares = uplink.shares(8.0, 20.0)
    assert shares == pytest.approx([1 / 7] * 7, abs=0.02)
    assert sum(shares) > 0.97


def test_the_queue_is_short_and_seldom_empty() -> None:
    # Without turns: 45 ms.
    uplink = SharedUplink()
    uplink.run(20.0)
    later = sorted(uplink.waits[800:])
    assert later[len(later) // 2] == pytest.approx(QUEUE_TARGET, abs=0.007)
    assert later[len(later) // 20] > 0.0
    assert later[-len(later) // 10] < 2 * QUEUE_TARGET


def test_one_of_little_weight_has_little() -> None:
    uplink = SharedUplink([1.0, 1.0, 1.0, 0.01])
    uplink.run(20.0)
    *others, last = uplink.shares(8.0, 20.0)
    assert last < 0.05
    assert others == pytest.approx([(1.0 - last) / 3] * 3, abs=0.02)


def test_what_one_leaves_the_others_have() -> None:
    uplink = SharedUplink()
    uplink.timeline.at(10.0, uplink.senders[0].stop)
    uplink.run(20.0)
    first, *others = uplink.shares(12.0, 20.0)
    assert first == 0.0
    assert others == pytest.approx([1 / 6] * 6, abs=0.02)


def test_nobody_looks_at_links_once_nothing_is_sent() -> None:
    uplink = SharedUplink([1.0] * 4)
    looks: list[int] = []
    for when in (1.0, 2.5, 1000.0):
        uplink.timeline.at(when, lambda: looks.append(sum(each.looks for each in uplink.senders)))
    for sender in uplink.senders:
        uplink.timeline.at(1.0, sender.stop)
    uplink.run(2000.0)
    at_work, idle, later = looks
    assert 40 < at_work < 150
    assert at_work < idle == later


@pytest.mark.parametrize(
    ("sharing", "shares_uplink", "is_shared_out"),
    [("fair", True, False), ("first-come", True, True), ("first-come", False, False)],
)
def test_only_first_come_uplinks_are_shared_out_and_only_if_the_network_says_so(
    sharing: Sharing, *, shares_uplink: bool, is_shared_out: bool
) -> None:
    scenario = shaped(UNEQUAL, sharing=sharing, shares_uplink=shares_uplink)
    swarm = SimulatedSwarm(scenario, strategies())
    assert {peer.sharing is not None for peer in swarm.peers} == {is_shared_out}


def test_what_has_gone_has_no_part_of_the_uplink() -> None:
    scenario = shaped(UNEQUAL, sharing="first-come", size=16 * MIB)
    leaving = replace(scenario.peers[3], leaves_at=1.0)
    peers = (*scenario.peers[:3], leaving, *scenario.peers[4:])
    swarm = SimulatedSwarm(replace(scenario, peers=peers), strategies())
    seeder = swarm.peers[0].sharing
    assert seeder is not None
    sending: list[bool] = []
    for when in (0.99, 1.1):
        swarm.timeline.at(when, lambda: sending.append(3 in seeder._busy))
    assert swarm.run().unfinished == 0
    assert sending == [True, False]


def test_seeders_whose_uplink_is_first_come_send_few_copies_whoever_comes_first() -> None:
    for joins in (JOINS, JOINS[::-1]):
        result = simulate(shaped(UNEQUAL, joins=joins, sharing="first-come"), strategies())
        assert result.unfinished == 0
        assert 1.0 <= result.ratio < 1.2
        assert result.copies < 1.18
