"""The messages of the peer wire as values, their ids and their limits (BEP 3, 5, 6, 10, 52).

Each message of a peer becomes one of the event classes below. They are msgspec structs, which are
the fastest to make: one is made for every block.
"""

import struct
from enum import IntEnum

from msgspec import Struct

from trio_swarm.identities import InfoHash, PeerId, PieceIndex
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.wire.block_place import BlockPlace

PROTOCOL_PREFIX = b"\x13BitTorrent protocol"
"""Length byte and protocol name at the start of the handshake (BEP 3, "peer protocol")."""

HANDSHAKE_LENGTH = 68
"""Prefix 20, reserved 8, info-hash 20, peer id 20 bytes."""

INFO_HASH_LENGTH = 20
PEER_ID_LENGTH = 20

BLOCK_LENGTH = 16 * 1024
"""The block length that every client requests and grants (BEP 3, "request")."""

MAX_REQUEST = 128 * 1024
"""Longest request granted to a stranger: the longest that any client in use has ever requested."""

MAX_NEGOTIATED_BLOCK = 1024 * 1024
"""Longest block that two peers may agree on: at this length the time for each block no longer
matters, and the receive buffer of a connection stays near 1 MiB."""

MAX_EXTENDED_LENGTH = 128 * 1024
"""Longest extended payload: the longest in use, a metadata piece, is 16 KiB and a dictionary."""

MAX_UNKNOWN_LENGTH = 128 * 1024
"""Longest message of an unknown kind that is skipped and not refused: half of the receive buffer,
so that a stranger cannot make it grow."""

MAX_UNKNOWN_PIECES = 1024 * 1024
"""Most piece indexes and bitfield bits before the torrent's size is known. Metadata of 16 MiB, the
most we fetch, has 838,860 piece hashes; a bitfield of this length has 128 KiB."""


MAX_HASHES = 512
"""Most hashes of a merkle tree that are asked for at once (BEP 52, "hash request")."""

MAX_PROOF = 64
"""Most hashes of a proof: the height of a tree over more bytes than any file can have."""


class MessageId(IntEnum):
    """The message id: the byte after the length prefix."""

    CHOKE = 0
    UNCHOKE = 1
    INTERESTED = 2
    NOT_INTERESTED = 3
    HAVE = 4
    BITFIELD = 5
    REQUEST = 6
    PIECE = 7
    CANCEL = 8
    PORT = 9
    SUGGEST = 0x0D
    HAVE_ALL = 0x0E
    HAVE_NONE = 0x0F
    REJECT = 0x10
    ALLOWED_FAST = 0x11
    EXTENDED = 20
    HASH_REQUEST = 21
    HASHES = 22
    HASH_REJECT = 23


FAST_MESSAGES: frozenset[int] = frozenset(
    {
        MessageId.SUGGEST,
        MessageId.HAVE_ALL,
        MessageId.HAVE_NONE,
        MessageId.REJECT,
        MessageId.ALLOWED_FAST,
    }
)
"""Messages of the Fast Extension, allowed only if both ends set its bit (BEP 6)."""

FIXED_LENGTHS: dict[int, int] = {
    MessageId.CHOKE: 1,
    MessageId.UNCHOKE: 1,
    MessageId.INTERESTED: 1,
    MessageId.NOT_INTERESTED: 1,
    MessageId.HAVE: 5,
    MessageId.REQUEST: 13,
    MessageId.CANCEL: 13,
    MessageId.PORT: 3,
    MessageId.SUGGEST: 5,
    MessageId.HAVE_ALL: 1,
    MessageId.HAVE_NONE: 1,
    MessageId.REJECT: 13,
    MessageId.ALLOWED_FAST: 5,
    MessageId.HASH_REQUEST: 49,
    MessageId.HASH_REJECT: 49,
}
"""The length prefix, id byte included, of messages that have only one length."""

PIECE_HEADER_LENGTH = 9
"""Bytes of a piece message before its data, without the length prefix."""

LENGTH_PREFIX = struct.Struct(">I")
BARE_FRAME = struct.Struct(">IB")
INDEX_FRAME = struct.Struct(">IBI")
RANGE_FRAME = struct.Struct(">IBIII")
PIECE_FRAME = struct.Struct(">IBII")
EXTENDED_FRAME = struct.Struct(">IBB")
RANGE = struct.Struct(">III")
INDEX = struct.Struct(">I")
PORT = struct.Struct(">H")
HASHES = struct.Struct(">32sIIII")
"""Root, base layer, index, number of hashes, proof layers: what all three messages of hashes begin
with (BEP 52, "hash request")."""
HASH_LENGTH = 32
"""Bytes of a hash of a merkle tree."""

