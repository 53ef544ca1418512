"""How long a control message takes while an uplink with half a second of buffer is full.

The queue is one hop away from the host, in the switch, as in a modem: in the host's own interface
TCP would notice it, and wait (see `bench_swarm_switch`). Who asks and times is a peer of a script
(see `bench_bloat_probe`), next to leechers of the program that is measured.
"""

import math
import statistics
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import trio
from bench_long import RowRun
from bench_long_rows import Row
from bench_long_trace import Sample, Tracer, open_netlink
from bench_measuring import KIB, MIB, spread, table
from bench_swarm import PIECE_LENGTH
from bench_swarm_columns import EFFICIENCY
from bench_swarm_network import Host
from bench_swarm_report import Result

from foreign_network import inside
from foreign_programs import Program, make_folder, running
from shaped_links import MBIT, Link

PROBE = Path(__file__).with_name("bench_bloat_probe.py")
UP, SLOW = 20.0, 1.0
"""Mbit/s of the uplink that is full."""
DELAY = 0.020
FAR = 0.100
"""Seconds each way."""
BLOAT = 0.500
"""Seconds that its buffer takes."""
GOING_SECONDS = 2.0
"""Seconds from the first block of a probe on in which the load may get going."""
LOADED_SECONDS = 8.0
"""Seconds that are looked at."""
LISTENING = "0A"
"""In `/proc/net/tcp`."""
PORT_SECONDS = 0.05


@dataclass(frozen=True)
class Bloated(Row):
    """A full uplink, of the seeder or of a leecher; the first of the others is the quiet probe."""

    up: float = UP
    """Mbit/s of the uplink that is full."""

    @property
    def target(self) -> int:
        """The host whose uplink that is."""
        return list(self.modems).index(self.up)


def _seeding(name: str, count: int, *, delay: float = DELAY, up: float = UP) -> Bloated:
    return Bloated(
        name,
        f"a seeder of {up:g} up, {count} leecher{'s' * (count > 1)}, {2000 * delay:g} ms",
        (Link(up),),
        (Link(None),) * (count - 1),
        others=(Link(None),) * 2,
        buffer=BLOAT,
        segments=2,
        size=64 * MIB,
        delays=(delay,) * (count + 3),
        modems=(up,),
        up=up,
    )


ROWS = {
    row.name: row
    for row in (
        _seeding("bloated-1", 1),
        _seeding("bloated-2", 2),
        _seeding("bloated-7", 7),
        _seeding("bloated-far", 2, delay=FAR),
        _seeding("bloated-slow", 2, up=SLOW),
        Bloated(
            "bloated-both",
            f"a leecher that gets 80 Mbit/s, {UP:g} up, and uploads to 2",
            (Link(80),),
            (Link(UP),),
            others=(Link(None),) * 3,
            buffer=BLOAT,
            segments=2,
            size=160 * MIB,
            delays=(DELAY,) * 6,
            modems=(80, UP),
        ),
    )
}
WHO = ("trio-swarm", "libtorrent")
CONGESTIONS = ("cubic", "bbr")
KINDS = ("ping", "quiet", "busy")


class Answer(NamedTuple):
    """A line of a probe."""

    kind: str
    at: float
    value: float


