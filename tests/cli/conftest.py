"""Fixtures of the command line's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import CommandLine
from commands_at_work import tracker_in_a_thread


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """The command, at work in a folder of its own."""
    return CommandLine(tmp_path)


@pytest.fixture
def tracker() -> Iterator[str]:
    """A running tracker; its URL."""
    with tracker_in_a_thread() as url:
        yield url
