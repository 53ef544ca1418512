"""How the help of a command is printed: as wide as the terminal, within reason.

Imported only when help is asked for: rich takes as long as the rest of a command's start.
"""

import shutil
from collections.abc import Sequence
from typing import Any

from attrs import evolve
from cyclopts.help import HelpPanel, InlineText
from cyclopts.help.formatters import DefaultFormatter
from rich.console import Console, ConsoleOptions
from rich.text import Text

NARROWEST = 40
"""Columns. Below, the flags alone leave no room for words; `COLUMNS=0` means that nobody knows."""
WIDEST = 120
"""Columns. Longer lines are hard to read."""


def help_console() -> Console:
    """Return a console as wide as the terminal or `$COLUMNS`, from NARROWEST to WIDEST columns."""
    width = shutil.get_terminal_size((80, 24)).columns
    return Console(width=min(WIDEST, max(NARROWEST, width)))


class HelpFormatter(DefaultFormatter):
    """Lets the terminal break lines: in docstrings they are broken where the source needs it."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one panel."""
        entries = [
            evolve(entry, description=_rejoined(entry.description)) for entry in panel.entries
        ]
        super().__call__(console, options, panel.copy(entries=entries))

    def render_description(
        self, console: Console, options: ConsoleOptions, description: Any
    ) -> None:
        """Print what the command is about."""
        super().render_description(console, options, _rejoined(description))


def _rejoined(text: object) -> object:
    if isinstance(text, InlineText) and isinstance(text.primary_renderable, Text):
        text.primary_renderable = Text(rejoin(text.primary_renderable.plain))
    return text


def rejoin(text: str) -> str:
    """Return `text` with one line for each paragraph."""
    paragraphs: list[Sequence[str]] = [each.split("\n") for each in text.split("\n\n")]
    return "\n\n".join(" ".join(line.strip() for line in lines).strip() for lines in paragraphs)
