"""HTTP tracker requests and answers, as URLs and bytes: BEP 3, 7, 23, 31, 48.

Parse functions raise RemoteProtocolError for bytes that are no answer, and TrackerRefusedError for
a `failure reason`.
"""

import math
import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit, urlunsplit

from trio_swarm.errors import (
    BencodeError,
    ConfigError,
    RemoteProtocolError,
    TrackerRefusedError,
)
from trio_swarm.foreign_text import printable
from trio_swarm.protocol.addresses import (
    IPV4_SIZE,
    IPV6_SIZE,
    MAX_HOST_LENGTH,
    Address,
    unpack_addresses,
)
from trio_swarm.protocol.bencode import Value, decode_leniently
from trio_swarm.protocol.trackers.announces import (
    NO_MESSAGE,
    AnnounceAnswer,
    AnnounceEvent,
    AnnounceRequest,
    ScrapeCounts,
)
from trio_swarm.protocol.trackers.url_secrets import without_echo
from trio_swarm.protocol.trackers.urls import DEFAULT_PATH, named_query

MAX_BODY = 2**20
"""Bytes of an answer: thousands of peers, or the scrape of thousands of swarms."""

MAX_PEERS = 2000
"""Peers believed of one answer; more than anyone connects to."""

MAX_SCRAPE = 50
"""Info-hashes in one URL: 60 characters each, and servers take about 8,000."""

MAX_MESSAGE = 200
"""Characters of a message shown."""

MAX_TRACKER_ID = 256
"""Bytes of a `tracker id` that is sent back."""

MAX_DIGITS = 20
"""Digits of a number written as text that are read."""

# An IP address or a DNS name (BEP 3, "trackers": peers' `ip`).
_HOST = re.compile(r"[0-9A-Za-z_.:-]{1,253}")


def announce_url(url: str, request: AnnounceRequest) -> str:
    """Return the URL to GET to announce at the tracker `url` (BEP 3, "trackers").

    `share_name` and `size` become the `name` and `size` of its query, as over UDP.
    """
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
    if request.tracker_id is not None:
        fields.append(f"trackerid={quote(request.tracker_id, safe='')}")
    if request.event is not AnnounceEvent.NONE:
        fields.append(f"event={request.event.name.lower()}")
    base, query = _split(url)
    if request.share_name is not None:
        query = named_query(query, request.share_name, request.size)
    return _with_query(base, query, fields)


def scrape_url(url: str, info_hashes: Sequence[bytes]) -> str:
    """Return the URL to GET for counts; ConfigError if the tracker has no scrape URL (BEP 48)."""
    base, query = _split(url)
    return _with_query(
        _in_place_of_announce(base, "scrape"),
        query,
        [f"info_hash={quote(info_hash, safe='')}" for info_hash in info_hashes],
    )


def names_url(
    url: str,
    pattern: str,
    *,
    offset: int = 0,
    is_glob: bool = False,
    info_hash: bytes | None = None,
) -> str:
    """Return the URL to GET for the torrents that hold a name, or a name that matches a glob.

    `offset` of them are left out. With `info_hash` the question is whether that one holds the name.
    ConfigError if the tracker's URL has no place for it. The answer is that of
    `trio_swarm.protocol.trackers.http_names`.
    """
    base, query = _split(url)
    # The name in a tracker's URL is what is registered, not what is looked for.
    query = "&".join(
        item
        for item in query.split("&")
        if item and item.partition("=")[0] not in {"name", "size", "pattern", "offset"}
    )
    fields = [f"{'pattern' if is_glob else 'name'}={quote(pattern, safe='')}"]
    if offset:
        fields.append(f"offset={offset}")
    if info_hash is not None:
        fields.append(f"info_hash={quote(info_hash, safe='')}")
    return _with_query(_in_place_of_announce(base, "names"), query, fields)


def parse_announce_answer(body: bytes, *, tracker: str) -> AnnounceAnswer:
    """Return what the tracker answered: all of it that makes sense, the rest is left out.

    As libtorrent and aria2 do: peers in any form, the whole ones of a list that ends in the middle
    of one, numbers as texts; what comes behind the answer is ignored.
    """
    answer = _parse_dictionary(body, tracker)
    peers = [*_parse_peers(answer.get(b"peers")), *_unpack_peers(answer.get(b"peers6"), ipv6=True)]
    warning = answer.get(b"warning message")
    tracker_id = answer.get(b"tracker id")
    return AnnounceAnswer(
        interval=float(_count(answer, b"interval")),
        min_interval=float(_count(answer, b"min interval")),
        seeders=_count(answer, b"complete"),
        leechers=_count(answer, b"incomplete"),
        peers=tuple(peer for peer in dict.fromkeys(peers) if peer[1]),
        warning=_message(warning, tracker) if isinstance(warning, bytes) and warning else None,
        # A longer one is not worth a longer URL.
        tracker_id=tracker_id
        if isinstance(tracker_id, bytes) and 0 < len(tracker_id) <= MAX_TRACKER_ID
        else None,
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
        for key, counts in files.items()
        if (info_hash := _info_hash(key)) is not None and isinstance(counts, dict)
    }


