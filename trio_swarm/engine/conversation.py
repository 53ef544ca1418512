"""One connection of one torrent: all that is said and heard on it, for real and simulated peers.

A `Conversation` knows no socket, no clock and no bytes. Its host has those:

    what the other end says     ─▶  heard_…(…, now)   ─▶  what that is charged (see `IdleTalk`)
    what is to be asked of it   ─▶  grant(run), cancel(run)
    when there is room to speak ─▶  speak(now)        ─▶  [messages]
                                    serve(now)        ─▶  [requests to be answered by blocks]

A real peer (`peer/connection`) turns events of its wire into `heard_…`, and messages into frames. A
simulated one (`lab/simulator/neighbour`) hands messages over as they are.

Who owns what: the conversation knows what the other end was told (pieces, interest, choke,
suggestions), what it asked for and was not put out yet, what is granted and not asked yet, and how
much it said that was of no use. What was asked and did not come yet is known to the ledger alone
(`Source`): it judges whether a block was asked for. What all conversations of a torrent share is
their `TorrentSide`.

To speak is level-triggered: what the other end should know by now is compared with what it was
told. So no queue of messages can overflow, and messages coalesce by themselves.
"""

from collections.abc import Callable
from typing import Any, Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.download.ledger import BlockOutcome, BlockRun, Ledger
from trio_swarm.engine.download.source import Source
from trio_swarm.engine.idle_talk import IdleTalk
from trio_swarm.engine.lengths import BLOCK_LENGTH
from trio_swarm.engine.messages import (
    ALLOWED,
    ASK,
    CANCEL,
    CHOKE,
    HAVE,
    INTEREST,
    LOST,
    PIECES,
    REJECT,
    SUGGEST,
    Message,
)
from trio_swarm.engine.upload.served import NO_REQUESTS, Served
from trio_swarm.engine.upload.serving import UPLOAD_BATCH, bytes_ahead, request_size
from trio_swarm.engine.upload.uploads import Uploads
from trio_swarm.errors import IdleTalkError
from trio_swarm.identities import PieceIndex
from trio_swarm.piece_sets import PieceSet, full_set, iterate
from trio_swarm.schedulers.api import UploadRequest

REQUEST_QUEUE: Final = 1024
"""Requests we accept from one peer before refusing more: 16 MiB, a second of a gigabit link."""

REFUSED_LIMIT: Final = 4 * REQUEST_QUEUE
"""Rejects put out for a peer that takes none of them, before it is dropped."""

SMALL_REQUEST: Final = 1024
"""Bytes below which a request is charged though it is served: everybody asks for blocks of 16 KiB.
Only the last of a torrent may be so short, and one of a byte costs us as much time."""

REPLACED_WEIGHT: Final = 64
"""What a piece set is charged that lacks pieces of the one before, in messages of no use:
everything that was asked is looked at again. One that only adds pieces, as aria2 sends them, is
free while each KiB adds one."""

LOSS_WEIGHT: Final = 8
"""The same for a piece that the other end takes back (BEP 54), and one more for every 65,536 pieces
of the torrent. Measured: with the next HAVE of it, which is news, it costs 25 µs at 100 pieces and
150 µs at 100,000, where a message of no use costs 1 µs. With 4,096 in hand it may take back 500."""

LOSSES_TOLD: Final = 256
"""Pieces that we take back at once. Who loses more had better come again and tell what is left."""

UNREQUESTED_LIMIT: Final = 256
"""Blocks nobody asked for that are taken from a peer, 4 MiB: those it was asked once and need not
send any more do not count, but there is a limit to what is remembered of them."""

_UNREQUESTED: Final = BlockOutcome.UNREQUESTED
"""Looked up once, and not for every block."""


