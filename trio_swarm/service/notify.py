"""What a supervisor such as systemd is told (sd_notify(3)): ready, reloading, stopping, alive.

A message is lines of `NAME=value` in one datagram to the socket that `$NOTIFY_SOCKET` names. Where
nobody named one, nothing is told and nothing runs.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager

import trio

from trio_swarm.foreign_text import shown
from trio_swarm.logs import logger_of

log = logger_of(__name__)

STATUS_LENGTH = 200
"""Characters of a status: `systemctl status` shows one line."""
STATUS_SECONDS = 30.0
"""Seconds between two looks whether the status has changed."""
PATIENCE = 2.0
"""Seconds to wait for room in the supervisor's queue of datagrams, which it empties at once."""
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def message(fields: Mapping[str, object]) -> bytes:
    """Return the datagram that says `fields`; line breaks in a value would begin another one."""
    lines = [f"{name}={shown(str(value), STATUS_LENGTH)}" for name, value in fields.items()]
    return "\n".join(lines).encode()


def address_in(environment: Mapping[str, str]) -> str | None:
    """Return the address of the supervisor's socket: a path, or an abstract name; None: none.

    An `@` at the beginning stands for the NUL of an abstract name. Other kinds (`vsock:`) are for
    virtual machines that boot.
    """
    named = environment.get("NOTIFY_SOCKET", "")
    if named.startswith("@"):
        return f"\0{named[1:]}"
    return named if named.startswith("/") else None


def watchdog_in(environment: Mapping[str, str], pid: int) -> float | None:
    """Return the seconds between signs of life: half of what the supervisor waits; None: none.

    It waits for the process that `$WATCHDOG_PID` names, if any (sd_watchdog_enabled(3)).
    """
    allowed = environment.get("WATCHDOG_USEC", "")
    if not allowed.isdecimal() or not int(allowed):
        return None
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(allowed) / 1e6 / 2


class Supervisor:
    """The program that supervises this one; made by `open_supervisor`."""

    def __init__(self, connected: socket.socket | None, watchdog: float | None) -> None:
        self._socket = connected
        self._watchdog = watchdog

    async def ready(self, status: str) -> None:
        """Say that it works now: after the start, and after `reloading`."""
        await self._tell(READY=1, STATUS=status)

    async def reloading(self) -> None:
        """Say that the configuration is being read again; `ready` must follow."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        await self._tell(RELOADING=1, MONOTONIC_USEC=now)

    async def stopping(self) -> None:
        """Say that it is about to end."""
        await self._tell(STOPPING=1)

    async def keep_told(self, status: Callable[[], str]) -> None:
        """Give signs of life while the event loop turns, and tell the status when it changes.

        Ends at once if there is nobody to tell.
        """
        if self._socket is None:
            return
        async with trio.open_nursery() as nursery:
            if self._watchdog is not None:
                nursery.start_soon(self._give_signs, self._watchdog, name="tell the watchdog")
            nursery.start_soon(self._tell_status, status, name="tell the status")

    async def _give_signs(self, interval: float) -> None:
        while True:
            await self._tell(WATCHDOG=1)
            await trio.sleep(interval)

    async def _tell_status(self, status: Callable[[], str]) -> None:
        told = ""
        while True:
            now = status()
            if now != told:
                await self._tell(STATUS=now)
                told = now
            await trio.sleep(STATUS_SECONDS)

    async def _tell(self, **fields: object) -> None:
        """Send one message; one that cannot be sent is not missed by anybody who listens."""
        if self._socket is None:
            return
        content = message(fields)
        with trio.move_on_after(PATIENCE, shield=True):
            while True:
                try:
                    self._socket.send(content)
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._socket)
                except OSError as error:
                    log.debug("the supervisor cannot be told: %s", error.strerror)
                    return
                else:
                    return


SILENT = Supervisor(None, None)
"""Nobody."""


@contextmanager
def open_supervisor(environment: MutableMapping[str, str] | None = None) -> Iterator[Supervisor]:
    """Open the socket that `environment` names (default: that of this process).

    Its variables are taken out of the environment: they are not meant for programs that this one
    runs. A socket that cannot be opened is a warning, and nobody is told then.
    """
    environment = os.environ if environment is None else environment
    address, watchdog = address_in(environment), watchdog_in(environment, os.getpid())
    for name in _VARIABLES:
        environment.pop(name, None)
    if address is None:
        yield SILENT
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unconnected:
        unconnected.setblocking(False)  # noqa: FBT003 - the standard library's
        connected: socket.socket | None = unconnected
        try:
            unconnected.connect(address)
        except (OSError, ValueError) as error:  # ValueError: a NUL within the path
            log.warning("the supervisor's socket cannot be used: %s", error)
            connected = None
        yield Supervisor(connected, watchdog)
