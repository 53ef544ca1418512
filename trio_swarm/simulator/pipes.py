"""Links and what goes through them: who sends when, and when it arrives.

One direction of a connection is a `Pipe`. It begins in its sender's `Uplink`, which all pipes of
that sender share, and ends in its receiver's `Downlink`. An uplink serves its pipes in turn, one
quantum each: shares are as the quanta are, and no share is unused. A downlink is a queue: a quantum
that finds it busy waits, but begins to pass as soon as its first byte is there. If a while's worth
waits already, then those pipes that have their part of the queue hold back. So a pipe with an equal
quantum gets about what it would by max-min fairness, which is what TCP comes near to on shaped
links: within 1.3 % on the mean and 11 % at most on random links (`tests/test_simulator_pipes.py`).

What is left out: slow start, losses and their repair, headers (give the payload's part of a link as
its rate), and the few bytes of messages that are not blocks. Those take no bandwidth but keep
their place in the stream: a HAVE behind a block arrives after it.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

from trio_swarm.simulator.timeline import Timeline

FREE_BACKLOG = 0.05
"""Seconds of bytes that may wait for a downlink before senders hold back."""

BACKLOG = 0.1
"""Seconds of bytes that wait then, if every sender has its equal part among them."""

ALONE = 4
"""Quanta sent at a time by a pipe that has its uplink for itself."""

_MOST_REMEMBERED = 8
"""Pipes that a downlink remembers before it looks which of them have anything on its way."""

Message = tuple[int, Any]
"""What one peer tells another: a kind, which tells the type of its content, and that."""


class Speaking(Protocol):
    """Whoever sends through a pipe."""

    def has_room(self) -> None:
        """Go on: the socket has taken all it was given."""


class Hearing(Protocol):
    """Whoever hears what comes out of a pipe."""

    def hear(self, messages: list[Message]) -> None:
        """Act on what arrived."""


class Receiving(Protocol):
    """What a pipe ends in: see `Downlink` for the methods."""

    def takes(self, pipe: "Pipe", quantum: int) -> bool:  # noqa: D102
        ...

    def arrival(self, begin: float, end: float, nbytes: int) -> float:  # noqa: D102
        ...


class Downlink:
    """The receiving link of one peer; `rate` is in bytes/s, and may be infinite."""

    __slots__ = ("_is_timed", "_pipes", "_timeline", "_waiting", "free_at", "rate")

    def __init__(self, timeline: Timeline, rate: float) -> None:
        self.rate = rate
        self.free_at = 0.0
        """When all that is under way will be through."""
        self._timeline = timeline
        self._waiting: list[Pipe] = []
        self._pipes: dict[Pipe, None] = {}
        self._is_timed = False

    def takes(self, pipe: "Pipe", quantum: int) -> bool:
        """Whether a pipe may send now; if not, it is put back to its uplink's turn later."""
        now = self._timeline.now
        horizon = now + pipe.latency
        pending = pipe.pending
        if pending and pending[0] <= horizon:
            pipe.pending = pending = tuple([each for each in pending if each > horizon])
        pipes = self._pipes
        queued = self.free_at - horizon
        if queued <= FREE_BACKLOG and len(pipes) < _MOST_REMEMBERED:
            pipes[pipe] = None
            return True
        busy = {each: None for each in pipes if each.last_arrival > now + each.latency}
        busy[pipe] = None
        self._pipes = busy
        if queued <= FREE_BACKLOG:
            return True
        if len(pending) * quantum * len(busy) <= BACKLOG * self.rate:
            return True
        self._waiting.append(pipe)
        if not self._is_timed:
            self._is_timed = True
            wait = max(queued - FREE_BACKLOG, quantum / self.rate)
            self._timeline.at(now + wait, self._admit, quantum)
        return False

    def _admit(self, quantum: int) -> None:
        """Let the pipe that waited longest send again, and the next one a quantum later."""
        self._is_timed = False
        waiting = self._waiting
        while waiting:
            pipe = waiting.pop(0)
            if pipe.is_open:
                pipe.up.join(pipe)
                break
        if waiting and not self._is_timed:
            self._is_timed = True
            self._timeline.at(self._timeline.now + quantum / self.rate, self._admit, quantum)

    def arrival(self, begin: float, end: float, nbytes: int) -> float:
        """Return when bytes will be through whose first is there at `begin` and last at `end`."""
        free_at = max(self.free_at, begin) + nbytes / self.rate
        self.free_at = free_at
        return max(end, free_at)


