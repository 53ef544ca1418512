"""How sizes, rates, times and strangers' words are written for people."""

import unicodedata
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from trio_swarm.amounts import count_text as count_text  # noqa: PLC0414 - with the others here
from trio_swarm.amounts import duration_text as duration_text  # noqa: PLC0414 - the same
from trio_swarm.amounts import percent_text as percent_text  # noqa: PLC0414 - the same
from trio_swarm.amounts import rate_text as rate_text  # noqa: PLC0414 - the same
from trio_swarm.amounts import size_text as size_text  # noqa: PLC0414 - the same
from trio_swarm.foreign_text import shown

MESSAGE_LENGTH = 4_000
"""Characters of an error or a log line; a list of torrents to choose from has some thousand."""

_JOINERS_AND_SELECTORS = dict.fromkeys(map(ord, "\u200c\u200d\ufe0e\ufe0f"))
"""They change how wide the characters beside them are, in some terminals and not in others."""
_MOST_MARKS = 3
"""Combining marks on one character: real scripts have two; dozens run over the lines around."""


def safe_text(text: str) -> str:
    """Return `text` on one line, with all that could steer a terminal written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    # An escape has ten characters at most: nothing is cut off.
    return _fewer_marks(shown(text, 10 * len(text)))


def cells_text(text: str, limit: int) -> str:
    """Return `text` as `safe_text` does, of at most `limit` cells, for a table.

    Every terminal makes it equally wide.
    """
    safe = _fewer_marks(shown(text, 4 * limit).translate(_JOINERS_AND_SELECTORS))
    if cell_width(safe) <= limit:
        return safe
    kept = []
    room = limit - 1
    for character in safe:
        room -= cell_width(character)
        if room < 0:
            break
        kept.append(character)
    return f"{''.join(kept)}…"


def _fewer_marks(text: str) -> str:
    if text.isascii():
        return text
    kept = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in {"Mn", "Me"} else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


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
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"} or "\u1160" <= character <= "\u11ff":
        return 0  # marks, joiners, and what Hangul syllables end with
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
