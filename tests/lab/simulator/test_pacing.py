"""What a simulated sender knows of its link, and how fast it may send, as `PeerStream` has it."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_ends import End
from trio_swarm.engine.messages import Message
from trio_swarm.lab.simulator.first_come import FirstComePipe, FirstComeUplink
from trio_swarm.lab.simulator.pipes import Pipe, Uplink
from trio_swarm.lab.simulator.timeline import Timeline

QUANTUM = 16384
RATE = 5_000_000.0
LATENCY = 0.01

Lay = Callable[[Timeline, End, End], Pipe]


def fair(timeline: Timeline, sender: End, receiver: End) -> Pipe:
    return Pipe(
        timeline,
        Uplink(timeline, RATE, QUANTUM),
        None,
        latency=LATENCY,
        send_buffer=QUANTUM,
        sender=sender,
        receiver=receiver,
    )


def first_come(timeline: Timeline, sender: End, receiver: End) -> Pipe:
    up = FirstComeUplink(timeline, RATE, QUANTUM, buffer=0.05)
    return FirstComePipe(
        timeline,
        up,
        None,
        latency=LATENCY,
        send_buffer=QUANTUM,
        sender=sender,
        receiver=receiver,
        back=up,
        round_trip=2 * LATENCY,
    )


LAID = [fair, first_come]


class Sender:
    """One that has something to send again and again, once `refill` was called."""

    def __init__(self, lay: Lay) -> None:
        self.blocks = 8
        self.timeline = Timeline()
        self.arrived: list[tuple[float, int]] = []
        self.pipe = lay(self.timeline, End(self._hear, self.refill), End(self._hear))

    def _hear(self, messages: list[Message]) -> None:
        self.arrived.extend((self.timeline.now, content) for _, content in messages)

    def refill(self) -> None:
        self.pipe.send([(QUANTUM, (0, QUANTUM))] * self.blocks)

    def between(self, begin: float, end: float) -> int:
        return sum(length for when, length in self.arrived if begin < when <= end)

    def run(self, until: float) -> None:
        self.timeline.run(lambda: None, until=until)


@pytest.mark.parametrize("lay", LAID)
@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(20_000, 3_000_000)), max_size=8))
def test_a_pace_holds_from_when_it_is_set_until_it_is_lifted(
    lay: Lay, changes: list[tuple[float, int]]
) -> None:
    sending = Sender(lay)
    sending.refill()
    for when, rate in [*sorted(changes), (3.0, 50_000)]:
        sending.timeline.at(when, sending.pipe.pace, float(rate))
    sending.timeline.at(6.0, sending.pipe.pace, None)
    sending.run(8.0)
    late = LATENCY
    assert sending.between(3.0 + late, 6.0 + late) == pytest.approx(150_000, abs=3 * QUANTUM)
    free = sending.between(6.0 + late, 8.0)
    assert free == pytest.approx((2.0 - late) * RATE, abs=3 * QUANTUM)


@pytest.mark.parametrize("lay", LAID)
def test_a_paced_sender_sends_evenly(lay: Lay) -> None:
    sending = Sender(lay)
    sending.pipe.pace(10 * QUANTUM)
    sending.refill()
    sending.run(4.0)
    times = [when for when, _ in sending.arrived]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == pytest.approx([0.1] * len(gaps))
    assert len(gaps) > 35


def test_the_others_have_what_a_paced_one_leaves() -> None:
    timeline = Timeline()
    up = Uplink(timeline, RATE, QUANTUM)
    heard = [0, 0]

    def begin(number: int) -> Pipe:
        def hear(messages: list[Message]) -> None:
            heard[number] += sum(content for _, content in messages)

        def refill() -> None:
            pipe.send([(QUANTUM, (0, QUANTUM))] * 8)

        ends = {"sender": End(hear, refill), "receiver": End(hear)}
        pipe = Pipe(timeline, up, None, latency=0.0, send_buffer=QUANTUM, **ends)
        refill()
        return pipe

    begin(0).pace(RATE / 10)
    begin(1)
    timeline.run(lambda: None, until=5.0)
    assert heard[0] == pytest.approx(0.1 * 5.0 * RATE, rel=0.02)
    assert heard[1] == pytest.approx(0.9 * 5.0 * RATE, rel=0.02)


@pytest.mark.parametrize("lay", LAID)
def test_what_was_given_is_unsent_or_under_way_or_acknowledged(lay: Lay) -> None:
    sending = Sender(lay)
    sending.blocks = 0
    pipe = sending.pipe
    before = pipe.link_state()
    assert (before.acknowledged, before.round_trip, before.least_round_trip) in (
        (0, 0.0, 0.0),
        (0, 0.0, 2 * LATENCY),
    )
    pipe.send([(QUANTUM, (0, QUANTUM))] * 100)
    seen: list[int] = []

    def look() -> None:
        state = pipe.link_state()
        assert state.acknowledged + state.in_flight + state.unsent == 100 * QUANTUM
        assert state.acknowledged >= (seen[-1] if seen else 0)
        seen.append(state.acknowledged)

    for tick in range(60):
        sending.timeline.at(tick / 100, look)
    sending.run(2.0)
    state = pipe.link_state()
    assert (state.acknowledged, state.in_flight, state.unsent) == (100 * QUANTUM, 0, 0)
    assert state.is_app_limited
    assert state.delivery_rate == pytest.approx(RATE, rel=0.2)
    assert 2 * LATENCY <= state.least_round_trip <= state.round_trip


@pytest.mark.parametrize("lay", LAID)
def test_a_pace_is_seen_as_the_rate_of_delivery(lay: Lay) -> None:
    sending = Sender(lay)
    sending.pipe.pace(RATE / 5)
    sending.refill()
    sending.run(3.0)
    state = sending.pipe.link_state()
    assert state.delivery_rate == pytest.approx(RATE / 5, rel=0.1)
    assert not state.is_app_limited
