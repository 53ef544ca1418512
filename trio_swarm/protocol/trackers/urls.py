"""Tracker URLs, and the part of them that a UDP tracker is told (BEP 41, URLData).

The URL of a tracker may name what is shared: `udp://host:port/announce?name=NAME&size=BYTES`, the
name as percent-encoded UTF-8. A "+" in it is a plus, not a space: people write `name=c++.iso`.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from msgspec import Struct

from trio_swarm import foreign_text
from trio_swarm.errors import ConfigError, RemoteProtocolError
from trio_swarm.protocol.addresses import parse_host_port
from trio_swarm.protocol.trackers.share_names import MAX_NAME_BYTES

MAX_URL_LENGTH = 2048
"""Characters. Longer ones come from broken or hostile metainfo files."""

MAX_KNOWN = 256
"""Tracker URLs that are not split again: each torrent of thousands has the same few."""

MAX_URL_DATA = 1024
"""Bytes of path and query sent to a UDP tracker: an announce must fit one datagram."""

CUT_AT = 255
"""Bytes of path and query that libtorrent (2.1.1) sends at most; the rest is lost."""

MAX_TOKEN_BYTES = 64
"""Of a token that lets a peer register names; a longer one is none."""

MAX_SIZE = 2**63 - 1
"""Bytes; the largest `size=` believed."""

# Items of a query. Strangers choose their number, so no Python code looks at each. 19 digits: int()
# of a long text is slow.
_NAME_ITEM = re.compile(rb"(?:\A|&)name(?:=(?P<value>[^&]*))?(?=&|\Z)")
_SIZE_ITEM = re.compile(rb"(?:\A|&)size=(?P<value>[0-9]{1,19})(?=&|\Z)")
_TOKEN_ITEM = re.compile(rb"(?:\A|&)token=(?P<value>[^&]*)(?=&|\Z)")
_TOKEN_PATH = re.compile(rb"/(?:announce|names)/(?P<value>[^/]+)")
_CUT_ESCAPE = rb"%[0-9A-Fa-f]?\Z"
DEFAULT_PATH = "/announce"
"""Of a tracker URL that has none, where a path is needed."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OUR_PORT = 6969
"""Where most UDP trackers are, and ours by default."""
_NEARLY_A_URL = r"(?s:(?:(?P<scheme>[A-Za-z]+)(?::/{0,3}(?!\d+(?:/|$))|/{1,3}))?(?P<rest>.*))"
"""A scheme, or none, and the rest: `udp:host:1`, `http//host/`; but `host:1` has no scheme."""
_MISSPELT = {
    **dict.fromkeys(("udp", "upd", "udb", "udpp", "ud", "dup"), "udp"),
    **dict.fromkeys(("http", "htp", "htttp", "httpp", "hhtp", "ttp"), "http"),
    **dict.fromkeys(("https", "htps", "htpps", "htttps", "hhtps", "ttps"), "https"),
}
"""How schemes are typed."""


class TrackerUrl(Struct, frozen=True):
    """A tracker's URL in parts; `request` is path and query, as written."""

    scheme: str
    host: str
    port: int
    request: str


class UrlShare(NamedTuple):
    """The name and size in the query of a tracker URL; `size` in bytes, 0 if it says none."""

    name: str
    size: int
    token: bytes = b""
    """What lets a peer register names where not everybody may; b"": it has none."""

    def __repr__(self) -> str:
        return f"UrlShare(name={self.name!r}, size={self.size!r})"  # secrets are not shown


def what_to_check(scheme: str) -> str:
    """Return advice for people when a tracker of this scheme does not answer."""
    carrier = "UDP" if scheme == "udp" else "TCP"
    return f"does it run at this port, and does every firewall on the way let {carrier} through?"


@lru_cache(maxsize=MAX_KNOWN)
def parse_tracker_url(url: str) -> TrackerUrl:
    """Split a `udp://`, `http://` or `https://` tracker URL.

    ConfigError says what is wrong, and what was probably meant.
    """
    try:
        return _split(url)
    except ConfigError as error:
        meant = _probably_meant(url.strip())
        if meant is None:
            raise
        raise ConfigError(f"{error}; did you mean {meant}?") from None


def _probably_meant(url: str) -> str | None:
    """Return the tracker URL that `url` is most likely a misspelling of, if there is one."""
    if len(url) > MAX_URL_LENGTH:
        return None
    found = re.fullmatch(_NEARLY_A_URL, url)
    assert found is not None  # both parts may be empty
    scheme, rest = found["scheme"] or "", found["rest"]
    host = rest.partition("/")[0]
    if "://" in url and scheme.lower() not in _MISSPELT:
        return None  # another kind of URL
    if host.partition(":")[0].lower() in _MISSPELT:
        return None  # `udp:6969` has no host
    if not scheme:
        scheme = "http" if "announce" in rest and ":" not in host else "udp"
    scheme = _MISSPELT.get(scheme.lower(), scheme.lower())
    if rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"  # an IPv6 address by itself
        host = rest
    if scheme == "udp" and (host.endswith("]") or ":" not in host):
        rest = f"{host}:{_OUR_PORT}{rest[len(host) :]}"
    try:
        _split(f"{scheme}://{rest}")
        parse_host_port(host, default_port=_OUR_PORT)
    except ConfigError:
        return None
    meant = f"{scheme}://{rest}"
    return meant if meant.isprintable() and len(meant) <= foreign_text.SHOWN_LENGTH else None


