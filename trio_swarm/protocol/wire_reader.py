"""The receiving half of a peer wire: bytes in, events out, every length and index checked."""

from collections.abc import Callable
from typing import ClassVar

from trio_swarm import piece_sets
from trio_swarm.errors import LocalProtocolError, RemoteProtocolError
from trio_swarm.protocol import peer_messages as m
from trio_swarm.protocol.handshake import parse_handshake, supports_extensions, supports_fast
from trio_swarm.protocol.peer_messages import MessageId, WireEvent
from trio_swarm.protocol.wire_buffers import (
    HEADER_READ,
    BlockPlace,
    EarlyPieces,
    ReceiveBuffer,
    SendBuffer,
    check_pieces,
)
from trio_swarm.protocol.wire_limits import WireLimits

_MAX_PIECE_SETS = 8
"""Bitfields, have-alls and have-nones taken from one peer. BEP 3 and 6 allow one, as the first
message; clients that learn the metadata late or resume a share send another, and one sent later
does no harm. But five bytes that replace a whole piece set must not be free to repeat."""

LEAST_PLACED = 4 * m.BLOCK_LENGTH
"""Bytes of a block still to come that are worth receiving in their place: for less, one more copy
costs less than one more read."""

_MAX_EARLY_REQUESTS = 1024
"""Requests refused in silence while we do not even know the torrent's size. More is a flood, and
each refusal waits in our outgoing bytes."""

_MAX_ALLOWED_FAST = 256
"""Pieces a peer may allow us while it chokes us; clients allow ten (BEP 6), the rest is ignored."""


