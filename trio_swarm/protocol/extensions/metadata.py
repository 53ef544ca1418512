"""Fetching the info dictionary from peers: the ut_metadata messages (BEP 9)."""

from typing import Protocol

from msgspec import Struct

from trio_swarm.errors import BencodeError, RemoteProtocolError
from trio_swarm.protocol import bencode

UT_METADATA = "ut_metadata"
"""The extension's name in the handshake's "m" (BEP 9, "extension header")."""

METADATA_PIECE = 16 * 1024
"""Bytes of every metadata piece but the last (BEP 9, "metadata")."""

MAX_METADATA_SIZE = 16 * 1024 * 1024
"""Largest metadata fetched, bytes: at 20 bytes for each piece hash, 838,860 pieces, which is 13 TiB
in pieces of 16 MiB. Until all of it has arrived and its hash is checked, the size is only claimed
by a stranger, so memory must suffice for a few such claims."""

_MAX_DICTIONARY = 4096
"""Most bytes of bencode before a data message's payload; clients send about 50."""

_REQUEST, _DATA, _REJECT = range(3)


class MetadataRequest(Struct, frozen=True):
    """The peer requests a metadata piece (BEP 9, "request")."""

    piece: int


class MetadataData(Struct, frozen=True):
    """A metadata piece (BEP 9, "data"); `total_size` is that of all metadata in bytes, or None."""

    piece: int
    total_size: int | None
    data: bytes


class MetadataReject(Struct, frozen=True):
    """The peer does not have a metadata piece, or does not send it (BEP 9, "reject")."""

    piece: int


MetadataMessage = MetadataRequest | MetadataData | MetadataReject


class MetadataListener(Protocol):
    """A connection whose peer may ask for metadata and send some."""

    def metadata_told(self, message: MetadataMessage) -> int:
        """Act on a message; returns what it is charged. Raises RemoteProtocolError."""
        ...


def hear_metadata(listener: MetadataListener, payload: bytes) -> int:
    """Act on a message of a peer; returns what it is charged. Raises RemoteProtocolError."""
    message = parse_metadata_message(payload)
    return 1 if message is None else listener.metadata_told(message)


def metadata_piece_count(size: int) -> int:
    """Return the number of pieces of metadata of `size` bytes."""
    return -(-size // METADATA_PIECE)


def metadata_piece_length(size: int, piece: int) -> int:
    """Return the length in bytes of one piece of metadata of `size` bytes."""
    return min(METADATA_PIECE, size - piece * METADATA_PIECE)


def encode_metadata_message(message: MetadataMessage) -> bytes:
    """Return the payload of the extended message (BEP 9, "extension message")."""
    match message:
        case MetadataRequest(piece):
            return bencode.encode({"msg_type": _REQUEST, "piece": piece})
        case MetadataReject(piece):
            return bencode.encode({"msg_type": _REJECT, "piece": piece})
        case MetadataData(piece, total_size, data):
            fields = {"msg_type": _DATA, "piece": piece}
            if total_size is not None:
                fields["total_size"] = total_size
            return bencode.encode(fields) + data


def parse_metadata_message(payload: bytes) -> MetadataMessage | None:
    """Return the message in an extended payload; None for an unknown type.

    Raises RemoteProtocolError for a message that BEP 9 does not allow.
    """
    try:
        fields, end = bencode.decode_prefix(payload[:_MAX_DICTIONARY])
    except BencodeError as error:
        raise RemoteProtocolError(f"ut_metadata message: {error}") from error
    if not isinstance(fields, dict):
        raise RemoteProtocolError("a ut_metadata message that is no dictionary")
    kind = fields.get(b"msg_type")
    piece = fields.get(b"piece")
    if not isinstance(kind, int):
        raise RemoteProtocolError("a ut_metadata message without msg_type")
    if kind not in (_REQUEST, _DATA, _REJECT):
        return None
    if not isinstance(piece, int) or not 0 <= piece < metadata_piece_count(MAX_METADATA_SIZE):
        raise RemoteProtocolError(f"ut_metadata piece {bencode.shown_value(piece)}")
    if kind == _REQUEST:
        return MetadataRequest(piece)
    if kind == _REJECT:
        return MetadataReject(piece)
    total_size = fields.get(b"total_size")
    if total_size is not None and not isinstance(total_size, int):
        raise RemoteProtocolError("a ut_metadata total_size that is no number")
    data = payload[end:]
    if not 1 <= len(data) <= METADATA_PIECE:
        raise RemoteProtocolError(f"a metadata piece of {len(data)} bytes")
    return MetadataData(piece, total_size, data)
