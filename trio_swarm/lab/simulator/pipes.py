"""Links and what goes through them: who sends when, and when it arrives.

One direction of a connection is a `Pipe`. It begins in its sender's `Uplink`, which all pipes of
that sender share, and ends in its receiver's `Downlink`. An uplink serves its pipes in turn, one
quantum each: shares are as the quanta are, and no share is unused. A downlink is a queue: a quantum
that finds it busy waits, but begins to pass as soon as its first byte is there. If a while's worth
waits already, then those pipes that have their part of the queue hold back. So a pipe with an equal
quantum gets about what it would by max-min fairness, which is what TCP comes near to on shaped
links: within 1.3 % on the mean and 11 % at most on random ones (tests/lab/simulator/test_pipes.py).

What is left out: slow start, losses and their repair, headers (give the payload's part of a link as
its rate), and the few bytes of messages that are not blocks. Those take no bandwidth but keep
their place in the stream: a HAVE behind a block arrives after it.
"""

import math
from collections.abc import Callable
from typing import Final, Protocol

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.messages import End, Message
from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.lab.simulator.sender_state import SenderState
from trio_swarm.lab.simulator.timeline import Timeline, TimelineEvent

FREE_BACKLOG: Final = 0.05
"""Seconds of bytes that may wait for a downlink before senders hold back."""

BACKLOG: Final = 0.1
"""Seconds of bytes that wait then, if every sender has its equal part among them."""

ALONE: Final = 4
"""Quanta sent at a time by a pipe that has its uplink for itself."""

_MOST_REMEMBERED: Final = 8
"""Pipes that a downlink remembers before it looks which of them have anything on its way."""


class _Delivery(TimelineEvent):
    """Messages that arrive."""

    __slots__ = ("_messages", "_receiver")

    def __init__(self, receiver: End, messages: list[Message]) -> None:
        self._receiver = receiver
        self._messages = messages

    def happen(self) -> None:
        """Have them heard."""
        self._receiver.hear(self._messages)


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
        waiting = pipe.quanta_arriving_after(horizon)
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
        if waiting * quantum * len(busy) <= BACKLOG * self.rate:
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


class Uplink(TimelineEvent):
    """The sending link of one peer; `rate` is in bytes/s, and may be infinite."""

    __slots__ = ("_nbytes", "_ring", "_sending", "_timeline", "on_sent", "quantum", "rate", "sent")

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
        self._sending: Pipe | None = None  # none: it is idle
        self._nbytes = 0  # of the quantum that it sends

    def join(self, pipe: "Pipe") -> None:
        """Give a pipe with blocks to send its place in the turn."""
        self._ring.append(pipe)
        state = pipe.state
        if state is not None:
            state.joined_at = self._timeline.now
        if self._sending is None:
            self._start()

    def _start(self) -> None:
        ring = self._ring
        while ring:
            pipe = ring.pop(0)
            if not pipe.is_open:
                continue
            quantum = pipe.quantum
            state = pipe.state
            if state is not None and self._is_held(pipe, state):
                continue
            down = pipe.down
            if down is not None and not down.takes(pipe, quantum):
                continue
            left = pipe.items[0].left
            is_alone = not ring and (state is None or state.rate == math.inf)
            self._send(pipe, min(left, quantum * ALONE if is_alone else quantum))
            return
        self._sending = None

    def _send(self, pipe: "Pipe", nbytes: int) -> None:
        """Begin to send bytes of a pipe's first block."""
        self._sending = pipe
        self._nbytes = nbytes
        now = self._timeline.now
        state = pipe.state
        if state is not None:
            state.take_turn(nbytes)
        end = now + nbytes / self.rate
        arrival = end + pipe.latency
        down = pipe.down
        if down is not None:
            arrival = down.arrival(now + pipe.latency, arrival, nbytes)
            pipe.note_arrival(arrival)
        pipe.last_arrival = max(arrival, pipe.last_arrival)
        self._timeline.add(end, self)

    def _is_held(self, pipe: "Pipe", state: SenderState) -> bool:
        """Whether its pace does not let a pipe send yet; then it is put back later."""
        state.is_held = state.next_at > self._timeline.now
        if state.is_held:
            self._timeline.at(state.next_at, self.release, pipe)
        return state.is_held

    def release(self, pipe: "Pipe") -> None:
        """Give a pipe that its pace held its place in the turn, if it is time."""
        state = pipe.state
        if state is not None and state.is_held and state.next_at <= self._timeline.now:
            state.is_held = False
            if pipe.is_open:
                self.join(pipe)

    def happen(self) -> None:
        """Note that a quantum is sent, and send the next."""
        pipe = self._sending
        if pipe is None:
            raise AssertionError("an idle link sends nothing")
        nbytes = self._nbytes
        self.sent += nbytes
        pipe.sent += nbytes
        state = pipe.state
        if state is not None:
            pipe.note_sent(state, nbytes)
        if pipe.is_open:
            pipe.advance(nbytes)
        if self.on_sent is not None:
            self.on_sent(nbytes)
        self._start()


