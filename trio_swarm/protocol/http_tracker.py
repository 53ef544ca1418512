"""HTTP tracker requests and answers, as URLs and bytes: BEP 3, 7, 23, 48.

Parse functions raise RemoteProtocolError for bytes that are no answer, and TrackerRefusedError for
a `failure reason`.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit, urlunsplit

from trio_swarm.errors import (
    BencodeError,
    ConfigError,
    RemoteProtocolError,
    TrackerRefusedError,
)
from trio_swarm.protocol.addresses import Address, unpack_addresses
from trio_swarm.protocol.announces import (
    AnnounceAnswer,
    AnnounceEvent,
    AnnounceRequest,
    ScrapeCounts,
)
from trio_swarm.protocol.bencode import Value, decode

MAX_BODY = 2**20
"""Bytes of an answer: thousands of peers, or the scrape of thousands of swarms."""

MAX_PEERS = 2000
"""Peers believed of one answer; more than anyone connects to."""

MAX_SCRAPE = 50
"""Info-hashes in one URL: 60 characters each, and servers take about 8,000."""

MAX_MESSAGE = 200
"""Characters of a message shown."""

_DEFAULT_INTERVAL = 1800
# An IP address or a DNS name (BEP 3, "trackers": peers' `ip`).
_HOST = re.compile(r"[0-9A-Za-z_.:-]{1,253}")


def announce_url(url: str, request: AnnounceRequest) -> str:
    """Return what to GET to announce at the tracker `url` (BEP 3, "trackers")."""
    fields = [
        f"info_hash={quote(request.info_hash, safe='')}",
        f"peer_id={quote(request.peer_id, safe='')}",
        f"port={request.port}",
        f"uploaded={request.uploaded}",
        f"downloaded={request.downloaded}",
        f"left={request.left}",
        "compact=1",
        "no_peer_id=1",
        f"key={request.key & 0xFFFFFFFF:08X}",
    ]
    if request.num_want >= 0:
        fields.append(f"numwant={request.num_want}")
    if request.event is not AnnounceEvent.NONE:
        fields.append(f"event={request.event.name.lower()}")
    return _with_query(url, fields)


def scrape_url(url: str, info_hashes: Sequence[bytes]) -> str:
    """Return what to GET for counts; ConfigError if the tracker has no scrape URL (BEP 48)."""
    scheme, netloc, path, query, _ = urlsplit(url)
    head, slash, last = path.rpartition("/")
    if not last.startswith("announce"):
        raise ConfigError(f"not a tracker that can be scraped: {url!r} (BEP 48 wants /announce)")
    path = f"{head}{slash}scrape{last.removeprefix('announce')}"
    return _with_query(
        urlunsplit((scheme, netloc, path, query, "")),
        [f"info_hash={quote(info_hash, safe='')}" for info_hash in info_hashes],
    )


def parse_announce_answer(body: bytes, *, tracker: str) -> AnnounceAnswer:
    """Return what the tracker answered; peers of any form are understood, bad ones left out."""
    answer = _parse_dictionary(body, tracker)
    peers: list[Address] = []
    match answer.get(b"peers"):
        case bytes(packed):
            peers += unpack_addresses(packed[: 6 * MAX_PEERS], ipv6=False)
        case list(items):
            peers += (peer for item in items[:MAX_PEERS] if (peer := _parse_peer(item)))
        case None:
            pass
        case _:
            raise RemoteProtocolError("the peers of a tracker's answer are neither text nor list")
    match answer.get(b"peers6"):
        case bytes(packed):
            peers += unpack_addresses(packed[: 18 * MAX_PEERS], ipv6=True)
    warning = answer.get(b"warning message")
    return AnnounceAnswer(
        interval=float(_count(answer, b"interval", _DEFAULT_INTERVAL)),
        min_interval=float(_count(answer, b"min interval")),
        seeders=_count(answer, b"complete"),
        leechers=_count(answer, b"incomplete"),
        peers=tuple(peer for peer in dict.fromkeys(peers) if peer[1]),
        warning=_message(warning) if isinstance(warning, bytes) else None,
    )


def parse_scrape_answer(body: bytes, *, tracker: str) -> dict[bytes, ScrapeCounts]:
    """Return the counts by info-hash; swarms the tracker does not know are missing (BEP 48)."""
    files = _parse_dictionary(body, tracker).get(b"files")
    if not isinstance(files, dict):
        raise RemoteProtocolError("a scrape answer without files")
    return {
        info_hash: ScrapeCounts(
            seeders=_count(counts, b"complete"),
            completed=_count(counts, b"downloaded"),
            leechers=_count(counts, b"incomplete"),
        )
        for info_hash, counts in files.items()
        if len(info_hash) == 20 and isinstance(counts, dict)
    }


def failure_reason(body: bytes) -> str | None:
    """Return the `failure reason` in `body`, None if it holds none (or is not an answer at all)."""
    try:
        answer = decode(body)
    except BencodeError:
        return None
    reason = answer.get(b"failure reason") if isinstance(answer, dict) else None
    return _message(reason) if isinstance(reason, bytes) else None


def _parse_dictionary(body: bytes, tracker: str) -> dict[bytes, Value]:
    if len(body) > MAX_BODY:
        raise RemoteProtocolError(f"a tracker's answer of more than {MAX_BODY} bytes")
    try:
        answer = decode(body)
    except BencodeError as error:
        raise RemoteProtocolError(f"not a tracker's answer: {error}") from error
    if not isinstance(answer, dict):
        raise RemoteProtocolError("not a tracker's answer: no dictionary")
    if (reason := failure_reason(body)) is not None:
        raise TrackerRefusedError(reason, tracker=tracker)
    return answer


def _parse_peer(item: Value) -> Address | None:
    if not isinstance(item, dict):
        return None
    match item.get(b"ip"), item.get(b"port"):
        case bytes(host), int(port) if 0 < port < 65536:
            text = host.decode("ascii", "replace")
            return (text, port) if _HOST.fullmatch(text) else None
    return None


def _count(answer: dict[bytes, Value], key: bytes, default: int = 0) -> int:
    value = answer.get(key)
    # A float is made of it, and no clock or swarm is larger.
    return min(max(value, 0), 2**53) if isinstance(value, int) else default


def _message(text: bytes) -> str:
    shown = "".join(
        character
        for character in text[: 4 * MAX_MESSAGE].decode("utf-8", "replace")
        if character.isprintable()
    )
    return shown[:MAX_MESSAGE].strip() or "error without a message"


def _with_query(url: str, fields: list[str]) -> str:
    scheme, netloc, path, query, _ = urlsplit(url)
    return urlunsplit((scheme, netloc, path, "&".join([*filter(None, [query]), *fields]), ""))
