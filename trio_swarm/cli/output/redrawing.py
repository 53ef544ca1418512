"""Lines at the bottom of a terminal that are drawn anew in place; other text scrolls above them."""

import os
import shutil
from typing import NamedTuple, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

_HIDE_CURSOR = "\x1b[?25l"
_SHOW_CURSOR = "\x1b[?25h"
_ERASE_LINE = "\x1b[2K"
"""Not all below at once: that is one sequence for many, but where it is the whole screen that is
erased, tmux 3.3 keeps what was on it in its history."""
_UP = "\x1b[A"
_NARROWEST = 20
"""Columns. A display in a narrower terminal helps nobody."""


class Size(NamedTuple):
    """The size of a terminal, in character cells."""

    columns: int
    rows: int


def size_of(stream: TextIO) -> Size:
    """Return the size of the terminal itself; `$COLUMNS` is how wide it was at some time."""
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        found = os.terminal_size((0, 0))
    if not found.columns or not found.lines:  # some that are not real tell 0
        found = shutil.get_terminal_size((80, 24))
    return Size(max(_NARROWEST, found.columns), max(1, found.lines))


class Redrawn:
    """A display drawn in place on the terminal behind `stream`.

    Terminals break lines anew when they become narrower, so a drawing is erased by the rows that
    its lines fill now, not by the rows they filled before.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Names come from strangers: nothing may be read as markup, emoji code or a link.
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._lines: list[str] = []
        self._is_hidden = False

    def draw(self, shown: RenderableType) -> None:
        """Put `shown` where the last one was."""
        size = size_of(self._stream)
        self._console.width, self._console.height = size
        with self._console.capture() as capture:
            self._console.print(shown)
        lines = [line.rstrip(" ") for line in capture.get().splitlines()[: size.rows]]
        hide = "" if self._is_hidden else _HIDE_CURSOR
        self._is_hidden = True
        self._write(f"{hide}{self._taken_back()}{self._put(lines)}")

    def print_above(self, text: str) -> None:
        """Write a line that scrolls; the terminal breaks it, so that a link can be copied whole."""
        lines = self._lines
        self._write(f"{self._taken_back()}{text}\n{self._put(lines)}")

    def close(self) -> None:
        """Erase the drawing, and show the cursor again."""
        shown = _SHOW_CURSOR if self._is_hidden else ""
        self._is_hidden = False
        self._write(f"{self._taken_back()}{shown}")

    def _put(self, lines: list[str]) -> str:
        self._lines = lines
        return "\n".join(lines)

    def _taken_back(self) -> str:
        """Return the sequence that erases the lines drawn last; the cursor is at their end."""
        if not self._lines:
            return ""
        columns = size_of(self._stream).columns
        widths = [Text.from_ansi(line).cell_len for line in self._lines]
        rows = sum(max(1, -(-width // columns)) for width in widths)
        self._lines = []
        return f"\r{_ERASE_LINE}" + f"{_UP}{_ERASE_LINE}" * (rows - 1)

    def _write(self, text: str) -> None:
        if text:
            self._stream.write(text)
            self._stream.flush()
