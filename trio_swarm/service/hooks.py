"""Programs that an operator wants run when something happened.

No shell is between: a program gets its arguments as they were written, and what happened in its
environment (`TRIO_SWARM_EVENT` and others). What it prints is logged line by line. It holds the
node up in no way: it has a time limit, few run at once, and few wait.
"""

import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Literal

import trio
from msgspec import Struct

from trio_swarm import events
from trio_swarm.amounts import count_text
from trio_swarm.foreign_text import error_words, shown
from trio_swarm.logs import logger_of
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.settings import HookSettings

log = logger_of(__name__)

AT_ONCE = 4
"""Programs that run at once: a hundred downloads may end in one moment."""
MAX_WAITING = 1000
"""Programs that wait for their turn. What more would be run is left out, with a warning: programs
that hang must not fill the memory."""
MAX_LINES = 100
"""Lines of one program that are logged; the rest is read and counted."""
LINE_LENGTH = 1000
"""Characters of a line that are logged."""
VALUE_LENGTH = 4096
"""Characters of a value in the environment: a stranger may have chosen the name of a torrent, and
Linux takes 128 KiB at most."""
GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL, and for what a program that has ended still prints by way of
others that it started."""
_CHUNK = 16 * 1024

Happening = Literal["complete", "failed"]


class HookCall(Struct, frozen=True):
    """A program to run, and what it is told."""

    happening: Happening
    command: tuple[str, ...]
    told: Mapping[str, str]
    """Variables of its environment."""

    @property
    def name(self) -> str:
        """How log lines call it. Its arguments may hold secrets."""
        return f"on_{self.happening} {PurePath(self.command[0]).name}"


def call_for(settings: HookSettings, event: events.Event) -> HookCall | None:
    """Return which program is to be run because of an event; None: none."""
    match event:
        case events.EntryCompleted() if settings.on_complete:
            told = {
                **_torrent("complete", event.share_name, event.info_hash),
                "TRIO_SWARM_ID": str(event.id),
                "TRIO_SWARM_PATH": event.path,
                "TRIO_SWARM_LABELS": _value(",".join(event.labels)),
            }
            return HookCall("complete", settings.on_complete, told)
        case events.TorrentFailed() if settings.on_failed:
            told = {
                **_torrent("failed", event.share_name, event.info_hash),
                "TRIO_SWARM_REASON": _value(event.reason),
            }
            return HookCall("failed", settings.on_failed, told)
        case _:
            return None


def _torrent(happening: Happening, name: str, info_hash: str) -> dict[str, str]:
    return {
        "TRIO_SWARM_EVENT": happening,
        "TRIO_SWARM_NAME": _value(name),
        "TRIO_SWARM_INFO_HASH": info_hash,
    }


def _value(text: str) -> str:
    """Return a stranger's text as an environment can hold it: bounded, without NUL or surrogate."""
    whole = text[:VALUE_LENGTH].replace("\0", "")
    return whole.encode(errors="backslashreplace").decode()


class OutputLines:
    """Cuts what a program prints into lines; bounded in their length and number."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._count = 0

    @property
    def left_out(self) -> int:
        """How many lines were not returned."""
        return max(0, self._count - MAX_LINES)

    def add(self, output: bytes) -> Iterator[str]:
        """Take more output; yield the lines that are whole now."""
        *whole, rest = output.split(b"\n")
        for part in whole:
            self._extend(part)
            yield from self.end()
        self._extend(rest)

    def end(self) -> Iterator[str]:
        """Yield what has come of a line; the line is over."""
        line = shown(bytes(self._line).rstrip(), LINE_LENGTH)
        self._line.clear()
        if line:
            self._count += 1
            if self._count <= MAX_LINES:
                yield line

    def _extend(self, part: bytes) -> None:
        self._line += part[: max(0, 4 * LINE_LENGTH - len(self._line))]  # 4 bytes a character


class Hooks:
    """Runs the programs of `settings()`, which is asked anew for each event."""

    def __init__(self, settings: Callable[[], HookSettings]) -> None:
        self._settings = settings
        self._waiting: deque[HookCall] = deque()
        self._running = 0
        self._is_full = False
        self._wakeup = Wakeup()
        self._idle = trio.Event()
        self._idle.set()

    def tell(self, event: events.Event) -> None:
        """Take note of something that happened; returns at once."""
        call = call_for(self._settings(), event)
        if call is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            if not self._is_full:
                log.warning("%s: not run: %d others wait already", call.name, MAX_WAITING)
            self._is_full = True
            return
        self._is_full = False
        self._waiting.append(call)
        if self._idle.is_set():
            self._idle = trio.Event()
        self._wakeup.set()

    async def wait_idle(self) -> None:
        """Wait until each program has ended that was to be run so far."""
        await self._idle.wait()

    async def run(self) -> None:
        """Run programs until cancelled; those that still run are ended then."""
        async with trio.open_nursery() as nursery:
            while True:
                while self._waiting and self._running < AT_ONCE:
                    self._running += 1
                    call = self._waiting.popleft()
                    nursery.start_soon(self._run_one, call, name=f"run {call.name}")
                await self._wakeup.wait()

    async def _run_one(self, call: HookCall) -> None:
        try:
            await run_program(call, limit=self._settings().timeout)
        finally:
            self._running -= 1
            self._wakeup.set()
            if not self._running and not self._waiting:
                self._idle.set()


async def run_program(call: HookCall, *, limit: float) -> None:
    """Run one program for `limit` seconds at most; log what it prints, and how it failed."""
    try:
        process = await trio.lowlevel.open_process(
            call.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **call.told},
            start_new_session=True,  # so that what it starts is ended with it
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error_words(error)
        log.warning("%s: cannot be run: %s", call.name, reason)
        return
    log.debug("%s: runs for %s", call.name, shown(call.told["TRIO_SWARM_NAME"]))
    try:
        with trio.move_on_after(limit) as scope:
            await _log_output(process, call.name)
        if scope.cancelled_caught:
            log.warning("%s: ended after %g s", call.name, limit)
        elif process.returncode:
            log.warning("%s: %s", call.name, _ending(process.returncode))
    finally:
        await _end(process)


async def _log_output(process: trio.Process, name: str) -> None:
    """Log what a program prints until it has ended."""
    lines = OutputLines()

    async def read() -> None:
        assert process.stdout is not None
        while output := await process.stdout.receive_some(_CHUNK):
            for line in lines.add(bytes(output)):
                log.info("%s: %s", name, line)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await process.wait()
        # What it started in the background may hold its output open for ever.
        nursery.cancel_scope.deadline = trio.current_time() + GRACE
    for line in lines.end():
        log.info("%s: %s", name, line)
    if lines.left_out:
        log.info("%s: and %s more", name, count_text(lines.left_out, "line"))


async def _end(process: trio.Process) -> None:
    """Close the output; end a program that still runs, and what it started in its session."""
    with trio.CancelScope(shield=True):
        if process.returncode is None:
            _send(process, signal.SIGTERM)
            with trio.move_on_after(GRACE):
                await process.wait()
            _send(process, signal.SIGKILL)
            await process.wait()
        assert process.stdout is not None
        await process.stdout.aclose()


def _send(process: trio.Process, number: signal.Signals) -> None:
    """Send a signal to all of a program's session that is left."""
    with suppress(ProcessLookupError, PermissionError):  # all gone, or another user's
        os.killpg(process.pid, number)


def _ending(code: int) -> str:
    if code > 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"ended by {signal.Signals(-code).name}"
    return f"ended by signal {-code}"
