"""An uplink whose queue is first come, first served, as TCP without pacing fills it.

What is modelled is the uplink of a Linux host that is shaped in the host itself, under cubic (Linux
6.18: seven connections on 40 Mbit/s with 50 ms of buffer). Neither the congestion window nor losses
play a part there. TCP lets each connection have two packets in its own host's queue ("TCP small
queues"), and the queue sends packets in the order they came. So a connection's share is the length
of its packets. They are the longer the shorter the least round trip was that the connection ever
saw (`tcp_tso_autosize`), and at least two segments:

    packet = 4 x its rate / 1024 + longest packet >> (least round trip / 512 µs)

Who found the link idle when it came sends packets of 31 KB, and who came when there was a queue
sends 3 KB, for as long as the connection lasts. Measured: 63.7 % of the uplink for the first of
seven, 6.1 % for each of the others, and a queue of 20.0 ms; here it is 63.2 %, 6.1 % and 19.8 ms.
With 20 ms of delay between the peers nobody sees so short a round trip, and shares are equal, for
real as well. From 400 Mbit/s on everybody's packets are long by their rate, and shares are nearly
equal.

Messages without blocks wait for what is in the queue, too. What is left out is a queue in a router,
where windows and losses share the link.
"""

from typing import TYPE_CHECKING, Final

from trio_swarm.engine.messages import End, Message
from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.lab.simulator.pipes import Pipe, Receiving, Uplink
from trio_swarm.lab.simulator.sender_state import SenderState

if TYPE_CHECKING:
    from trio_swarm.lab.simulator.timeline import Timeline

SEGMENT: Final = 1448
"""Bytes of payload in one segment over Ethernet."""

SHORTEST_PACKET: Final = 2 * SEGMENT
"""Linux, `tcp_min_tso_segs`."""

LONGEST_PACKET: Final = 32768
"""Half of the window that a Linux receiver opens at first (`tcp_bound_to_half_wnd`). Measured with
500 ms of buffer: 65.3 % for the first, 5.8 % for each of the others."""

PACKETS_IN_BUFFER: Final = 8
"""So many of the longest packets the buffer takes: it would drop for ever what does not fit. The
benchmark on shaped links sets it so."""

PACKETS_AHEAD: Final = 2
"""Packets that one connection may have in its host's queue (Linux, `tcp_small_queue_check`)."""

HALVING: Final = 512e-6
"""Seconds of round trip that halve a packet (Linux, `tcp_tso_rtt_log`)."""

RATE_PART: Final = 4 / 1024
"""Seconds of its rate that a packet holds. TCP takes a 1024th of a second of twice the window for
each round trip (Linux, `tcp_pacing_ss_ratio`, `sk_pacing_shift`), and the window grows to twice
what is under way (`tcp_is_cwnd_limited`)."""


class FirstComeUplink(Uplink):
    """Its pipes are `FirstComePipe`s; `buffer` is how many seconds of bytes its queue takes."""

    __slots__ = ("_buffer", "_longest", "_queued", "_tag", "_total")

    def __init__(self, timeline: "Timeline", rate: float, quantum: int, *, buffer: float) -> None:
        super().__init__(timeline, rate, quantum)
        self._buffer = buffer
        fits = buffer * rate / PACKETS_IN_BUFFER
        self._longest = max(float(SHORTEST_PACKET), min(fits, float(LONGEST_PACKET)))
        self._tag = 0.0  # how far the turn has come, in bytes for each byte of a packet
        self._queued = 0.0  # bytes, when the last quantum began
        self._total = 0.0  # bytes of one packet of each pipe then

    @property
    def wait(self) -> float:
        """Seconds for which what comes now waits for what is in the queue."""
        if self._sending is None:
            return 0.0
        return min(self._queued / self.rate, self._buffer)

    def join(self, pipe: Pipe) -> None:
        """Give a pipe with blocks to send its place in the queue."""
        if not isinstance(pipe, FirstComePipe):
            raise TypeError("a pipe of another kind of uplink")
        pipe.note_round_trip()
        pipe.tag = max(pipe.tag, self._tag)
        super().join(pipe)

    def _start(self) -> None:
        while self._ring:
            pipe = self._take_next()
            if pipe is None:
                continue
            state = pipe.state
            if state is not None and self._is_held(pipe, state):
                continue
            quantum = self.quantum
            down = pipe.down
            if down is not None and not down.takes(pipe, quantum):
                continue
            nbytes = min(pipe.items[0].left, quantum)
            self._tag = pipe.tag
            pipe.tag += nbytes / self._packet(pipe)
            self._send(pipe, nbytes)
            return
        self._sending = None

    def _take_next(self) -> "FirstComePipe | None":
        """Take the pipe whose turn it is out of the queue; None: there was only a closed one."""
        found: FirstComePipe | None = None
        queued = total = 0.0
        ring = self._ring
        self._ring = []
        for pipe in ring:
            if not (pipe.is_open and isinstance(pipe, FirstComePipe)):
                continue
            self._ring.append(pipe)
            queued += min(PACKETS_AHEAD * pipe.packet, pipe.unsent)
            total += pipe.packet
            if found is None or pipe.tag < found.tag:
                found = pipe
        self._queued = queued
        self._total = total
        if found is not None:
            self._ring.remove(found)
        return found

    def _packet(self, pipe: "FirstComePipe") -> float:
        """Return how long a pipe's packets are now, in bytes."""
        rate = self.rate * pipe.packet / max(self._total, pipe.packet)
        halvings = min(int(pipe.least_round_trip / HALVING), 32)
        packet = RATE_PART * rate + self._longest / 2.0**halvings
        pipe.packet = packet = min(max(packet, float(SHORTEST_PACKET)), self._longest)
        return packet


