"""The latest lines of the process, kept for whoever asks, and told to whoever follows.

They are its log lines, and what it tells people of events.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import trio

from trio_swarm.foreign_text import shown

KEPT = 500
"""Lines that are kept: some hundred KiB."""

MAX_LINE = 4000
"""Characters of a line."""

MOST_WAITING = 1000
"""Lines that wait for one who follows; the oldest give way."""


class Line(NamedTuple):
    """One line."""

    time: float
    """Unix seconds."""
    severity: str
    logger: str
    message: str


class LoggedLines(logging.Handler):
    """Keeps the lines of the process; made in Trio, told from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: deque[Line] = deque(maxlen=KEPT)
        self._followers: list[Follower] = []
        self._trio = trio.lowlevel.current_trio_token()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, and tell it from the next turn of the event loop on."""
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage() if error is None else f"{record.getMessage()}: {error!s}"
        line = Line(record.created, record.levelname.lower(), record.name, shown(text, MAX_LINE))
        self.kept.append(line)
        if self._followers:
            self._trio.run_sync_soon(self._tell, line)

    def note(self, severity: str, logger: str, message: str) -> None:
        """Keep a line that is told to people, too, and tell it; called in Trio."""
        line = Line(time.time(), severity, logger, shown(message, MAX_LINE))
        self.kept.append(line)
        self._tell(line)

    def follow(self) -> "Follower":
        """Return the lines from now on; close it afterwards."""
        follower = Follower(self._followers.remove)
        self._followers.append(follower)
        return follower

    def _tell(self, line: Line) -> None:
        for each in self._followers:
            each.tell(line)


class Follower:
    """The lines that come, for one who reads as fast as it can."""

    def __init__(self, closed: "Callable[[Follower], None]") -> None:
        self._closed = closed
        self._waiting: deque[Line] = deque(maxlen=MOST_WAITING)
        self._told = trio.Event()

    def tell(self, line: Line) -> None:
        """Let it have a line; never waits."""
        self._waiting.append(line)
        self._told.set()

    async def receive(self) -> Line:
        """Return the next line."""
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            self._told = trio.Event()
            await self._told.wait()
        return self._waiting.popleft()

    def close(self) -> None:
        """Take no more lines."""
        self._closed(self)


@contextmanager
def lines_kept() -> Iterator[LoggedLines]:
    """Keep the lines of the process meanwhile."""
    lines = LoggedLines()
    every = logging.getLogger()
    every.addHandler(lines)
    try:
        yield lines
    finally:
        every.removeHandler(lines)
