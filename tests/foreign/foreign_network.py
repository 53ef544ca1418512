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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

NAME_PREFIX = "trio-swarm-test-"
ADDRESSES = [f"10.77.0.{host}" for host in range(1, 251)]
_CLONE_NEWNET = 0x40000000

Made = TypeVar("Made")


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
        return inside(self.name, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


def inside(name: str, make: Callable[[], Made]) -> Made:
    """What `make` returns, called in a namespace: a socket, or an open file of /proc."""
    made: list[Made] = []

    def enter_and_make() -> None:
        # setns moves only the calling thread, so this thread is thrown away afterwards.
        # os.setns needs Python 3.12.
        libc = ctypes.CDLL(None, use_errno=True)
        with Path("/run/netns", name).open() as namespace:
            if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                return
        made.append(make())

    thread = threading.Thread(target=enter_and_make)
    thread.start()
    thread.join()
    (opened,) = made
    return opened


@contextlib.contextmanager
def open_network() -> Iterator[Network]:
    """Make a namespace; delete it at the end, with every process that is still in it."""
    remove_abandoned(NAME_PREFIX)
    # One per test process: xdist's workers each have their own.
    name = f"{NAME_PREFIX}{os.getpid()}"
    run("ip", "netns", "add", name)
    try:
        up = ["link set lo up", *(f"address add {address}/24 dev lo" for address in ADDRESSES)]
        run("ip", "-netns", name, "-batch", "-", input="\n".join(up))
        yield Network(name)
    finally:
        remove(name)


def remove_abandoned(prefix: str) -> None:
    """Remove the namespaces named `prefix`, a process id and no more or `-…`, if it is gone."""
    # A process that was killed could not clean up; its number is in the name.
    for name in namespaces(prefix):
        owner = name.removeprefix(prefix).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):  # another worker was faster
                remove(name)


def namespaces(prefix: str) -> list[str]:
    """Return the names of the namespaces that begin so."""
    names = (line.split()[0] for line in run("ip", "netns", "list").splitlines())
    return [name for name in names if name.startswith(prefix)]


def remove(name: str) -> None:
    """Remove a namespace and kill every process in it."""
    for pid in run("ip", "netns", "pids", name).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run("ip", "netns", "delete", name)


def run(*argv: str, input: str | None = None) -> str:  # noqa: A002 - as subprocess names it
    """Run `ip` or a command like it, and return what it prints; OSError if it fails."""
    done = subprocess.run(argv, input=input, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout
