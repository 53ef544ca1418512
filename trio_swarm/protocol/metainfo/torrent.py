"""Metainfo: the .torrent file, which is an info dictionary and hints around it (BEP 3).

Also read: tracker tiers (BEP 12) and web seeds (BEP 19, kept but not used yet). The info dictionary
is read by `info`, whose names can be imported from here, too.
"""

import re
from collections.abc import Callable, Iterable
from itertools import chain, islice

from msgspec import Struct
from msgspec.structs import replace

from trio_swarm.amounts import size_text
from trio_swarm.errors import BencodeError, ConfigError, MetainfoError
from trio_swarm.foreign_text import shown
from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo.info import (
    MAX_INFO_SIZE,
    FileEntry,
    Info,
    build_info,
    choose_piece_length,
    parse_info,
    read_info,
)
from trio_swarm.protocol.trackers.urls import MAX_URL_LENGTH, parse_tracker_url

__all__ = [
    "MAX_INFO_SIZE",
    "MAX_TORRENT_SIZE",
    "FileEntry",
    "Info",
    "Metainfo",
    "build_info",
    "choose_piece_length",
    "is_unicode",
    "parse_info",
    "parse_metainfo",
    "parse_web_seed_url",
    "usable_tracker_urls",
]

MAX_TORRENT_SIZE = 3 * MAX_INFO_SIZE
"""Most bytes of a .torrent file: the info dictionary, and twice as much around it: the piece layers
of a hybrid take 32 bytes for each piece, where its piece hashes take 20."""
MAX_TRACKERS = 100
"""Most tracker URLs of all tiers, because each costs a request at intervals. The rest is
ignored."""
MAX_WEB_SEEDS = 100
"""Most web seeds, for the same reason; the rest is ignored."""
MAX_TEXT_LENGTH = 4096
"""Most characters of a comment or of the creator's name; the rest is cut off."""

_LAST_DATE = 253_402_300_799
"""31 December 9999, the last second that the calendars of most programs can express."""

_WEB_SEED_URL = r"(?i:(?:https?|ftp)://[^\s\x00-\x1f\x7f-\x9f]+)"