def _split(url: str) -> TrackerUrl:
    shown = url if len(url) <= 200 else f"{url[:200]}..."
    if len(url) > MAX_URL_LENGTH:
        raise ConfigError(f"tracker URL longer than {MAX_URL_LENGTH} characters: {shown!r}")
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(
            f"not a tracker URL: {shown!r} ({foreign_text.shown(str(error))})"
        ) from None
    if parts.scheme not in {"udp", "http", "https"}:
        raise ConfigError(f"not a udp://, http:// or https:// tracker URL: {shown!r}")
    # Blanks, and surrogates, which bytes that are no UTF-8 become.
    if not host or any(
        each <= " " or each.isspace() or "\ud800" <= each <= "\udfff" for each in url
    ):
        raise ConfigError(f"tracker URL without a usable host: {shown!r}")
    if port is None:
        port = _DEFAULT_PORTS.get(parts.scheme)
    if not port:
        raise ConfigError(f"tracker URL without a port: {shown!r} (udp://HOST:PORT/announce)")
    request = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return TrackerUrl(parts.scheme, host, port, request)


def supports_names(url: str) -> bool:
    """Whether the tracker at `url` may be expected to know names, as far as its URL tells.

    Ours knows them over HTTP as well, but most HTTP trackers are others, and answer that question
    with an error.
    """
    try:
        return parse_tracker_url(url).scheme == "udp"
    except ConfigError:
        return False


def url_data(request: str, *, share_name: str | None = None, size: int | None = None) -> bytes:
    """Return the URLData that a UDP tracker is told: path and query of its URL (BEP 41).

    `request` is `TrackerUrl.request`. With `share_name`, the query's `name` becomes that (and its
    `size` becomes `size`, if given). ConfigError if the result is too long for a datagram.
    """
    if share_name is not None:
        path, _, query = request.partition("?")
        request = f"{path or DEFAULT_PATH}?{named_query(query, share_name, size)}"
    data = request.encode("utf-8", "replace")
    if len(data) > MAX_URL_DATA:
        raise ConfigError(f"path, query and name of a tracker URL exceed {MAX_URL_DATA} bytes")
    return data


def named_query(query: str, share_name: str, size: int | None) -> str:
    """Return the query of a tracker URL with a name, and a size if given, in place of its own."""
    replaced = {"name"} if size is None else {"name", "size"}
    items = [item for item in query.split("&") if item and _key(item) not in replaced]
    # File names that are not UTF-8 become "?": a readable hint beats none.
    items.append("name=" + quote(share_name, safe="", errors="replace"))
    if size is not None:
        items.append(f"size={size}")
    return "&".join(items)


def parse_url_data(data: bytes) -> UrlShare | None:
    """Return the name and size in the query of a URLData, None if it names nothing.

    RemoteProtocolError if the name is not UTF-8. The first `name=` and `size=` count; a size that
    is not a sensible number is as good as none. A name that a client cut off within a character
    ends with the one before.
    """
    path, _, query = data.partition(b"?")
    return parse_query_share(query, path, may_be_cut=len(data) == CUT_AT)


def parse_token(data: bytes) -> bytes:
    """Return the token in a URLData, b"" if there is none: see `token_in`."""
    path, _, query = data.partition(b"?")
    return token_in(path, query)


def token_in(path: bytes, query: bytes) -> bytes:
    """Return the token of a tracker URL: `token=` in its query, or what follows `/announce/`.

    One that is too long is cut, and so is not the right one.
    """
    found = _TOKEN_ITEM.search(query) if b"token=" in query else None
    found = found or _TOKEN_PATH.fullmatch(path)
    return b"" if found is None else found["value"][: MAX_TOKEN_BYTES + 1]


def parse_query_share(
    query: bytes, path: bytes = b"", *, may_be_cut: bool = False
) -> UrlShare | None:
    """As `parse_url_data`, of a query and a path; `may_be_cut`: the query's end may be lost."""
    found = _NAME_ITEM.search(query)
    if found is None:
        return None
    is_cut = may_be_cut and found.end() == len(query)
    name = _decode_name(found["value"] or b"", is_cut=is_cut)
    if not name:
        return None
    size = _SIZE_ITEM.search(query)
    number = 0 if size is None else min(int(size["value"]), MAX_SIZE)
    return UrlShare(name, number, token_in(path, query))


def _decode_name(value: bytes, *, is_cut: bool) -> str:
    if len(value) > 3 * MAX_NAME_BYTES:
        raise RemoteProtocolError(f"the name is longer than {MAX_NAME_BYTES} bytes")
    if is_cut:
        value = re.sub(_CUT_ESCAPE, b"", value)
    text = unquote_to_bytes(value)
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        if is_cut and error.end == len(text) and error.reason == "unexpected end of data":
            return text[: error.start].decode()
        raise RemoteProtocolError("the name is not UTF-8") from None


def _key(item: str) -> str:
    return item.partition("=")[0]
