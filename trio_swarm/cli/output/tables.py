"""Tables for terminals: as they are where they fit, and turned round where they do not."""

import os
import sys
import textwrap
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from trio_swarm.cli.output.text import cell_width, columns


def width_of_terminal() -> int | None:
    """Return how many columns stdout has; None if it is no terminal, where lines may be long."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):  # no terminal, or no file at all
        return None


def table_lines(
    rows: Sequence[Sequence[str]], *, left: AbstractSet[int], width: int | None
) -> list[str]:
    """Return a table with headings as lines; `left` are the columns aligned to the left.

    Where it is wider than `width` and would be narrower so, its columns become lines.
    """
    lines = columns(rows, left=left)
    if width is None or widest(lines) <= width:
        return lines
    turned = columns(list(zip(*rows, strict=True)), left={0})
    return turned if widest(turned) < widest(lines) else lines


def wrapped(text: str, width: int | None, *, indent: int | None = None) -> list[str]:
    """Return a line in lines that end between words, as far as `width` asks for it.

    They go on below the beginning of its text, or `indent` columns from the left.
    """
    if width is None or cell_width(text) <= width:
        return [text]
    lead = len(text) - len(text.lstrip())
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * (lead if indent is None else indent),
        break_on_hyphens=False,
        break_long_words=False,
        drop_whitespace=True,
    )


def widest(lines: Sequence[str]) -> int:
    """Return how many columns of a terminal the longest line takes."""
    return max(map(cell_width, lines), default=0)
