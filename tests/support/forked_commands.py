"""`trio-swarm` in processes of its own that are forked and need not import anything.

Half of what a short command takes is the start of Python and its imports. Here one process for each
test worker has done that, and each command is a fork of it: with arguments, environment, folder,
streams, signals and an end of its own. How a fresh interpreter starts is tested by what starts one.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

SERVER = Path(__file__).with_name("command_server.py")


class Server:
    """The process that forks; it ends when its socket is closed."""

    def __init__(self) -> None:
        self.requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", SERVER, str(theirs.fileno())],  # without this folder
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def end(self) -> None:
        self.requests.close()
        self._process.wait(60)


the_server = cache(Server)
"""Of this test worker, from the first command on."""


def end_server() -> None:
    """End the server of this test worker, if it has one."""
    if the_server.cache_info().currsize:
        the_server().end()
        the_server.cache_clear()


class ForkedCommand:
    """One command that runs; much as a `subprocess.Popen`."""

    def __init__(
        self,
        arguments: Sequence[object],
        *,
        streams: Sequence[int],
        environment: Mapping[str, str],
        folder: Path,
        is_at_terminal: bool = False,
    ) -> None:
        """Start it with descriptors for stdin, stdout and stderr, which may be closed then.

        Arguments in bytes are decoded as Python does. Where stdin `is_at_terminal`, that controls
        the process: what is typed there may be a signal.
        """
        self.returncode: int | None = None
        asked = {
            "arguments": [
                os.fsdecode(each) if isinstance(each, bytes) else str(each) for each in arguments
            ],
            "environment": dict(environment),
            "folder": str(folder),
            "is_at_terminal": is_at_terminal,
        }
        self._told, theirs = os.pipe()
        weakref.finalize(self, os.close, self._told)  # whoever waits for it finds it open
        socket.send_fds(the_server().requests, [json.dumps(asked).encode()], [*streams, theirs])
        os.close(theirs)
        self.pid = int.from_bytes(self._read(), "big")

    def fileno(self) -> int:
        """Return a descriptor that can be read when the process has ended."""
        return self._told

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; `subprocess.TimeoutExpired` if it is not there in time."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"trio-swarm ({self.pid})", timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(int.from_bytes(self._read(), "big"))
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code if it has ended."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _read(self) -> bytes:
        said = os.read(self._told, 4)
        assert len(said) == 4, "the server of commands has ended"
        return said
