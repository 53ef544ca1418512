"""First-come uplinks against what seven TCP senders did on a shaped link of a Linux host.

Measured with Linux 6.18, cubic, htb at 40 Mbit/s and a bfifo of 50 ms in the sender's namespace,
senders that always had something to send, one joining every 0.1 s, for 20 s (TCP_INFO, `tc -s`).
"""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipe_ends import End
from trio_swarm.engine.messages import Message
from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.lab.simulator.first_come import FirstComePipe, FirstComeUplink
from trio_swarm.lab.simulator.pipes import Uplink
from trio_swarm.lab.simulator.timeline import Timeline

MBIT = 125_000.0
QUANTUM = 16384
RATE = 0.955 * 40 * MBIT
BUFFER = 0.05
NAMESPACES = 0.00001
"""Seconds one way: between two namespaces a round trip takes 10 to 30 µs."""

FIRST, OTHERS = 0.637, 0.061
"""Shares that were measured: of the first sender, and of each of the six others."""
QUEUE = 0.020
"""Seconds that the queue was long: 100 KB of the 250 that it takes."""
BESIDE_AN_IDLE_ONE = 0.55
"""Share of the first sender after it had been idle for 0.3 s, and then for 1.5 s."""


class Sending:
    """Senders on one uplink; those without `blocks` always have something to send."""

    def __init__(
        self,
        starts: Sequence[float],
        *,
        latency: float = NAMESPACES,
        buffer: float = BUFFER,
        blocks: Sequence[Sequence[int]] | None = None,
        rate: float = RATE,
    ) -> None:
        self.timeline = Timeline()
        self.up = FirstComeUplink(self.timeline, rate, QUANTUM, buffer=buffer)
        self.pipes: dict[int, FirstComePipe] = {}
        self.idle: set[int] = set()
        self.arrived: dict[int, list[tuple[float, int]]] = {}
        self.longest_wait = 0.0
        self._latency = latency
        for number, start in enumerate(starts):
            given = None if blocks is None else blocks[number]
            self.timeline.at(start, self._begin, number, given)

    def _begin(self, number: int, blocks: Sequence[int] | None) -> None:
        if blocks is None:
            self.pipe(partial(self.refill, number), number)
            self.refill(number)
        else:
            pipe = self.pipe(lambda: None, number)
            pipe.send([(length, (0, length)) for length in blocks])

    def refill(self, number: int) -> None:
        if number not in self.idle:
            self.pipes[number].send([(QUANTUM, (0, QUANTUM))] * 8)

    def pipe(self, has_room: Callable[[], None], number: int) -> FirstComePipe:
        self.arrived[number] = []

        def hear(messages: list[Message]) -> None:
            self.longest_wait = max(self.longest_wait, self.up.wait)
            self.arrived[number] += [(self.timeline.now, content) for _, content in messages]

        self.pipes[number] = pipe = FirstComePipe(
            self.timeline,
            self.up,
            None,
            latency=self._latency,
            send_buffer=4 * QUANTUM,
            sender=End(hear, has_room),
            receiver=End(hear),
            back=Uplink(self.timeline, RATE, QUANTUM),
            round_trip=2 * self._latency,
        )
        return pipe

    def pace(self, number: int, rate: float) -> None:
        self.pipes[number].pace(rate)

    def go_idle(self, number: int, begin: float, end: float) -> None:
        def again() -> None:
            self.idle.discard(number)
            self.refill(number)

        self.timeline.at(begin, self.idle.add, number)
        self.timeline.at(end, again)

    def run(self, until: float) -> None:
        self.timeline.run(lambda: None, until=until)

    def shares(self, begin: float, end: float) -> list[float]:
        """Return of each sender how much of the link was its; call it after `run`."""
        return [
            sum(length for when, length in self.arrived[number] if begin < when <= end)
            / ((end - begin) * RATE)
            for number in sorted(self.pipes)
        ]


