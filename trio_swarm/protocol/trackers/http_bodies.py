"""The body of an HTTP tracker's answer as it was before anybody compressed it.

We ask for no compression, and get it all the same: servers compress whatever they send, some say
so in `Content-Encoding` and some do not, some name an encoding of a body that has none. So the body
itself is looked at: a bencoded answer begins with `d`, and no compressed one does.
"""

import zlib

from trio_swarm.errors import RemoteProtocolError

MAX_LAYERS = 3
"""Compressions one inside another: two come from a server behind a compressing proxy."""

_BLANKS = b" \t\r\n\xef\xbb\xbf"  # line ends and a UTF-8 mark, which a script may print first
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def plain_body(body: bytes, *, limit: int) -> bytes:
    """Return `body` without any gzip or deflate around it, and without blanks before it.

    A body that is not compressed comes out as it is; one that ends early, as far as it goes.
    RemoteProtocolError if it has more than `limit` bytes, before or after.
    """
    for _ in range(MAX_LAYERS):
        body = body.lstrip(_BLANKS)
        unpacked = _unpack(body, limit)
        if unpacked is None:
            break
        body = unpacked
    if len(body) > limit:
        raise RemoteProtocolError(f"an answer of more than {limit} bytes")
    return body


def _unpack(body: bytes, limit: int) -> bytes | None:
    """Return what is compressed in `body`, None if nothing is."""
    if not body or body[:1] == b"d":
        return None
    if body.startswith(_GZIP_MAGIC):
        return _inflate(body, _GZIP, limit)
    for window in (_ZLIB, _RAW):
        unpacked = _inflate(body, window, limit)
        # Raw deflate has no mark: the result must look like an answer.
        if unpacked is not None and unpacked.lstrip(_BLANKS)[:1] in (b"d", b"\x1f"):
            return unpacked
    return None


def _inflate(body: bytes, window: int, limit: int) -> bytes | None:
    inflater = zlib.decompressobj(window)
    try:
        # Bounded: a thousandth of what comes out is enough to come in.
        unpacked = inflater.decompress(body, limit + 1)
    except zlib.error:
        return None
    if len(unpacked) > limit:
        raise RemoteProtocolError(f"an answer that unpacks to more than {limit} bytes")
    return unpacked
