"""How many blocks one peer is asked for ahead, against a model of TCP on a virtual clock.

The model: the window of congestion control begins with 14,480 bytes (RFC 6928) and doubles in each
round trip (RFC 5681, "slow start") up to what the link holds; what it allows is sent evenly.
"""

import math
from collections import deque
from dataclasses import dataclass

import pytest

from trio_swarm.engine.download.source import HORIZON, MAX_QUEUE_LIMIT, Source
from trio_swarm.engine.lengths import BLOCK_LENGTH

TICK = 0.001
FIRST_FLIGHT = 14_480.0
MBIT = 1e6 / 8


@dataclass
class Link:
    """What lies between a source and us; rate in bytes/s."""

    round_trip: float
    rate: float
    slow_start: bool = True


class Transfer:
    """We ask one source, which has everything, for as much as we may."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.now = 0.0
        self.source = Source(1, identity="10.0.0.1:1", order=0, now=0.0)
        self.source.queue_limit = MAX_QUEUE_LIMIT
        self.idle = 0.0
        """Seconds in which it could have sent and had nothing to send."""
        self.received = 0
        self.largest_wait = 0.0
        """The longest time from a request to its block."""
        self._requests: deque[tuple[float, int]] = deque()
        self._asked = 0.0  # bytes that it was asked for and has not sent
        self._sent: deque[tuple[float, float]] = deque()
        self._acked: deque[tuple[float, float]] = deque()
        self._window = FIRST_FLIGHT if link.slow_start else math.inf
        self._flight = 0.0
        self._rest = 0.0

    def run(self, seconds: float, *, is_held_up: bool = False) -> None:
        """Go on; if it is held up, all that comes waits for a segment that was lost."""
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            self._send()
            if not is_held_up:
                self._receive()
            self._ask()

    def _ask(self) -> None:
        source = self.source
        if source.in_flight <= source.low_water and source.room > 0:
            blocks = source.room
            source.measure(self.now)
            source.ask(0, (1 << blocks) - 1, self.now)
            self._requests.append((self.now + self.link.round_trip / 2, blocks))

    def _send(self) -> None:
        while self._requests and self._requests[0][0] <= self.now:
            self._asked += self._requests.popleft()[1] * BLOCK_LENGTH
        while self._acked and self._acked[0][0] <= self.now:
            acked = self._acked.popleft()[1]
            self._window += acked
            self._flight -= acked
        link = self.link
        # Linux spreads a window over half a round trip in slow start.
        may = min(link.rate, 2 * self._window / link.round_trip) * TICK
        may = min(may, self._window - self._flight)
        sent = min(may, self._asked)
        if may and (self.received or sent):
            self.idle += TICK * (1 - sent / may)
        if sent:
            self._asked -= sent
            self._flight += sent
            self._sent.append((self.now + link.round_trip / 2, sent))
            self._acked.append((self.now + link.round_trip, sent))

    def _receive(self) -> None:
        source = self.source
        while self._sent and self._sent[0][0] <= self.now:
            self._rest += self._sent.popleft()[1]
        while self._rest >= BLOCK_LENGTH - 0.5:
            self._rest -= BLOCK_LENGTH
            self.received += BLOCK_LENGTH
            ask = source.asks[0]
            ask.blocks &= ask.blocks - 1
            source.in_flight -= 1
            if not ask.blocks:
                source.take_first_ask()
            source.delivered(ask, 1, BLOCK_LENGTH, self.now)
            self.largest_wait = max(self.largest_wait, source.response)


@pytest.mark.parametrize(("round_trip", "mbit"), [(0.05, 100), (0.1, 200), (0.2, 100), (0.3, 500)])
def test_a_long_fat_link_never_waits_for_requests_while_it_starts(
    round_trip: float, mbit: float
) -> None:
    transfer = Transfer(Link(round_trip, mbit * MBIT))
    round_trips = math.log2(mbit * MBIT * round_trip / FIRST_FLIGHT) + 2
    transfer.run(round_trips * round_trip)
    assert transfer.idle < 0.25 * round_trip
    begun = transfer.received
    transfer.run(1.0)
    assert transfer.received - begun > 0.97 * mbit * MBIT


def test_when_it_has_started_no_source_is_given_more_than_its_share_of_work_ahead() -> None:
    for round_trip, mbit in [(0.001, 1000), (0.1, 200), (0.2, 20), (0.02, 5)]:
        transfer = Transfer(Link(round_trip, mbit * MBIT))
        transfer.run(8.0)
        ahead = transfer.source.in_flight * BLOCK_LENGTH / (mbit * MBIT)
        assert ahead < 1.3 * HORIZON + 2 * round_trip


def test_a_slow_source_is_given_little_ahead_from_its_first_blocks_on() -> None:
    transfer = Transfer(Link(0.05, 50_000, slow_start=False))
    transfer.run(20.0)
    assert transfer.largest_wait < 12.0
    assert transfer.source.window * BLOCK_LENGTH <= 2 * 50_000


@pytest.mark.parametrize(("round_trip", "mbit"), [(0.1, 200), (0.2, 100), (0.02, 50), (0.15, 50)])
def test_what_waits_for_a_lost_segment_is_neither_late_nor_a_reason_to_ask_for_less_than_fits(
    round_trip: float, mbit: float
) -> None:
    transfer = Transfer(Link(round_trip, mbit * MBIT))
    transfer.run(4.0)
    # A segment is lost, and so is what was sent again: some round trips and a timeout.
    transfer.run(2.0, is_held_up=True)
    assert transfer.source.asks[0].deadline > transfer.now
    before = transfer.idle
    transfer.run(2.0)
    assert transfer.idle - before < 0.1
