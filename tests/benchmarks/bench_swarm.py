"""Whole swarms on shaped links, against the least time that any scheme needs.

Every contestant runs once a round in each column, with new namespaces, a new tracker (for all it is
trio-swarm's), new peers and new copies, which are compared with the file byte by byte and removed.
"""

import itertools
import json
import math
import os
import shutil
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import trio
from bench_loopback import Reading, closed_gate
from bench_measuring import KIB, in_alternation
from bench_peer import until_listed, write_random
from bench_swarm_columns import Column
from bench_swarm_contestants import Contestant, Fetch, Leecher, mixed, ours, rivals
from bench_swarm_network import Carried, Host, Processors, Shaped, shaped_network
from bench_swarm_report import Result
from bench_swarm_switch import switching

import trio_swarm
from foreign_clients import our_tracker
from foreign_content import Content
from foreign_programs import EndedEarlyError, Program, last_output, make_folder

PIECE_LENGTH = 256 * KIB
SAMPLE_SECONDS = 0.02
FIRST_PAYLOAD = 8 * KIB
"""Bytes received when a block must be among them: handshakes and the like are less."""
STALL_SECONDS = 25
STALL_BYTES = 256 * KIB
"""A swarm that receives less than this in that time will never finish.

The longest pauses seen: 11 s (libtorrent, super-seeding) and 12 s (Transmission)."""


@dataclass
class Course:
    """What the meters read, as time goes on."""

    seeders: int
    times: list[float] = field(default_factory=list)
    """Monotonic seconds."""
    carried: list[list[Carried]] = field(default_factory=list)
    """Of each host, seeders first, at each of the times."""

    def sent(self) -> int:
        """Return the bytes of payload that the seeders have sent so far."""
        return sum(each.sent for each in self.carried[-1][: self.seeders]) if self.carried else 0

    def received(self, at: int = -1) -> int:
        """Return the bytes of payload that the leechers had received at a sample."""
        return sum(each.received for each in self.carried[at][self.seeders :])

    def first(self, leecher: int, started: float) -> float:
        """Return seconds from `started` until a leecher had some payload; inf: never."""
        for now, carried in zip(self.times, self.carried, strict=True):
            if carried[self.seeders + leecher].received > FIRST_PAYLOAD:
                return now - started
        return math.inf

    def is_stalled(self) -> bool:
        """Whether the leechers have received next to nothing for a long time."""
        back = round(STALL_SECONDS / SAMPLE_SECONDS)
        if len(self.times) <= back:
            return False
        return self.received() - self.received(-1 - back) < STALL_BYTES


Played = TypeVar("Played")


class Ground(ABC, Generic[Played]):
    """The file, its torrent, and what surrounds every run."""

    def __init__(self, scratch: Path, size: int, *, timeline: bool) -> None:
        self.scratch = scratch
        self.size = size
        self.timeline = timeline
        path = make_folder(scratch / "share") / "data"
        write_random(path, size)
        self.content = Content(path, {"": size})
        self.metainfo = trio_swarm.create_torrent(
            path, piece_length=PIECE_LENGTH, state_folder=scratch / "hashes"
        )
        self.runs = 0

    async def run(self, column: Column, contestant: Contestant, congestion: str) -> Played:
        """Let a contestant run once under a congestion control; explains what failed."""
        self.runs += 1
        folder = make_folder(self.scratch / f"run-{self.runs}")
        try:
            with shaped_network(
                column.links,
                make_folder(folder / "reports"),
                bridged=not column.is_switched,
                congestion=congestion,
                buffer=column.buffer,
                segments=column.segments,
            ) as network:
                return await self.play(column, contestant, folder, network, congestion)
        except* (AssertionError, EndedEarlyError, trio.TooSlowError):
            sys.stderr.write(f"{column.name}: {contestant.name} failed.\n{last_output(folder)}\n")
            raise
        finally:
            shutil.rmtree(folder)

    @abstractmethod
    async def play(
        self,
        column: Column,
        contestant: Contestant,
        folder: Path,
        network: Shaped,
        congestion: str,
    ) -> Played:
        """Let a contestant run once in a network under a congestion control."""


