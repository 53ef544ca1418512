"""Pseudo-terminals with a command in them."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from command_line import PATIENCE, CommandLine
from forked_commands import ForkedCommand

# Starts a command as a shell does it: it is a job of its own, and a job that stops goes on.
JOB_CONTROL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.posix_spawn(
    sys.argv[1], sys.argv[1:], os.environ, setpgroup=0, setsigdef=[signal.SIGTTOU]
)
os.tcsetpgrp(0, job)
_, status = os.waitpid(job, os.WUNTRACED)
print("[1]+ Stopped" if os.WIFSTOPPED(status) else "ended", flush=True)
os.kill(job, signal.SIGCONT)
_, status = os.waitpid(job, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Terminal:
    """A pseudo-terminal with a command in it; `text` is all it printed, escapes included."""

    def __init__(self, process: ForkedCommand | subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.text = ""
        self._descriptor = descriptor

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read until `pattern` is there, and return the match."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < deadline, f"no {pattern} in {self.text!r}"
            assert self._read(), f"ended without {pattern}: {self.text!r}"
        return found

    def type(self, keys: str) -> None:
        """Type keys, Enter being "\\n" and Ctrl-C "\\x03"."""
        os.write(self._descriptor, keys.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        if not select.select([self._descriptor], [], [], PATIENCE)[0]:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # EIO: the command is gone, and its terminal with it
            return False
        self.text += data.decode()
        return bool(data)


@contextmanager
def terminal(line: CommandLine, *arguments: object, term: str = "xterm") -> Iterator[Terminal]:
    """A terminal in which a command runs, as the only process."""
    ours, theirs = pty.openpty()
    process = ForkedCommand(
        arguments,
        streams=(theirs, theirs, theirs),
        environment=line.environment | {"TERM": term, "LINES": "24"},
        folder=line.folder,
        is_at_terminal=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(ours)


@contextmanager
def terminal_of_a_shell(line: CommandLine, *arguments: object) -> Iterator[Terminal]:
    """A terminal in which a command runs as a job of `JOB_CONTROL`."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", JOB_CONTROL, *line.command(*arguments)],
        cwd=line.folder,
        env=line.environment | {"TERM": "xterm", "LINES": "24"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            process.wait(PATIENCE)
            os.close(ours)
