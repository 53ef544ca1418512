"""Answers of an HTTP tracker as bytes: BEP 3, 7, 23, 24, 48, and RFC 9112 around them. Pure.

Dictionaries are written by hand, their keys in order: to encode them is half the time of an answer.
"""

import socket
from collections.abc import Iterable, Sequence
from typing import Final

from trio_swarm.protocol.bencode import encode
from trio_swarm.protocol.trackers.announces import ScrapeCounts
from trio_swarm.tracker.http.heads import BadRequestError, RequestHead

MAX_REASON: Final = 200
"""Bytes of a reason given."""

TEXT: Final = b"text/plain"
"""As opentracker says, and clients do not mind."""

_KEPT: Final = b""
"""HTTP/1.1 connections are kept unless somebody says otherwise (RFC 9112, 9.3)."""
_CLOSED: Final = b"Connection: close\r\n"
_KEPT_OLD: Final = b"Connection: keep-alive\r\n"
_CONTROLS: Final = bytes(range(32)) + b"\x7f"


def announce_body(  # noqa: PLR0917  the hottest path: keywords take longer
    interval: int,
    seeders: int,
    leechers: int,
    host: bytes,
    peers: bytes | bytearray,
    packed: bool,  # noqa: FBT001  the same
) -> bytes:
    """Return what an announce is answered; `host` is the asker's packed IP address (BEP 24).

    `interval` in whole seconds; no `min interval`, for aria2 takes the smaller one. `peers` is
    compact, of the asker's family. Without `packed`, it is a list of addresses and ports.
    """
    if not packed:
        found = _peer_list(peers, ipv6=len(host) == 16)
    elif len(host) == 4:
        found = b"5:peers%d:%b" % (len(peers), peers)  # type: ignore[str-format]  # it may be any
    else:
        # Some clients want the key of IPv4 peers always.
        found = b"5:peers0:6:peers6%d:%b" % (len(peers), peers)  # type: ignore[str-format]
    return b"d8:completei%de11:external ip%d:%b10:incompletei%de8:intervali%de%be" % (
        seeders,
        len(host),
        host,
        leechers,
        interval,
        found,
    )


def _peer_list(peers: bytes | bytearray, *, ipv6: bool) -> bytes:
    """Return peers as BEP 3 has them, without the peer ids, which we do not remember."""
    family, stride = (socket.AF_INET6, 18) if ipv6 else (socket.AF_INET, 6)
    listed = [b"5:peersl"]
    for at in range(0, len(peers), stride):
        host = socket.inet_ntop(family, peers[at : at + stride - 2]).encode()
        port = int.from_bytes(peers[at + stride - 2 : at + stride], "big")
        listed.append(b"d2:ip%d:%b4:porti%dee" % (len(host), host, port))
    listed.append(b"e")
    return b"".join(listed)


def scrape_body(info_hashes: Sequence[bytes], counts: Iterable[ScrapeCounts]) -> bytes:
    """Return the counts of swarms, zeros for unknown ones: libtorrent takes a gap for a failure."""
    return encode(
        {
            "files": {
                info_hash: {
                    "complete": count.seeders,
                    "downloaded": count.completed,
                    "incomplete": count.leechers,
                }
                for info_hash, count in zip(info_hashes, counts, strict=True)
            }
        }
    )


def failure_body(reason: str, *, retry_in: int | None = None) -> bytes:
    """Return a refusal (BEP 3); `retry_in` (seconds): the operator may change his mind.

    libtorrent comes back after the `interval` of a refusal, half an hour if there is none; others
    know `retry in`, whole minutes (BEP 31).
    """
    if retry_in is None:
        return encode({"failure reason": _reason(reason)})
    minutes = -(-retry_in // 60)
    return encode({"failure reason": _reason(reason), "interval": retry_in, "retry in": minutes})


def ok_answer(head: RequestHead, body: bytes, *, keeps: bool, kind: bytes = TEXT) -> bytes:
    """Return the whole answer with `body`; `keeps`: whether the connection is kept after it."""
    connection = (_KEPT_OLD if head.is_old else _KEPT) if keeps else _CLOSED
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b" % (
        kind,
        len(body),
        connection,
        body if head.wants_body else b"",
    )


def not_now_answer(head: RequestHead, reason: str, *, retry_after: int, keeps: bool) -> bytes:
    """Return a refusal for the moment; `retry_after` in seconds.

    Clients show the words that follow the status, and come back soon.
    """
    return status_answer(
        head, 503, reason, keeps=keeps, fields=b"Retry-After: %d\r\n" % retry_after
    )


def status_answer(
    head: RequestHead, status: int, reason: str, *, keeps: bool, fields: bytes = b""
) -> bytes:
    """Return an answer with another status than 200; `fields` are further header lines."""
    words = _reason(reason)
    connection = (_KEPT_OLD if head.is_old else _KEPT) if keeps else _CLOSED
    return (
        b"HTTP/1.1 %d %b\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\n%b%b\r\n%b"
        % (
            status,
            words,
            len(words) + 1,
            fields,
            connection,
            words + b"\n" if head.wants_body else b"",
        )
    )


def fault_answer(fault: BadRequestError) -> bytes:
    """Return the answer to a request that cannot be read; the connection ends with it."""
    words = _reason(fault.reason)
    allow = b"Allow: GET, HEAD\r\n" if fault.status == 405 else b""
    return b"HTTP/1.1 %d %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%b%b\r\n%b\n" % (
        fault.status,
        words,
        len(words) + 1,
        allow,
        _CLOSED,
        words,
    )


def _reason(text: str) -> bytes:
    """Return a reason for a status line or a dictionary: one bounded line of UTF-8."""
    words = text.encode("utf-8", "replace").translate(None, _CONTROLS)[:MAX_REASON]
    return words.decode("utf-8", "ignore").encode()