class SwarmGround(Ground[Result]):
    """The same for whole swarms."""

    async def play(
        self,
        column: Column,
        contestant: Contestant,
        folder: Path,
        network: Shaped,
        congestion: str,
    ) -> Result:
        """Let a contestant run once in a network, and note its congestion control."""
        result = await Run(self, column, contestant, folder, network).result()
        return replace(result, congestion=congestion)


class Run:
    """One contestant in one column."""

    def __init__(
        self,
        ground: Ground[Any],
        column: Column,
        contestant: Contestant,
        folder: Path,
        network: Shaped,
    ) -> None:
        self.ground = ground
        self.column = column
        self.contestant = contestant
        self.folder = folder
        self.network = network
        self.number = ground.runs
        seeders, leechers = len(column.seeders), len(column.leechers)
        self.seeding_hosts = network.hosts[:seeders]
        self.leeching_hosts = network.hosts[seeders : seeders + leechers]
        self.other_hosts = network.hosts[seeders + leechers :]
        self.seeders: list[Program] = []
        self.leechers: list[Program] = []
        self.course = Course(seeders)

    async def result(self) -> Result:
        """Start everything, wait until all leechers are done or will never be, and compare."""
        metainfo = self.ground.metainfo
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            network = self.network
            if self.column.is_switched:
                ways = self.column.ways(network.ports)
                await enter(switching(network.hub, ways, self.folder, seed=self.number))
            with trio.fail_after(60):
                tracker = await enter(our_tracker(self.network.tracker, self.folder / "tracker"))
                torrent = self.folder / "data.torrent"
                torrent.write_bytes(metainfo.with_trackers([tracker.url]).to_bytes())
                for number, host in enumerate(self.seeding_hosts):
                    # The state outlives the run: what was verified is not hashed in every round.
                    scratch = self.ground.scratch / f"seeder-{self.contestant.name}-{number}"
                    seed = self.contestant.seed
                    self.seeders.append(
                        await enter(seed(host, self.ground.content, torrent, scratch))
                    )
                if self.contestant.announces:
                    await until_listed(tracker, self.seeders, metainfo.info.info_hash)
                await self._start_others(stack)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sample)
                processors = Processors()
                with closed_gate(self.folder / "reports"):
                    await self._start_leechers(stack, torrent)
                nursery.start_soon(self._kill_seeders)
                await self._until_done()
                busy = processors.busy()
                nursery.cancel_scope.cancel()
            result = self._sum_up(busy)
            if self.ground.timeline:
                sys.stderr.write(f"{timeline(self.course, self.column, self._started())}\n")
            # They have no more to say, and some take their time to say goodbye.
            peers = [*self.seeding_hosts, *self.leeching_hosts]
            self._kill(peers, [*self.seeders, *self.leechers])
        for number, finished in enumerate(result.finished):
            if math.isfinite(finished):
                self.ground.content.assert_equals_copy_in(self.copy(number))
        return result

    async def _start_others(self, stack: AsyncExitStack) -> None:
        """Start what is no peer, once all seeders are ready."""

    async def _start_leechers(self, stack: AsyncExitStack, torrent: Path) -> None:
        """Have the meters of all leechers ready: the programs start when the gate opens."""
        for number, (host, leecher) in enumerate(
            zip(self.leeching_hosts, self._lineup(), strict=True)
        ):
            fetch = self._fetch(leecher, number)
            program = await stack.enter_async_context(
                fetch(host, torrent, self.copy(number), self.folder / f"leecher-{number}")
            )
            self.leechers.append(program)
        for host, program in zip(self.leeching_hosts, self.leechers, strict=True):
            await program.until(lambda host=host, program=program: host.is_ready(program))

    def _lineup(self) -> list[Leecher]:
        """Return the leechers' clients, in the order of their hosts."""
        clients = self.contestant.leechers
        return [clients[number % len(clients)] for number in range(len(self.leeching_hosts))]

    def _is_rider(self, number: int) -> bool:
        return number >= len(self.column.givers)

    def _fetch(self, leecher: Leecher, number: int) -> Fetch:
        if not self._is_rider(number):
            return leecher.fetch
        assert leecher.ride is not None, f"{leecher.name} is no free rider"
        return leecher.ride

    def _groups(self) -> list[str]:
        names = [leecher.name if self.column.mixed else "giver" for leecher in self._lineup()]
        return ["rider" if self._is_rider(n) else name for n, name in enumerate(names)]

    def copy(self, number: int) -> Path:
        return self.folder / f"copy-{number}"

    def _reading(self, number: int) -> Reading | None:
        return self.leeching_hosts[number].reading(self.leechers[number])

    async def _sample(self) -> None:
        while True:
            self.course.times.append(time.monotonic())
            self.course.carried.append(self.network.meters.read())
            await trio.sleep(SAMPLE_SECONDS)

    async def _until_done(self) -> None:
        waiting = list(range(len(self.leechers)))
        while not self.course.is_stalled():
            ended = [number for number in waiting if self.leechers[number].process.poll()]
            waiting = [number for number in waiting if self._reading(number) is None]
            if not waiting:
                return
            for number in set(ended).intersection(waiting):
                self.leechers[number].check_alive()
            await trio.sleep(0.1)

    async def _kill_seeders(self) -> None:
        """Kill the seeders when the column says so."""
        if self.column.killed_after is not None:
            most = self.column.killed_after * self.ground.size
            while self.course.sent() < most:  # noqa: ASYNC110 - counters of the kernel tell nobody
                await trio.sleep(SAMPLE_SECONDS)
        elif self.column.killed_when_held:
            missing = self._all_pieces()
            while missing:
                self._note_held(missing)
                await trio.sleep(0.1)
        else:
            return
        self._kill(self.seeding_hosts, self.seeders)

    def _note_held(self, missing: set[int]) -> None:
        """Take the pieces away from `missing` that some leecher has in its file."""
        with ExitStack() as stack:
            share = stack.enter_context(self.ground.content.path.open("rb"))
            files = [
                stack.enter_context(path.open("rb"))
                for number in range(len(self.leechers))
                for path in self.copy(number).glob("data*")
                if path.suffix in {"", ".part"}
            ]
            for piece in sorted(missing):
                at = piece * PIECE_LENGTH
                head = os.pread(share.fileno(), 64, at)
                for file in files:
                    # Few are compared in full: most that lack it have no byte of it.
                    if os.pread(file.fileno(), 64, at) == head and os.pread(
                        file.fileno(), PIECE_LENGTH, at
                    ) == os.pread(share.fileno(), PIECE_LENGTH, at):
                        missing.discard(piece)
                        break

    def _kill(self, hosts: Iterable[Host], programs: Iterable[Program]) -> None:
        for host, program in zip(hosts, programs, strict=True):
            with suppress(ProcessLookupError):
                os.kill(host.pid(program), signal.SIGKILL)

    def _started(self) -> float:
        """Return when the first leecher's process started, monotonic seconds."""
        pairs = zip(self.leeching_hosts, self.leechers, strict=True)
        return min(host.started(program) for host, program in pairs)

    def _sum_up(self, busy: float) -> Result:
        readings = [self._reading(number) for number in range(len(self.leechers))]
        started = self._started()
        return Result(
            column=self.column.name,
            contestant=self.contestant.name,
            size=self.ground.size,
            bound=self.column.bound(self.ground.size),
            finished=[math.inf if each is None else each.last - started for each in readings],
            groups=self._groups(),
            first=[self.course.first(number, started) for number in range(len(readings))],
            sent=self.course.sent(),
            received=self.course.received(),
            duplicate=self._duplicate(),
            busy=busy,
            lost=self._lost() if None in readings else 0,
        )

    def _lost(self) -> int:
        """Return how many pieces no leecher has."""
        missing = self._all_pieces()
        self._note_held(missing)
        return len(missing)

    def _all_pieces(self) -> set[int]:
        return set(range(-(-self.ground.size // PIECE_LENGTH)))

    def _duplicate(self) -> int | None:
        """Return the bytes that leechers say they got twice, if all of them say it."""
        found = [completed_duplicate(program.output) for program in self.leechers]
        return None if None in found else sum(each for each in found if each is not None)


def completed_duplicate(output: str) -> int | None:
    """Return the `duplicate` of the `completed` event in what trio-swarm printed, or None."""
    for line in output.splitlines():
        if line.startswith("{") and '"completed"' in line:
            event = json.loads(line)
            if event.get("event") == "completed":
                return int(event["duplicate"])
    return None


def timeline(course: Course, column: Column, started: float) -> str:
    """Return a line a second: how much of their uplinks the seeders and the leechers used."""
    lines = [f"{column.name}, share of the uplinks in use:"]
    at = 0
    seeders = len(column.seeders)
    full = (column.capacity(column.seeders), column.capacity(column.leechers))
    for number in range(1, len(course.times)):
        past = course.times[number] - course.times[at]
        if past < 1 and number < len(course.times) - 1:
            continue
        moved = [
            after.sent - before.sent
            for after, before in zip(course.carried[number], course.carried[at], strict=True)
        ]
        used = (sum(moved[:seeders]), sum(moved[seeders:]))
        shares = [100 * each / past / most for each, most in zip(used, full, strict=True)]
        second = course.times[at] - started
        at = number
        if max(shares) < 1:  # nothing moves any more
            continue
        lines.append(f"{second:6.1f} s  seeders {shares[0]:4.0f} %  leechers {shares[1]:4.0f} %")
    return "\n".join(lines)


def contestants(
    which: Sequence[str],
    schedulers: Sequence[str],
    options: Sequence[str],
    checkouts: Sequence[Path],
) -> list[Contestant]:
    """Return those with the names in `which`, or all."""
    mine = [ours("trio-swarm", options=options)]
    if schedulers:
        mine = [
            ours(f"trio-swarm, {name}", options=options, fetching=["--scheduler", name])
            for name in schedulers
        ]
    mine += [
        ours(f"trio-swarm of {checkout.name}", options=options, checkout=checkout)
        for checkout in checkouts
    ]
    if "trio-swarm" in which:  # in all its ways
        which = [*which, *(each.name for each in mine)]
    everybody = [*mine, *rivals()]
    unknown = set(which) - {"trio-swarm"} - {each.name for each in everybody}
    if unknown:
        names = ", ".join(each.name for each in everybody)
        raise SystemExit(f"no contestant {', '.join(sorted(unknown))}; there are {names}")
    return [each for each in everybody if not which or each.name in which]


def starting(column: Column, running_order: Sequence[Contestant]) -> list[Contestant]:
    """Return who runs in a column: all that can."""
    if column.mixed:
        return [mixed(each) for each in running_order if each.name.startswith("trio-swarm")]
    if column.riders:
        return [each for each in running_order if all(one.ride for one in each.leechers)]
    return list(running_order)


async def run_rounds(
    ground: SwarmGround,
    columns: Sequence[Column],
    running_order: Sequence[Contestant],
    repeats: int,
    congestions: Sequence[str],
) -> AsyncIterator[Result]:
    """Let every contestant run once a round in every column under each congestion control."""
    for number in range(repeats):
        for column, congestion in itertools.product(columns, congestions):
            by_name = {each.name: each for each in starting(column, running_order)}
            for name in in_alternation(number, list(by_name)):
                result = await ground.run(column, by_name[name], congestion)
                sys.stderr.write(f"round {number + 1}, {result.line()}\n")
                yield result
