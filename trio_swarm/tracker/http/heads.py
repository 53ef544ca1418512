"""The head of an HTTP request (RFC 9110, RFC 9112): bytes to values, and what is wrong with them.

Own code, for a tracker's requests are read tens of thousands of times a second and are the plainest
there are: GET or HEAD, a target, a few fields, no body. A general server library costs ten times as
much for each (h11 parses and checks every field, and its server starts a task for every
connection). What is left out is refused: bodies, continued lines, everything but HTTP/1.0 and 1.1.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

MAX_HEAD: Final = 8192
"""Bytes of a request's head: a scrape of 100 info-hashes, and as much as common servers take."""

MAX_FIELDS: Final = 64
"""Header fields of a request; browsers behind two proxies send 25."""

_REMEMBERED: Final = 4096
"""Blocks of header fields that are read once: clients of one version send them word for word."""

_MAX_REMEMBERED: Final = 512
"""Bytes of a block that is remembered: 2 MiB in all. Those of clients have 50 to 200."""

_USUAL_LINE: Final = re.compile(rb"(GET|HEAD) (/[!->@-~]*)(?:\?([!-~]*))? HTTP/1\.([0-9])\r\n")
"""The first line of nearly all requests: anything else in a target had to be escaped."""

_BEGINNING: Final = re.compile(rb"(?:\r\n)?[A-Z]{1,16}(?: (?:[/*hH][^\n]*)?)?\r?\Z")
"""What may become the first line of a request."""

_NOTHING_YET: Final = frozenset({b"", b"\r", b"\r\n"})
_LINE: Final = re.compile(rb"(?:\r\n)?[A-Z]{1,16} [^ \r\n]+ HTTP/1\.[0-9]\r\n")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}):[ \t]*([\t -~\x80-\xff]*)\r\n")
_ABSOLUTE: Final = re.compile(rb"(GET|HEAD) (https?://[^/? ]*)(/?)", re.IGNORECASE)


class NotHttpError(Exception):
    """These bytes begin no HTTP request: whoever sent them wants something else, and no answer."""


class BadRequestError(Exception):
    """An HTTP request that is refused with `status` and `reason`; nothing after it can be read."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class Fields(NamedTuple):
    """What the header fields of a request say that matters here."""

    hosts: int
    """`Host` fields there are."""
    connection: bytes
    """`close`, `keep-alive`, or b""."""
    has_body: bool
    forwarded: bytes
    """All of `X-Forwarded-For`, joined by commas; b"": there is none."""


class RequestHead(NamedTuple):
    """A whole head; `path` and `query` are as sent, escapes and all."""

    size: int
    """Bytes of it; the next request follows."""
    path: bytes
    query: bytes
    wants_body: bool
    """False for HEAD: the answer is its head only."""
    keeps: bool
    """Whether the connection may be kept for another request."""
    is_old: bool
    """HTTP/1.0."""
    forwarded: bytes
    """As Fields."""


def read_head(data: bytes) -> RequestHead | None:
    """Return the head that `data` begins with, None if there must come more of it.

    Raises NotHttpError, and BadRequestError.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        _check_beginning(data)
        return None
    line = _USUAL_LINE.match(data)
    if line is None:
        return _read_unusual(data)
    method, path, query, minor = line.groups(b"")
    block = data[line.end() : end + 2]
    fields = _remembered(block) if len(block) <= _MAX_REMEMBERED else _read_fields(block)
    is_old = minor == b"0"
    if not is_old and fields.hosts != 1:
        # Older clients of trackers send none, but those speak HTTP/1.0.
        raise BadRequestError(400, "Bad Request: one Host field")
    if fields.has_body:
        raise BadRequestError(400, "Bad Request: no body")
    keeps = fields.connection == b"keep-alive" if is_old else fields.connection != b"close"
    return RequestHead(end + 4, path, query, method == b"GET", keeps, is_old, fields.forwarded)


def _check_beginning(data: bytes) -> None:
    """Raise what is wrong with data that cannot become a head, or is too long for one."""
    if data in _NOTHING_YET:
        return
    if _LINE.match(data) is None and (b"\n" in data[2:] or _BEGINNING.match(data[:64]) is None):
        # A line that ends and is none, or one that cannot become one.
        raise NotHttpError
    if len(data) >= MAX_HEAD:
        has_line = b"\r\n" in data[2:]
        raise BadRequestError(
            431 if has_line else 414,
            "Request Header Fields Too Large" if has_line else "URI Too Long",
        )


def _read_unusual(data: bytes) -> RequestHead:
    """Read a whole head whose first line few clients send, or say what is wrong with the line."""
    if data.startswith(b"\r\n") and not data.startswith(b"\r\n\r\n"):
        # One empty line before it (RFC 9112, 2.2).
        return _longer(read_head(data[2:]), 2)
    if _LINE.match(data) is None:
        raise NotHttpError
    if (absolute := _ABSOLUTE.match(data)) is not None:
        # As to a proxy (RFC 9112, 3.2.2).
        method, host, rest = absolute.groups(b"")
        slash = b"" if rest == b"/" else b"/"
        head = read_head(method + b" " + slash + data[absolute.end() - len(rest) :])
        return _longer(head, len(host) - len(slash))
    if data.startswith((b"GET ", b"HEAD ")):
        raise BadRequestError(400, "Bad Request")
    raise BadRequestError(405, "Method Not Allowed")


def _longer(head: RequestHead | None, more: int) -> RequestHead:
    assert head is not None  # its end was found before
    return head._replace(size=head.size + more)


def _read_fields(block: bytes) -> Fields:
    hosts, connection, has_body, at = 0, b"", False, 0
    forwarded: list[bytes] = []
    for _ in range(MAX_FIELDS):
        if at == len(block):
            return Fields(hosts, connection, has_body, b",".join(forwarded))
        # Lines that go on in the next one, and blanks before the colon, let two servers read one
        # request differently (RFC 9112, 5.1 and 5.2).
        found = _FIELD.match(block, at)
        if found is None:
            raise BadRequestError(400, "Bad Request")
        at = found.end()
        name, value = found[1].lower(), found[2].strip(b" \t")
        match name:
            case b"host":
                hosts += 1
            case b"connection":
                options = [option.strip(b" \t") for option in value.lower().split(b",")]
                if b"close" in options or connection == b"close":
                    connection = b"close"
                elif b"keep-alive" in options:
                    connection = b"keep-alive"
            case b"transfer-encoding":
                has_body = True
            case b"content-length":
                has_body = has_body or value != b"0"
            case b"x-forwarded-for":
                forwarded.append(value)
    raise BadRequestError(431, "Request Header Fields Too Large")


_remembered = lru_cache(_REMEMBERED)(_read_fields)
