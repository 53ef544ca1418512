"""Magnet links: an info-hash, and hints where to find peers (BEP 9, "magnet URI format")."""

import base64
import binascii
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote

from msgspec import Struct

from trio_swarm.errors import ConfigError, MetainfoError
from trio_swarm.identities import InfoHash
from trio_swarm.protocol.addresses import Address, format_address, parse_host_port
from trio_swarm.protocol.metainfo.selection import FileRange, numbers_text, read_numbers
from trio_swarm.protocol.metainfo.torrent import is_unicode, usable_tracker_urls

MAX_URI_LENGTH = 64 * 2**10
"""Most characters of a link; real links with many trackers have some thousand."""
MAX_PARAMETERS = 10_000
"""Most parameters of a link. Some links name hundreds of trackers, of which the first are used."""
MAX_PEERS = 100
"""Most peers taken from `x.pe`, because each costs a connection. The rest is ignored."""
MAX_NAME_LENGTH = 255
"""Most characters of `dn`; the rest is cut off."""
MAX_LENGTH = 2**63 - 1
"""Most bytes of content; a larger `xl` is ignored."""

_SCHEME = "magnet:?"
# Texts, which `re` compiles when a link is read: most commands read none.
_HEX = r"[0-9a-fA-F]{40}"
_BASE32 = r"[A-Za-z2-7]{32}"
_AMPERSAND = r"(?i:&(?:amp|#38|#x26);)"
"""A `&` in the source of a web page, from which links are copied."""
_V1 = "urn:btih:"
_V2 = "urn:btmh:"
_MULTIHASH = r"urn:btmh:1220([0-9a-f]{64})"
# Control characters and characters that change the writing direction could deceive a reader of the
# name.
_UNPRINTABLE = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


class Magnet(Struct, frozen=True):
    """A magnet link: `info_hash` (20 bytes) names the torrent; all else are hints.

    `name` is for people (`dn`), `trackers` are URLs (`tr`), `peers` are addresses to try (`x.pe`),
    `length` is the number of bytes of content (`xl`). A hint may be wrong.
    """

    info_hash: InfoHash
    name: str | None = None
    trackers: tuple[str, ...] = ()
    peers: tuple[Address, ...] = ()
    length: int | None = None
    v2_hash: bytes | None = None
    """All 32 bytes of the version 2 info-hash (BEP 52), if the link has it; if it has no other,
    `info_hash` is the first 20 of them."""
    files: tuple[FileRange, ...] = ()
    """Numbers of the files that are wanted, as ranges (`so`, BEP 53); none: all."""

    def to_uri(self) -> str:
        """Return the link; `parse_magnet` reads the same Magnet back."""
        parts = []
        if self.v2_hash is None or self.v2_hash[:20] != self.info_hash:
            parts.append(f"xt={_V1}{self.info_hash.hex()}")
        if self.v2_hash is not None:
            parts.append(f"xt={_V2}1220{self.v2_hash.hex()}")
        if self.name:
            parts.append(f"dn={quote(self.name, safe='', errors='replace')}")
        if self.length is not None:
            parts.append(f"xl={self.length}")
        if self.files:
            parts.append(f"so={numbers_text(self.files)}")
        parts += [f"tr={quote(url, safe='')}" for url in self.trackers]
        parts += [f"x.pe={quote(format_address(peer), safe='[]:')}" for peer in self.peers]
        return _SCHEME + "&".join(parts)