@mypyc_attr(allow_interpreted_subclasses=True)
class TorrentSide:
    """What the conversations of one torrent share; `Exchange` is what it is."""

    __slots__ = ("every", "is_fetching", "least_request", "ledger", "uploads")

    uploads: "Uploads[Conversation]"

    def __init__(self, ledger: Ledger, *, least_request: int = BLOCK_LENGTH) -> None:
        self.ledger = ledger
        self.every: PieceSet = full_set(ledger.lengths.piece_count)
        self.least_request = least_request
        """Bytes that are asked for at once at least, where the other end grants so many."""
        self.is_fetching = True
        """What is missing is wanted; not so if others take it away from a finished torrent."""

    def stop_fetching(self) -> None:
        """Want nothing from now on: all is here."""
        self.is_fetching = False

    def fetch_again(self) -> None:
        """Want what is missing from now on."""
        self.is_fetching = True

    def wake(self, conversation: "Conversation") -> None:
        """Have a conversation speak soon."""
        raise NotImplementedError

    def replan(self) -> None:
        """Decide soon what to ask of whom."""
        raise NotImplementedError

    def interest_changed(self, conversation: "Conversation", now: float) -> None:
        """Look again at a peer that wants something of us now, or nothing any more."""
        raise NotImplementedError

    def note_haves(self, ends: "list[Conversation]", pieces: list[PieceSet]) -> None:
        """Note that these peers have more pieces, at least one each."""
        raise NotImplementedError

    def pieces_changed(self, conversation: "Conversation") -> None:
        """Look again at a peer that has told which pieces it has."""
        raise NotImplementedError

    def blocks_received(
        self, key: int, piece: int, begin: int, length: int, now: float
    ) -> BlockOutcome:
        """Note blocks that came from a source."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Conversation(Served):
    """See the module. Times are in seconds, amounts in bytes.

    `max_request`: the most that one request may ask of the other end. `allowed_fast`: what it may
    have while we choke it. `talk`: what it may say that is of no use; None: as much as anybody.
    """

    __slots__ = (
        "_allowed_untold",
        "_ask_undelivered",
        "_known_haves",
        "_only_uploads",
        "_refused",
        "_talk",
        "_unrequested",
        "ahead",
        "allowed_fast",
        "am_interested",
        "cancels",
        "grants",
        "hears_losses",
        "is_open",
        "is_queue_unordered",
        "is_told_any",
        "link_rate",
        "max_request",
        "outbox",
        "source",
        "torrent",
    )

    source: Source
    """What our ledger knows of the other end; there is none before `begin`."""

    def __init__(
        self,
        torrent: TorrentSide,
        key: int,
        now: float,
        *,
        address: str,
        fast: bool = True,
        allowed_fast: PieceSet = 0,
        wants_nothing: bool = False,
        is_told_any: bool = False,
        hears_losses: bool = False,
        max_request: int = BLOCK_LENGTH,
        talk: IdleTalk | None = None,
    ) -> None:
        super().__init__(key, now, address=address, fast=fast, wants_nothing=wants_nothing)
        # Fields are in memory in this order: first what every HAVE looks at.
        self.is_open = True
        """It has not ended."""
        self.am_interested = False
        """It was told that we want something of it."""
        self.is_told_any = is_told_any
        """It was told which pieces we have, or that there are none."""
        self.hears_losses = hears_losses
        """It wants to be told of pieces that we have no longer (BEP 54)."""
        self._allowed_untold = allowed_fast != 0
        self._only_uploads = wants_nothing
        self.is_queue_unordered = False
        self.torrent = torrent
        # Of the lists most are empty most of the time, and there are thousands: so they are made
        # when something comes into them.
        self.grants: list[BlockRun] | None = None
        """What is to be asked."""
        self.cancels: list[BlockRun] | None = None
        """What was asked and is to be cancelled."""
        self.outbox: list[Message] | None = None
        """Answers that were given while hearing."""
        self.allowed_fast = allowed_fast
        self.max_request = max_request
        self.ahead = 0
        """Bytes put out ahead of the link; 0 before the first."""
        self.link_rate = 0.0
        """Bytes/s that the link carries, where its host knows; else 0.0."""
        self._ask_undelivered: Callable[[], int] | None = None
        self._talk = talk
        self._refused = 0  # requests, since it was last spoken to
        self._unrequested = 0  # blocks
        # HAVEs of pieces we know it has that it may still send.
        self._known_haves = torrent.ledger.lengths.piece_count

    def begin(self, source: Source) -> None:
        """Begin: the ledger knows the other end."""
        self.source = source

    def ask_link(self, undelivered: Callable[[], int]) -> None:
        """Ask the host by this call how many of the bytes put out the link has not delivered."""
        self._ask_undelivered = undelivered

    def undelivered(self) -> int:
        """Return how many of the bytes put out the link has not delivered; 0 if nobody knows."""
        ask = self._ask_undelivered
        return 0 if ask is None else ask()

    def end(self) -> None:
        """Note that the connection ended: what is on its way is of no use."""
        self.is_open = False

    @property
    def has_answers(self) -> bool:
        """Whether `take_answers` would return something."""
        return self.outbox is not None

    # --- what is to be asked ----------------------------------------------------------------------

    def grant(self, run: BlockRun) -> None:
        """Ask blocks of the other end, soon."""
        if self.grants is None:
            self.grants = [run]
        else:
            self.grants.append(run)
        self.torrent.wake(self)

    def cancel(self, run: BlockRun) -> None:
        """Tell the other end that blocks are not needed any more; not asked yet, they never are."""
        runs = [run] if self.grants is None else self._strike(self.grants, run)
        if not runs:
            return
        if self.cancels is None:
            self.cancels = runs
        else:
            self.cancels += runs
        self.torrent.wake(self)

    def _strike(self, grants: list[BlockRun], run: BlockRun) -> list[BlockRun]:
        """Take blocks out of `grants`; return those that were not there."""
        lengths = self.torrent.ledger.lengths
        piece = run.piece
        blocks = lengths.blocks_between(piece, run.begin, run.length)
        kept: list[BlockRun] = []
        for grant in grants:
            pending = 0
            if grant.piece == piece:
                pending = lengths.blocks_between(piece, grant.begin, grant.length)
            struck = pending & blocks
            if struck:
                blocks ^= struck
                kept += lengths.runs(piece, pending ^ struck)
            else:
                kept.append(grant)
        self.grants = kept or None
        return lengths.runs(piece, blocks)

    # --- saying -----------------------------------------------------------------------------------

    def take_answers(self) -> list[Message]:
        """Return, once, what was answered while hearing."""
        messages = self.outbox
        if messages is None:
            return []
        self.outbox = None
        return messages

    def speak(self, now: float) -> list[Message]:
        """Return what the other end should know by now and was not told, except for blocks.

        To be called when it has taken what was said before.
        """
        torrent = self.torrent
        ledger = torrent.ledger
        self._refused = 0
        messages = self.take_answers()
        have = ledger.have
        if self.hears_losses:
            self._tell_losses(have, messages)
        if have & ~self.told or self.to_suggest or self._allowed_untold or not self.is_told_any:
            self._tell_pieces(have, messages, now)
        interested = torrent.is_fetching and self.source.pieces & ledger.wanted != 0
        if interested != self.am_interested:
            self.am_interested = interested
            messages.append((INTEREST, interested))
        if self.should_unchoke == self.am_choking:
            self._tell_choke(messages)
        cancels = self.cancels
        if cancels is not None:
            self.cancels = None
            for run in cancels:
                for begin, length in self.source.requests_within(run):
                    messages.append((CANCEL, UploadRequest(PieceIndex(run.piece), begin, length)))
        grants = self.grants
        if grants is not None:
            self.grants = None
            if not torrent.is_fetching:
                return messages  # What is left of the end of the download.
            for run in grants:
                if have >> run.piece & 1:
                    # Another peer has completed it; that will be cancelled.
                    self.grants = [run] if self.grants is None else [*self.grants, run]
                else:
                    self._ask(run, messages)
        return messages

    @property
    def will_tell_losses(self) -> bool:
        """Whether `speak` takes back what the other end was told of and we have no longer."""
        lost = self.told & ~self.torrent.ledger.have
        return self.hears_losses and lost.bit_count() <= LOSSES_TOLD

    def _tell_losses(self, have: PieceSet, messages: list[Message]) -> None:
        lost = self.told & ~have
        if lost and self.will_tell_losses:
            self.told ^= lost
            self.suggested &= ~lost
            messages.append((LOST, lost))
            if self._talk is not None:
                # Each may end its interest, and the HAVE that comes later may make it interested.
                self._talk.earned += 2 * lost.bit_count()

    def _tell_pieces(self, have: PieceSet, messages: list[Message], now: float) -> None:
        if not self.is_told_any:
            self.is_told_any = True
            messages.append((PIECES, self.take_new(have, now)))
        elif have & ~self.told:
            new = self.take_new(have, now)
            if new:
                messages.append((HAVE, new))
        if self._allowed_untold:
            self._allowed_untold = False
            messages.append((ALLOWED, self.allowed_fast))
        if self.to_suggest:
            messages.append((SUGGEST, self.to_suggest))
            self.suggested |= self.to_suggest
            self.to_suggest = 0

    def take_new(self, have: PieceSet, now: float) -> PieceSet:
        """Return, once, what the other end should know of and was not told."""
        uploads = self.torrent.uploads
        if uploads.is_undecided(self):
            uploads.offer(self, now)
        return self.take_offered(have)

    def take_offered(self, have: PieceSet) -> PieceSet:
        """Return, once, what was decided that the other end should know of."""
        told = self.told
        offered = self.offered
        new = have ^ told
        if offered is None and not new & told:
            self.told = have  # one int for all of them
        else:
            # Some are hidden from it, or it was told of some that we have lost.
            new = (have if offered is None else have & offered) & ~told
            told |= new
            self.told = have if told == have else told
        if self._talk is not None:
            # Each may make it interested, and not interested again once it has the piece.
            self._talk.earned += 2 * new.bit_count()
        return new

    def _tell_choke(self, messages: list[Message]) -> None:
        self.am_choking = choking = not self.should_unchoke
        messages.append((CHOKE, choking))
        if not choking or not self.upload_queue:
            return
        # BEP 6: every request a choke drops is rejected, but allowed-fast ones may stay.
        kept: dict[UploadRequest, None] = {}
        for request in self.upload_queue:
            if self.allowed_fast >> request.piece & 1:
                kept[request] = None
            elif self.fast:
                messages.append((REJECT, request))
        self.upload_queue = kept or NO_REQUESTS

    def _ask(self, run: BlockRun, messages: list[Message]) -> None:
        piece, begin, length = run
        size = self.max_request
        if size > BLOCK_LENGTH:
            torrent = self.torrent
            size = request_size(torrent.ledger.rate_of(self.source), size)
            size = max(size, torrent.least_request)
            if size > BLOCK_LENGTH or self.source.joined:
                self.source.join_requests(piece, begin, length, size)
        messages.append((ASK, (piece, begin, length, size)))

    def drop_requests(self, pieces: PieceSet) -> None:
        """Serve and suggest nothing of some pieces, which we have no longer."""
        self.to_suggest &= ~pieces
        for request in list(self.upload_queue):
            if pieces >> request.piece & 1:
                self._take_back(request)
                if self.fast:
                    self._answer((REJECT, request))

    # --- serving ----------------------------------------------------------------------------------

    def serve(
        self, now: float, *, most: int = UPLOAD_BATCH, withheld: PieceSet = 0
    ) -> list[UploadRequest]:
        """Return requests that are to be answered by blocks now, about `most` bytes.

        Pieces that are `withheld` wait. The link is to be kept to `ahead` bytes.
        """
        uploads = self.torrent.uploads
        if self.is_queue_unordered:
            self.is_queue_unordered = False
            ordered = uploads.order(self, now)
            if ordered is not None:
                self.upload_queue = dict.fromkeys(ordered)
        rate = self.link_rate or self.upload_rate.rate(now)
        self.ahead = ahead = bytes_ahead(rate, self.ahead)
        most = min(most, ahead)
        queue = self.upload_queue
        served: list[UploadRequest] = []
        sent = 0
        for request in queue:
            if sent >= most:
                break
            if withheld and withheld >> request.piece & 1:
                continue
            served.append(request)
            sent += request.length
        if not served:
            return served
        if len(served) == len(queue):
            self.upload_queue = NO_REQUESTS
        else:
            for request in served:
                del queue[request]
        if self._talk is not None:
            self._talk.earned += sent // BLOCK_LENGTH
        self.note_sent(sent, now)
        uploads.put_out(self, served, now)
        return served

    # --- hearing ----------------------------------------------------------------------------------
    # What is charged is returned: 0 for what matters, 1 for an ordinary message of no use.

    def charge(self, weight: int, now: float) -> None:
        """Charge messages of no use; raises IdleTalkError if there were too many."""
        talk = self._talk
        if talk is None:
            self._talk = talk = IdleTalk(self.joined_at)
        talk.spend(weight, now)

    def heard(self, kind: int, content: Any, now: float) -> int:
        """Act on a message; raises IdleTalkError as the method for its kind does."""
        charged = 0
        if kind == HAVE:
            charged = self.heard_haves(content)
        elif kind == CHOKE:
            charged = self.heard_choke(bool(content), now)
        elif kind == INTEREST:
            charged = self.heard_interest(bool(content), now)
        elif kind == REJECT:
            piece, begin, length = content
            charged = self.heard_reject(piece, begin, length, now)
        elif kind == CANCEL:
            charged = self.heard_cancel(content)
        elif kind == PIECES:
            charged = self.heard_pieces(content, now)
        elif kind == ALLOWED:
            charged = self.heard_allowed(content)
        elif kind == SUGGEST:
            charged = self.heard_suggested(content)
        elif kind == LOST:
            charged = self.heard_losses(content, now)
        elif kind == ASK:
            piece, begin, length, size = content
            end = begin + length
            for at in range(begin, end, size):
                charged += self.heard_request(UploadRequest(piece, at, min(size, end - at)))
        return charged

    def was_asked(self, piece: int, begin: int, length: int) -> bool:
        """Whether all of this was asked of the other end and has not come yet, needed or not."""
        return self.torrent.ledger.was_asked(self.source, piece, begin, length)

    def heard_blocks(self, piece: int, begin: int, length: int, now: float) -> BlockOutcome:
        """Take blocks behind each other in; returns what to do with their bytes.

        Raises IdleTalkError if too many came that nobody had asked for.
        """
        outcome = self.torrent.blocks_received(self.key, piece, begin, length, now)
        if outcome is _UNREQUESTED:
            self._unrequested += 1
            if self._unrequested > UNREQUESTED_LIMIT:
                raise IdleTalkError("it sends blocks that nobody asked for")
            return outcome
        self._received_at = now
        if self._talk is not None:
            self._talk.earned += 1
        return outcome

    def heard_request(self, request: UploadRequest) -> int:
        """Queue a request, or refuse it; raises IdleTalkError if too many were refused."""
        piece = request.piece
        queue = self.upload_queue
        if (
            len(queue) >= REQUEST_QUEUE
            or not self.torrent.ledger.have >> piece & 1
            or (self.am_choking and not self.allowed_fast >> piece & 1)
        ):
            self._reject(request)
            return 1
        if queue is NO_REQUESTS:
            self.upload_queue = {request: None}
        elif request in queue:
            return 1  # One block answers both.
        else:
            queue[request] = None
        self.is_queue_unordered = True
        return 1 if request.length < SMALL_REQUEST else 0

    def heard_cancel(self, request: UploadRequest) -> int:
        """Take a request back; it is charged as well, for it was of no use either."""
        if request not in self.upload_queue:
            return 1  # It is on its way already, which answers the request.
        self._take_back(request)
        self._reject(request)
        return 2

    def _take_back(self, request: UploadRequest) -> None:
        del self.upload_queue[request]
        if not self.upload_queue:
            self.upload_queue = NO_REQUESTS

    def _reject(self, request: UploadRequest) -> None:
        # Without Fast silence is the answer, as to requests that crossed our choke on the way.
        if self.fast:
            self._answer((REJECT, request))
            self._refused += 1
            if self._refused > REFUSED_LIMIT:
                raise IdleTalkError("it asks for what it cannot have and does not listen")

    def _answer(self, message: Message) -> None:
        if self.outbox is None:
            self.outbox = [message]
        else:
            self.outbox.append(message)

    def heard_choke(self, choked: bool, now: float) -> int:  # noqa: FBT001  the fact itself
        """Act on a choke or unchoke; each is charged, for the next may take it back."""
        if choked == self.peer_choking:
            return 1
        self.peer_choking = choked
        torrent = self.torrent
        # With Fast a choke drops only what was not sent yet, else everything.
        torrent.ledger.set_choked(self.key, choked=choked, fast=self.fast)
        if choked:
            self._withdraw_grants(now)
        torrent.replan()
        return 1

    def heard_interest(self, interested: bool, now: float) -> int:  # noqa: FBT001  the fact itself
        """Act on interest or its end; each is charged, for the next may take it back."""
        if interested != self.peer_interested:
            self.set_interest(interested, now)
            self.torrent.interest_changed(self, now)
        return 1

    def heard_haves(self, pieces: PieceSet) -> int:
        """Take in a HAVE, or several."""
        new = pieces & ~self.source.pieces
        charged = 0
        if new != pieces:
            # Some clients tell each piece of their bitfield again.
            known = (pieces ^ new).bit_count()
            charged = max(0, known - self._known_haves)
            self._known_haves = max(0, self._known_haves - known)
        if new:
            self.torrent.note_haves([self], [new])
        return charged

    def heard_pieces(self, pieces: PieceSet, now: float) -> int:
        """Take in which pieces the other end has."""
        before = self.source.pieces
        ledger = self.torrent.ledger
        weight = 1 + (ledger.lengths.piece_count >> 13)
        if pieces == before:
            return weight
        lost = before & ~pieces
        if lost:
            # What it lacks now must not be asked of it.
            self._withdraw_grants(now)
        ledger.set_pieces(self.key, pieces)
        self._review_wants()
        self.torrent.pieces_changed(self)
        return weight + REPLACED_WEIGHT if lost else max(0, weight - (pieces ^ before).bit_count())

    def heard_losses(self, pieces: PieceSet, now: float) -> int:
        """Take in which pieces the other end has no longer (BEP 54); each is charged."""
        charged = pieces.bit_count()
        lost = pieces & self.source.pieces
        if lost:
            self._withdraw_grants(now)
            self.torrent.ledger.take_back(self.key, lost)
            self._review_wants()
            self.torrent.pieces_changed(self)
            weight = LOSS_WEIGHT + (self.torrent.ledger.lengths.piece_count >> 16)
            charged += (weight - 1) * lost.bit_count()
        return charged

    def heard_reject(self, piece: int, begin: int, length: int, now: float) -> int:
        """Take in that a request will not be answered (BEP 6)."""
        torrent = self.torrent
        if not torrent.ledger.rejected(self.key, piece, begin, length, now):
            return 1
        torrent.replan()
        return 0

    def heard_allowed(self, pieces: PieceSet) -> int:
        """Take in what the other end serves even while it chokes us (BEP 6)."""
        new = pieces & ~self.source.fast_pieces
        if not new:
            return 1
        for piece in iterate(new):
            self.torrent.ledger.allow_fast(self.key, piece)
        self.torrent.replan()
        return 0

    def heard_suggested(self, pieces: PieceSet) -> int:
        """Take in what the other end would like us to fetch (BEP 6)."""
        new = pieces & ~self.source.suggested
        for piece in iterate(new):
            self.torrent.ledger.suggest(self.key, piece)
        return 0 if new else 1

    def _withdraw_grants(self, now: float) -> None:
        """Give back what we were about to ask."""
        grants = self.grants
        if grants is not None:
            self.grants = None
            for run in grants:
                self.torrent.ledger.withdraw(self.key, run, now)

    # --- what it is -------------------------------------------------------------------------------

    def has_become_complete(self, every: PieceSet) -> bool:
        """Whether it has all pieces, and that is news: so it is once at most."""
        if self.wants_nothing or self.source.pieces != every:
            return False
        self.wants_nothing = True
        return True

    def set_only_uploads(self, only: bool) -> None:  # noqa: FBT001  the fact itself
        """Note whether it says that it only uploads (BEP 21)."""
        self._only_uploads = only
        self._review_wants()

    def _review_wants(self) -> None:
        self.wants_nothing = self._only_uploads or self.source.pieces == self.torrent.every

    def tell_losses(self, heard: bool) -> None:  # noqa: FBT001  the fact itself
        """Tell it, or do not, of pieces that we have no longer (BEP 54)."""
        self.hears_losses = heard

    def accept_requests_of(self, most: int) -> None:
        """Ask for up to so many bytes at once from now on."""
        self.max_request = most

    def listens_at(self, address: str) -> None:
        """Note where the other end can be dialled."""
        self.address = address
