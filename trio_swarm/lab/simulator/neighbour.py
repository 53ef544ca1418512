"""One end of a simulated connection: a real one's conversation, and the pipe it says into.

Messages are handed over without bytes. The wire's own rules (framing, limits, faults) have no place
here.
"""

from typing import TYPE_CHECKING

from trio_swarm.engine.conversation import Conversation
from trio_swarm.engine.messages import ASK, Message
from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.engine.upload.serving import UPLOAD_BATCH
from trio_swarm.engine.upload.uplink_sharing import UplinkSharing
from trio_swarm.errors import IdleTalkError
from trio_swarm.lab.simulator.messages import BLOCK, CLOSED, REQUEST
from trio_swarm.lab.simulator.pipes import Pipe
from trio_swarm.piece_sets import PieceSet

if TYPE_CHECKING:
    from trio_swarm.lab.simulator.peer import SimulatedPeer


class Neighbour(Conversation):
    """`peer` is whose end it is, `key` names the other peer."""

    __slots__ = ("is_to_speak", "other", "peer", "pipe")

    other: "Neighbour"
    """The other end."""
    pipe: Pipe
    """From here to the other end."""

    def __init__(
        self,
        peer: "SimulatedPeer",
        key: int,
        now: float,
        *,
        allowed_fast: PieceSet,
        wants_nothing: bool,
    ) -> None:
        super().__init__(
            peer,
            key,
            now,
            address=peer.swarm.peers[key].address,
            allowed_fast=allowed_fast,
            wants_nothing=wants_nothing,
            max_request=peer.max_request,
        )
        self.peer = peer
        """Whose end it is: its torrent, by its own class."""
        self.is_to_speak = False

    def has_room(self) -> None:
        """Go on: the socket has taken all it was given."""
        self.peer.swarm.wake(self)

    def undelivered(self) -> int:
        """Return how many bytes its socket took and the link has not sent."""
        return self.pipe.unsent

    def close(self) -> None:
        """Send nothing more."""
        self.pipe.close()

    # --- saying ---------------------------------------------------------------------------------

    def talk(self, now: float) -> None:
        """Say whatever the other end should know by now and was not told, and send it blocks."""
        messages = self.speak(now)
        if messages:
            self.pipe.say(self._each_request(messages))
        sharing = self.peer.sharing
        if not self.upload_queue:
            if sharing is not None:
                sharing.sends_nothing(self.key, now)
        elif sharing is None or sharing.may_send(self):
            self._send_blocks(now, sharing)

    def _each_request(self, messages: list[Message]) -> list[Message]:
        """Return messages with one for each request."""
        said: list[Message] = []
        for message in messages:
            if message[0] == ASK:
                piece, begin, length, size = message[1]
                end = begin + length
                for at in range(begin, end, size):
                    request = self.peer.swarm.request(piece, at, min(size, end - at))
                    said.append((REQUEST, request))
            else:
                said.append(message)
        return said

    def _send_blocks(self, now: float, sharing: UplinkSharing | None) -> None:
        pipe = self.pipe
        ahead = self.ahead
        most = UPLOAD_BATCH if sharing is None else sharing.turn_length(self)
        served = self.serve(now, most=most)
        if self.ahead != ahead:
            pipe.limit_unsent(self.ahead)
        pipe.send([(request.length, (BLOCK, request)) for request in served])
        if sharing is not None:
            sharing.sends(self, sum([request.length for request in served]), now)
        if self.upload_queue and not pipe.is_full:
            self.peer.swarm.wake(self)

    # --- its part of the uplink -------------------------------------------------------------------

    @property
    def group(self) -> int:
        """The connections among which its `weight` has a meaning: a peer has one torrent."""
        return 0

    @property
    def weight(self) -> float:
        """Its share of what the peer may send, in proportion to those of the others."""
        peer = self.peer
        return peer.uploads.weight_of(self, peer.swarm.timeline.now)

    def link_state(self) -> LinkState:
        """Return the state of its link."""
        return self.pipe.link_state()

    def found(self, rate: float) -> None:
        """Note at how many bytes/s the other end acknowledges what is sent."""
        self.link_rate = rate

    def turn_given(self) -> None:
        """Put blocks out in this moment."""
        self.peer.swarm.wake(self)

    # --- hearing ----------------------------------------------------------------------------------

    def hear(self, messages: list[Message]) -> None:
        """Act on what arrived."""
        peer = self.peer
        now = peer.swarm.timeline.now
        charged = 0
        try:
            for kind, content in messages:
                if not self.is_open:
                    return
                if kind == BLOCK:
                    self.other.pipe.taken += content.length
                    peer.take_in(self, content, now)
                elif kind == REQUEST:
                    charged += self.heard_request(content)
                elif kind == CLOSED:
                    peer.lose(self)
                else:
                    charged += self.heard(kind, content, now)
            if charged:
                self.charge(charged, now)
        except IdleTalkError:
            peer.part(self)
            return
        if self.is_queue_unordered or self.has_answers:
            peer.swarm.wake(self)
