"""The receiving half of a peer wire: bytes in, events out, every length and index checked."""

from collections.abc import Callable

from trio_swarm.errors import LocalProtocolError, RemoteProtocolError
from trio_swarm.identities import InfoHash, PieceIndex
from trio_swarm.protocol.wire import messages as m
from trio_swarm.protocol.wire.block_place import BlockPlace
from trio_swarm.protocol.wire.buffers import HEADER_READ, ReceiveBuffer
from trio_swarm.protocol.wire.handshake import parse_handshake, supports_extensions, supports_fast
from trio_swarm.protocol.wire.incoming import Kept, WireMessages
from trio_swarm.protocol.wire.messages import WireEvent

LEAST_PLACED = 4 * m.BLOCK_LENGTH
"""Least missing bytes of a block that are received at its place: for fewer, another copy costs less
than another read."""


MESSAGES_AT_ONCE = 256
"""Most messages parsed by one call: four times the blocks that a read can hold, so that it does not
affect blocks; for small messages, about a millisecond of work."""


class WireReader(WireMessages):
    """A peer's messages as events. Base class of PeerWire, never used alone.

    Any fault of the peer raises RemoteProtocolError with the reason. Events parsed by the same call
    are lost, and every later call raises it again: the caller drops the peer.
    """

    def __init__(self, *, info_hash: InfoHash | None, twin_hash: bytes | None) -> None:
        super().__init__(info_hash=info_hash)
        self._twin_hash = twin_hash
        self._incoming = ReceiveBuffer()
        self._at_end = False
        self.is_behind = False
        """Whether `received` left messages for `parse_more`, which must be called before the next
        read."""
        self.place_block: Callable[[int, int, int], BlockPlace | None] | None = None
        """Called with piece, begin and length when the header of a block has arrived; returns the
        memory where the block belongs. None: the block is received into the wire's own buffer."""
        self._place: BlockPlace | None = None
        self._placed = 0  # bytes of it that are here
        self._expects_place = False

    # Receiving

    def receive_buffers(self) -> list[memoryview]:
        """Return the memory to receive into, in this order; then call `received` with the count.

        One or two views, none empty. Every earlier BlockReceived becomes invalid.
        """
        if self._place is not None:
            return [self._place.view[self._placed :], self._incoming.free(HEADER_READ)]
        return [self._incoming.free(HEADER_READ if self._expects_place else None)]

    def received(self, count: int) -> list[WireEvent]:
        """Parse after `count` bytes came into `receive_buffers()`; 0 means the peer closed.

        The end is not a fault between two messages; inside one it raises RemoteProtocolError.
        """
        if self._fault is not None:
            raise RemoteProtocolError(self._fault)
        if self._at_end:
            raise LocalProtocolError("bytes after the end")
        if self.is_behind:
            raise LocalProtocolError("received before what was there is parsed")
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

    def parse_more(self) -> list[WireEvent]:
        """Parse further messages while `is_behind`, so that others get their turn in between.

        Raises RemoteProtocolError, as `received` does.
        """
        if self._fault is not None:
            raise RemoteProtocolError(self._fault)
        events: list[WireEvent] = []
        try:
            self._parse(events)
        except RemoteProtocolError as error:
            self._fault = str(error)
            raise
        return events

    @property
    def bytes_within_block(self) -> int:
        """Return the received bytes of a block that is being received at its place; 0 if none is.

        No other message can arrive before the end of that block.
        """
        return 0 if self._place is None else self._placed

    def give_up_place(self) -> BlockPlace | None:
        """Return the place of a block that will never be complete: the connection has ended."""
        place, self._place = self._place, None
        return place

    def receive(self, data: bytes | bytearray | memoryview) -> list[WireEvent]:
        """Parse `data`, which is copied; empty data means that the peer closed."""
        rest = memoryview(data)
        events: list[WireEvent] = []
        while True:
            space = self.receive_buffers()[0]
            count = min(len(space), len(rest))
            space[:count] = rest[:count]
            events += self.received(count)
            while self.is_behind:
                events += self.parse_more()
            rest = rest[count:]
            if not rest:
                return events
            # The next round overwrites the memory that these events point to.
            for event in events:
                if isinstance(event, m.BlockReceived) and event.place is None:
                    event.data = memoryview(bytes(event.data))
                    if event.following is not None:
                        event.following = [memoryview(bytes(data)) for data in event.following]

    def _end(self) -> None:
        self._at_end = True
        if self._handshake is None:
            raise RemoteProtocolError("it closed the connection before its handshake was complete")
        if self._incoming.start != self._incoming.end or self._place is not None:
            raise RemoteProtocolError("it closed the connection inside a message")

    def _fill_place(self, place: BlockPlace, count: int, events: list[WireEvent]) -> int:
        """Note that the first of `count` bytes came into `place`; return how many did not."""
        rest = len(place.view) - self._placed
        if count < rest:
            self._placed += count
            return 0
        self._place = None
        events.append(m.BlockReceived(place.piece, place.begin, place.view, place))
        return count - rest

    def _parse(self, events: list[WireEvent]) -> None:  # noqa: PLR0912, PLR0915 - one loop, as calls cost
        incoming = self._incoming
        if self._handshake is None and not self._parse_handshake(events):
            return
        view, start, end = incoming.view, incoming.start, incoming.end
        unpack_piece = m.PIECE_FRAME.unpack_from
        limits = self._limits
        whole_pieces, piece_length = limits.last_piece, limits.piece_length
        needed = 0
        left = MESSAGES_AT_ONCE
        self.is_behind = False
        run: m.BlockReceived | None = None
        run_end = 0
        while (available := end - start) >= 4:
            if not left:
                # These may be all messages that have arrived, or all complete ones.
                self.is_behind = True
                needed = 0
                break
            left -= 1
            # A leecher receives mostly blocks, and a seeder mostly requests: both have a fast path.
            if available >= 13:
                length, message_id, piece, begin = unpack_piece(view, start)
                if message_id == 7 and 9 < length <= limits.max_piece_frame:
                    if piece >= whole_pieces or begin + length - 9 > piece_length:
                        limits.check_range(piece, begin, length - 9)
                    needed = length + 4
                    if available < needed:
                        if needed - available >= LEAST_PLACED and self._begin_place(
                            piece, begin, length - 9, view[start + 13 : end]
                        ):
                            start = end
                            needed = 0
                        break
                    data = view[start + 13 : start + needed]
                    if run is None or begin != run_end or piece != run.piece:
                        run = m.BlockReceived(piece, begin, data)
                        events.append(run)
                    elif run.following is None:
                        run.following = [data]
                    else:
                        run.following.append(data)
                    run_end = begin + length - 9
                    start += needed
                    continue
                if message_id == 6 and length == 13 and available >= 17 and piece < whole_pieces:
                    (count,) = m.LENGTH_PREFIX.unpack_from(view, start + 13)
                    if begin + count <= piece_length and 0 < count <= limits.max_request:
                        events.append(m.RequestReceived(piece, begin, count))
                        start += 17
                        continue
            run = None
            needed = self._parse_other(view[start:end], events)
            if not 0 < needed <= available:
                break
            start += needed
        if run_end:
            self._expects_place = False
        incoming.start = start
        incoming.grow(needed)

    def _parse_other(self, view: memoryview, events: list[WireEvent]) -> int:
        """Parse the message at the start of `view`; return its length, 0 while it is incomplete.

        `view` has at least 4 bytes.
        """
        (length,) = m.LENGTH_PREFIX.unpack_from(view)
        if length == 0:
            events.append(m.KeptAlive())
            return 4
        if length > self._limits.max_frame:
            raise RemoteProtocolError(f"a message of {length} bytes is too long")
        if len(view) < 5:
            return 0
        message_id = view[4]
        self._limits.check_frame(message_id, length, fast=self._fast)
        end: int = length + 4
        if len(view) >= end:
            parse = self._PARSERS.get(message_id)
            event = parse(self, view[5:end]) if parse is not None else None
            if event is None:
                self.ignored += 1 + (length >> 10)
            elif not isinstance(event, Kept):
                events.append(event)
        return end

    def _begin_place(self, piece: PieceIndex, begin: int, length: int, head: memoryview) -> bool:
        """Receive the rest of a block at its place if the owner lends it; return whether."""
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
        event = parse_handshake(
            incoming.view[incoming.start : incoming.end], self._info_hash, self._twin_hash
        )
        if event is None:
            return False
        self._handshake = event
        self._info_hash = self._info_hash or event.info_hash
        self._fast = supports_fast(event.reserved)
        self._extensions = supports_extensions(event.reserved)
        incoming.start += m.HANDSHAKE_LENGTH
        events.append(event)
        return True
