"""UDP tracker datagrams, both ways: BEP 15, BEP 41, and names (ours).

All numbers are big-endian. A request is `connection_id (8), action (4), transaction_id (4), ...`,
an answer is `action (4), transaction_id (4), ...`. Datagrams may be longer than specified (BEP 15,
"Extensions"); what follows the known fields is ignored, except where it is a list.

Names
-----
Any BEP 15 client registers a name: announces carry the path and query of the tracker URL as BEP 41
URLData, and `name=` in that query is the percent-encoded UTF-8 name of what the info-hash holds,
`size=` its length in bytes (`trio_swarm.protocol.trackers.urls`). A name lives for as long as a
live peer of that info-hash announces it. Names are hints, the info-hash is the identity: several
info-hashes may hold one name, and an answer lists them, most seeders first, then oldest.

Name request::

    0       8   connection_id
    8       4   action          0x6e616d65 ("name")
    12      4   transaction_id
    16      2   offset          matches to skip (paging)
    18      2   flags           bit 0: the name is a glob pattern (* ? [abc] [!abc])
                                bit 1: an info-hash follows, whether it holds the name; others 0
    20      2   length          bytes of the name, at most 255
    22      n   name            UTF-8
    22+n    20  info_hash       with bit 1 only
    42+n        options         with bit 1 only: path and query of the tracker URL (BEP 41), if a
                                token is in it

Name answer, never above 1,200 bytes::

    0       4   action          0x6e616d65
    4       4   transaction_id
    8       2   total           matches there are, capped at 65,535
    10      2   count           matches that follow, beginning with number `offset`
    12          per match:
        0   20  info_hash
        20  8   size            bytes, 0: unknown
        28  4   seeders
        32  4   leechers
        36  2   length          bytes of the name
        38  n   name            UTF-8

With bit 1 the answer has one match, if that info-hash holds the name or would as soon as the asker
announces it; else none, and after them why not: length (2 bytes) and UTF-8. The answer to an
announce has no place for that (BEP 15), and a peer whose name finds no room is listed without it.

An unknown name is an answer with no matches. Matches of a glob are sorted by name (code points).
Errors are action 3, as everywhere. A tracker that does not know names answers with an error or not
at all. Every parse function raises RemoteProtocolError and nothing else.
"""

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.foreign_text import printable
from trio_swarm.protocol.addresses import IPV4_SIZE, IPV6_SIZE, unpack_addresses
from trio_swarm.protocol.trackers.announces import (
    NO_MESSAGE,
    AnnounceAnswer,
    AnnounceEvent,
    AnnounceRequest,
    NameMatch,
    ScrapeCounts,
)
from trio_swarm.protocol.trackers.share_names import MAX_NAME_BYTES, check_glob, name_fault

__all__ = [
    "MAX_ANSWER",
    "MAX_SCRAPE",
    "PROTOCOL_ID",
    "Action",
    "AnnounceAnswer",
    "AnnounceEvent",
    "AnnounceRequest",
    "NameClaim",
    "NameMatch",
    "NamePage",
    "NameQuery",
    "ScrapeCounts",
    "announce_answer",
    "announce_request",
    "claim_answer",
    "claim_request",
    "connect_answer",
    "connect_request",
    "error_answer",
    "is_bare_refusal",
    "is_claim",
    "name_answer",
    "name_request",
    "parse_announce_answer",
    "parse_answer_header",
    "parse_claim_answer",
    "parse_claim_request",
    "parse_connect_answer",
    "parse_error_answer",
    "parse_name_answer",
    "parse_name_request",
    "parse_options",
    "parse_scrape_answer",
    "parse_scrape_request",
    "scrape_answer",
    "scrape_request",
]

PROTOCOL_ID: Final = 0x41727101980
"""Opens a connect request (BEP 15, "Connect")."""

MAX_ANSWER: Final = 1200
"""Bytes of a datagram we answer with: fits the least MTU of IPv6 (1,280) with its headers."""

