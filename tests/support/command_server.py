"""The program that `forked_commands` starts: it has imported `trio-swarm`, and forks it on request.

A request comes over the socket whose descriptor is the only argument: JSON with the arguments, the
environment and the working folder, and four descriptors, the three standard streams and a pipe.
Into the pipe go the process's number and, at its end, its status, of 4 bytes each.
"""

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import selectors
import socket
import sys
import termios
import threading
from typing import NoReturn

import trio_swarm.cli

LONGEST_REQUEST = 1 << 20

IMPORTED = (
    "encodings.idna",
    "httpx",
    "importlib.metadata",
    "rich.console",
    "rich.live",
    "trio_swarm.cli.output.live",
    "trio_swarm.cli.prompts",
    "trio_swarm.config.reading",
    "trio_swarm.config.starting",
    "trio_swarm.node",
    "trio_swarm.service.service",
    "trio_swarm.tracker.server",
)
"""What commands import late: all processes get it, or each would spend the time."""


def import_commands() -> None:
    """Import whatever a command may need; strategies are loaded by the command itself."""
    app = importlib.import_module("trio_swarm.cli.app")
    table = importlib.import_module("trio_swarm.cli.command_table")
    app.make_app()
    groups = [group.commands for group in table.GROUPS.values()]
    for commands in (table.COMMANDS, *groups):
        for command in commands.values():
            importlib.import_module(f"trio_swarm.cli.{command.place.partition(':')[0]}")
    for name in IMPORTED:
        importlib.import_module(name)


class Server:
    """Starts processes until its socket is closed."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)
        self._running: dict[int, tuple[int, int]] = {}
        """By the descriptor of each process: its number, and the pipe of who asked for it."""

    def serve(self) -> list[str] | None:
        """Return None when all is over; in each new process, return its arguments."""
        while True:
            for key, _ in self._selector.select():
                if key.fd in self._running:
                    self._ended(key.fd)
                    continue
                data, descriptors, _, _ = socket.recv_fds(self._requests, LONGEST_REQUEST, 4)
                if not data:
                    return None
                *streams, told = descriptors
                if (pid := os.fork()) == 0:
                    os.close(told)
                    self._forget()
                    return become(streams, **json.loads(data))
                for stream in streams:
                    os.close(stream)
                self._started(pid, told)

    def _started(self, pid: int, told: int) -> None:
        os.write(told, pid.to_bytes(4, "big"))
        descriptor = os.pidfd_open(pid)
        self._running[descriptor] = pid, told
        self._selector.register(descriptor, selectors.EVENT_READ)

    def _ended(self, descriptor: int) -> None:
        pid, told = self._running.pop(descriptor)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):  # who asked for it does not listen any more
            os.write(told, status.to_bytes(4, "big"))
        os.close(told)

    def _forget(self) -> None:
        """Close what is the server's alone, in a process that it became."""
        self._selector.close()
        self._requests.close()
        for descriptor, (_, told) in self._running.items():
            os.close(descriptor)
            os.close(told)


def become(
    streams: list[int],
    *,
    arguments: list[str],
    environment: dict[str, str],
    folder: str,
    is_at_terminal: bool,
) -> list[str]:
    """Make this process what a fresh one would be, and return its arguments."""
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
        os.close(stream)
    if is_at_terminal:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    return arguments


def end(code: int) -> NoReturn:
    """End as the interpreter does, but let the system free the modules, which it does at once."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def main() -> NoReturn:
    """Serve; in the processes, run the command."""
    import_commands()
    gc.freeze()  # or the first search for garbage in a process would copy the pages of all this
    try:
        arguments = Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    except KeyboardInterrupt:  # typed where the tests run
        os._exit(1)
    if arguments is None:
        os._exit(0)
    sys.argv[1:] = arguments
    end(trio_swarm.cli.main())


if __name__ == "__main__":
    main()
