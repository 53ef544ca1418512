"""The receive and send buffers of a peer wire, and the pieces told before the size is known."""

from trio_swarm import piece_sets
from trio_swarm.errors import IdleTalkError, RemoteProtocolError
from trio_swarm.protocol.wire.messages import (
    MAX_UNKNOWN_PIECES,
    AllowedFast,
    FileBlock,
    HasAll,
    HasNone,
    HasPieces,
    Segment,
    Suggested,
    WireEvent,
)

RECEIVE_BUFFER_LENGTH = 256 * 1024
"""Bytes that one read can take: 16 blocks, which share the fixed cost of a read. Only the part that
reads fill uses memory, so an idle connection takes a few KiB."""

LARGEST_RECEIVE_BUFFER = 1024 * 1024
"""Bytes that one read can take from a peer so fast that reads fill the whole buffer: a quarter of
the turns of the event loop, and a fifth less processor time for a download."""

HEADER_READ = 16 * 1024
"""Bytes read after a block that is received at its place, or before the next one: its header and
messages between blocks. Bytes beyond a header must be copied, so it is small."""

_MAX_EARLY_GONE = 1024
"""Pieces taken back before the size is known by a peer that said it had all. A seeder whose files
changed takes back those of the files; one that lost more had better come again."""

_MAX_EARLY_HINTS = 64
"""Suggestions and allowed-fast pieces kept before the size is known. Clients send about ten; they
are hints, and more are dropped."""


class ReceiveBuffer:
    """Received bytes that are not parsed yet: `view[start:end]` of one reused block of memory.

    The owner advances `start` as it parses. Bytes are moved only if a rest leaves no room for the
    next read. `capacity` grows with frames and with reads that fill it, and never shrinks.
    """

    __slots__ = ("_memory", "end", "start", "view")

    def __init__(self) -> None:
        self._memory = bytearray(RECEIVE_BUFFER_LENGTH)
        self.view = memoryview(self._memory)
        self.start = 0
        self.end = 0

    @property
    def capacity(self) -> int:
        """The length of the memory in bytes."""
        return len(self._memory)

    def grow(self, capacity: int) -> None:
        """Make room for frames of `capacity` bytes; received bytes are kept."""
        if capacity <= len(self._memory):
            return
        memory = bytearray(capacity)
        rest = self.end - self.start
        memory[:rest] = self.view[self.start : self.end]
        # New memory instead of a resize: events may still point to the old memory.
        self._memory = memory
        self.view = memoryview(memory)
        self.start = 0
        self.end = rest

    def free(self, most: int | None = None) -> memoryview:
        """Return the memory for the next read: never empty, at most `most` bytes.

        Without `most` it is at least half of the memory, unless a started frame already fills that
        half.
        """
        if self.end == len(self._memory) < LARGEST_RECEIVE_BUFFER:
            self.grow(min(2 * self.end, LARGEST_RECEIVE_BUFFER))
        if self.start == self.end:
            self.start = self.end = 0
        elif self.start and (len(self._memory) - self.end) * 2 < len(self._memory):
            rest = self.end - self.start
            self.view[:rest] = self.view[self.start : self.end]
            self.start = 0
            self.end = rest
        return self.view[self.end :] if most is None else self.view[self.end : self.end + most]


class SendBuffer:
    """Outgoing segments in order; adjacent bytes are joined when they are drained."""

    __slots__ = ("_bytes", "_segments")

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._bytes: list[bytes] = []

    def __bool__(self) -> bool:
        return bool(self._bytes or self._segments)

    def add(self, data: bytes) -> None:
        """Append bytes to the outgoing segments."""
        self._bytes.append(data)

    def add_block(self, block: FileBlock) -> None:
        """Append a block whose payload is sent from its file."""
        self._segments.append(b"".join(self._bytes))
        self._bytes.clear()
        self._segments.append(block)

    def drain(self) -> list[Segment]:
        """Return all segments in order, and remove them."""
        segments = self._segments
        if self._bytes:
            segments.append(b"".join(self._bytes))
            self._bytes = []
        self._segments = []
        return segments


