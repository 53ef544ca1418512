"""Programs run as children: ended whatever happens, their output kept for whoever must explain."""

import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import trio

from foreign_network import Network

STOP_SECONDS = 5
POLL_SECONDS = 0.1
OUTPUT_SHOWN = 6_000
"""How many of the last characters of a program's output a failure shows."""


class EndedEarlyError(Exception):
    """A program ended before it had done what it was run for."""


class Program:
    """A running child in the network."""

    def __init__(self, name: str, address: str, process: trio.Process, log: Path) -> None:
        self.name = name
        self.address = address
        self.process = process
        self._log = log

    @property
    def output(self) -> str:
        """All it has written so far, stdout and stderr."""
        return self._log.read_text(errors="replace")

    async def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return await self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def stop(self) -> int:
        """Ask it to end; its exit code. Kill it if it takes too long."""
        with trio.CancelScope(shield=True):
            self.process.terminate()
            with trio.move_on_after(STOP_SECONDS):
                return await self.process.wait()
            self.process.kill()
            return await self.process.wait()

    def check_alive(self) -> None:
        """EndedEarlyError if it has ended: what it was to do will never happen."""
        if (code := self.process.poll()) is not None:
            raise EndedEarlyError(f"{self.name} at {self.address} ended with code {code}")

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for what only its output or its end tell; EndedEarlyError if it ends without."""
        while True:
            ended = self.process.poll() is not None  # before looking: its last words count
            if happened():
                return
            if ended:
                self.check_alive()
            await trio.sleep(POLL_SECONDS)


@contextlib.asynccontextmanager
async def running(
    network: Network,
    name: str,
    address: str,
    argv: Sequence[str | Path],
    *,
    folder: Path,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Program]:
    """Run a program in the network for the duration of the block; `folder` gets its log."""
    log = make_folder(folder) / f"{name}.log"
    with log.open("wb") as sink:
        process = await trio.lowlevel.open_process(
            network.command(argv),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=folder,
            # A home of its own: no person's config is read, none is changed.
            env={**os.environ, "HOME": str(folder), **(env or {})},
        )
    program = Program(name, address, process, log)
    try:
        yield program
    finally:
        if process.poll() is None:
            await program.stop()


def make_folder(path: Path, *, mode: int = 0o700) -> Path:
    """Make a folder and its parents, if they are not there; the path again."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return path


def last_output(scratch: Path) -> str:
    """What the programs that logged below `scratch` wrote last, to explain a failure."""
    parts = []
    for log in sorted(scratch.rglob("*.log")):
        # A carriage return is how a program redraws its progress line.
        lines = log.read_text(errors="replace").replace("\r", "\n").splitlines()
        text = "\n".join(line for line in lines if line.strip())
        parts.append(f"--- {log.relative_to(scratch)}\n{text[-OUTPUT_SHOWN:]}")
    return "\n".join(parts)