class FirstComePipe(Pipe):
    """A pipe from a `FirstComeUplink`.

    `back` is the uplink that acknowledgements come by, `round_trip` what a packet and its
    acknowledgement take where nothing waits. `crosses`: it ends at a link between racks.
    """

    __slots__ = (
        "_back",
        "_crosses",
        "_own_round_trip",
        "_uplink",
        "least_round_trip",
        "packet",
        "tag",
    )

    def __init__(
        self,
        timeline: "Timeline",
        up: FirstComeUplink,
        down: Receiving | None,
        *,
        latency: float,
        send_buffer: int,
        sender: End,
        receiver: End,
        back: Uplink,
        round_trip: float,
        crosses: bool = False,
    ) -> None:
        super().__init__(
            timeline,
            up,
            down,
            latency=latency,
            send_buffer=send_buffer,
            sender=sender,
            receiver=receiver,
        )
        self._uplink = up
        self._back = back
        self._crosses = crosses
        self._own_round_trip = round_trip
        self.tag = 0.0
        """When its turn is; see `FirstComeUplink`."""
        self.packet = float(SHORTEST_PACKET)
        """Bytes of its packets, and so its part of the uplink."""
        self.least_round_trip = self._round_trip()  # of the handshake
        """Seconds, the queues of both ends included."""

    def _round_trip(self) -> float:
        back = self._back
        waits_back = back.wait if isinstance(back, FirstComeUplink) else 0.0
        return self._uplink.wait + self._own_round_trip + waits_back

    def note_round_trip(self) -> None:
        """Note what the round trip of a packet is that is sent now."""
        self.least_round_trip = min(self.least_round_trip, self._round_trip())

    def say(self, messages: list[Message]) -> None:
        """Send messages without blocks, behind all that is in the queue."""
        if not self.items:
            self._queue_behind()
        super().say(messages)

    def follow(self, message: Message, interval: float = 0.0) -> float | None:
        """Send a message behind all that is in the queue; see `Pipe.follow`."""
        if self._crosses:
            self.say([message])
            return None
        if not self.items:
            self._queue_behind()
        return super().follow(message, interval)

    def _queue_behind(self) -> None:
        """Have a message wait for what is in the queue."""
        self.note_round_trip()
        arrival = self._timeline.now + self._uplink.wait + self.latency
        self.last_arrival = max(self.last_arrival, arrival)

    def note_sent(self, state: SenderState, nbytes: int) -> None:
        """Note that the uplink has sent bytes, and when their acknowledgement comes."""
        up, back = self._uplink, self._back
        waits_back = back.wait if isinstance(back, FirstComeUplink) else 0.0
        due_at = self.last_arrival + self._own_round_trip - self.latency + waits_back
        sent_at = self._timeline.now - nbytes / up.rate - up.wait
        state.note_sent(nbytes, sent_at, due_at, is_last=self.unsent <= nbytes)

    def link_state(self) -> LinkState:
        """Return what TCP knows of the link; what is in the host's queue is in flight."""
        state = super().link_state()
        queued = int(min(PACKETS_AHEAD * self.packet, state.unsent))
        return state._replace(
            least_round_trip=self.least_round_trip,
            in_flight=state.in_flight + queued,
            unsent=state.unsent - queued,
        )
