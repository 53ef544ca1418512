"""How sizes, rates, times and strangers' words are written for people."""

import unicodedata
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from trio_swarm.amounts import count_text as count_text  # noqa: PLC0414 - with the others here
from trio_swarm.amounts import size_text as size_text  # noqa: PLC0414 - the same

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters (escape sequences start with one), lone surrogates, line separators."""
_DIRECTION_MARKS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""They make `exe.txt` of `txt.exe`."""


def safe_text(text: str) -> str:
    """Return `text` on one line, with all that could steer a terminal written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_safe_character(character) for character in text)


def _safe_character(character: str) -> str:
    unsafe = unicodedata.category(character) in _UNSAFE_CATEGORIES or character in _DIRECTION_MARKS
    return character.encode("unicode_escape").decode() if unsafe else character


def rate_text(rate: float) -> str:
    """Return bytes/s as `3.20 MiB/s`; nothing for rates that round to none."""
    return f"{size_text(rate)}/s" if rate >= 1 else ""


def duration_text(seconds: float) -> str:
    """Return `0.8 s`, `42 s`, `3:07 min`, `2:05 h`, `3 days`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 48 * 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86_400} days"


def percent_text(part: float, whole: float) -> str:
    """Return `37 %`, and never `100 %` before all is there."""
    if whole <= 0:
        return "0 %"
    return "100 %" if part >= whole else f"{min(99.0, int(1000 * part / whole) / 10):g} %"


def columns(rows: Sequence[Sequence[str]], *, left: AbstractSet[int]) -> list[str]:
    """Return rows of equally many cells as lines, aligned; columns of `left` to the left."""
    widths = [max(map(cell_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for index, (text, width) in enumerate(zip(row, widths, strict=True)):
            pad = " " * (width - cell_width(text))
            cells.append(text + pad if index in left else pad + text)
        lines.append("  ".join(cells).rstrip())
    return lines


def cell_width(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
