"""The limits of lengths, piece indexes and ranges on one peer wire, in both directions."""

from trio_swarm.errors import LocalProtocolError, RemoteProtocolError
from trio_swarm.identities import PieceIndex
from trio_swarm.protocol.wire import messages as m
from trio_swarm.protocol.wire.messages import MessageId

_MAX_HASHES_BYTES = (m.MAX_HASHES + m.MAX_PROOF) * m.HASH_LENGTH


class WireLimits:
    """The torrent's sizes, once known, and the agreed block lengths; all lengths in bytes.

    The wire reads the attributes; only the methods change them.
    """

    __slots__ = (
        "_last_length",
        "last_piece",
        "max_block",
        "max_frame",
        "max_piece_frame",
        "max_request",
        "piece_count",
        "piece_length",
    )

    def __init__(self) -> None:
        self.piece_count: int | None = None
        """Number of pieces of the torrent; None while its size is unknown."""
        self.piece_length = 0
        """Length of every piece before `last_piece`; both are 0 while the size is unknown."""
        self.last_piece = 0
        self._last_length = 0
        self.max_request = m.MAX_REQUEST
        """Longest range that the peer may request."""
        self.max_block = m.BLOCK_LENGTH
        """Longest range that we may request."""
        self.max_piece_frame = 0
        """Longest length prefix of a piece message; 0 while no block can have been requested."""
        self.max_frame = 0
        """Longest length prefix of any message."""
        self._refresh()

    def allow_requests_up_to(self, length: int) -> None:
        """Raise `max_request`; it never falls, because requests may be under way."""
        self._check_negotiable(length)
        self.max_request = max(self.max_request, length)

    def expect_blocks_up_to(self, length: int) -> None:
        """Raise `max_block`; it never falls, because blocks may be under way."""
        self._check_negotiable(length)
        self.max_block = max(self.max_block, length)
        self._refresh()

    def set_torrent(self, *, piece_count: int, piece_length: int, length: int) -> None:
        """Set the sizes, once; raises LocalProtocolError if they do not agree.

        A torrent of empty files has no piece, and its metadata comes from peers all the same.
        """
        if self.piece_count is not None:
            raise LocalProtocolError("the torrent is already set")
        if piece_length < 1 or length < 0 or piece_count != -(-length // piece_length):
            raise LocalProtocolError(f"{length} bytes are not {piece_count} of {piece_length}")
        self.piece_count = piece_count
        self.piece_length = piece_length
        self.last_piece = piece_count - 1
        self._last_length = length - self.last_piece * piece_length
        self._refresh()

    def check_frame(self, message_id: int, length: int, *, fast: bool) -> None:
        """Check a message by its length prefix and id, before its body arrives.

        Raises RemoteProtocolError.
        """
        if message_id in m.FAST_MESSAGES and not fast:
            raise RemoteProtocolError(f"message {message_id} without the Fast extension")
        fixed = m.FIXED_LENGTHS.get(message_id)
        if fixed is not None:
            wrong = length != fixed
        elif message_id == MessageId.PIECE:
            if self.piece_count is None:
                raise RemoteProtocolError("a block that was never requested")
            wrong = not m.PIECE_HEADER_LENGTH < length <= self.max_piece_frame
        elif message_id == MessageId.BITFIELD:
            limit = 1 + self._bitfield_limit()
            wrong = length > limit if self.piece_count is None else length != limit
        elif message_id == MessageId.HASHES:
            shortest = 1 + m.HASHES.size
            wrong = not shortest < length <= shortest + _MAX_HASHES_BYTES
        elif message_id == MessageId.EXTENDED:
            wrong = not 2 <= length <= 2 + m.MAX_EXTENDED_LENGTH
        else:
            wrong = length > 1 + m.MAX_UNKNOWN_LENGTH
        if wrong:
            raise RemoteProtocolError(f"message {message_id} cannot have {length} bytes")

    def has_piece(self, piece: int) -> bool:
        """Whether the torrent, whose size is known, has this piece; `piece` is not negative."""
        return piece <= self.last_piece

    def check_index(self, piece: int) -> None:
        """Raise RemoteProtocolError for a piece beyond the last, if the size is known."""
        if self.piece_count is not None and piece >= self.piece_count:
            raise RemoteProtocolError(f"piece index {piece} of {self.piece_count} pieces")

    def check_range(self, piece: PieceIndex, begin: int, length: int) -> None:
        """Raise RemoteProtocolError for a range that is not inside a piece of the torrent."""
        fault = self.range_fault(piece, begin, length)
        if fault is not None:
            raise RemoteProtocolError(fault)

    def range_fault(self, piece: PieceIndex, begin: int, length: int) -> str | None:
        """Return what is wrong with a range of a known torrent, or None; no number is negative."""
        if piece < self.last_piece:
            size = self.piece_length
        elif piece == self.last_piece:
            size = self._last_length
        else:
            return f"piece index {piece} of {self.piece_count} pieces"
        if begin + length > size:
            return f"bytes {begin} to {begin + length} of piece {piece}, which has {size}"
        return None

    @staticmethod
    def _check_negotiable(length: int) -> None:
        if not 1 <= length <= m.MAX_NEGOTIATED_BLOCK:
            raise LocalProtocolError(f"blocks of {length} bytes cannot be agreed on")

    def _bitfield_limit(self) -> int:
        count = m.MAX_UNKNOWN_PIECES if self.piece_count is None else self.piece_count
        return (count + 7) // 8

    def _refresh(self) -> None:
        longest_piece = m.PIECE_HEADER_LENGTH + self.max_block
        self.max_piece_frame = 0 if self.piece_count is None else longest_piece
        self.max_frame = max(
            longest_piece,
            2 + m.MAX_EXTENDED_LENGTH,
            1 + m.HASHES.size + _MAX_HASHES_BYTES,
            1 + m.MAX_UNKNOWN_LENGTH,
            1 + self._bitfield_limit(),
        )
