"""Which bytes of a file a request asks for (RFC 9110, 13 and 14): rules without a file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=\s*([0-9]*)-([0-9]*)\s*", re.IGNORECASE)
"""One range; of several the whole file is sent, as a server may (14.2)."""

_MOST_DIGITS = 19
"""Of a number that is read: no file has more bytes, and Python refuses to read very long ones."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be sent."""

    status: int
    """200, 206, 304, 412 or 416."""
    begin: int = 0
    end: int = 0
    """Not included."""


def wanted_bytes(headers: Mapping[str, str], length: int, tag: str) -> Wanted:
    """Return what a request with such headers (lower case) is sent of a file, in their order.

    `tag` is the strong ETag of the file.
    """
    must_match, must_differ = headers.get("if-match"), headers.get("if-none-match")
    if must_match is not None and not _has(must_match, tag, is_weak=False):
        return Wanted(412)
    if must_differ is not None and _has(must_differ, tag, is_weak=True):
        return Wanted(304)
    whole = Wanted(200, 0, length)
    found = _RANGE.fullmatch(headers.get("range", ""))
    is_same = headers.get("if-range", tag).strip() == tag
    if found is None or not is_same or not (found[1] or found[2]):
        return whole
    if not found[1]:
        begin, end = max(0, length - _number(found[2])), length
    else:
        begin = _number(found[1])
        end = min(length, _number(found[2]) + 1) if found[2] else length
        if found[2] and _number(found[2]) < begin:
            return whole  # no valid range: it counts for nothing (14.1.1)
    return Wanted(206, begin, end) if begin < end else Wanted(416)


def _number(digits: str) -> int:
    """Return a number, or one beyond every file."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _has(tags: str, tag: str, *, is_weak: bool) -> bool:
    """Whether a list of tags has this one; a weak one is never the same in strong comparison."""
    each = [text.strip() for text in tags.split(",")]
    if is_weak:
        each = [text.removeprefix("W/") for text in each]
    return tag in each or "*" in each
