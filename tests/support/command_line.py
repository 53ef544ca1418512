"""The real command, in processes of its own or in this one, for tests."""

import contextlib
import io
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO

from forked_commands import ForkedCommand
from trio_swarm.cli import app

PATIENCE = 60.0
"""Seconds until a process that does not answer fails the test."""


def run_here(*arguments: object) -> tuple[int, str, str]:
    """Run a command that needs no process of its own; return (exit code, stdout, stderr)."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = app.run([str(each) for each in arguments])
    return code, out.getvalue(), err.getvalue()


def read_event(line: str) -> dict[str, Any]:
    """Return one JSON event without its time, which must be there."""
    read: dict[str, Any] = json.loads(line)
    assert list(read)[:2] == ["event", "time"]
    assert abs(read.pop("time") - time.time()) < 1000  # seconds since 1970
    return read


class Program:
    """A running `trio-swarm … --json`: its events as they come, its end."""

    def __init__(self, process: ForkedCommand, stdout: TextIO, stderr: TextIO) -> None:
        """`stdout` is the end of a pipe, `stderr` a file that is read at the end."""
        self.process = process
        self._stdout = stdout
        self._stderr = stderr
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.seen: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stdout:
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, event: str, **fields: object) -> dict[str, Any]:
        """Return the next event of that name with those fields."""
        deadline = time.monotonic() + PATIENCE
        while True:
            line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            assert line is not None, f"ended without {event}: {self.seen}"
            read = json.loads(line)
            self.seen.append(read)
            if read["event"] == event and fields.items() <= read.items():
                return read

    def end(self, signal_number: int | None = None) -> tuple[int, str]:
        """Send the signal, if any, wait for the end, and return (exit code, stderr)."""
        if signal_number is not None:
            self.process.send_signal(signal_number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        while not self._lines.empty():
            line = self._lines.get()
            if line:
                self.seen.append(json.loads(line))
        self._stderr.seek(0)
        return code, self._stderr.read()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of that name seen so far."""
        return [event for event in self.seen if event["event"] == name]


class CommandLine:
    """Runs commands in one folder, with a state folder of its own and no default tracker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TRIO_SWARM")
        } | {"XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder), "COLUMNS": "100"}

    def command(self, *arguments: object) -> list[str]:
        """Return the command as a process is given it."""
        return [sys.executable, "-m", "trio_swarm", *map(str, arguments)]

    def run(
        self, *arguments: object, environment: Mapping[str, str] | None = None, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, with `text` on its stdin, which is no terminal."""
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err, pipe_with(text) as stdin:
            process = ForkedCommand(
                arguments,
                streams=(stdin, out.fileno(), err.fileno()),
                environment=self.environment | dict(environment or {}),
                folder=self.folder,
            )
            try:
                code = process.wait(PATIENCE)
            finally:
                process.kill()
                process.wait(PATIENCE)
            out.seek(0)
            err.seek(0)
            command = self.command(*arguments)
            return subprocess.CompletedProcess(command, code, out.read(), err.read())

    def run_fresh(
        self, *arguments: object, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end in a Python of its own, where its start is what is tested."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def events(self, *arguments: object) -> list[dict[str, Any]]:
        """Run one command with `--json` to its end and return its events; it must succeed."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    @contextmanager
    def running(self, *arguments: object) -> Iterator[tuple[ForkedCommand, TextIO, TextIO]]:
        """Run one command in the background, and kill it at the end.

        Beside the process come a pipe with its stdout, and a file with its stderr.
        """
        reading, writing = os.pipe()
        with os.fdopen(reading) as stdout, TemporaryFile("w+") as stderr, pipe_with("") as stdin:
            process = ForkedCommand(
                arguments,
                streams=(stdin, writing, stderr.fileno()),
                environment=self.environment,
                folder=self.folder,
            )
            os.close(writing)
            try:
                yield process, stdout, stderr
            finally:
                process.kill()
                process.wait(PATIENCE)

    @contextmanager
    def start(self, *arguments: object) -> Iterator[Program]:
        """Run one command with `--json` in the background; it is killed at the end."""
        with self.running(*arguments, "--json") as (process, stdout, stderr):
            program = Program(process, stdout, stderr)
            try:
                yield program
            finally:
                process.kill()
                program.end()


@contextmanager
def pipe_with(text: str) -> Iterator[int]:
    """The end of a pipe from which a process reads this, of a few KiB at most."""
    reading, writing = os.pipe()
    with os.fdopen(reading):
        with os.fdopen(writing, "w") as written:
            written.write(text)
        yield reading
