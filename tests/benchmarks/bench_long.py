"""Long fat links, loss, and several links at once, beside libtorrent, aria2 and TCP itself.

The runs are those of bench_swarm: every contestant once a round, in turns, in new namespaces. TCP
itself is one connection that carries the file and nothing else: the yardstick of the path.
"""

import bisect
import itertools
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import trio
from bench_long_report import LongResult
from bench_long_rows import Row
from bench_long_trace import trace
from bench_loopback import Marks, Metered
from bench_measuring import in_alternation
from bench_swarm import Ground, Run
from bench_swarm_columns import Column
from bench_swarm_contestants import Contestant, Leecher, Running, ours, rivals
from bench_swarm_network import Shaped

from foreign_content import Content
from foreign_programs import Program, make_folder, running

PLAIN = Path(__file__).with_name("bench_long_plain.py")
PLAIN_PORT = 5000
FIRST_ADDRESS = "10.78.0.1"
"""The first seeder's."""
RIVALS = ("libtorrent", "aria2")
SETTLED = 1.0
"""Seconds after the first payload in which a transfer may get going."""


def plain_argv(act: str, address: str, path: str | Path) -> list[str | Path]:
    """Return the command that serves or fetches a file by TCP alone."""
    return [sys.executable, "-I", "-S", PLAIN, act, address, str(PLAIN_PORT), path]


def _seed_plain(network: Metered, content: Content, torrent: Path, scratch: Path) -> Running:
    del torrent
    address = network.new_address()
    argv = plain_argv("serve", address, content.path)
    return running(network, "plain", address, argv, folder=scratch)


def _fetch_plain(network: Metered, torrent: Path, folder: Path, scratch: Path) -> Running:
    network.marks = Marks("complete", "complete")
    address = network.new_address()
    argv = plain_argv("fetch", FIRST_ADDRESS, folder / "data")
    return running(network, "plain", address, argv, folder=scratch)


TCP = Contestant("TCP", _seed_plain, [Leecher("TCP", _fetch_plain)], announces=False)


class OneLine(Protocol):
    """What is summed up in a line."""

    def line(self) -> str: ...


Found = TypeVar("Found", bound=OneLine)


class RowRun(Run, ABC, Generic[Found]):
    """One contestant in one row."""

    row: Row
    traces: Path | None
    """Where to write down what TCP does."""

    @abstractmethod
    async def row_result(self, congestion: str) -> Found:
        """Let it run once, and return what was found."""


class RowGround(Ground[Found]):
    """The file of the rows of one size, and what surrounds every run in them."""

    def __init__(
        self, scratch: Path, size: int, make_run: type[RowRun[Found]], traces: Path | None
    ) -> None:
        super().__init__(scratch, size, timeline=False)
        self._make_run = make_run
        self._traces = traces

    async def play(
        self,
        column: Column,
        contestant: Contestant,
        folder: Path,
        network: Shaped,
        congestion: str,
    ) -> Found:
        """Let a contestant run once in a network under a congestion control."""
        assert isinstance(column, Row)
        run = self._make_run(self, column, contestant, folder, network)
        run.row, run.traces = column, self._traces
        return await run.row_result(congestion)


class LongRun(RowRun[LongResult]):
    """One contestant in one row, with the course of the transfer."""

    async def _start_others(self, stack: AsyncExitStack) -> None:
        if not self.row.is_loaded:
            return
        (server,) = self.other_hosts
        for host, act in ((server, "serve"), (self.seeding_hosts[0], "fetch")):
            argv = plain_argv(act, server.address, "-")
            folder = self.folder / f"load-{act}"
            program = await stack.enter_async_context(
                running(host, act, host.address, argv, folder=folder)
            )
            if act == "serve":
                await _until_serving(program)

    async def row_result(self, congestion: str) -> LongResult:
        """Let it run once, and look at its course as well."""
        del congestion  # one for all rows
        async with trio.open_nursery() as nursery:
            if self.traces is not None:
                folder = make_folder(self.traces / f"{self.number}-{self.contestant.name}")
                nursery.start_soon(trace, self.network.hosts, folder)
            found = await self.result()
            nursery.cancel_scope.cancel()
        (finished,) = found.finished
        (first,) = found.first
        began = self._started()
        return LongResult(
            row=found.column,
            contestant=found.contestant,
            size=found.size,
            bound=found.bound,
            seconds=finished,
            first=first,
            settled=self._settled(began + first + SETTLED, began + finished, found.bound),
            load=self._load(began + first, began + finished),
            busy=found.busy,
        )

    def _settled(self, begin: float, end: float, bound: float) -> float:
        """Return the share of the link in use between two moments, the last that of the last byte.

        What came twice does not count.
        """
        index = self._sample_at(begin)
        had = min(self.row.size, self.course.received(index))
        span = end - self.course.times[index]
        return math.nan if span <= 0 else (self.row.size - had) / self.row.size * bound / span

    def _load(self, begin: float, end: float) -> float | None:
        """Return the bytes a second that the first seeder downloaded, if it did."""
        if not self.row.is_loaded:
            return None
        first, last = self._sample_at(begin), self._sample_at(end)
        got = [self.course.carried[index][0].received for index in (first, last)]
        return (got[1] - got[0]) / (self.course.times[last] - self.course.times[first])

    def _sample_at(self, moment: float) -> int:
        times = self.course.times
        return min(bisect.bisect_left(times, moment), len(times) - 1)


async def _until_serving(program: Program) -> None:
    await program.until(lambda: "serving" in program.output)


def contestants(which: Sequence[str], checkouts: Sequence[Path]) -> list[Contestant]:
    """Return those with the names in `which`, or all."""
    mine = [ours(f"trio-swarm of {each.name}", checkout=each) for each in checkouts]
    everybody = [
        ours("trio-swarm"),
        *mine,
        *(each for each in rivals() if each.name in RIVALS),
        TCP,
    ]
    if unknown := set(which) - {each.name for each in everybody}:
        names = ", ".join(each.name for each in everybody)
        raise SystemExit(f"no contestant {', '.join(sorted(unknown))}; there are {names}")
    return [each for each in everybody if not which or each.name in which]


def starting(row: Row, running_order: Sequence[Contestant]) -> list[Contestant]:
    """Return who runs in a row: TCP alone knows one source only."""
    return [each for each in running_order if each is not TCP or len(row.seeders) == 1]


async def run_rounds(
    make_run: type[RowRun[Found]],
    scratch: Path,
    rows: Sequence[Row],
    running_order: Sequence[Contestant],
    *,
    repeats: int,
    congestions: Sequence[str],
    traces: Path | None = None,
) -> AsyncIterator[Found]:
    """Let every contestant run once a round in every row under each congestion control."""
    grounds: dict[int, RowGround[Found]] = {}
    for number in range(repeats):
        for row, congestion in itertools.product(rows, congestions):
            ground = grounds.get(row.size)
            if ground is None:
                folder = make_folder(scratch / f"size-{row.size}")
                ground = grounds[row.size] = RowGround(folder, row.size, make_run, traces)
            by_name = {each.name: each for each in starting(row, running_order)}
            for name in in_alternation(number, list(by_name)):
                result = await ground.run(row, by_name[name], congestion)
                sys.stderr.write(f"round {number + 1}, {result.line()}\n")
                yield result
