"""One end of a simulated connection: a real one's conversation, and the pipe it says into.

Messages are handed over without bytes. The wire's own rules (framing, limits, faults) have no place
here.
"""

from typing import TYPE_CHECKING

from trio_swarm.engine.conversation import Conversation
from trio_swarm.engine.messages import ASK, Message
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
        if self.upload_queue:
            self._send_blocks(now)

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

    def _send_blocks(self, now: float) -> None:
        pipe = self.pipe
        ahead = self.ahead
        served = self.serve(now)
        if self.ahead != ahead:
            pipe.limit_unsent(self.ahead)
        pipe.send([(request.length, (BLOCK, request)) for request in served])
        if self.upload_queue and not pipe.is_full:
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