MAX_SCRAPE: Final = 74
"""Info-hashes in one scrape (BEP 15, "Scrape")."""

MAX_OPTIONS: Final = 64
"""BEP 41 options read of an announce: a URL as long as we accept fits nine."""

MAX_ERROR_TEXT: Final = 200
"""Bytes of an error message sent, and characters of one believed."""


class Action(IntEnum):
    """What a datagram asks or answers: its field of that name."""

    CONNECT = 0
    ANNOUNCE = 1
    SCRAPE = 2
    ERROR = 3
    NAME = 0x6E616D65


class NameQuery(NamedTuple):
    """A name request: skip `offset` matches of `pattern`, which is a plain name or a glob."""

    transaction_id: int
    offset: int
    is_glob: bool
    pattern: str


class NameClaim(NamedTuple):
    """A question whether `info_hash` holds `name`, or may."""

    transaction_id: int
    name: str
    info_hash: bytes
    options: bytes = b""
    """What follows (BEP 41), for `parse_options`."""


class NamePage(NamedTuple):
    """A name answer: `listed` of `total`, of which `matches` make sense."""

    total: int
    matches: tuple[NameMatch, ...]
    listed: int


_CONNECT_REQUEST: Final = struct.Struct(">QII")
_CONNECT_ANSWER: Final = struct.Struct(">II8s")
_REQUEST_HEADER: Final = struct.Struct(">8sII")
_ANSWER_HEADER: Final = struct.Struct(">II")
_ANNOUNCE_REQUEST: Final = struct.Struct(">8sII20s20sQQQIIIiH")
_ANNOUNCE_ANSWER: Final = struct.Struct(">IIIII")
_pack_answer: Final = _ANNOUNCE_ANSWER.pack
_SCRAPE_COUNTS: Final = struct.Struct(">III")
_NAME_REQUEST: Final = struct.Struct(">8sIIHHH")
_NAME_ANSWER: Final = struct.Struct(">IIHH")
_NAME_MATCH: Final = struct.Struct(">20sQIIH")

ANNOUNCE_SIZE: Final = _ANNOUNCE_REQUEST.size
"""Bytes of an announce request without options; `trio_swarm.tracker.udp.requests` reads them."""
MAX_PEERS: Final = (MAX_ANSWER - _ANNOUNCE_ANSWER.size) // 6
"""IPv4 peers that fit MAX_ANSWER: 196, of 6 bytes each (BEP 23)."""
MAX_PEERS6: Final = (MAX_ANSWER - _ANNOUNCE_ANSWER.size) // 18
"""IPv6 peers that fit MAX_ANSWER: 65, of 18 bytes each (BEP 7)."""

_GLOB_FLAG = 1
_CLAIM_FLAG = 2
_REASON_LENGTH: Final = struct.Struct(">H")
_U32 = 2**32 - 1
_U16 = 2**16 - 1
_U64 = 2**64 - 1
_END_OF_OPTIONS, _NOP, _URL_DATA = 0, 1, 2


# Requests


def connect_request(transaction_id: int) -> bytes:
    """Return a connect request (16 bytes)."""
    return _CONNECT_REQUEST.pack(PROTOCOL_ID, Action.CONNECT, transaction_id)


def announce_request(
    connection_id: bytes, transaction_id: int, request: AnnounceRequest, url_data: bytes = b""
) -> bytes:
    """Return an announce request; `url_data` follows as BEP 41 options, if there is any."""
    packet = _ANNOUNCE_REQUEST.pack(
        connection_id,
        Action.ANNOUNCE,
        transaction_id,
        request.info_hash,
        request.peer_id,
        min(request.downloaded, _U64),
        min(request.left, _U64),
        min(request.uploaded, _U64),
        request.event,
        0,
        request.key & _U32,
        request.num_want,
        request.port,
    )
    return packet + _options(url_data)


