"""One connection as one of its ends sees it: what it was told, what it asked, what it is owed.

`speak` is what `peer/saying.py` does on a socket and `hear` what `peer/hearing.py` does, without
bytes: both are told in messages. The wire's own rules (framing, limits, faults) have no place here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from trio_swarm.engine.download.ledger import BlockRun
from trio_swarm.engine.download.source import Source
from trio_swarm.engine.lengths import BLOCK_LENGTH
from trio_swarm.engine.rates import RateEstimate
from trio_swarm.engine.upload.serving import UPLOAD_BATCH, bytes_ahead, request_size
from trio_swarm.lab.simulator.messages import (
    ALLOWED,
    BLOCK,
    CANCEL,
    CHOKE,
    CLOSED,
    HAVE,
    INTEREST,
    PIECES,
    REJECT,
    REQUEST,
    SUGGEST,
    Message,
)
from trio_swarm.lab.simulator.pipes import End, Pipe
from trio_swarm.piece_sets import PieceSet, iterate
from trio_swarm.schedulers.api import UploadRequest

if TYPE_CHECKING:
    from trio_swarm.lab.simulator.peer import SimulatedPeer

T = TypeVar("T")

REQUEST_QUEUE: Final = 1024
"""Requests accepted of one peer."""

NOTHING_SENT: Final = RateEstimate()
"""The rate of all that were sent nothing yet; never added to."""


class Neighbour(End):
    """One end of a connection: `peer` is whose end it is, `key` names the other peer."""

    __slots__ = (
        "_received_at",
        "_unchoked_at",
        "_waiting_since",
        "address",
        "ahead",
        "allowed_fast",
        "am_choking",
        "am_interested",
        "asked",
        "cancels",
        "grants",
        "is_open",
        "is_queue_unordered",
        "is_to_speak",
        "is_told_any",
        "joined_at",
        "key",
        "offered",
        "offered_of",
        "other",
        "outbox",
        "peer",
        "peer_choking",
        "peer_interested",
        "pipe",
        "should_unchoke",
        "source",
        "suggested",
        "to_suggest",
        "told",
        "upload_queue",
        "upload_rate",
        "uploaded",
        "uploaded_since_unchoke",
        "wants_nothing",
    )

    takes_suggestions: ClassVar[bool] = True
    other: "Neighbour"
    """The other end."""
    pipe: Pipe
    """From here to the other end."""
    source: Source
    """What our ledger knows of the other end."""

    def __init__(
        self,
        peer: "SimulatedPeer",
        key: int,
        now: float,
        *,
        allowed_fast: PieceSet,
        wants_nothing: bool,
    ) -> None:
        # Fields are in memory in this order, and HAVEs are most of all messages: what one of them
        # needs is in two lines of a processor's cache, where it was in five.
        self.is_open = True
        self.is_to_speak = False
        self.is_told_any = False
        self.am_interested = False
        self.peer_interested = False
        self.am_choking = True
        self.peer_choking = True
        self.should_unchoke = False
        self.told: PieceSet = 0
        self.offered: PieceSet | None = None
        """What it should know of; None: all we have."""
        self.offered_of: PieceSet = -1
        """The pieces we had when that was decided."""
        self.peer = peer
        self.key = key
        # Of the lists most are empty most of the time, and there are thousands: so they are made
        # when something comes into them.
        self.grants: list[BlockRun] | None = None
        self.cancels: list[BlockRun] | None = None
        self.outbox: list[Message] | None = None
        """Answers that were given while hearing."""
        self.asked: list[UploadRequest] | None = None
        """Requests put out that were not answered yet, oldest first."""
        self.upload_queue: Sequence[UploadRequest] = ()
        self.is_queue_unordered = False
        self.wants_nothing = wants_nothing
        """The other peer has everything, or said in its handshake that it has (BEP 21)."""
        self.to_suggest: PieceSet = 0
        self.suggested: PieceSet = 0
        self.ahead = 0
        """Bytes put out ahead of the link; 0 before the first."""
        self.uploaded = 0
        self.uploaded_since_unchoke = 0
        self.upload_rate = NOTHING_SENT
        # -1.0: never. As `float | None` each would be an object of its own.
        self._unchoked_at = -1.0
        self._waiting_since = -1.0
        self._received_at = -1.0
        self.allowed_fast = allowed_fast
        """What the other end may have while we choke it."""
        self.joined_at = now
        self.address = peer.swarm.peers[key].address

    @property
    def unchoked_at(self) -> float | None:
        """When it was last to be unchoked."""
        return None if self._unchoked_at < 0.0 else self._unchoked_at

    @unchoked_at.setter
    def unchoked_at(self, when: float | None) -> None:
        self._unchoked_at = -1.0 if when is None else when

    @property
    def waiting_since(self) -> float | None:
        """Since when it is interested and choked."""
        return None if self._waiting_since < 0.0 else self._waiting_since

    @waiting_since.setter
    def waiting_since(self, when: float | None) -> None:
        self._waiting_since = -1.0 if when is None else when

    @property
    def received_at(self) -> float | None:
        """When a block last came."""
        return None if self._received_at < 0.0 else self._received_at

    def grant(self, run: BlockRun) -> None:
        """Ask blocks of the other end, soon."""
        self.grants = _added(self.grants, run)

    def cancel(self, run: BlockRun) -> None:
        """Tell the other end that blocks are not needed any more, soon."""
        self.cancels = _added(self.cancels, run)

    # --- saying ---------------------------------------------------------------------------------

    def speak(self, now: float) -> None:
        """Say whatever the other end should know by now and was not told."""
        peer = self.peer
        ledger = peer.ledger
        messages = self.outbox
        if messages is None:
            messages = []
        else:
            self.outbox = None
        have = ledger.have
        if have & ~self.told or self.to_suggest or not self.is_told_any:
            self._tell_pieces(have, messages)
        interested = bool(self.source.pieces & ledger.wanted)
        if interested != self.am_interested:
            self._tell_interest(interested, messages)
        if self.should_unchoke == self.am_choking:
            self._tell_choke(messages)
        grants = self.grants
        if grants is not None:
            self.grants = None
            for run in grants:
                if not have >> run.piece & 1:
                    self._ask(run, messages)
        cancels = self.cancels
        if cancels is not None:
            self.cancels = None
            for run in cancels:
                self._cancel(run, messages)
        if messages:
            self.pipe.say(messages)
        if self.upload_queue:
            self._serve(now)

    def _tell_pieces(self, have: PieceSet, messages: list[Message]) -> None:
        if not self.is_told_any:
            self.is_told_any = True
            messages.append((PIECES, self.take_new(have)))
            if self.allowed_fast:
                messages.append((ALLOWED, self.allowed_fast))
        elif have & ~self.told:
            new = self.take_new(have)
            if new:
                messages.append((HAVE, new))
        if self.to_suggest:
            messages.append((SUGGEST, self.to_suggest))
            self.suggested |= self.to_suggest
            self.to_suggest = 0

    def take_new(self, have: PieceSet) -> PieceSet:
        """Return, once, what the other end should know of and was not told."""
        uploads = self.peer.uploads
        if uploads.is_undecided(self):
            uploads.offer(self, self.peer.swarm.timeline.now)
        return self.take_offered(have)

    def take_offered(self, have: PieceSet) -> PieceSet:
        """Return, once, what was decided that the other end should know of."""
        told = self.told
        if self.offered is None:
            self.told = have
            return have ^ told  # for no piece is ever lost
        new = have & self.offered & ~told
        told |= new
        self.told = have if told == have else told  # one int for all of them
        return new

    def _tell_interest(self, interested: bool, messages: list[Message]) -> None:  # noqa: FBT001  the fact itself
        self.am_interested = interested
        messages.append((INTEREST, interested))

    def _tell_choke(self, messages: list[Message]) -> None:
        self.am_choking = not self.should_unchoke
        messages.append((CHOKE, self.am_choking))
        if self.am_choking:
            kept: list[UploadRequest] = []
            for request in self.upload_queue:
                if self.allowed_fast >> request.piece & 1:
                    kept.append(request)
                else:
                    messages.append((REJECT, request))
            self.upload_queue = kept

    def _ask(self, run: BlockRun, messages: list[Message]) -> None:
        piece, begin, length = run
        end = begin + length
        size = self.peer.max_request
        if size > BLOCK_LENGTH:
            size = request_size(self.peer.ledger.rate_of(self.source), size)
            size = max(size, self.peer.least_request)
        for at in range(begin, end, size):
            request = self.peer.swarm.request(piece, at, min(size, end - at))
            self.asked = _added(self.asked, request)
            messages.append((REQUEST, request))

    def _cancel(self, run: BlockRun, messages: list[Message]) -> None:
        piece, begin, length = run
        end = begin + length
        messages += [
            (CANCEL, request)
            for request in self.asked or ()
            if request.piece == piece
            and begin <= request.begin
            and request.begin + request.length <= end
        ]

    def _serve(self, now: float) -> None:
        uploads = self.peer.uploads
        if self.is_queue_unordered:
            self.is_queue_unordered = False
            ordered = uploads.order(self, now)
            if ordered is not None:
                self.upload_queue = ordered
        batch = min(UPLOAD_BATCH, self._suit_link(now))
        queue = self.upload_queue
        served: list[UploadRequest] = []
        sent = 0
        for request in queue:
            if sent >= batch:
                break
            served.append(request)
            sent += request.length
        self.upload_queue = queue = queue[len(served) :] or ()
        recording = self.peer.recording
        if recording is not None:
            for request in served:
                recording.sent(self.key, request)
        self.uploaded += sent
        self.uploaded_since_unchoke += sent
        if self.upload_rate is NOTHING_SENT:
            self.upload_rate = RateEstimate()
        self.upload_rate.add(sent, now)
        uploads.put_out(self, served, now)
        self.pipe.send([(request.length, (BLOCK, request)) for request in served])
        if queue and not self.pipe.is_full:
            self.peer.swarm.wake(self)

    def _suit_link(self, now: float) -> int:
        """Return how many bytes are put out ahead of the link, and have the socket keep to it."""
        ahead = bytes_ahead(self.upload_rate.rate(now), self.ahead)
        if ahead != self.ahead:
            self.ahead = ahead
            self.pipe.limit_unsent(ahead)
        return ahead

    def has_room(self) -> None:
        """Go on: the socket has taken all it was given."""
        self.peer.swarm.wake(self)

    # --- hearing ----------------------------------------------------------------------------------

    def hear(self, messages: list[Message]) -> None:
        """Act on what arrived."""
        peer = self.peer
        now = peer.swarm.timeline.now
        for kind, content in messages:
            if not self.is_open:
                return
            if kind == BLOCK:
                self._take_in(content, now)
            elif kind == REQUEST:
                self._requested(content)
            elif kind == HAVE:
                peer.heard_haves([self], [content])
            else:
                self._hear_rare(kind, content, now)
        if self.is_queue_unordered or self.outbox is not None:
            peer.swarm.wake(self)

    def _take_in(self, request: UploadRequest, now: float) -> None:
        piece, begin, length = request
        self.other.pipe.taken += length
        self._received_at = now
        self._answered(request)
        self.peer.take_in(self, piece, begin, length, now)

    def _answered(self, request: UploadRequest) -> None:
        asked = self.asked
        if asked is not None and (asked[0] is request or request in asked):
            if len(asked) == 1:
                self.asked = None
            else:
                asked.remove(request)

    def _requested(self, request: UploadRequest) -> None:
        if (
            len(self.upload_queue) < REQUEST_QUEUE
            and self.peer.ledger.have >> request.piece & 1
            and (not self.am_choking or self.allowed_fast >> request.piece & 1)
        ):
            self._queue(request)
            self.is_queue_unordered = True
        else:
            self.outbox = _added(self.outbox, (REJECT, request))

    def _queue(self, request: UploadRequest) -> None:
        queue = self.upload_queue
        if isinstance(queue, list):
            queue.append(request)
        else:
            self.upload_queue = [*queue, request]

    def _hear_rare(self, kind: int, content: Any, now: float) -> None:
        peer = self.peer
        ledger = peer.ledger
        if kind == CHOKE:
            choked = bool(content)
            self.peer_choking = choked
            ledger.set_choked(self.key, choked=choked, fast=True)
            if choked:
                self._withdraw_grants(now)
            peer.swarm.replan(peer)
        elif kind == INTEREST:
            self._hear_interest(bool(content), now)
        elif kind == REJECT:
            piece, begin, length = content
            self._answered(content)
            ledger.rejected(self.key, piece, begin, length, now)
            peer.swarm.replan(peer)
        elif kind == CANCEL:
            if content in self.upload_queue:
                self.upload_queue = [each for each in self.upload_queue if each != content]
                self.outbox = _added(self.outbox, (REJECT, content))
        elif kind == ALLOWED:
            for piece in iterate(content):
                ledger.allow_fast(self.key, piece)
            peer.swarm.replan(peer)
        elif kind == PIECES:
            ledger.set_pieces(self.key, content)
            self._withdraw_grants(now)
            peer.pieces_changed(self)
        elif kind == SUGGEST:
            for piece in iterate(content):
                ledger.suggest(self.key, piece)
        elif kind == CLOSED:
            peer.lose(self)

    def _hear_interest(self, interested: bool, now: float) -> None:  # noqa: FBT001  the fact itself
        self.peer_interested = interested
        self.waiting_since = now if interested else None
        self.peer.interest_changed(self, now)

    def _withdraw_grants(self, now: float) -> None:
        grants, self.grants = self.grants, None
        for run in grants or ():
            self.peer.ledger.withdraw(self.key, run, now)

    def close(self) -> None:
        """End this end of the connection."""
        self.is_open = False
        self.pipe.close()


def _added(items: list[T] | None, item: T) -> list[T]:
    """Return a list with one item more, which is made if there was none."""
    if items is None:
        return [item]
    items.append(item)
    return items
