"""The parsers of a peer's messages: the fact each sets and the event it becomes, all checked."""

from collections.abc import Callable
from typing import ClassVar

from trio_swarm import piece_sets
from trio_swarm.errors import IdleTalkError, RemoteProtocolError
from trio_swarm.identities import InfoHash, PeerId, PieceIndex
from trio_swarm.protocol.wire import messages as m
from trio_swarm.protocol.wire.buffers import EarlyPieces, SendBuffer
from trio_swarm.protocol.wire.handshake import supports_v2
from trio_swarm.protocol.wire.limits import WireLimits
from trio_swarm.protocol.wire.messages import MessageId, WireEvent

_MAX_WHOLE_SETS = 8
"""Have-alls and have-nones accepted from one peer. BEP 6 allows one, as the first message. Clients
that learn the metadata late, resume a share or complete it send another, which does no harm. But
five bytes that replace a whole piece set must not be free to repeat."""

_MAX_EARLY_REQUESTS = 1024
"""Requests ignored or rejected before we know the torrent's size. More are a flood, and each reject
waits in our send buffer."""

_MAX_ALLOWED_FAST = 256
"""Most allowed-fast pieces of a peer; clients allow ten (BEP 6), more are ignored."""


class Kept:
    """Returned instead of an event: the message is kept until the torrent's size is known."""


_KEPT = Kept()

Parsed = WireEvent | Kept | None
"""The result of a message; None if it has no effect."""


class WireMessages:
    """The facts a peer sets, and a parser for each of its messages. Base class of WireReader."""

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
        """Number of messages that became no event because they change nothing; long messages count
        once for each KiB. The owner decides how many are too many."""

        self._limits = WireLimits()

    # Facts

    @property
    def peer_id(self) -> PeerId | None:
        """The peer's id (20 bytes); None before its handshake. It may be our own id: compare."""
        return self._handshake.peer_id if self._handshake else None

    @property
    def info_hash(self) -> InfoHash | None:
        """The info-hash of this connection; None until an incoming connection has named it."""
        return self._info_hash

    @property
    def fast(self) -> bool:
        """Whether both ends speak the Fast Extension (BEP 6); False before the peer's handshake."""
        return self._fast

    @property
    def extensions(self) -> bool:
        """Whether both ends speak the extension protocol (BEP 10); False before the handshake."""
        return self._extensions

    def speaks_v2(self, v2_hash: bytes | None) -> bool:
        """Whether the peer may be asked for hashes (BEP 52, "Upgrade Path").

        `v2_hash` is the version 2 info-hash of the torrent, if it has one. A peer that names it
        speaks version 2, and so does one that says so in the handshake for the other info-hash.
        """
        told = self._handshake
        return (
            v2_hash is not None
            and told is not None
            and (told.info_hash == v2_hash[: m.INFO_HASH_LENGTH] or supports_v2(told.reserved))
        )

    @property
    def peer_choking(self) -> bool:
        """Whether the peer chokes us: it answers requests for allowed-fast pieces only."""
        return self._peer_choking

    @property
    def peer_interested(self) -> bool:
        """Whether the peer is interested in our pieces."""
        return self._peer_interested

    @property
    def piece_count(self) -> int | None:
        """Pieces of the torrent; None until `set_torrent`."""
        return self._limits.piece_count

    # Limits and the torrent

    def allow_requests_up_to(self, length: int) -> None:
        """Let the peer request ranges of up to `length` bytes; the limit never falls."""
        self._limits.allow_requests_up_to(length)

    def expect_blocks_up_to(self, length: int) -> None:
        """Let us request ranges of up to `length` bytes; the limit never falls."""
        self._limits.expect_blocks_up_to(length)

    def set_torrent(self, *, piece_count: int, piece_length: int, length: int) -> list[WireEvent]:
        """Set the torrent's sizes (bytes) when they are known; return the kept messages as events.

        Raises RemoteProtocolError if a kept message does not fit the torrent.
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

    # One method for each message. The body excludes length and id, and its length is checked.

    # Messages that libtorrent 2.1 and Transmission 4 ignore or reject are ignored or rejected here,
    # too: ranges and hints outside the torrent. A HAVE outside it ends the connection with all
    # three.

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
            raise IdleTalkError("it sends the set of all its pieces again and again")

    def _bitfield(self, body: memoryview) -> Parsed:
        # Any number of bitfields: aria2 1.36 sends one in place of twenty HAVEs.
        if self._limits.piece_count is None:
            assert self._early is not None
            return _KEPT if self._early.bitfield(body) else None
        # Spare bits should be zero (BEP 3), but no client checks them.
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
        # The owner need not be asked: we have no piece yet, or never will.
        if self._early is not None:
            self._early_requests += 1
        if self._early_requests > _MAX_EARLY_REQUESTS:
            raise IdleTalkError("it requests blocks that we do not have")
        if self._fast and self._handshake_sent:
            self._outgoing.add(m.RANGE_FRAME.pack(13, MessageId.REJECT, piece, begin, length))
        return None

    def _cancel(self, body: memoryview) -> WireEvent | None:
        piece, begin, length = m.RANGE.unpack(body)
        if self._early is not None or not self._is_servable(piece, begin, length):
            return None
        return m.CancelReceived(piece, begin, length)

    def _is_servable(self, piece: PieceIndex, begin: int, length: int) -> bool:
        """Whether a request for this range may be granted; the torrent's size is known."""
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

    def _hash_request(self, body: memoryview) -> WireEvent:
        return m.HashesRequested(m.HashRange(*m.HASHES.unpack(body)))

    def _hashes(self, body: memoryview) -> WireEvent:
        size = m.HASHES.size
        return m.HashesReceived(m.HashRange(*m.HASHES.unpack(body[:size])), bytes(body[size:]))

    def _hash_reject(self, body: memoryview) -> WireEvent:
        return m.HashesRejected(m.HashRange(*m.HASHES.unpack(body)))

    def _extended(self, body: memoryview) -> WireEvent | None:
        # Without the extension protocol this is a message of an unknown kind.
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
        MessageId.HASH_REQUEST: _hash_request,
        MessageId.HASHES: _hashes,
        MessageId.HASH_REJECT: _hash_reject,
    }