def parse_magnet(uri: str) -> Magnet:
    """Return the Magnet of the link `uri`.

    Raises MetainfoError unless there is exactly one version 1 info-hash (hex or base32), one of
    version 2 (BEP 52), or one of each, and for a link beyond a limit. Hints that are not valid are
    ignored, and so are unknown parameters. Lone surrogates in `uri` are bytes of the command line
    that are not UTF-8: only the parameters with them are ignored.
    """
    uri = re.sub(_AMPERSAND, "&", uri.strip())
    if uri[: len(_SCHEME)].lower() != _SCHEME:
        raise MetainfoError(f"not a magnet link: {uri[:80]!r}")
    if len(uri) > MAX_URI_LENGTH:
        raise MetainfoError(f"a magnet link of more than {MAX_URI_LENGTH} characters")
    try:
        parameters = parse_qsl(uri[len(_SCHEME) :], max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise MetainfoError(f"a magnet link of more than {MAX_PARAMETERS} parameters") from error
    values: dict[str, list[str]] = {}
    for key, value in parameters:
        # Several parameters of one kind may be numbered: `tr.1`, `xt.2`.
        plain = re.sub(r"\.[0-9]+$", "", key.lower())
        values.setdefault(plain, []).append(value.strip())
    name = re.sub(_UNPRINTABLE, "", values.get("dn", [""])[0])[:MAX_NAME_LENGTH].strip()
    length = values.get("xl", [""])[0]
    topics = values.get("xt", [])
    v2_hash = _read_v2_topic(topics)
    info_hash = _read_topic(topics)
    if info_hash is None:
        if v2_hash is None:
            raise MetainfoError("a magnet link without an info-hash (xt=urn:btih:...)")
        info_hash = InfoHash(v2_hash[:20])
    return Magnet(
        info_hash=info_hash,
        name=name or None,
        trackers=tuple(usable_tracker_urls(values.get("tr", []))),
        peers=_read_peers(values.get("x.pe", [])),
        length=_read_length(length),
        v2_hash=v2_hash,
        files=read_numbers(values.get("so", [""])[0]),
    )


def parse_info_hash(text: str) -> InfoHash:
    """Return the 20 bytes of an info-hash written as 40 hex digits or 32 base32 characters.

    Raises MetainfoError for any other text.
    """
    text = text.strip()
    try:
        if re.fullmatch(_HEX, text):
            return InfoHash(bytes.fromhex(text))
        if re.fullmatch(_BASE32, text):
            return InfoHash(base64.b32decode(text, casefold=True))
    except (ValueError, binascii.Error) as error:
        raise MetainfoError(f"not an info-hash: {text!r}") from error
    raise MetainfoError(
        f"not an info-hash (40 hex digits, or 32 characters of base32): {text[:80]!r}"
    )


def _read_v2_topic(topics: Iterable[str]) -> bytes | None:
    """Return the one version 2 info-hash among the exact topics (`xt`) of a link; None if none.

    Other hashes than SHA-256 are ignored, as libtorrent does.
    """
    # A multihash: SHA-256, 32 bytes (BEP 52, "magnet links").
    found = {match[1] for topic in topics if (match := re.fullmatch(_MULTIHASH, topic.lower()))}
    if len(found) > 1:
        raise MetainfoError(f"a magnet link to {len(found)} different torrents")
    return bytes.fromhex(found.pop()) if found else None


def _read_topic(topics: Iterable[str]) -> InfoHash | None:
    """Return the one version 1 info-hash among the exact topics of a link; None if none."""
    hashes: set[InfoHash] = set()
    fault: MetainfoError | None = None
    for topic in topics:
        if topic.lower().startswith(_V1):
            try:
                hashes.add(parse_info_hash(topic[len(_V1) :]))
            except MetainfoError as error:
                fault = error
    if len(hashes) > 1:
        raise MetainfoError(f"a magnet link to {len(hashes)} different torrents")
    if not hashes and fault is not None:
        raise fault
    return hashes.pop() if hashes else None


def _read_peers(texts: Iterable[str]) -> tuple[Address, ...]:
    peers: dict[Address, None] = {}
    for text in texts:
        try:
            host, port = parse_host_port(text)
        except ConfigError:
            continue
        if host and port and is_unicode(host) and len(peers) < MAX_PEERS:
            peers[host, port] = None
    return tuple(peers)


def _read_length(text: str) -> int | None:
    # The length first: int() of a long text is slow, or refused. "٣" is a digit to str.isdigit.
    if len(text) > 19 or not (text.isascii() and text.isdigit()) or int(text) > MAX_LENGTH:
        return None
    return int(text)
