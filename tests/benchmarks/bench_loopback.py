"""Where benchmarks run: addresses of 127/8, and a meter around each program.

Takes the place of `foreign_network.Network` for the modules in tests/foreign. `Loopback` is no
namespace, so it needs no root; no client of the benchmarks minds loopback addresses.
"""

import contextlib
import fcntl
import itertools
import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import bench_metered

from foreign_network import Network
from foreign_programs import Program

METER = Path(__file__).with_name("bench_metered.py")


@dataclass(frozen=True)
class Marks:
    """What a program prints: `done` when it is done, `last` for each thing on the way."""

    last: str
    done: str


@dataclass(frozen=True)
class Reading:
    """What a meter read when its program was done. Times are monotonic seconds."""

    started: float
    last: float
    done: float
    cpu: float
    """Seconds, from the start."""
    peak: int
    """Bytes."""


@contextlib.contextmanager
def closed_gate(reports: Path) -> Iterator[None]:
    """Have meters that report to this folder wait, for the duration of the block."""
    gate = reports / "gate"
    with gate.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield
        finally:
            gate.unlink()


NO_MARKS = Marks("(no mark)", "(no mark)")


class Metered(Network):
    """Any network whose programs run under a meter."""

    def __init__(self, name: str, reports: Path) -> None:
        super().__init__(name)
        self.marks = NO_MARKS
        """What the next program is watched for."""
        self.prefix: list[str] = []
        """What the next program is run under: a profiler."""
        self._reports = reports
        self._reports.mkdir(exist_ok=True)

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """Return the command that runs `argv` under a meter."""
        meter = [sys.executable, "-I", "-S", METER, self._reports, self.marks.last, self.marks.done]
        return [*map(str, meter), *self.prefix, *map(str, argv)]

    def is_ready(self, program: Program) -> bool:
        """Whether a program's meter waits at the gate."""
        return (self._reports / f"{program.process.pid}.ready").exists()

    def reading(self, program: Program) -> Reading | None:
        """Return what a program's meter read when it was done; None before."""
        entries = self._entries(program)
        done = next((entry for entry in entries if "done" in entry), None)
        if done is None:
            return None
        # One that ended at once left no /proc entry to read, but its parent knows.
        ended = next((entry for entry in entries if "ended" in entry), done)
        return Reading(
            started=entries[0]["started"],
            last=done["last"],
            done=done["done"],
            cpu=done["cpu"],
            peak=int(done["peak"] or ended["peak"]),
        )

    def started(self, program: Program) -> float:
        """Return when a program started, monotonic seconds."""
        return self._entries(program)[0]["started"]

    def pid(self, program: Program) -> int:
        """Return the process id of the program itself, not of its meter."""
        return int(self._entries(program)[0]["pid"])

    def cpu(self, program: Program) -> float:
        """Return the seconds of processor time of a running program."""
        return bench_metered.cpu_seconds(self.pid(program))

    def peak(self, program: Program) -> int:
        """Return the most bytes a running program had resident."""
        return bench_metered.peak_memory(self.pid(program))

    def _entries(self, program: Program) -> list[dict[str, float]]:
        entries = []
        with contextlib.suppress(FileNotFoundError):
            text = (self._reports / f"{program.process.pid}.json").read_text()
            # A line without its end is still being written.
            entries = [json.loads(line) for line in text.splitlines(keepends=True) if "\n" in line]
        return entries


class Loopback(Metered):
    """A /16 of 127/8 by our process id: the same ports elsewhere there are never in the way."""

    def __init__(self, reports: Path) -> None:
        super().__init__("loopback", reports)
        second = 64 + os.getpid() % 128
        self._free_addresses = (
            f"127.{second}.{high}.{low}"
            for high, low in itertools.product(range(256), range(1, 255))
        )

    def udp_socket(self) -> socket.socket:
        """Return a UDP socket."""
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