def _options(url_data: bytes) -> bytes:
    """Return URLData as BEP 41 options; b"" if there is none."""
    chunks = (url_data[at : at + 255] for at in range(0, len(url_data), 255))
    return b"".join(bytes((_URL_DATA, len(chunk))) + chunk for chunk in chunks)


def scrape_request(
    connection_id: bytes, transaction_id: int, info_hashes: Sequence[bytes]
) -> bytes:
    """Return a scrape request for at most MAX_SCRAPE info-hashes."""
    header = _REQUEST_HEADER.pack(connection_id, Action.SCRAPE, transaction_id)
    return header + b"".join(info_hashes)


def name_request(
    connection_id: bytes, transaction_id: int, pattern: str, *, offset: int = 0, is_glob: bool
) -> bytes:
    """Return a name request; `pattern` is at most MAX_NAME_BYTES of UTF-8."""
    text = pattern.encode()
    flags = _GLOB_FLAG if is_glob else 0
    return (
        _NAME_REQUEST.pack(connection_id, Action.NAME, transaction_id, offset, flags, len(text))
        + text
    )


def claim_request(
    connection_id: bytes, transaction_id: int, name: str, info_hash: bytes, url_data: bytes = b""
) -> bytes:
    """Return a request whether `info_hash` holds `name`, or may.

    `url_data` follows as BEP 41 options, if there is any: it may hold a token.
    """
    text = name.encode()
    head = _NAME_REQUEST.pack(connection_id, Action.NAME, transaction_id, 0, _CLAIM_FLAG, len(text))
    return head + text + info_hash + _options(url_data)


def parse_options(options: bytes) -> bytes:
    """Return the URLData among what follows an announce request, concatenated (BEP 41)."""
    chunks: list[bytes] = []
    at, end = 0, len(options)
    for _ in range(MAX_OPTIONS):
        if at == end:
            break
        kind = options[at]
        at += 1
        if kind == _END_OF_OPTIONS:
            break
        if kind == _NOP:
            continue
        if at == end or at + 1 + options[at] > end:
            raise RemoteProtocolError("a BEP 41 option is longer than its datagram")
        length = options[at]
        if kind == _URL_DATA:
            chunks.append(options[at + 1 : at + 1 + length])
        at += 1 + length
    else:
        if at < end:
            raise RemoteProtocolError(f"more than {MAX_OPTIONS} BEP 41 options")
    return b"".join(chunks)


def parse_scrape_request(data: bytes) -> list[bytes]:
    """Return the info-hashes of a scrape request."""
    hashes, rest = divmod(len(data) - _REQUEST_HEADER.size, 20)
    if rest or not 0 < hashes <= MAX_SCRAPE:
        raise RemoteProtocolError(f"a scrape is of 1 to {MAX_SCRAPE} info-hashes of 20 bytes")
    return [data[at : at + 20] for at in range(_REQUEST_HEADER.size, len(data), 20)]


def parse_name_request(data: bytes) -> NameQuery:
    """Return the name or pattern that a name request asks for."""
    if len(data) < _NAME_REQUEST.size:
        raise RemoteProtocolError("name request too short")
    _, _, transaction_id, offset, flags, length = _NAME_REQUEST.unpack_from(data)
    text = data[_NAME_REQUEST.size : _NAME_REQUEST.size + length]
    if not 0 < length <= MAX_NAME_BYTES or len(text) != length:
        raise RemoteProtocolError(f"a name asked for is 1 to {MAX_NAME_BYTES} bytes")
    if flags & ~_GLOB_FLAG:
        raise RemoteProtocolError("unknown flags in a name request")
    pattern, is_glob = _decode_name(text), bool(flags & _GLOB_FLAG)
    if is_glob:
        check_glob(pattern)
    return NameQuery(transaction_id, offset, is_glob, pattern)


def is_claim(data: bytes) -> bool:
    """Whether a name request is about one info-hash: `parse_claim_request` reads it then."""
    return len(data) >= _NAME_REQUEST.size and _NAME_REQUEST.unpack_from(data)[4] == _CLAIM_FLAG


def parse_claim_request(data: bytes) -> NameClaim:
    """Return the claim of a name request with an info-hash."""
    _, _, transaction_id, _, _, length = _NAME_REQUEST.unpack_from(data)
    text = data[_NAME_REQUEST.size : _NAME_REQUEST.size + length]
    after = _NAME_REQUEST.size + length
    info_hash, options = data[after : after + 20], data[after + 20 :]
    if not 0 < length <= MAX_NAME_BYTES or len(info_hash) != 20:
        raise RemoteProtocolError(f"a claim is a name of 1 to {MAX_NAME_BYTES} bytes and 20 more")
    return NameClaim(transaction_id, _decode_name(text), info_hash, options)


def _decode_name(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError("the name is not UTF-8") from None


# Answers


def connect_answer(transaction_id: int, connection_id: bytes) -> bytes:
    """Return a connect answer (16 bytes)."""
    return _CONNECT_ANSWER.pack(Action.CONNECT, transaction_id, connection_id)


def announce_answer(
    transaction_id: int, interval: int, seeders: int, leechers: int, peers: bytes | bytearray
) -> bytes:
    """Return an announce answer; `peers` is compact already, `interval` whole seconds."""
    head: bytes = _pack_answer(1, transaction_id, interval, leechers, seeders)
    return head + peers


def scrape_answer(transaction_id: int, counts: Iterable[ScrapeCounts]) -> bytes:
    """Return a scrape answer; `counts` in the order of the request."""
    return _ANSWER_HEADER.pack(Action.SCRAPE, transaction_id) + b"".join(
        _SCRAPE_COUNTS.pack(count.seeders, min(count.completed, _U32), count.leechers)
        for count in counts
    )


def name_answer(transaction_id: int, total: int, matches: Iterable[NameMatch]) -> bytes:
    """Return a name answer of as many of `matches`, in order, as fit MAX_ANSWER bytes."""
    packed: list[bytes] = []
    room = MAX_ANSWER - _NAME_ANSWER.size
    for match in matches:
        text = match.name.encode()
        room -= _NAME_MATCH.size + len(text)
        if room < 0:
            break
        packed.append(
            _NAME_MATCH.pack(match.info_hash, match.size, match.seeders, match.leechers, len(text))
            + text
        )
    header = _NAME_ANSWER.pack(Action.NAME, transaction_id, min(total, _U16), len(packed))
    return header + b"".join(packed)


def claim_answer(transaction_id: int, match: NameMatch | None, reason: str) -> bytes:
    """Return an answer to a claim: the match, or why there is none."""
    if match is not None:
        return name_answer(transaction_id, 1, [match])
    text = reason.encode("utf-8", "replace")[:MAX_ERROR_TEXT]
    return name_answer(transaction_id, 0, ()) + _REASON_LENGTH.pack(len(text)) + text


def error_answer(transaction_id: int, message: str) -> bytes:
    """Return an error answer with `message` for a person (BEP 15, "Errors")."""
    text = message.encode("utf-8", "replace")[:MAX_ERROR_TEXT]
    return _ANSWER_HEADER.pack(Action.ERROR, transaction_id) + text


def parse_answer_header(data: bytes) -> tuple[int, int]:
    """Return (action, transaction id) of an answer."""
    if len(data) < _ANSWER_HEADER.size:
        raise RemoteProtocolError("tracker answer too short")
    action, transaction_id = _ANSWER_HEADER.unpack_from(data)
    return action, transaction_id


def is_bare_refusal(data: bytes) -> bool:
    """Whether an answer is 8 bytes of action 1: opentracker's refusal of an unlisted info-hash."""
    return len(data) == _ANSWER_HEADER.size and parse_answer_header(data)[0] == Action.ANNOUNCE


def parse_connect_answer(data: bytes) -> bytes:
    """Return the connection id (8 bytes) of a connect answer."""
    if len(data) < _CONNECT_ANSWER.size:
        raise RemoteProtocolError("connect answer too short")
    return bytes(_CONNECT_ANSWER.unpack_from(data)[2])


def parse_announce_answer(data: bytes, *, ipv6: bool) -> AnnounceAnswer:
    """Return what an announce answer says; `ipv6`: it came over IPv6 (BEP 15, "IPv6").

    Bytes behind the last whole address are ignored, as libtorrent does.
    """
    if len(data) < _ANNOUNCE_ANSWER.size:
        raise RemoteProtocolError("announce answer too short")
    _, _, interval, leechers, seeders = _ANNOUNCE_ANSWER.unpack_from(data)
    whole = len(data) - (len(data) - _ANNOUNCE_ANSWER.size) % (IPV6_SIZE if ipv6 else IPV4_SIZE)
    peers = unpack_addresses(data[_ANNOUNCE_ANSWER.size : whole], ipv6=ipv6)
    return AnnounceAnswer(
        interval=float(interval),
        seeders=seeders,
        leechers=leechers,
        # Port 0 is nowhere; some trackers hand such peers out.
        peers=tuple(address for address in peers if address[1]),
    )


def parse_scrape_answer(data: bytes, count: int) -> list[ScrapeCounts]:
    """Return the counts of the `count` swarms asked for, in order, as far as the answer goes."""
    whole = (len(data) - _ANSWER_HEADER.size) // _SCRAPE_COUNTS.size
    if whole < min(count, 1):
        raise RemoteProtocolError("scrape answer too short")
    return [
        ScrapeCounts(seeders=seeders, completed=completed, leechers=leechers)
        for seeders, completed, leechers in (
            _SCRAPE_COUNTS.unpack_from(data, _ANSWER_HEADER.size + at * _SCRAPE_COUNTS.size)
            for at in range(min(count, whole))
        )
    ]


def parse_name_answer(data: bytes) -> NamePage:
    """Return the matches of a name answer, without those whose name cannot be registered.

    An answer that ends inside a match is read up to there.
    """
    if len(data) < _NAME_ANSWER.size:
        raise RemoteProtocolError("name answer too short")
    _, _, total, count = _NAME_ANSWER.unpack_from(data)
    matches: list[NameMatch] = []
    at = _NAME_ANSWER.size
    for listed in range(count):
        if len(data) - at < _NAME_MATCH.size:
            return NamePage(total, tuple(matches), listed)
        info_hash, size, seeders, leechers, length = _NAME_MATCH.unpack_from(data, at)
        at += _NAME_MATCH.size
        text = data[at : at + length]
        at += length
        if len(text) != length:
            return NamePage(total, tuple(matches), listed)
        name = text.decode(errors="surrogateescape")  # surrogates are no name
        if name_fault(name, max_bytes=MAX_ANSWER) is None:
            matches.append(NameMatch(info_hash, size, seeders, leechers, name))
    return NamePage(total, tuple(matches), count)


def parse_claim_answer(data: bytes) -> str | None:
    """Return why an info-hash does not hold a name, fit to show; None if it does, or may."""
    if parse_name_answer(data).matches:
        return None
    at = _NAME_ANSWER.size
    if len(data) < at + _REASON_LENGTH.size:
        return None  # as a tracker answers that only knows that nobody holds it
    (length,) = _REASON_LENGTH.unpack_from(data, at)
    return printable(data[at + _REASON_LENGTH.size :][:length], MAX_ERROR_TEXT) or None


def parse_error_answer(data: bytes) -> str:
    """Return the message of an error answer, fit to show."""
    return printable(data[_ANSWER_HEADER.size :], MAX_ERROR_TEXT) or NO_MESSAGE