@dataclass(frozen=True)
class BloatResult:
    """One run: seconds above the link's own, of each kind of answer."""

    row: str
    contestant: str
    congestion: str
    delays: dict[str, list[float]]
    share: float
    """Of the uplink."""
    got: float
    """Bytes a second that its host downloaded."""

    def line(self) -> str:
        """Return a line that sums it up."""
        told = ", ".join(f"{kind} {_text(self.delays[kind])} ms" for kind in KINDS)
        down = self.got / MBIT / EFFICIENCY
        return (
            f"{self.row}, {self.congestion}: {self.contestant}: {told}; "
            f"{self.share:.2f} of the uplink, {down:.0f} Mbit/s down"
        )


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` of all do not exceed; nan: there is none."""
    if not values:
        return math.nan
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def _text(delays: Sequence[float]) -> str:
    median = statistics.median(delays) if delays else math.nan
    return f"{1000 * median:.0f}/{1000 * percentile(delays, 0.95):.0f} ({len(delays)})"


class BloatRun(RowRun[BloatResult]):
    """One contestant in one row; it ends when the load was looked at for long enough."""

    row: Bloated
    tracer: Tracer

    async def row_result(self, congestion: str) -> BloatResult:
        """Let it run once."""
        self.began = math.inf
        target = self.network.hosts[self.row.target]
        self.tracer = Tracer(inside(target.name, open_netlink))
        self.probes: list[Program] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._trace)
            await self.result()
            nursery.cancel_scope.cancel()
        if self.traces is not None:
            name = f"{self.number}-{self.row.name}-{congestion}-{self.contestant.name}"
            self._write_down(make_folder(self.traces / name))
        begin, end = self.began + GOING_SECONDS, self.began + GOING_SECONDS + LOADED_SECONDS
        answers = [each for probe in self.probes for each in _answers(probe)]
        within = [each for each in answers if begin <= each.at < end]
        carried = self._acknowledged(end) - self._acknowledged(begin)
        return BloatResult(
            row=self.row.name,
            contestant=self.contestant.name,
            congestion=congestion,
            delays={
                kind: [each.value - 2 * self.row.delays[0] for each in within if each.kind == kind]
                for kind in KINDS
            },
            share=carried / LOADED_SECONDS / (self.row.up * MBIT * EFFICIENCY),
            got=self._got(begin, end),
        )

    def _write_down(self, folder: Path) -> None:
        """Write down what TCP did at the host whose uplink was full, and what probes printed."""
        self.tracer.close(folder / "tcp.txt")
        for number, probe in enumerate(self.probes):
            (folder / f"probe-{number}.txt").write_text(probe.output)

    async def _trace(self) -> None:
        while True:
            self.tracer.take()
            await trio.sleep(0.02)

    def _acknowledged(self, moment: float) -> int:
        """Return the bytes that had been acknowledged to the target."""
        last: dict[tuple[str, str], Sample] = {}
        for sample in self.tracer.samples:
            if sample.at <= moment:
                last[sample.local, sample.remote] = sample
        return sum(sample.acknowledged for sample in last.values())

    def _got(self, begin: float, end: float) -> float:
        at = [
            min(range(len(self.course.times)), key=lambda n: abs(self.course.times[n] - moment))
            for moment in (begin, end)
        ]
        first, last = (self.course.carried[number][self.row.target].received for number in at)
        return (last - first) / LOADED_SECONDS

    def _sum_up(self, busy: float) -> Result:
        """Return what is of no interest here: nobody is to be done."""
        return Result(
            column=self.row.name,
            contestant=self.contestant.name,
            size=self.row.size,
            bound=math.nan,
            finished=[],
            groups=[],
            first=[],
            sent=self.course.sent(),
            received=self.course.received(),
            duplicate=None,
            busy=busy,
            lost=0,
        )

    async def _start_leechers(self, stack: AsyncExitStack, torrent: Path) -> None:
        await super()._start_leechers(stack, torrent)
        self._stack = stack

    async def _until_done(self) -> None:
        target = self.network.hosts[self.row.target]
        with trio.fail_after(60):
            while not (port := listening_port(target)):  # noqa: ASYNC110 - nobody tells
                await trio.sleep(PORT_SECONDS)
            hosts = self.other_hosts
            for number, host in enumerate(hosts):
                kind = "quiet" if number == 0 else "busy"
                await self._probe(host, kind, target.address, port)
            while not any(
                each.kind == "block" for probe in self.probes[1:] for each in _answers(probe)
            ):
                for probe in self.probes:
                    probe.check_alive()
                await trio.sleep(0.1)
        self.began = min(
            each.at for probe in self.probes for each in _answers(probe) if each.kind == "block"
        )
        await trio.sleep(GOING_SECONDS + LOADED_SECONDS + 1.0)

    async def _probe(self, host: Host, kind: str, address: str, port: int) -> None:
        info_hash = self.ground.metainfo.info.info_hash.hex()
        blocks = self.row.size // (16 * KIB)
        argv: list[str | Path] = [sys.executable, "-I", "-S", PROBE, kind, address, str(port)]
        argv += [info_hash, str(blocks), str(PIECE_LENGTH // (16 * KIB))]
        folder = self.folder / f"probe-{len(self.probes)}-{kind}"
        program = await self._stack.enter_async_context(
            running(host, "probe", host.address, argv, folder=folder)
        )
        self.probes.append(program)


def listening_port(host: Host) -> int | None:
    """Return the port at which a program listens in a host's namespace; None: none does."""
    text = inside(host.name, Path("/proc/thread-self/net/tcp").read_text)
    for line in text.splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == LISTENING:
            return int(local.split(":")[1], 16)
    return None


def _answers(probe: Program) -> list[Answer]:
    found = []
    for line in probe.output.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[0] in {*KINDS, "block"}:
            found.append(Answer(fields[0], float(fields[1]), float(fields[2])))
    return found


def report(results: Sequence[BloatResult]) -> str:
    """Return a table for each row and congestion control."""
    found: dict[tuple[str, str], dict[str, list[BloatResult]]] = {}
    for each in results:
        by_contestant = found.setdefault((each.row, each.congestion), {})
        by_contestant.setdefault(each.contestant, []).append(each)
    return "\n\n".join(_table(row, congestion, each) for (row, congestion), each in found.items())


def _table(row: str, congestion: str, found: dict[str, list[BloatResult]]) -> str:
    heads = ["", "runs", *(f"{kind}, ms" for kind in KINDS), "share", "Mbit/s down"]
    lines = []
    for name, runs in found.items():
        cells = [name, str(len(runs))]
        for kind in KINDS:
            delays = [delay for run in runs for delay in run.delays[kind]]
            cells.append(_text(delays))
        cells.append(spread(run.share for run in runs).text(2))
        cells.append(f"{spread(run.got for run in runs).median / MBIT / EFFICIENCY:.0f}")
        lines.append(cells)
    title = f"{row}: {ROWS[row].title}; {congestion}; above the link's own, median/95 % (number)"
    return f"{title}\n\n{table(heads, lines)}"