def one_after_the_other(count: int, every: float = 0.1) -> list[float]:
    return [number * every for number in range(count)]


def test_the_first_of_seven_has_what_it_was_measured_to_have_for_as_long_as_it_sends() -> None:
    sending = Sending(one_after_the_other(7))
    sending.run(20.0)
    for begin in range(2, 20, 2):
        first, *others = sending.shares(begin, begin + 2.0)
        assert first == pytest.approx(FIRST, abs=0.02)
        assert others == pytest.approx([OTHERS] * 6, abs=0.01)


@pytest.mark.parametrize(
    ("mbit", "buffer", "count", "first", "others"),
    [
        (10, 0.05, 7, 0.294, 0.118),
        (40, 0.05, 2, 0.909, 0.086),
        (40, 0.5, 7, 0.653, 0.058),
    ],
)
def test_other_links_are_shared_as_they_were_measured_to_be(
    mbit: int, buffer: float, count: int, first: float, others: float
) -> None:
    rate = 0.955 * mbit * MBIT
    sending = Sending(one_after_the_other(count), rate=rate, buffer=buffer)
    sending.run(6.0)
    found = [share * RATE / rate for share in sending.shares(2.0, 6.0)]
    assert found[0] == pytest.approx(first, abs=0.02)
    assert found[1:] == pytest.approx([others] * (count - 1), abs=0.01)


def test_nobody_has_much_more_than_the_others_on_a_fast_link() -> None:
    # Measured on 800 Mbit/s: 11 to 24 % for each of seven; on 400: 13 to 15 %.
    rate = 0.955 * 800 * MBIT
    sending = Sending(one_after_the_other(7), rate=rate)
    sending.run(3.0)
    found = [share * RATE / rate for share in sending.shares(2.0, 3.0)]
    assert found == pytest.approx([1 / 7] * 7, abs=0.05)


def test_the_queue_is_as_long_as_it_was_measured_to_be() -> None:
    sending = Sending(one_after_the_other(7))
    sending.run(5.0)
    assert sending.up.wait == pytest.approx(QUEUE, abs=0.002)
    found = [sending.pipes[number].least_round_trip for number in range(7)]
    # Measured: 0.01 ms of the first, then 13.9, 15.1, 16.1, 17.5, 18.0 and 19.2 ms.
    assert found[0] < 0.0001
    assert found[1:] == pytest.approx([0.0139, 0.0151, 0.0161, 0.0175, 0.018, 0.0192], abs=0.002)


def test_nobody_is_first_where_every_round_trip_is_long() -> None:
    # Measured in a swarm with 20 ms each way: 0.6 to 1.0 MB/s each of seven.
    sending = Sending(one_after_the_other(7), latency=0.02)
    sending.run(8.0)
    assert sending.shares(4.0, 8.0) == pytest.approx([1 / 7] * 7, abs=0.02)


def test_nobody_is_first_where_no_packet_is_long() -> None:
    # Measured with packets of 3,000 bytes at most (`gso_max_size`): 14.3 % for each of seven.
    sending = Sending(one_after_the_other(7), buffer=8 * 3000 / RATE)
    sending.run(8.0)
    assert sending.shares(4.0, 8.0) == pytest.approx([1 / 7] * 7, abs=0.02)


def test_the_first_is_still_the_first_after_it_was_idle() -> None:
    sending = Sending(one_after_the_other(7))
    sending.go_idle(0, 8.0, 8.3)
    sending.go_idle(0, 11.0, 12.5)
    sending.run(20.0)
    while_idle = sending.shares(11.2, 12.4)
    assert while_idle[0] == 0.0
    assert sum(while_idle) == pytest.approx(1.0, abs=0.05)
    assert sending.shares(14.0, 20.0)[0] == pytest.approx(BESIDE_AN_IDLE_ONE, abs=0.1)


