"""Racks: groups of peers with links between them that all of their peers share.

What goes from one rack to another passes three links: the sender's uplink, the link between the
racks (a `Trunk`, one for each direction) and the receiver's downlink. A trunk serves the
connections that cross it in turn, as an uplink does; one of which too much waits already is held
back, and its sender serves others meanwhile. So shares are still about what they are by max-min
fairness: within 1.5 % on the mean of 60 random networks and 33 % for the worst connection of all
(`tests/lab/simulator/test_racks.py`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from trio_swarm.engine.messages import End, Message
from trio_swarm.lab.simulator.pipes import BACKLOG, Downlink, Pipe, Uplink

if TYPE_CHECKING:
    from trio_swarm.lab.simulator.scenario import CrossLink, PeerSpec
    from trio_swarm.lab.simulator.timeline import Timeline

_PASSED: Final = -1
"""Kind of a message: it stands for a quantum of a block that is not through yet; nobody is told."""


class Trunk(Uplink):
    """One direction of a link between two racks; `sent` are the bytes of blocks that crossed it."""

    __slots__ = ("latency",)

    def __init__(self, timeline: "Timeline", rate: float, quantum: int, latency: float) -> None:
        super().__init__(timeline, rate, quantum)
        self.latency = latency
        """One way, besides that of the two peers."""

    @property
    def room(self) -> int:
        """Bytes that each connection may have waiting here, the queue being shared equally."""
        if self.rate == float("inf"):
            return self.quantum
        return max(self.quantum, int(BACKLOG * self.rate) // (len(self._ring) + 1))


class CrossingPipe(Pipe):
    """A pipe that ends at a trunk: what it delivers is not there yet."""

    __slots__ = ()

    def follow(self, message: Message, interval: float = 0.0) -> None:
        """Send a message behind all that was sent before; nobody else may deliver it."""
        del interval  # where it is at a certain time, nobody hears of it
        self.say([message])


class _Behind(End):
    """Who is behind a trunk, and hears what is more than a part of a block."""

    __slots__ = ("_receiver",)

    def __init__(self, receiver: End) -> None:
        self._receiver = receiver

    def hear(self, messages: list[Message]) -> None:
        told = [message for message in messages if message[0] != _PASSED]
        if told:
            self._receiver.hear(told)


class Crossing(End):
    """A trunk and what is behind it, as the pipe of one connection meets it.

    It is that pipe's downlink, and hears what the pipe delivers.
    """

    __slots__ = ("_held", "_onward", "_timeline", "_trunk")

    def __init__(
        self,
        timeline: "Timeline",
        trunk: Trunk,
        down: Downlink | None,
        *,
        latency: float,
        receiver: End,
        share: float = 1.0,
    ) -> None:
        self._timeline = timeline
        self._trunk = trunk
        self._held: Pipe | None = None

        self._onward = Pipe(
            timeline,
            trunk,
            down,
            latency=trunk.latency + latency,
            send_buffer=max(trunk.quantum, int(min(BACKLOG * trunk.rate, 2.0**40))),
            sender=self,
            receiver=_Behind(receiver),
            share=share,
        )

    def takes(self, pipe: Pipe, quantum: int) -> bool:
        """Whether the pipe may send now; if not, it is put back to its uplink's turn later."""
        del quantum
        pipe.forget_arrivals()  # those are a downlink's account of what is on its way
        if self._onward.is_full:
            self._held = pipe
            return False
        return True

    def arrival(self, begin: float, end: float, nbytes: int) -> float:
        """Return when bytes are at the trunk whose first is there at `begin` and last at `end`."""
        del begin
        self._timeline.at(end, self._arrived, nbytes)
        return end

    def hear(self, messages: list[Message]) -> None:
        """Send messages on, behind the bytes that came before them."""
        self._onward.say(messages)

    def _arrived(self, nbytes: int) -> None:
        onward = self._onward
        onward.limit_unsent(self._trunk.room)
        onward.send([(nbytes, (_PASSED, None))])
        if not onward.is_full:  # there is more room than when the pipe was held back
            self.has_room()

    def has_room(self) -> None:
        """Let the pipe that was held back send again."""
        held, self._held = self._held, None
        if held is not None and held.is_open:
            held.up.join(held)


def trunks(
    timeline: "Timeline", links: "tuple[CrossLink, ...]", quantum: int
) -> dict[tuple[str, str], Trunk]:
    """Return the trunk from one rack to another, by their names."""
    return {
        way: Trunk(timeline, link.rate, quantum, link.latency)
        for link in links
        for way in (link.between, (link.between[1], link.between[0]))
    }


def labels_seen(viewer: "PeerSpec", other: "PeerSpec") -> Mapping[str, str]:
    """Return what strategies of `viewer` are told of `other`.

    Besides its own labels that is, if it is in a rack, `rack` and `distance`: "0" in the viewer's
    own rack and "1" elsewhere.
    """
    if not other.rack:
        return other.labels
    distance = "0" if other.rack == viewer.rack else "1"
    return {"rack": other.rack, "distance": distance, **other.labels}
