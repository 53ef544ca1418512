"""Fixtures of the command line's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import CommandLine
from commands_at_work import LOCAL, url_of


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """The command, at work in a folder of its own."""
    return CommandLine(tmp_path)


@pytest.fixture
def tracker(line: CommandLine) -> Iterator[str]:
    """A running tracker; its URL."""
    with line.start("tracker", *LOCAL) as program:
        yield url_of(program)
