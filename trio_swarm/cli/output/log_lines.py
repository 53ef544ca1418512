"""Log lines of this program and its libraries, in the style of all else that a command prints.

See `trio_swarm.logs` for what is logged. Ours are shown from INFO on, with --verbose from DEBUG on;
those of libraries from WARNING on, for they write addresses with keys in them at INFO. A record is
one line. Only an exception that is a bug has a traceback.
"""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from trio_swarm.cli.output.reporting import Reporter
from trio_swarm.errors import is_explained
from trio_swarm.logs import ROOT


@contextmanager
def logging_to(reporter: Reporter) -> Iterator[None]:
    """Print log lines through `reporter` meanwhile; Python's own warnings as well."""
    ours, every = logging.getLogger(ROOT), logging.getLogger()
    level_before = ours.level
    handler = _Handler(reporter)
    every.addHandler(handler)
    log_from(None, reporter)
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        ours.setLevel(level_before)
        every.removeHandler(handler)


def log_from(level: str | None, reporter: Reporter) -> None:
    """Print our log lines from `level` on; None: INFO. --verbose overrules it."""
    wanted = logging.DEBUG if reporter.verbose else (level or "info").upper()
    logging.getLogger(ROOT).setLevel(wanted)


class _Handler(logging.Handler):
    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage() if error is None else f"{record.getMessage()}: {error!s}"
        self._reporter.logged(record.levelname.lower(), record.name, text)
        if error is not None and not is_explained(error):
            traceback.print_exception(error)