def parse_refusal(body: bytes, *, tracker: str) -> TrackerRefusedError | None:
    """Return the refusal that `body` is, None if it is none (or no answer at all).

    `failure reason`, and when to come again: `retry in`, minutes or "never" (BEP 31), else the
    intervals.
    """
    try:
        answer = decode_leniently(body).value
    except BencodeError:
        return None
    reason = answer.get(b"failure reason") if isinstance(answer, dict) else None
    # One that is no text is none to libtorrent 2.1, either.
    if not isinstance(answer, dict) or not isinstance(reason, bytes):
        return None
    said = _message(reason, tracker)
    return TrackerRefusedError(said, tracker=tracker, retry_in=_retry_in(answer))


def is_whole_answer(body: bytes) -> bool:
    """Whether `body` begins with a whole bencoded value: then nothing more need come."""
    try:
        decode_leniently(body)
    except BencodeError:
        return False
    return True


def parse_retry_after(text: str, now: float) -> float | None:
    """Return the seconds that a `Retry-After` header says: seconds, or a date; None for neither.

    `now` is seconds since 1970 (RFC 9110, 10.2.3).
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:MAX_DIGITS])
    # Seldom needed, and they import much.
    from datetime import UTC  # noqa: PLC0415
    from email.utils import parsedate_to_datetime  # noqa: PLC0415

    try:
        date = parsedate_to_datetime(text[:MAX_MESSAGE])
        when = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(0.0, when - now)


def _retry_in(answer: dict[bytes, Value]) -> float | None:
    value = answer.get(b"retry in")
    if isinstance(value, bytes) and value.strip().lower() == b"never":
        return math.inf
    if minutes := _count(answer, b"retry in"):
        return 60.0 * minutes
    seconds = max(_count(answer, b"interval"), _count(answer, b"min interval"))
    return float(seconds) if seconds else None


def _parse_dictionary(body: bytes, tracker: str) -> dict[bytes, Value]:
    if len(body) > MAX_BODY:
        raise RemoteProtocolError(f"a tracker's answer of more than {MAX_BODY} bytes")
    try:
        # A line break behind it is common; nobody hashes it, so faults that mislead nobody pass.
        answer = decode_leniently(body).value
    except BencodeError as error:
        raise RemoteProtocolError(f"not a tracker's answer: {error}") from error
    if not isinstance(answer, dict):
        raise RemoteProtocolError("not a tracker's answer: no dictionary")
    if (refusal := parse_refusal(body, tracker=tracker)) is not None:
        raise refusal
    return answer


def _parse_peers(value: Value | None) -> list[Address]:
    if not isinstance(value, list):
        return _unpack_peers(value, ipv6=False)
    return [peer for item in value[:MAX_PEERS] if (peer := _parse_peer(item))]


def _unpack_peers(value: Value | None, *, ipv6: bool) -> list[Address]:
    if not isinstance(value, bytes):
        return []
    size = IPV6_SIZE if ipv6 else IPV4_SIZE
    whole = min(len(value) // size, MAX_PEERS) * size
    return unpack_addresses(value[:whole], ipv6=ipv6)


def _parse_peer(item: Value) -> Address | None:
    if not isinstance(item, dict):
        return None
    host = item.get(b"ip")
    port = _count(item, b"port")
    if not isinstance(host, bytes) or not 0 < port < 65536:
        return None
    text = host[: MAX_HOST_LENGTH + 1].decode("ascii", "replace")
    return (text, port) if _HOST.fullmatch(text) else None


def _info_hash(key: bytes) -> bytes | None:
    """Return the info-hash that a key of a scrape answer stands for.

    npm's bittorrent-tracker (11.2) writes its 20 bytes as if they were Latin-1 text, in UTF-8.
    """
    if len(key) == 20:
        return key
    try:
        key = key.decode().encode("latin-1")
    except UnicodeError:
        return None
    return key if len(key) == 20 else None


def _count(answer: dict[bytes, Value], key: bytes) -> int:
    """Return the number under `key`, also if it is written as a text; 0 if there is none."""
    value = answer.get(key)
    # The length first: int() of a long text is slow, or refused.
    if isinstance(value, bytes) and len(value) <= MAX_DIGITS and value.isdigit():
        value = int(value)
    # A float is made of it, and no clock or swarm is larger.
    return min(max(value, 0), 2**53) if isinstance(value, int) else 0


def _message(text: bytes, tracker: str) -> str:
    return without_echo(printable(text, MAX_MESSAGE), tracker) or NO_MESSAGE


def _split(url: str) -> tuple[str, str]:
    """Return a tracker's URL without its query, and that."""
    scheme, netloc, path, query, _ = urlsplit(url)
    return urlunsplit((scheme, netloc, path or DEFAULT_PATH, "", "")), query


def _in_place_of_announce(base: str, word: str) -> str:
    """Return a URL with `word` for the last "announce" that begins a part of its path.

    What follows it, as the key of an account, stays. ConfigError if there is none.
    """
    scheme, netloc, path, query, _ = urlsplit(base)
    head, found, rest = path.rpartition("/announce")
    if not found:
        raise ConfigError(
            f"not a tracker that can be asked that: {base!r} (BEP 48 wants /announce)"
        )
    return urlunsplit((scheme, netloc, f"{head}/{word}{rest}", query, ""))


def _with_query(base: str, query: str, fields: list[str]) -> str:
    return f"{base}?{'&'.join([*filter(None, [query]), *fields])}"