def test_all_who_come_to_an_idle_link_have_the_same() -> None:
    sending = Sending([])
    for number in range(4):
        sending.pipe(partial(sending.refill, number), number)
    for number in range(4):
        sending.refill(number)
    sending.run(6.0)
    assert sending.shares(2.0, 6.0) == pytest.approx([0.25] * 4, abs=0.02)


def test_a_message_waits_for_what_is_in_the_queue() -> None:
    sending = Sending(one_after_the_other(7))
    silent = sending.pipe(lambda: None, 7)
    sending.timeline.at(4.0, silent.say, [(0, 1)])
    follows = sending.pipe(lambda: None, 8)
    sending.timeline.at(4.0, follows.follow, (0, 1))
    sending.run(5.0)
    ((said_at, _),) = sending.arrived[7]
    assert said_at - 4.0 == pytest.approx(QUEUE, abs=0.002)
    assert follows.last_arrival == said_at


def test_a_message_on_an_idle_link_waits_for_nothing() -> None:
    sending = Sending([])
    silent = sending.pipe(lambda: None, 0)
    sending.timeline.at(1.0, silent.say, [(0, 1)])
    sending.run(2.0)
    assert sending.arrived[0] == [(1.0 + NAMESPACES, 1)]


def test_paces_that_the_link_carries_are_what_each_gets() -> None:
    sending = Sending(one_after_the_other(4))
    paces = [0.1, 0.2, 0.3, 0.35]
    for number, pace in enumerate(paces):
        sending.timeline.at(
            number * 0.1 + 0.001,
            partial(sending.pace, number, pace * RATE),
        )
    sending.run(10.0)
    assert sending.shares(4.0, 10.0) == pytest.approx(paces, abs=0.01)


def test_the_link_tells_what_tcp_would() -> None:
    sending = Sending(one_after_the_other(7))
    told: list[list[LinkState]] = []

    def look() -> None:
        told.append([pipe.link_state() for _, pipe in sorted(sending.pipes.items())])

    for tick in range(80):
        sending.timeline.at(2.0 + tick / 20, look)
    sending.run(6.0)
    for number, share in enumerate([FIRST, *[OTHERS] * 6]):
        states = [each[number] for each in told]
        rate = sum(each.delivery_rate for each in states) / len(states)
        assert rate == pytest.approx(share * RATE, rel=0.15)
        last = states[-1]
        acknowledged = last.acknowledged - states[0].acknowledged
        assert acknowledged == pytest.approx(share * RATE * 79 / 20, rel=0.05)
        assert last.round_trip == pytest.approx(QUEUE, abs=0.006)
        assert last.least_round_trip == sending.pipes[number].least_round_trip
        # Measured: 42 segments of the first are under way, and 4 of each of the others.
        assert last.in_flight == pytest.approx(61_000 if not number else 5_800, abs=QUANTUM)
        assert not last.is_app_limited


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 2.0),
            st.lists(st.integers(1, 300_000), min_size=1, max_size=8),
            st.sampled_from([0.0, 0.0002, 0.004]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([0.001, 0.05, 0.5]),
)
def test_nothing_is_lost_and_the_link_idles_only_if_nobody_has_anything_to_send(
    senders: list[tuple[float, list[int], float]], buffer: float
) -> None:
    starts = [start for start, _, _ in senders]
    blocks = [lengths for _, lengths, _ in senders]
    sending = Sending(starts, blocks=blocks, buffer=buffer, latency=senders[0][2])
    sending.run(1000.0)
    for number, lengths in enumerate(blocks):
        assert [length for _, length in sending.arrived[number]] == lengths
        assert sending.pipes[number].sent == sum(lengths)
    assert sending.longest_wait <= buffer
    # A link that is never idle with something to send ends when a single queue would.
    free_at = 0.0
    for start, lengths in sorted(zip(starts, blocks, strict=True)):
        free_at = max(free_at, start) + sum(lengths) / RATE
    last = max(when for arrived in sending.arrived.values() for when, _ in arrived)
    assert last == pytest.approx(free_at + senders[0][2], abs=1e-6)
