"""A network of the tests' own: one namespace, many addresses on its `lo`.

Some clients refuse peers in 127.0.0.0/8 (Transmission does), so all foreign clients run in a
network namespace with addresses of a private range. Nothing in it can reach the machine's real
network, and no port can clash.
"""

import contextlib
import ctypes
import itertools
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

NAME_PREFIX = "trio-swarm-test-"
ADDRESSES = [f"10.77.0.{host}" for host in range(1, 251)]
_CLONE_NEWNET = 0x40000000


class Network:
    """A network namespace: runs commands inside, hands out addresses and sockets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._free_addresses = itertools.cycle(ADDRESSES)

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """The command that runs `argv` inside; `ip` execs it, so its pid is the program's."""
        return ["ip", "netns", "exec", self.name, *map(str, argv)]

    def new_address(self) -> str:
        """An address that nobody else was given (as long as there are enough)."""
        return next(self._free_addresses)

    def udp_socket(self) -> socket.socket:
        """A UDP socket inside; a socket stays in the namespace it was made in."""
        made: list[socket.socket] = []

        def enter_and_make() -> None:
            # setns moves only the calling thread, so this thread is thrown away afterwards.
            # os.setns needs Python 3.12.
            libc = ctypes.CDLL(None, use_errno=True)
            with Path("/run/netns", self.name).open() as namespace:
                if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                    return
            made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

        thread = threading.Thread(target=enter_and_make)
        thread.start()
        thread.join()
        (opened,) = made
        return opened


@contextlib.contextmanager
def open_network() -> Iterator[Network]:
    """Make a namespace; delete it at the end, with every process that is still in it."""
    _remove_abandoned()
    # One per test process: xdist's workers each have their own.
    name = f"{NAME_PREFIX}{os.getpid()}"
    _ip("netns", "add", name)
    try:
        up = ["link set lo up", *(f"address add {address}/24 dev lo" for address in ADDRESSES)]
        _ip("-netns", name, "-batch", "-", input="\n".join(up))
        yield Network(name)
    finally:
        _remove(name)


def _remove_abandoned() -> None:
    # A test process that was killed could not clean up; its number is in the name.
    for line in _ip("netns", "list").splitlines():
        name = line.split()[0]
        owner = name.removeprefix(NAME_PREFIX)
        if name != owner and owner.isdecimal() and not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):  # another worker was faster
                _remove(name)


def _remove(name: str) -> None:
    for pid in _ip("netns", "pids", name).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    _ip("netns", "delete", name)


def _ip(*arguments: str, input: str | None = None) -> str:  # noqa: A002 - as subprocess names it
    done = subprocess.run(
        ["ip", *arguments], input=input, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