class Metainfo(Struct, frozen=True):
    """A .torrent file: the info dictionary and the hints around it.

    `announce_tiers` holds the tracker URLs that we can use (BEP 12); `creation_date` is in seconds
    since 1970. `web_seeds` (BEP 19) are kept, but not used yet.
    """

    info: Info
    announce_tiers: tuple[tuple[str, ...], ...] = ()
    comment: str = ""
    created_by: str = ""
    creation_date: int | None = None
    web_seeds: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the .torrent file; the info dictionary in it is `info.raw`, byte for byte.

        Raises BencodeError for a comment that UTF-8 cannot encode.
        """
        before: dict[str, bencode.Encodable] = {}
        if self.announce_tiers:
            before["announce"] = self.announce_tiers[0][0]
        if sum(map(len, self.announce_tiers)) > 1:
            before["announce-list"] = self.announce_tiers
        if self.comment:
            before["comment"] = self.comment
        if self.created_by:
            before["created by"] = self.created_by
        if self.creation_date is not None:
            before["creation date"] = self.creation_date
        after: dict[str, bencode.Encodable] = {}
        if layers := self.info.layers():
            after["piece layers"] = dict(sorted(layers.items()))
        if self.web_seeds:
            after["url-list"] = self.web_seeds
        # The keys are sorted: those in `before` sort before `info`, those in `after` sort after it.
        inner = (bencode.encode(before)[1:-1], b"4:info", self.info.raw, bencode.encode(after)[1:])
        return b"d" + b"".join(inner)

    def with_trackers(self, urls: Iterable[str]) -> "Metainfo":
        """Return a copy whose trackers are `urls`, each a tier of its own, so that all are used.

        Raises MetainfoError for a URL that is not a tracker's, and for too many URLs.
        """
        distinct = _checked_urls(urls, parse_tracker_url, MAX_TRACKERS, "trackers")
        return replace(self, announce_tiers=tuple((url,) for url in distinct))

    def with_web_seeds(self, urls: Iterable[str]) -> "Metainfo":
        """Return a copy whose web seeds are `urls` (BEP 19).

        Raises MetainfoError for a URL that is not a web seed's, and for too many URLs.
        """
        distinct = _checked_urls(urls, parse_web_seed_url, MAX_WEB_SEEDS, "web seeds")
        return replace(self, web_seeds=tuple(distinct))


def parse_metainfo(data: bytes, *, keep_names: bool = False) -> Metainfo:
    """Return the Metainfo of the .torrent file `data`; `keep_names` as for `parse_info`.

    Raises MetainfoError if it is malformed, unsafe or beyond a limit. Hints
    (trackers, comment, dates) that are not valid are ignored.
    """
    if len(data) > MAX_TORRENT_SIZE:
        raise MetainfoError(f"a .torrent of more than {size_text(MAX_TORRENT_SIZE)}")
    try:
        # Bytes after the dictionary are ignored, as libtorrent does: often a line break.
        reading = bencode.decode_leniently(data)
    except BencodeError as error:
        raise MetainfoError(f"not a .torrent: {error}") from error
    outer = reading.value
    if not isinstance(outer, dict):
        raise MetainfoError("not a .torrent: not a dictionary")
    info = outer.get(b"info")
    layers = outer.get(b"piece layers")
    if not isinstance(info, dict):
        raise MetainfoError("not a .torrent: it has no info dictionary")
    if any(repeat.depth == 1 and repeat.key == b"info" for repeat in reading.repeats):
        raise MetainfoError("not a .torrent: it has two different info dictionaries")
    place = reading.spans[b"info"]
    repeated = [each.key for each in reading.repeats if place.start <= each.offset < place.stop]
    date = outer.get(b"creation date")
    read = read_info(
        info,
        data[place],
        keep_names=keep_names,
        repeated=repeated,
        is_canonical=b"info" not in reading.not_canonical,
    )
    if read.has_v2 and layers is not None:
        read = read.with_layers(_read_layers(layers))
    return Metainfo(
        info=read,
        announce_tiers=_read_tiers(outer),
        comment=_read_advice(outer, b"comment"),
        created_by=_read_advice(outer, b"created by"),
        creation_date=date if isinstance(date, int) and 0 <= date <= _LAST_DATE else None,
        web_seeds=_read_web_seeds(outer.get(b"url-list")),
    )


def _read_layers(value: bencode.Value) -> dict[bytes, bytes]:
    """Return `piece layers` (BEP 52); some may be missing, or all, which peers then send."""
    if not isinstance(value, dict):
        return {}
    layers: dict[bytes, bytes] = {}
    for root, layer in value.items():
        if not isinstance(layer, bytes):
            raise MetainfoError("a piece layer is not a text of hashes")
        layers[root] = layer
    return layers


def parse_web_seed_url(url: object) -> str:
    """Return `url`, which can be that of a web seed (BEP 19); raises ConfigError if it cannot."""
    if not (isinstance(url, str) and is_unicode(url) and _is_web_seed_url(url)):
        found = shown(str(url))
        raise ConfigError(f"expected the http, https or ftp URL of a web seed, not {found!r}")
    return url


def usable_tracker_urls(urls: Iterable[str]) -> list[str]:
    """Return the distinct tracker URLs among `urls` that we can use, at most MAX_TRACKERS.

    URLs of other kinds (`wss://`) and texts that are not URLs are left out.
    """
    return _usable_urls(urls, _is_tracker_url, MAX_TRACKERS)


def _usable_urls(urls: Iterable[str], is_usable: Callable[[str], bool], most: int) -> list[str]:
    # A list of a million wrong URLs is not read to its end.
    distinct = dict.fromkeys(islice(urls, most * 10))
    return list(islice(filter(is_usable, distinct), most))


def _checked_urls(
    urls: Iterable[str], parse: Callable[[str], object], most: int, kind: str
) -> list[str]:
    """Return the distinct ones; MetainfoError if `parse` does not take one, or if they are many."""
    distinct = list(dict.fromkeys(urls))
    if len(distinct) > most:
        raise MetainfoError(f"more than {most} {kind}")
    for url in distinct:
        try:
            parse(url)
        except ConfigError as error:
            raise MetainfoError(str(error)) from error
    return distinct


def is_unicode(text: str) -> bool:
    """Return whether `text` has no lone surrogates (command-line bytes that are not UTF-8)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_tracker_url(url: str) -> bool:
    try:
        parse_tracker_url(url)
    except ConfigError:
        return False
    return is_unicode(url)


def _is_web_seed_url(url: str) -> bool:
    return len(url) <= MAX_URL_LENGTH and re.fullmatch(_WEB_SEED_URL, url) is not None


def _read_advice(outer: dict[bytes, bencode.Value], key: bytes) -> str:
    """Return a text for people, or "" if it is missing or wrong in any way."""
    value = outer.get(key + b".utf-8", outer.get(key))
    if not isinstance(value, bytes):
        return ""
    return value[: MAX_TEXT_LENGTH * 4].decode(errors="replace")[:MAX_TEXT_LENGTH]


def _read_tiers(outer: dict[bytes, bencode.Value]) -> tuple[tuple[str, ...], ...]:
    """Return the tiers of `announce-list`; if there are none, the one tracker of `announce`."""
    listed = outer.get(b"announce-list")
    tiers = [_texts(tier) for tier in listed] if isinstance(listed, list) else []
    usable = set(usable_tracker_urls(chain.from_iterable(tiers)))
    if not usable:
        tiers = [_texts(outer.get(b"announce"))]
        usable = set(usable_tracker_urls(tiers[0]))
    result = []
    for tier in tiers:
        # A URL given twice counts in the first tier that has it.
        kept = tuple(url for url in dict.fromkeys(tier) if url in usable)
        usable.difference_update(kept)
        result.append(kept)
    return tuple(tier for tier in result if tier)


def _read_web_seeds(value: bencode.Value | None) -> tuple[str, ...]:
    return tuple(_usable_urls(_texts(value), _is_web_seed_url, MAX_WEB_SEEDS))


def _texts(value: bencode.Value | None) -> list[str]:
    """Return the texts in a list, or the one text; other values are left out."""
    values = value if isinstance(value, list) else [value]
    return [item.decode(errors="replace").strip() for item in values if isinstance(item, bytes)]