class Uplink:
    """The sending link of one peer; `rate` is in bytes/s, and may be infinite."""

    __slots__ = ("_is_busy", "_ring", "_timeline", "on_sent", "quantum", "rate", "sent")

    def __init__(self, timeline: Timeline, rate: float, quantum: int) -> None:
        self.rate = rate
        self.sent = 0
        """Bytes of blocks, those cut short included."""
        self.on_sent: Callable[[int], None] | None = None
        """Told of every quantum."""
        self._timeline = timeline
        self.quantum = quantum
        """Bytes of an ordinary pipe's turn."""
        self._ring: list[Pipe] = []  # of a few; an empty deque takes 600 bytes
        self._is_busy = False

    def join(self, pipe: "Pipe") -> None:
        """Give a pipe with blocks to send its place in the turn."""
        self._ring.append(pipe)
        if not self._is_busy:
            self._start()

    def _start(self) -> None:
        ring = self._ring
        while ring:
            pipe = ring.pop(0)
            if not pipe.is_open:
                continue
            quantum = pipe.quantum
            down = pipe.down
            if down is not None and not down.takes(pipe, quantum):
                continue
            left = pipe.items[0].left
            nbytes = min(left, quantum if ring else quantum * ALONE)
            self._is_busy = True
            now = self._timeline.now
            end = now + nbytes / self.rate
            arrival = end + pipe.latency
            if down is not None:
                arrival = down.arrival(now + pipe.latency, arrival, nbytes)
                pipe.pending = (*pipe.pending, arrival)
            pipe.last_arrival = max(arrival, pipe.last_arrival)
            self._timeline.at(end, self._finish, pipe, nbytes)
            return
        self._is_busy = False

    def _finish(self, pipe: "Pipe", nbytes: int) -> None:
        self.sent += nbytes
        pipe.sent += nbytes
        if pipe.is_open:
            pipe.advance(nbytes)
        if self.on_sent is not None:
            self.on_sent(nbytes)
        self._start()


class _Item:
    """A block, and the messages that follow it."""

    __slots__ = ("left", "messages")

    def __init__(self, left: int, message: Message) -> None:
        self.left = left
        self.messages = [message]


class Pipe:
    """One direction of a connection: bytes the sender's socket took, in their order.

    `send_buffer` is how much a socket takes that the link has not sent yet: nothing of it can be
    put into another order or taken back.
    """

    __slots__ = (
        "_limit",
        "_receiver",
        "_send_buffer",
        "_sender",
        "_timeline",
        "down",
        "is_full",
        "is_open",
        "items",
        "last_arrival",
        "latency",
        "pending",
        "quantum",
        "sent",
        "taken",
        "unsent",
        "up",
    )

    def __init__(
        self,
        timeline: Timeline,
        up: Uplink,
        down: Receiving | None,
        *,
        latency: float,
        send_buffer: int,
        sender: Speaking,
        receiver: Hearing,
        share: float = 1.0,
    ) -> None:
        self.up = up
        self.down = down
        """None if it is never the bottleneck."""
        self.latency = latency
        self.quantum = max(1, round(up.quantum * share))
        """Bytes sent in one turn."""
        # Most are empty most of the time, and an empty tuple is one for all of them.
        self.items: tuple[_Item, ...] = ()
        self.unsent = 0
        """Bytes of blocks in `items` that the uplink has not sent."""
        self.sent = 0
        """Bytes of blocks that the uplink has sent, those cut short included."""
        self.taken = 0
        """Bytes of blocks that the receiver took in."""
        self.is_open = True
        self.is_full = False
        """The sender waits until its socket has taken all it was given."""
        self.last_arrival = 0.0
        self.pending: tuple[float, ...] = ()
        """When the quanta under way will be through the downlink."""
        self._timeline = timeline
        self._send_buffer = self._limit = send_buffer
        self._sender = sender
        self._receiver = receiver

    def say(self, messages: list[Message]) -> None:
        """Send messages without blocks, behind all that was sent before."""
        if self.items:
            self.items[-1].messages += messages
        else:
            when = max(self._timeline.now + self.latency, self.last_arrival)
            self.last_arrival = when
            self._timeline.at(when, self._receiver.hear, messages)

    def follow(self, message: Message, interval: float = 0.0) -> float | None:
        """Send a message behind all that was sent before, to arrive at a multiple of `interval`.

        If that is nothing that waits for the link, return when the message arrives: the caller
        is to deliver it.
        """
        if self.items:
            self.items[-1].messages.append(message)
            return None
        when = max(self._timeline.now + self.latency, self.last_arrival)
        if interval > 0.0:
            when = math.ceil(when / interval) * interval
        self.last_arrival = when
        return when

    def send(self, blocks: list[tuple[int, Message]]) -> None:
        """Send blocks: bytes, and what to deliver with the last of them."""
        is_new = not self.items
        self.items += tuple([_Item(length, message) for length, message in blocks])
        self.unsent += sum([length for length, _ in blocks])
        self.is_full = self.unsent > self._limit
        if is_new and self.items:
            self.up.join(self)

    def limit_unsent(self, nbytes: int) -> None:
        """Have the socket take no more ahead of the link than so much."""
        self._limit = min(self._send_buffer, nbytes)

    def advance(self, nbytes: int) -> None:
        """Note that the uplink has sent bytes of the first block."""
        items = self.items
        item = items[0]
        item.left -= nbytes
        self.unsent -= nbytes
        if not item.left:
            self.items = items = items[1:]
            self._timeline.at(self.last_arrival, self._receiver.hear, item.messages)
        if items:
            self.up.join(self)
        if self.is_full and self.unsent <= self._limit:
            self.is_full = False
            self._sender.has_room()

    def close(self) -> None:
        """Send nothing more; what is under way may still arrive."""
        self.is_open = False
        self.items = ()
        self.unsent = 0
