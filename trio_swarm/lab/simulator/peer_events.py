"""What a simulated peer does when it is time: alarms, and the end of hashing."""

from typing import TYPE_CHECKING

from trio_swarm.lab.simulator.alarm import Alarm
from trio_swarm.lab.simulator.timeline import Timeline, TimelineEvent

if TYPE_CHECKING:
    from trio_swarm.lab.simulator.peer import SimulatedPeer


class _PeerAlarm(Alarm):
    """One of a peer."""

    __slots__ = ("_peer",)

    def __init__(self, timeline: Timeline, peer: "SimulatedPeer") -> None:
        super().__init__(timeline)
        self._peer = peer


class PlanAlarm(_PeerAlarm):
    """Rings when time alone makes a plan due."""

    __slots__ = ()

    def ring(self) -> None:
        """Have the peer plan."""
        self._peer.swarm.replan(self._peer)


class ChokeAlarm(_PeerAlarm):
    """Rings when a round of choking is over."""

    __slots__ = ()

    def ring(self) -> None:
        """Have the peer look whether it is."""
        self._peer.round_over()


class HavesAlarm(_PeerAlarm):
    """Rings when even those are to be told of pieces that have them."""

    __slots__ = ()

    def ring(self) -> None:
        """Have the peer look whether there is anything to tell."""
        self._peer.tell_if_due()


class RevealAlarm(_PeerAlarm):
    """Rings when more may be revealed."""

    __slots__ = ()

    def ring(self) -> None:
        """Have the peer look."""
        self._peer.reveal()


class Verification(TimelineEvent):
    """The end of hashing a piece."""

    __slots__ = ("_peer", "_piece")

    def __init__(self, peer: "SimulatedPeer", piece: int) -> None:
        self._peer = peer
        self._piece = piece

    def happen(self) -> None:
        """Have the peer note it."""
        self._peer.verified(self._piece)
