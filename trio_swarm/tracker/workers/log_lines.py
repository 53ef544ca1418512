"""Log lines of a worker, which the parent logs as its own: one format, one level, one place."""

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Final

from trio_swarm.errors import is_explained
from trio_swarm.logs import ROOT
from trio_swarm.tracker.workers.messages import Logged

MOST_TEXT: Final = 4_000
"""Characters of a line; an error may quote what strangers sent."""


def send_lines(tell: Callable[[Logged], bool], level: int) -> None:
    """Send our log lines from `level` on to the parent, and warnings of libraries."""
    logging.getLogger().addHandler(_Sender(tell))
    logging.getLogger(ROOT).setLevel(level)


def wanted_level() -> int:
    """Return the level from which on the parent shows our lines."""
    return logging.getLogger(ROOT).getEffectiveLevel()


def repeat(said: Logged, worker: int) -> None:
    """Log a line of a worker in the parent."""
    logging.getLogger(said.logger).log(said.level, "worker %d: %s", worker, said.text)


class _Sender(logging.Handler):
    def __init__(self, tell: Callable[[Logged], bool]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage() if error is None else f"{record.getMessage()}: {error!s}"
        if error is not None and not is_explained(error):
            traceback.print_exception(error)
        line = Logged(record.levelno, record.name, text[:MOST_TEXT])
        # Sockets are the event loop's, in the main thread.
        is_here = threading.current_thread() is threading.main_thread()
        if not (is_here and self._tell(line)) and record.levelno >= logging.WARNING:
            sys.stderr.write(f"trio-swarm: {line.text}\n")