class WireReader:
    """What a peer sends, as events; the facts a peer sets. Base of PeerWire, never used alone.

    Any fault of the peer raises RemoteProtocolError that names it; events parsed by the same call
    are lost with it, and every later call raises it again: drop the peer.
    """

    def __init__(self, *, info_hash: bytes | None) -> None:
        self._info_hash = info_hash
        self._incoming = ReceiveBuffer()
        self._outgoing = SendBuffer()
        self._handshake: m.HandshakeReceived | None = None
        self._handshake_sent = False
        self._fault: str | None = None
        self._at_end = False
        self.place_block: Callable[[int, int, int], BlockPlace | None] | None = None
        """Asked for the memory a block (piece, begin, length) belongs to, once its header is here;
        None: it is received into the wire's own buffer."""
        self._place: BlockPlace | None = None
        self._placed = 0  # bytes of it that are here
        self._expects_place = False

        self._fast = False
        self._extensions = False
        self._peer_choking = True
        self._peer_interested = False
        self._allowed_to_us: set[int] = set()
        self._early: EarlyPieces | None = EarlyPieces()
        self._early_requests = 0
        self._piece_sets = 0

        self._limits = WireLimits()

    # Facts

    @property
    def peer_id(self) -> bytes | None:
        """The peer's id (20 bytes); None before its handshake. It may be our own: compare."""
        return self._handshake.peer_id if self._handshake else None

    @property
    def info_hash(self) -> bytes | None:
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

    @property
    def max_request_length(self) -> int:
        """Longest range the peer may ask for, bytes."""
        return self._limits.max_request

    @property
    def max_block_length(self) -> int:
        """Longest range we may ask for, bytes."""
        return self._limits.max_block

    def is_allowed_fast(self, piece: int) -> bool:
        """Tell whether the peer serves this piece to us even while it chokes us."""
        return piece in self._allowed_to_us

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

    # Receiving

    def receive_buffers(self) -> list[memoryview]:
        """Return where to receive into, in this order; call `received` with how much was filled.

        One or two pieces of memory, none empty. Ends the validity of every BlockReceived so far.
        """
        if self._place is not None:
            return [self._place.view[self._placed :], self._incoming.free(HEADER_READ)]
        return [self._incoming.free(HEADER_READ if self._expects_place else None)]

    def received(self, count: int) -> list[WireEvent]:
        """Parse after `count` bytes came into `receive_buffers()`; 0 means the peer closed.

        The end is no fault at a frame's boundary; inside one it raises RemoteProtocolError.
        """
        if self._fault is not None:
            raise RemoteProtocolError(self._fault)
        if self._at_end:
            raise LocalProtocolError("bytes after the end")
        try:
            if count == 0:
                self._end()
                return []
            events: list[WireEvent] = []
            if self._place is not None:
                count = self._fill_place(self._place, count, events)
            self._incoming.end += count
            self._parse(events)
        except RemoteProtocolError as error:
            self._fault = str(error)
            raise
        return events

    def give_up_place(self) -> BlockPlace | None:
        """Return the place of a block that will never be whole: the connection has ended."""
        place, self._place = self._place, None
        return place

    def receive(self, data: bytes | bytearray | memoryview) -> list[WireEvent]:
        """Parse `data`, which is copied; empty means the peer closed."""
        rest = memoryview(data)
        events: list[WireEvent] = []
        while True:
            space = self.receive_buffers()[0]
            count = min(len(space), len(rest))
            space[:count] = rest[:count]
            events += self.received(count)
            rest = rest[count:]
            if not rest:
                return events
            # The next round overwrites what these events point to.
            for event in events:
                if isinstance(event, m.BlockReceived) and event.place is None:
                    event.data = memoryview(bytes(event.data))

    def _end(self) -> None:
        self._at_end = True
        if self._handshake is None:
            raise RemoteProtocolError("it closed the connection before its handshake was complete")
        if self._incoming.start != self._incoming.end or self._place is not None:
            raise RemoteProtocolError("it closed the connection inside a message")

    def _fill_place(self, place: BlockPlace, count: int, events: list[WireEvent]) -> int:
        """Note that of `count` bytes the first came into `place`; return how many did not."""
        rest = len(place.view) - self._placed
        if count < rest:
            self._placed += count
            return 0
        self._place = None
        events.append(m.BlockReceived(place.piece, place.begin, place.view, place))
        return count - rest

    def _parse(self, events: list[WireEvent]) -> None:
        incoming = self._incoming
        if self._handshake is None and not self._parse_handshake(events):
            return
        view, start, end = incoming.view, incoming.start, incoming.end
        unpack_piece = m.PIECE_FRAME.unpack_from
        limits = self._limits
        parsers = self._PARSERS
        needed = 0
        while (available := end - start) >= 4:
            # Nearly all bytes a leecher gets are blocks, so they have a path of their own.
            if available >= 13:
                length, message_id, piece, begin = unpack_piece(view, start)
                if message_id == 7 and 9 < length <= limits.max_piece_frame:
                    limits.check_range(piece, begin, length - 9)
                    needed = length + 4
                    if available < needed:
                        if needed - available >= LEAST_PLACED and self._begin_place(
                            piece, begin, length - 9, view[start + 13 : end]
                        ):
                            start = end
                            needed = 0
                        break
                    events.append(m.BlockReceived(piece, begin, view[start + 13 : start + needed]))
                    start += needed
                    self._expects_place = False
                    continue
            (length,) = m.LENGTH_PREFIX.unpack_from(view, start)
            if length == 0:
                start += 4
                events.append(m.KeptAlive())
                continue
            if length > limits.max_frame:
                raise RemoteProtocolError(f"a message of {length} bytes is too long")
            if available < 5:
                break
            limits.check_frame(view[start + 4], length, fast=self._fast)
            needed = length + 4
            if available < needed:
                break
            parse = parsers.get(view[start + 4])
            if parse is not None:
                event = parse(self, view[start + 5 : start + needed])
                if event is not None:
                    events.append(event)
            start += needed
        incoming.start = start
        incoming.grow(needed)

    def _begin_place(self, piece: int, begin: int, length: int, head: memoryview) -> bool:
        """Let the rest of a block come to where it belongs, if its owner lends the memory."""
        place = self.place_block(piece, begin, length) if self.place_block is not None else None
        self._expects_place = place is not None
        if place is None:
            return False
        self._placed = len(head)
        place.view[: self._placed] = head
        self._place = place
        return True

    def _parse_handshake(self, events: list[WireEvent]) -> bool:
        incoming = self._incoming
        event = parse_handshake(incoming.view[incoming.start : incoming.end], self._info_hash)
        if event is None:
            return False
        self._handshake = event
        self._info_hash = event.info_hash
        self._fast = supports_fast(event.reserved)
        self._extensions = supports_extensions(event.reserved)
        incoming.start += m.HANDSHAKE_LENGTH
        events.append(event)
        return True

    def _parse_range(self, body: memoryview) -> tuple[int, int, int]:
        piece, begin, length = m.RANGE.unpack(body)
        if not 1 <= length <= self._limits.max_request:
            raise RemoteProtocolError(
                f"a request for {length} bytes, where 1 to {self._limits.max_request} are allowed"
            )
        if self._limits.piece_count is not None:
            self._limits.check_range(piece, begin, length)
        return piece, begin, length

    def _parse_index(self, body: memoryview) -> int:
        piece: int = m.INDEX.unpack(body)[0]
        self._limits.check_index(piece)
        return piece

    # One method for each message; the body excludes length and id, and its length is checked.

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

    def _have(self, body: memoryview) -> WireEvent | None:
        piece = self._parse_index(body)
        if self._early is None:
            return m.HasPiece(piece)
        self._early.have(piece)
        return None

    def _count_piece_set(self) -> None:
        self._piece_sets += 1
        if self._piece_sets > _MAX_PIECE_SETS:
            raise RemoteProtocolError("it tells all its pieces over and over")

    def _bitfield(self, body: memoryview) -> WireEvent | None:
        self._count_piece_set()
        if self._limits.piece_count is None:
            assert self._early is not None
            self._early.bitfield(body)
            return None
        pieces = check_pieces(piece_sets.from_bitfield(body), self._limits.piece_count)
        return m.HasPieces(pieces)

    def _have_all(self, _body: memoryview) -> WireEvent | None:
        self._count_piece_set()
        if self._limits.piece_count is None:
            assert self._early is not None
            self._early.have_all()
            return None
        return m.HasAll(piece_sets.full_set(self._limits.piece_count))

    def _have_none(self, _body: memoryview) -> WireEvent | None:
        self._count_piece_set()
        if self._early is None:
            return m.HasNone(0)
        self._early.have_none()
        return None

    def _request(self, body: memoryview) -> WireEvent | None:
        piece, begin, length = self._parse_range(body)
        if self._early is None:
            return m.RequestReceived(piece, begin, length)
        # We have nothing to give yet, so nobody above need be asked.
        self._early_requests += 1
        if not self._handshake_sent or self._early_requests > _MAX_EARLY_REQUESTS:
            raise RemoteProtocolError("it asks for blocks that were never offered")
        if self._fast:
            self._outgoing.add(m.RANGE_FRAME.pack(13, MessageId.REJECT, piece, begin, length))
        return None

    def _cancel(self, body: memoryview) -> WireEvent | None:
        event = m.CancelReceived(*self._parse_range(body))
        return event if self._early is None else None

    def _reject(self, body: memoryview) -> WireEvent:
        piece, begin, length = m.RANGE.unpack(body)
        if self._limits.piece_count is None or not 1 <= length <= self._limits.max_block:
            raise RemoteProtocolError("it rejects what was never asked for")
        self._limits.check_range(piece, begin, length)
        return m.RejectReceived(piece, begin, length)

    def _suggest(self, body: memoryview) -> WireEvent | None:
        event = m.Suggested(self._parse_index(body))
        if self._early is None:
            return event
        self._early.hint(event)
        return None

    def _allowed_fast(self, body: memoryview) -> WireEvent | None:
        event = m.AllowedFast(self._parse_index(body))
        if self._early is not None:
            self._early.hint(event)
            return None
        if len(self._allowed_to_us) >= _MAX_ALLOWED_FAST:
            return None
        self._allowed_to_us.add(event.piece)
        return event

    def _port(self, body: memoryview) -> WireEvent:
        return m.PortReceived(m.PORT.unpack(body)[0])

    def _extended(self, body: memoryview) -> WireEvent | None:
        # Without the extension protocol this is one more message of unknown kind.
        return m.ExtendedReceived(body[0], bytes(body[1:])) if self._extensions else None

    _PARSERS: ClassVar[dict[int, Callable[["WireReader", memoryview], WireEvent | None]]] = {
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
