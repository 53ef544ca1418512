"""What each message of a peer says: the facts it sets and the event it becomes, all checked."""

from collections.abc import Callable
from typing import ClassVar

from trio_swarm import piece_sets
from trio_swarm.errors import IdleTalkError, RemoteProtocolError
from trio_swarm.identities import InfoHash, PeerId, PieceIndex
from trio_swarm.protocol.wire import messages as m
from trio_swarm.protocol.wire.buffers import EarlyPieces, SendBuffer
from trio_swarm.protocol.wire.limits import WireLimits
from trio_swarm.protocol.wire.messages import MessageId, WireEvent

_MAX_WHOLE_SETS = 8
"""Have-alls and have-nones taken from one peer. BEP 6 allows one, as the first message; clients
that learn the metadata late, resume a share or complete it send another, and one sent later does
no harm. But five bytes that replace a whole piece set must not be free to repeat."""

_MAX_EARLY_REQUESTS = 1024
"""Requests refused in silence while we do not even know the torrent's size. More is a flood, and
each refusal waits in our outgoing bytes."""

_MAX_ALLOWED_FAST = 256
"""Pieces a peer may allow us while it chokes us; clients allow ten (BEP 6), the rest is ignored."""


class Kept:
    """In the place of an event: the message is kept until the torrent's size is known."""


_KEPT = Kept()

Parsed = WireEvent | Kept | None
"""What a message becomes; None: it says nothing that could be used."""


