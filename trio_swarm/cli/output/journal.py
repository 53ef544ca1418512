"""How important a line is, for systemd's journal: `<4>` at its beginning (sd-daemon(3))."""

import os
from typing import Final, TextIO

ERROR: Final = 3
WARNING: Final = 4
INFO: Final = 6
DEBUG: Final = 7
"""As syslog(3) counts."""


def marked(line: str, priority: int, stream: TextIO) -> str:
    """Return `line` with its priority if the journal reads `stream`; else as it is."""
    return f"<{priority}>{line}" if is_journal(stream) else line


def is_journal(stream: TextIO) -> bool:
    """Whether the journal reads a stream: `$JOURNAL_STREAM` names it (systemd.exec(5))."""
    named = os.environ.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # no descriptor, or a closed one
        return False
    return named == f"{found.st_dev}:{found.st_ino}"
