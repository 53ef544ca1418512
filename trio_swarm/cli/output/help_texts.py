"""Help as a terminal of any width shows it: paragraphs, not the lines of docstrings."""

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # half of the time of a command that only says something
    from cyclopts.help import DefaultFormatter, HelpPanel
    from rich.console import Console, ConsoleOptions

EXAMPLE_WIDTH = 79
"""Columns of a terminal at its narrowest, and one to spare: longer examples are broken."""


def unwrapped(text: str) -> str:
    """Return text with each paragraph on one line; lines that are indented stay as they are."""
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        lines = paragraph.splitlines()
        is_prose = not any(line.startswith((" ", "\t")) for line in lines)
        paragraphs.append(" ".join(map(str.strip, lines)) if is_prose else paragraph)
    return "\n\n".join(paragraphs)


def broken(command: str) -> list[str]:
    """Return a command as the lines of a help, which a shell takes as one."""
    lines: list[str] = []
    rest = f"  {command}"
    while len(rest) > EXAMPLE_WIDTH:
        at = rest.rfind(" -", 4, EXAMPLE_WIDTH - 2)
        if at < 0:
            break
        lines.append(f"{rest[:at]} \\")
        rest = f"    {rest[at:].strip()}"
    return [*lines, rest]


class HelpFormatter:
    """Writes help as cyclopts does, without the line breaks of the docstrings it is from."""

    @functools.cached_property
    def _default(self) -> "DefaultFormatter":
        from cyclopts.help import DefaultFormatter  # noqa: PLC0415 - only where help is shown

        return DefaultFormatter()

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """Write one box of options or commands, each description as one line to be wrapped."""
        for entry in panel.entries:
            _unwrap(entry.description)
        self._default(console, options, panel)

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: Any) -> None:
        """Write how a command is typed."""
        self._default.render_usage(console, options, usage)

    def render_description(
        self, console: "Console", options: "ConsoleOptions", description: Any
    ) -> None:
        """Write the description of a command."""
        _unwrap(description)
        self._default.render_description(console, options, description)


def _unwrap(shown: Any) -> None:
    """Unwrap a description in place, if it is text."""
    for inner in getattr(shown, "renderables", ()):
        _unwrap(inner)
    text = getattr(shown, "primary_renderable", shown)
    plain = getattr(text, "plain", None)
    if isinstance(plain, str) and "\n" in plain.strip():
        text.plain = unwrapped(plain)