class WireMessages:
    """The facts a peer sets and a parser for each of its messages. Base of WireReader."""

    def __init__(self, *, info_hash: InfoHash | None) -> None:
        self._info_hash = info_hash
        self._outgoing = SendBuffer()
        self._handshake: m.HandshakeReceived | None = None
        self._handshake_sent = False
        self._fault: str | None = None

        self._fast = False
        self._extensions = False
        self._peer_choking = True
        self._peer_interested = False
        self._allowed_to_us: set[int] = set()
        self._early: EarlyPieces | None = EarlyPieces()
        self._early_requests = 0
        self._whole_sets = 0
        self.ignored = 0
        """Messages so far that became no event, for they change nothing; long ones are counted by
        the KiB. How many are too many is for the owner to decide."""

        self._limits = WireLimits()

    # Facts

    @property
    def peer_id(self) -> PeerId | None:
        """The peer's id (20 bytes); None before its handshake. It may be our own: compare."""
        return self._handshake.peer_id if self._handshake else None

    @property
    def info_hash(self) -> InfoHash | None:
        """The info-hash of this connection, None while an incoming one has not named it."""
        return self._info_hash

    @property
    def fast(self) -> bool:
        """Both ends speak the Fast extension (BEP 6); False before the peer's handshake."""
        return self._fast

    @property
    def extensions(self) -> bool:
        """Both ends speak the extension protocol (BEP 10); False before the peer's handshake."""
        return self._extensions

    @property
    def peer_choking(self) -> bool:
        """The peer does not answer our requests, but for allowed-fast pieces."""
        return self._peer_choking

    @property
    def peer_interested(self) -> bool:
        """The peer wants pieces of ours."""
        return self._peer_interested

    @property
    def piece_count(self) -> int | None:
        """Pieces of the torrent; None until `set_torrent`."""
        return self._limits.piece_count

    # Limits and the torrent

    def allow_requests_up_to(self, length: int) -> None:
        """Let the peer ask for ranges of up to `length` bytes; what was allowed stays allowed."""
        self._limits.allow_requests_up_to(length)

    def expect_blocks_up_to(self, length: int) -> None:
        """Let us ask for ranges of up to `length` bytes; what was allowed stays allowed."""
        self._limits.expect_blocks_up_to(length)

    def set_torrent(self, *, piece_count: int, piece_length: int, length: int) -> list[WireEvent]:
        """Set the sizes (bytes) once they are known; return what was held back.

        Raises RemoteProtocolError if that does not fit the torrent.
        """
        self._limits.set_torrent(piece_count=piece_count, piece_length=piece_length, length=length)
        early, self._early = self._early, None
        assert early is not None
        try:
            events = early.resolve(piece_count)
        except RemoteProtocolError as error:
            self._fault = str(error)
            raise
        self._allowed_to_us.update(e.piece for e in events if isinstance(e, m.AllowedFast))
        return events

    def take_back(self, piece: int) -> bool:
        """Note that the peer has a piece no longer (BEP 54): True if that is to be acted on now.

        Before `set_torrent` it is kept with what the peer told of its pieces. Raises
        RemoteProtocolError for a piece that is not of the torrent.
        """
        self._limits.check_index(piece)
        if self._early is None:
            return True
        self._early.take_back(piece)
        return False

    # One method for each message; the body excludes length and id, and its length is checked.

    # What libtorrent 2.1 and Transmission 4 ignore or reject is ignored or rejected here, too:
    # ranges and hints outside the torrent. A HAVE outside it ends the connection with all three.

    def _choke(self, _body: memoryview) -> WireEvent:
        self._peer_choking = True
        return m.Choked()

    def _unchoke(self, _body: memoryview) -> WireEvent:
        self._peer_choking = False
        return m.Unchoked()

    def _interested(self, _body: memoryview) -> WireEvent:
        self._peer_interested = True
        return m.Interested()

    def _not_interested(self, _body: memoryview) -> WireEvent:
        self._peer_interested = False
        return m.NotInterested()

    def _have(self, body: memoryview) -> Parsed:
        piece: int = m.INDEX.unpack(body)[0]
        self._limits.check_index(piece)
        if self._early is None:
            return m.HasPiece(piece)
        return _KEPT if self._early.have(piece) else None

    def _count_whole_set(self) -> None:
        self._whole_sets += 1
        if self._whole_sets > _MAX_WHOLE_SETS:
            raise IdleTalkError("it tells all its pieces over and over")

    def _bitfield(self, body: memoryview) -> Parsed:
        # Any number: aria2 1.36 sends one in the place of twenty HAVEs.
        if self._limits.piece_count is None:
            assert self._early is not None
            return _KEPT if self._early.bitfield(body) else None
        # Spare bits are to be zero (BEP 3), and are not looked at by anybody.
        every = piece_sets.full_set(self._limits.piece_count)
        return m.HasPieces(piece_sets.from_bitfield(body) & every)

    def _have_all(self, _body: memoryview) -> Parsed:
        self._count_whole_set()
        if self._limits.piece_count is None:
            assert self._early is not None
            self._early.have_all()
            return _KEPT
        return m.HasAll(piece_sets.full_set(self._limits.piece_count))

    def _have_none(self, _body: memoryview) -> Parsed:
        self._count_whole_set()
        if self._early is None:
            return m.HasNone(0)
        self._early.have_none()
        return _KEPT

    def _request(self, body: memoryview) -> WireEvent | None:
        piece, begin, length = m.RANGE.unpack(body)
        if self._early is None and self._is_servable(piece, begin, length):
            return m.RequestReceived(piece, begin, length)
        # Nobody above need be asked: we have nothing to give yet, or nobody ever will.
        if self._early is not None:
            self._early_requests += 1
        if self._early_requests > _MAX_EARLY_REQUESTS:
            raise IdleTalkError("it asks for blocks that were never offered")
        if self._fast and self._handshake_sent:
            self._outgoing.add(m.RANGE_FRAME.pack(13, MessageId.REJECT, piece, begin, length))
        return None

    def _cancel(self, body: memoryview) -> WireEvent | None:
        piece, begin, length = m.RANGE.unpack(body)
        if self._early is not None or not self._is_servable(piece, begin, length):
            return None
        return m.CancelReceived(piece, begin, length)

    def _is_servable(self, piece: PieceIndex, begin: int, length: int) -> bool:
        """Whether a request for this range of the torrent, whose size is known, may be granted."""
        limits = self._limits
        return 0 < length <= limits.max_request and limits.range_fault(piece, begin, length) is None

    def _reject(self, body: memoryview) -> WireEvent | None:
        piece, begin, length = m.RANGE.unpack(body)
        limits = self._limits
        if (
            limits.piece_count is None
            or not 0 < length <= limits.max_block
            or limits.range_fault(piece, begin, length) is not None
        ):
            return None
        return m.RejectReceived(piece, begin, length)

    def _suggest(self, body: memoryview) -> Parsed:
        event = m.Suggested(m.INDEX.unpack(body)[0])
        if self._early is not None:
            return _KEPT if self._early.hint(event) else None
        return event if self._limits.has_piece(event.piece) else None

    def _allowed_fast(self, body: memoryview) -> Parsed:
        event = m.AllowedFast(m.INDEX.unpack(body)[0])
        if self._early is not None:
            return _KEPT if self._early.hint(event) else None
        allowed = self._allowed_to_us
        if not self._limits.has_piece(event.piece) or len(allowed) >= _MAX_ALLOWED_FAST:
            return None
        allowed.add(event.piece)
        return event

    def _port(self, body: memoryview) -> WireEvent:
        return m.PortReceived(m.PORT.unpack(body)[0])

    def _extended(self, body: memoryview) -> WireEvent | None:
        # Without the extension protocol this is one more message of unknown kind.
        return m.ExtendedReceived(body[0], bytes(body[1:])) if self._extensions else None

    _PARSERS: ClassVar[dict[int, Callable[["WireMessages", memoryview], Parsed]]] = {
        MessageId.CHOKE: _choke,
        MessageId.UNCHOKE: _unchoke,
        MessageId.INTERESTED: _interested,
        MessageId.NOT_INTERESTED: _not_interested,
        MessageId.HAVE: _have,
        MessageId.BITFIELD: _bitfield,
        MessageId.REQUEST: _request,
        MessageId.CANCEL: _cancel,
        MessageId.PORT: _port,
        MessageId.SUGGEST: _suggest,
        MessageId.HAVE_ALL: _have_all,
        MessageId.HAVE_NONE: _have_none,
        MessageId.REJECT: _reject,
        MessageId.ALLOWED_FAST: _allowed_fast,
        MessageId.EXTENDED: _extended,
    }