@mypyc_attr(acyclic=True)
class _Item:
    """A block, and the messages that follow it."""

    __slots__ = ("after", "left", "message")

    def __init__(self, left: int, message: Message) -> None:
        self.left = left
        self.message = message
        self.after: list[Message] | None = None  # most are followed by none

    def follow(self, message: Message) -> None:
        """Have a message follow it."""
        if self.after is None:
            self.after = [message]
        else:
            self.after.append(message)

    def messages(self) -> list[Message]:
        """Return what is to be heard when all of it is there."""
        return [self.message] if self.after is None else [self.message, *self.after]


class Pipe:
    """One direction of a connection: bytes the sender's socket took, in their order.

    `send_buffer` is how much a socket takes that the link has not sent yet: nothing of it can be
    put into another order or taken back.
    """

    __slots__ = (
        "_arrive_before",
        "_arrives_at",
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
        "quantum",
        "sent",
        "state",
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
        sender: End,
        receiver: End,
        share: float = 1.0,
    ) -> None:
        # Fields are in memory in this order: first what every HAVE needs.
        self.is_open = True
        self.is_full = False
        """The sender waits until its socket has taken all it was given."""
        # Most are empty most of the time, and an empty tuple is one for all of them.
        self.items: tuple[_Item, ...] = ()
        self.last_arrival = 0.0
        self.latency = latency
        self._timeline = timeline
        self.up = up
        self.down = down
        """None if it is never the bottleneck."""
        self.quantum = max(1, round(up.quantum * share))
        """Bytes sent in one turn."""
        self.unsent = 0
        """Bytes of blocks in `items` that the uplink has not sent."""
        self.sent = 0
        """Bytes of blocks that the uplink has sent, those cut short included."""
        self.taken = 0
        """Bytes of blocks that the receiver took in."""
        self.state: SenderState | None = None
        """None until somebody paces it or asks for the state of its link."""
        # When the quanta under way will be through the downlink; most have at most one, and a
        # tuple of one takes eighty bytes.
        self._arrives_at = 0.0  # the latest
        self._arrive_before: tuple[float, ...] = ()
        self._send_buffer = self._limit = send_buffer
        self._sender = sender
        self._receiver = receiver

    def say(self, messages: list[Message]) -> None:
        """Send messages without blocks, behind all that was sent before."""
        if self.items:
            last = self.items[-1]
            for message in messages:
                last.follow(message)
        else:
            when = max(self._timeline.now + self.latency, self.last_arrival)
            self.last_arrival = when
            self._timeline.add(when, _Delivery(self._receiver, messages))

    def follow(self, message: Message, interval: float = 0.0) -> float | None:
        """Send a message behind all that was sent before, to arrive at a multiple of `interval`.

        If that is nothing that waits for the link, return when the message arrives: the caller
        is to deliver it.
        """
        if self.items:
            self.items[-1].follow(message)
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

    def note_arrival(self, when: float) -> None:
        """Note when a quantum will be through the downlink."""
        if self._arrives_at:
            self._arrive_before = (*self._arrive_before, self._arrives_at)
        self._arrives_at = when

    def quanta_arriving_after(self, when: float) -> int:
        """Return how many quanta under way will be through later, and forget the others."""
        if self._arrives_at <= when:
            self.forget_arrivals()
            return 0
        if self._arrive_before:
            self._arrive_before = tuple([each for each in self._arrive_before if each > when])
        return 1 + len(self._arrive_before)

    def forget_arrivals(self) -> None:
        """Keep no account of what is on its way."""
        self._arrives_at = 0.0
        self._arrive_before = ()

    def limit_unsent(self, nbytes: int) -> None:
        """Have the socket take no more ahead of the link than so much."""
        self._limit = min(self._send_buffer, nbytes)

    def pace(self, rate: float | None) -> None:
        """Send at most `rate` bytes/s, a quantum at a time; None: as fast as the link lets it."""
        state = self._known_state()
        now = self._timeline.now
        if rate is None:
            state.rate = math.inf
            state.next_at = now
        else:
            state.rate = max(1.0, rate)
            state.next_at = min(state.next_at, now + self.quantum / state.rate)
        if state.is_held:
            self._timeline.at(state.next_at, self.up.release, self)

    def link_state(self) -> LinkState:
        """Return what the sender's system knows of the link now, as `PeerStream.link_state` does.

        Between racks it is the way to the link between them that is meant.
        """
        return self._known_state().link_state(self.unsent, self._timeline.now)

    def note_sent(self, state: SenderState, nbytes: int) -> None:
        """Note that the uplink has sent bytes, and when their acknowledgement comes."""
        is_last = self.unsent <= nbytes
        due_at = self.last_arrival + self.latency
        state.note_sent(nbytes, state.joined_at, due_at, is_last=is_last)

    def _known_state(self) -> SenderState:
        state = self.state
        if state is None:
            self.state = state = SenderState()
        return state

    def advance(self, nbytes: int) -> None:
        """Note that the uplink has sent bytes of the first block."""
        items = self.items
        item = items[0]
        item.left -= nbytes
        self.unsent -= nbytes
        if not item.left:
            self.items = items = items[1:]
            self._timeline.add(self.last_arrival, _Delivery(self._receiver, item.messages()))
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
