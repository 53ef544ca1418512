"""Trackers' URLs in words for people: the key of an account that is in them stays untold.

Private trackers know their users by a key in the URL, as a part of the path or the query; some by a
user and a password. Whoever has it downloads in that user's name.
"""

import re
from typing import Final
from urllib.parse import quote, unquote, urlsplit

HIDDEN: Final = "…"

_USUAL: Final = frozenset({"", "/", "/announce", "/scrape"})
"""Paths that hold no key."""

_URL = re.compile(r"[a-z][a-z0-9+.-]{0,15}://[^\s\"<>]*", re.IGNORECASE)
_QUOTED_URL = re.compile(
    r"(?P<key>[?&](?:amp;)?tr(?:\.[0-9]+)?=)?"
    r"(?P<url>[a-z][a-z0-9+.-]{0,15}(?::|%3a)(?:/|%2f)(?:/|%2f)(?<!://)[^\s\"<>&]*)",
    re.IGNORECASE,
)
"""A URL in a link, where it is percent-encoded; `key`: that of a magnet link's tracker."""

_AFTER = ".,;:!?)]}'"
"""What follows a URL in a sentence."""

_MAY_HOLD_URLS = re.compile(rb"://|%3a|:%2f|:/%2f", re.IGNORECASE)

_TRACKER_URL = re.compile(r"(?P<before>(?:udp|https?)://)(?P<rest>[^\s\"<>\\]*)", re.IGNORECASE)
_QUOTED_TRACKER_URL = re.compile(r"(?:udp|https?)%3a(?:/|%2f){2}[^\s\"'<>\\&]*", re.IGNORECASE)
_MASK: Final = "***"

_SECRET = re.compile(
    r"(?P<kept>[?&](?:name|size)=[^&\s]*)"  # what is shared
    # Our trackers' tokens stand there, and keys of others.
    r"|(?P<path>/(?:announce|names|scrape)/)[0-9A-Za-z._~%-]{16,}"
    r"|(?P<item>[?&](?:[^?&=\s]*(?:pass|auth|token|secret|key)|[ap]id)=)[^&#\s,;')]+"
    # What private trackers give their users elsewhere: 32 hex digits, mostly. Words have no digit.
    r"|(?<![0-9A-Za-z])(?=[A-Za-z]*[0-9])[0-9A-Za-z]{16,}(?![0-9A-Za-z])",
    re.IGNORECASE,
)
"""In what follows the host of a tracker's URL: the keys of its user."""

_NAMING: Final = frozenset({"name", "size"})
"""What a URL tells a tracker of what is shared (BEP 41)."""

LEAST_SECRET: Final = 6
"""Characters of a part of a URL that may be a key: shorter ones can be guessed anyway."""

LEAST_KEY: Final = 16
LEAST_PART: Final = 8
"""Of a part of a URL that is as long as keys of accounts are, so many characters in a row are told
to nobody: of a usual key of 32 that is a quarter."""


def without_secrets(url: str) -> str:
    """Return a URL to show: of its user, path and query, nothing but a tracker's usual path."""
    scheme, _, rest = url.partition("://")
    host = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    path = rest[len(host) :]
    if "@" in path:  # perhaps of a password that is not encoded
        return f"{scheme}://{HIDDEN}"
    return f"{scheme}://{host.rpartition('@')[2]}{path if path in _USUAL else f'/{HIDDEN}'}"


def hidden(text: str) -> str:
    """Return a text with all URLs in it as `without_secrets` has them.

    Of magnet links, trackers with something to hide are left out: the links stay good.
    """
    return _URL.sub(_shown, _QUOTED_URL.sub(_shown_in_link, text))


def without_tokens(text: str) -> str:
    """Return a text to print: of trackers' URLs in it, also in links, the keys are not told.

    Other than in `without_secrets`, all that is no key by its looks is told.
    """
    if not may_hold_urls(text.encode("utf-8", "replace")):
        return text
    masked = _TRACKER_URL.sub(_masked, text)
    return _QUOTED_TRACKER_URL.sub(_masked_in_link, masked)


def to_give_away(url: str) -> str:
    """Return a tracker's URL for others: without the keys of its user.

    They find names with it, and register none. A private tracker knows them by keys of their own.
    """
    scheme, separator, rest = url.partition("://")
    host, path = _split(rest)
    path, mark, query = path.partition("?")
    parts = [part for part in _SECRET.sub(_left_out, path).split("/") if part != _MASK]
    items = [
        item
        for item in query.split("&")
        if item and _MASK not in _SECRET.sub(_left_out, f"&{item}")
    ]
    told = f"{mark}{'&'.join(items)}" if items else ""
    return f"{scheme}{separator}{host.rpartition('@')[2]}{'/'.join(parts)}{told}"


def _split(rest: str) -> tuple[str, str]:
    """Return the host of a URL without its scheme, with user and password, and what follows."""
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return host, rest[len(host) :]


def _masked(found: re.Match[str]) -> str:
    host, path = _split(found["rest"])
    if "@" in host:
        host = f"{_MASK}@{host.rpartition('@')[2]}"
    return f"{found['before']}{host}{_SECRET.sub(_left_out, path)}"


def _masked_in_link(found: re.Match[str]) -> str:
    url = unquote(found[0])
    masked = _TRACKER_URL.sub(_masked, url)
    return found[0] if masked == url else quote(masked, safe="*")


def _left_out(found: re.Match[str]) -> str:
    if found["kept"] is not None:
        return found["kept"]
    return f"{found['path'] or found['item'] or ''}{_MASK}"


def may_hold_urls(data: bytes) -> bool:
    """Whether there can be a URL in some encoded text, JSON say."""
    return _MAY_HOLD_URLS.search(data) is not None


def without_echo(text: str, url: str) -> str:
    """Return what a tracker says without the secrets of its URL, which it may quote in part."""
    parts = urlsplit(url)
    found = [parts.username, parts.password, *parts.path.split("/")]
    for item in parts.query.split("&"):
        key, equals, value = item.partition("=")
        if key not in _NAMING:
            found.append(value if equals else key)
    secrets = {each for part in found if part for each in (part, unquote(part))}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= LEAST_SECRET and f"/{secret}" not in _USUAL:
            text = text.replace(secret, HIDDEN)
        if len(secret) >= LEAST_KEY:
            text = _without_parts(text, secret)
    return text


def _without_parts(text: str, key: str) -> str:
    """Return a text without any run of LEAST_PART characters of a key, in either case."""
    lowered, size = text.lower(), LEAST_PART
    if len(lowered) != len(text):  # in some scripts letters become two
        lowered = text
    key = key.lower()
    parts = {key[at : at + size] for at in range(len(key) - size + 1)}
    runs: list[tuple[int, int]] = []
    for at in range(len(text) - size + 1):
        if lowered[at : at + size] in parts:
            begin = runs.pop()[0] if runs and at <= runs[-1][1] else at
            runs.append((begin, at + size))
    for begin, end in reversed(runs):
        text = f"{text[:begin]}{HIDDEN}{text[end:]}"
    return text


def _shown(found: re.Match[str]) -> str:
    url = found[0].rstrip(_AFTER)
    return without_secrets(url) + found[0][len(url) :]


def _shown_in_link(found: re.Match[str]) -> str:
    url = unquote(found["url"])
    told = without_secrets(url)
    if told == url:
        return found[0]
    key = found["key"]
    if key is None:
        return quote(told, safe="")
    return "?" if key.startswith("?") else ""