KEEP_ALIVE_FRAME = bytes(4)


class HandshakeReceived(Struct):
    """The peer's handshake; `reserved` is its 8 bytes of capabilities."""

    info_hash: InfoHash
    peer_id: PeerId
    reserved: bytes


class Choked(Struct):
    """The peer chokes us. Without the Fast Extension it drops our requests."""


class Unchoked(Struct):
    """The peer has unchoked us: it answers requests from now on."""


class Interested(Struct):
    """The peer is interested in our pieces."""


class NotInterested(Struct):
    """The peer is not interested in our pieces."""


class HasPiece(Struct):
    """The peer has one more piece (HAVE)."""

    piece: int


class HasPieces(Struct):
    """The pieces the peer has (bitfield); replaces everything known before."""

    pieces: PieceSet


class HasAll(HasPieces):
    """The peer has every piece (BEP 6, "Have All")."""


class HasNone(HasPieces):
    """The peer has no piece (BEP 6, "Have None")."""


class RequestReceived(Struct, frozen=True):
    """The peer requests these bytes; they are inside the piece and within the length limit.

    A request may arrive while we choke the peer: answer with a reject (Fast Extension) or not at
    all.
    """

    piece: PieceIndex
    begin: int
    length: int


class BlockReceived(Struct):
    """A block of a piece, or several adjacent ones that arrived together, inside the piece.

    The wire does not know whether they were requested.

    `data` points into the receive buffer: it is valid until the next `receive_buffers()`,
    `received()` or `receive()` of the same wire. Or it is all of `place`, the memory that was lent
    for this block.
    """

    piece: PieceIndex
    begin: int
    data: memoryview
    place: BlockPlace | None = None
    following: list[memoryview] | None = None
    """The `data` of each block after it that arrived at the same time."""


class CancelReceived(Struct, frozen=True):
    """The peer cancels its request for these bytes."""

    piece: PieceIndex
    begin: int
    length: int


class RejectReceived(Struct, frozen=True):
    """The peer rejects our request for these bytes (BEP 6, "Reject Request")."""

    piece: PieceIndex
    begin: int
    length: int


class Suggested(Struct):
    """The peer suggests that we fetch this piece (BEP 6, "Suggest Piece")."""

    piece: int


class AllowedFast(Struct):
    """The peer serves this piece to us even while it chokes us (BEP 6, "Allowed Fast").

    It says nothing about whether the peer has the piece.
    """

    piece: int


class PortReceived(Struct):
    """The UDP port of the peer's DHT node (BEP 5, "BitTorrent Protocol Extension")."""

    port: int


class ExtendedReceived(Struct):
    """An extended message; id 0 is the extension handshake, others are our numbers (BEP 10)."""

    message_id: int
    payload: bytes


class HashRange(Struct, frozen=True):
    """Hashes of the merkle tree of a file (BEP 52, "hash request").

    `root` names the file (32 bytes). `base` is the height of the layer (0: leaves) that has the
    `length` hashes from `index`; `proof` is the number of layers above it to prove them by.
    """

    root: bytes
    base: int
    index: int
    length: int
    proof: int


class HashesRequested(Struct, frozen=True):
    """The peer asks for hashes; it is to be answered by them, or by a reject."""

    range: HashRange


class HashesReceived(Struct, frozen=True):
    """The peer sends hashes, and what proves them: 32 bytes each, joined."""

    range: HashRange
    hashes: bytes


class HashesRejected(Struct, frozen=True):
    """The peer does not send these hashes."""

    range: HashRange


class KeptAlive(Struct):
    """A keep-alive: the peer shows that it is still there."""


WireEvent = (
    HandshakeReceived
    | Choked
    | Unchoked
    | Interested
    | NotInterested
    | HasPiece
    | HasPieces
    | RequestReceived
    | BlockReceived
    | CancelReceived
    | RejectReceived
    | Suggested
    | AllowedFast
    | PortReceived
    | ExtendedReceived
    | HashesRequested
    | HashesReceived
    | HashesRejected
    | KeptAlive
)


class FileBlock(Struct, frozen=True):
    """Payload that is sent straight from the file, at its place between outgoing bytes."""

    piece: PieceIndex
    begin: int
    length: int


Segment = bytes | FileBlock
"""A part of the outgoing data: bytes, or a range of a piece in a file."""
