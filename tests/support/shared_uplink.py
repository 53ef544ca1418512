"""An uplink with a first-in-first-out buffer on a virtual clock, and TCP connections that share it.

Windows grow by a segment a round trip and are halved by a loss. As on real links that segments of
many packets pass, the buffer takes less of those that come late: without pacing the first
connection has nearly all of the uplink.
"""

from collections import deque
from dataclasses import dataclass, field

from trio_swarm.engine.upload.governor import LOOK_INTERVAL, QUEUE_TARGET, Governor
from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.engine.upload.turns import Turns

SEGMENT = 1448
STEP = 0.001


@dataclass
class Connection:
    """One connection; `window` in bytes."""

    is_first: bool = False
    window: float = 10 * SEGMENT
    round_trip: float = 0.001
    backlog: int = 0
    """Bytes that its socket has taken and not sent."""
    downlink: float = float("inf")
    """Bytes/s that its other end takes, with a queue of its own."""
    acknowledged: int = 0
    in_flight: int = 0
    lost_at: float = -1.0
    smoothed: float = 0.0
    least: float = float("inf")
    threshold: float = float("inf")
    down_free_at: float = 0.0
    pace: float = float("inf")
    """Bytes/s that it sends at most."""
    free_at: float = 0.0

    def state(self) -> LinkState:
        return LinkState(
            acknowledged=self.acknowledged,
            delivery_rate=0.0,
            is_app_limited=False,
            round_trip=self.smoothed,
            least_round_trip=0.0 if self.least == float("inf") else self.least,
            in_flight=self.in_flight,
            unsent=self.backlog,
            retransmitted=0,
            receiver_limited=0.0,
        )


@dataclass
class SharedUplink:
    """The link: `rate` in bytes/s, `buffer` in bytes, `foreign` seconds of queue on the way back.

    See the module.
    """

    rate: float
    buffer: float
    foreign: float = 0.0
    now: float = 0.0
    connections: dict[int, Connection] = field(default_factory=dict)
    queued: int = 0
    dropped: int = 0
    idle: float = 0.0
    """Bytes that the link could have carried and did not."""
    _queue: deque[tuple[int, int, float]] = field(default_factory=deque)
    _coming: list[tuple[float, int, int, float]] = field(default_factory=list)
    _credit: float = 0.0

    @property
    def delay(self) -> float:
        """Seconds that the next byte waits in the buffer."""
        return self.queued / self.rate

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self._step()

    def _step(self) -> None:
        self.now += STEP
        self._acknowledge()
        for key, connection in self.connections.items():
            self._send(key, connection)
        self._carry()

    def _send(self, key: int, connection: Connection) -> None:
        room = self.buffer if connection.is_first else 0.9 * self.buffer
        while connection.backlog >= SEGMENT and connection.in_flight + SEGMENT <= max(
            connection.window, 2 * SEGMENT
        ):
            if self.queued + SEGMENT > room:
                self.dropped += 1
                if self.now - connection.lost_at > max(connection.smoothed, 0.01):
                    connection.lost_at = self.now
                    connection.window = max(2 * SEGMENT, connection.window / 2)
                    connection.threshold = connection.window
                return
            if connection.free_at > self.now:
                return
            connection.free_at = (
                max(self.now - STEP, connection.free_at) + SEGMENT / connection.pace
            )
            connection.backlog -= SEGMENT
            connection.in_flight += SEGMENT
            self.queued += SEGMENT
            self._queue.append((key, SEGMENT, self.now))

    def _carry(self) -> None:
        self._credit += self.rate * STEP
        while self._queue and self._credit >= SEGMENT:
            key, size, sent_at = self._queue.popleft()
            self._credit -= size
            self.queued -= size
            connection = self.connections.get(key)
            if connection is None:
                continue
            free_at = max(self.now, connection.down_free_at) + size / connection.downlink
            connection.down_free_at = free_at
            due = free_at + connection.round_trip + self.foreign
            self._coming.append((due, key, size, sent_at))
        if not self._queue:
            self.idle += max(0.0, self._credit - SEGMENT)
            self._credit = min(self._credit, SEGMENT)

    def _acknowledge(self) -> None:
        coming, self._coming = self._coming, []
        for each in coming:
            due, key, size, sent_at = each
            if due > self.now:
                self._coming.append(each)
                continue
            connection = self.connections.get(key)
            if connection is None:
                continue
            connection.acknowledged += size
            connection.in_flight -= size
            took = self.now - sent_at
            connection.least = min(connection.least, took)
            connection.smoothed += (took - connection.smoothed) / (8 if connection.smoothed else 1)
            if connection.in_flight + 4 * SEGMENT >= connection.window:
                # Only a window that is used grows.
                gain = size if connection.window < connection.threshold else 0.0
                connection.window += gain or SEGMENT * size / connection.window


BLOCK = 16 * 1024
AHEAD = 2 * BLOCK
"""Bytes that a socket takes."""


class Sharer:
    """A node behind such a link, which has something to send on all connections that are busy."""

    def __init__(self, link: SharedUplink, *, governed: bool = True) -> None:
        self.link = link
        # Short buffers, too, are shared out here: they show the same in less time.
        self.governor = Governor(QUEUE_TARGET)
        self.turns = Turns()
        self.weights: dict[int, float] = {}
        self.idle: set[int] = set()
        """Connections that have nothing to send."""
        self.delays: list[float] = []
        """The link's queue at each step, seconds."""
        self._governed = governed
        self._put_out = 0
        self._is_held = False
        self._look_at = link.now

    def run(self, seconds: float) -> dict[int, float]:
        """Go on; return the bytes/s that each connection got."""
        connections = self.link.connections
        before = {key: each.acknowledged for key, each in connections.items()}
        for _ in range(round(seconds / STEP)):
            for key, connection in connections.items():
                self._serve(key, connection)
            while self.turns.give(self.link.now) is not None:
                pass
            self.link.run(STEP)
            self.delays.append(self.link.delay)
            if self._governed and self.link.now >= self._look_at - STEP / 2:
                self._look()
        return {
            key: (each.acknowledged - before.get(key, 0)) / seconds
            for key, each in connections.items()
        }

    def _serve(self, key: int, connection: Connection) -> None:
        turns = self.turns
        if connection.backlog >= AHEAD or (key in self.idle and not turns.has_turn(key)):
            return
        if turns.rate < float("inf") and not turns.has_turn(key):
            turns.ask(key)
            self._is_held = True
            return
        connection.backlog += BLOCK
        self._put_out += BLOCK
        if turns.rate < float("inf"):
            turns.put_out(key, BLOCK, self.link.now)

    def _look(self) -> None:
        now = self.link.now
        links = {key: each.state() for key, each in self.link.connections.items()}
        rate = self.governor.look(links, self._put_out, now, is_held=self._is_held)
        self._put_out, self._is_held = 0, self.turns.is_anybody_asking
        self.turns.set_rate(rate)
        self.turns.set_weights(self.weights)
        for connection in self.link.connections.values():
            connection.pace = self.governor.pace or float("inf")
        if rate == float("inf"):
            self.turns.free()
        self._look_at = now + LOOK_INTERVAL


def sharer(
    count: int = 4,
    *,
    rate: float = 2e6,
    buffer: float = 0.05,
    governed: bool = True,
    round_trip: float = 0.001,
) -> Sharer:
    """Return a node with `count` connections; `buffer` in seconds."""
    link = SharedUplink(rate, rate * buffer)
    for key in range(count):
        link.connections[key] = Connection(is_first=key == 0, round_trip=round_trip)
    return Sharer(link, governed=governed)