class EarlyPieces:
    """The pieces a peer told before their number is known (BEP 9: magnet links).

    Never more than a bitfield of MAX_UNKNOWN_PIECES bits and a few hints.
    """

    __slots__ = (
        "_beyond",
        "_bitfield_length",
        "_bits",
        "_gone",
        "_has_all",
        "_has_none",
        "_hints",
        "_pieces_told",
    )

    def __init__(self) -> None:
        # In wire bit order, so that a HAVE sets one bit in place; an int would be copied each time.
        self._bits = bytearray()
        self._gone: set[int] = set()
        self._bitfield_length: int | None = None
        self._has_all = False
        self._has_none = False
        self._pieces_told = False
        self._beyond = 0  # one more than the highest index of a HAVE
        self._hints: list[Suggested | AllowedFast] = []

    def bitfield(self, data: memoryview) -> bool:
        """Keep a bitfield, which replaces earlier pieces; return whether it is the first."""
        is_first = self._bitfield_length is None
        self._replace(has_all=False, has_none=False)
        self._bits = bytearray(data)
        self._bitfield_length = len(data)
        return is_first

    def have_all(self) -> None:
        """Keep a have-all, which replaces earlier pieces (BEP 6)."""
        self._replace(has_all=True, has_none=False)

    def have_none(self) -> None:
        """Keep a have-none, which replaces earlier pieces (BEP 6)."""
        self._replace(has_all=False, has_none=True)

    def have(self, piece: int) -> bool:
        """Keep a HAVE; return whether the piece is new.

        Raises RemoteProtocolError for an index that no torrent can have.
        """
        _check_any_index(piece)
        self._pieces_told = True
        self._beyond = max(self._beyond, piece + 1)
        self._has_none = False
        self._gone.discard(piece)
        index = piece >> 3
        if index >= len(self._bits):
            self._bits.extend(bytes(index + 1 - len(self._bits)))
        bit = 0x80 >> (piece & 7)
        is_news = not self._bits[index] & bit
        self._bits[index] |= bit
        return is_news

    def take_back(self, piece: int) -> bool:
        """Note that a HAVE, or a bit of what was told before, is true no longer (BEP 54).

        Returns whether it is news. Raises RemoteProtocolError for an index no torrent can have.
        """
        _check_any_index(piece)
        self._beyond = max(self._beyond, piece + 1)
        if self._has_all:
            if piece in self._gone:
                return False
            if len(self._gone) >= _MAX_EARLY_GONE:
                raise IdleTalkError("it has everything, and then it has not")
            self._gone.add(piece)
            return True
        index = piece >> 3
        bit = 0x80 >> (piece & 7)
        if index >= len(self._bits) or not self._bits[index] & bit:
            return False
        self._bits[index] ^= bit
        return True

    def hint(self, hint: Suggested | AllowedFast) -> bool:
        """Keep a suggestion or an allowed-fast piece; return False if there are too many."""
        if len(self._hints) >= _MAX_EARLY_HINTS:
            return False
        self._hints.append(hint)
        return True

    def resolve(self, piece_count: int) -> list[WireEvent]:
        """Check all kept messages against the number of pieces, and return them as events.

        Spare bits of the bitfield and hints beyond the last piece are dropped, as they are when the
        number is known from the start. Raises RemoteProtocolError for pieces beyond the last.
        """
        width = (piece_count + 7) // 8
        if self._bitfield_length is not None and self._bitfield_length != width:
            raise RemoteProtocolError(
                f"its bitfield has {self._bitfield_length} bytes, the torrent needs {width}"
            )
        if self._beyond > piece_count:
            raise RemoteProtocolError(f"it claims piece {self._beyond - 1} of {piece_count} pieces")
        pieces = piece_sets.from_bitfield(self._bits) & piece_sets.full_set(piece_count)
        events: list[WireEvent] = []
        if self._has_all and self._gone:
            every = piece_sets.full_set(piece_count)
            events.append(HasPieces(every & ~piece_sets.from_pieces(self._gone)))
        elif self._has_all:
            events.append(HasAll(piece_sets.full_set(piece_count)))
        elif self._has_none:
            events.append(HasNone(0))
        elif self._pieces_told:
            events.append(HasPieces(pieces))
        events += [hint for hint in self._hints if hint.piece < piece_count]
        return events

    def _replace(self, *, has_all: bool, has_none: bool) -> None:
        self._bits.clear()
        self._gone.clear()
        self._bitfield_length = None
        self._pieces_told = True
        self._has_all = has_all
        self._has_none = has_none


def _check_any_index(piece: int) -> None:
    if piece >= MAX_UNKNOWN_PIECES:
        raise RemoteProtocolError(f"piece index {piece} is beyond any torrent's")
