"""From a seeder to a leecher, each a process: trio-swarm, its rivals, both ways mixed, the floor.

All share one file. Every contestant runs once a round, with new seeders, a new tracker (for all it
is trio-swarm's) and a new copy, which is compared with the file byte by byte and removed. Before
the first round everyone transfers a small file, unmeasured: that compiles modules and fills caches.
"""

import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio
from bench_loopback import NO_MARKS, Loopback, Marks, Reading
from bench_measuring import GIB, KIB, MIB, in_alternation, warm_memory
from bench_room import demand_room

import trio_swarm as ours
from foreign_clients import ARIA2, LIBTORRENT, Tracker, our_tracker, trio_swarm
from foreign_content import Content
from foreign_network import Network
from foreign_programs import EndedEarlyError, Program, last_output, make_folder, running

FLOOR_SCRIPT = Path(__file__).with_name("bench_floor.py")
SLOWEST = 4 * MIB
"""Bytes a second; whoever is slower is taken to hang."""
START_SECONDS = 30
WARM_UP = 64 * MIB
"""Bytes of the unmeasured round, at most."""
LARGEST_OF_EIGHT = GIB
"""Bytes that each of eight leechers fetches at most: eight copies lie there at the same time."""

Seed = Callable[[Network, Content, Path, Path], AbstractAsyncContextManager[Program]]
"""seed(network, content, torrent, scratch)"""
Fetch = Callable[[Network, Path, Path, Path], AbstractAsyncContextManager[Program]]
"""fetch(network, torrent, folder, scratch)"""


@dataclass(frozen=True)
class Side:
    """A client in both roles, and what its leecher prints."""

    name: str
    seed: Seed
    fetch: Fetch
    marks: Marks


def _seed_ours(
    network: Network, content: Content, torrent: Path, scratch: Path
) -> AbstractAsyncContextManager[Program]:
    # `get` with the data there already: unlike `seed` it takes the piece length of a torrent.
    return trio_swarm(network, scratch, "get", torrent, "--dir", content.path.parent)


def _fetch_ours(
    network: Network, torrent: Path, folder: Path, scratch: Path
) -> AbstractAsyncContextManager[Program]:
    return trio_swarm(network, scratch, "get", torrent, "--dir", folder)


def _seed_aria2(
    network: Network, content: Content, torrent: Path, scratch: Path
) -> AbstractAsyncContextManager[Program]:
    # Its seeder need not hash what it is given, and neither side logs every message.
    trusting = ("--check-integrity=false", "--bt-seed-unverified=true")
    return ARIA2.seed(network, content, torrent, scratch, *trusting, "--console-log-level=notice")


def _fetch_aria2(
    network: Network, torrent: Path, folder: Path, scratch: Path
) -> AbstractAsyncContextManager[Program]:
    return ARIA2.fetch(network, torrent, folder, scratch, "--console-log-level=notice")


OURS = Side("trio-swarm", _seed_ours, _fetch_ours, Marks('"piece_verified"', '"completed"'))
RIVALS = {
    "libtorrent": Side(
        "libtorrent",
        LIBTORRENT.seed,
        LIBTORRENT.fetch,
        Marks("torrent_finished_alert", "\ncomplete\n"),
    ),
    "aria2": Side(
        "aria2", _seed_aria2, _fetch_aria2, Marks("Seeding is over", "Download complete")
    ),
}
FLOOR_MARKS = Marks("complete", "complete")


@dataclass(frozen=True)
class Contestant:
    """Who seeds to whom; None for the floor program."""

    name: str
    seeder: Side | None
    leecher: Side | None
    piece_length: int = MIB
    seeders: int = 1
    leechers: int = 1
    share: int = 1
    """Each leecher fetches the file's size divided by this."""


class Transfer(NamedTuple):
    """One transfer. The rate counts from the leechers' start to their last verified byte."""

    rate: float
    """Bytes/s, of all leechers together."""
    finished: float
    """Bytes/s until the leecher says that it is done: flushed (libtorrent), synced (trio-swarm)."""
    seeder_cpu: float
    leecher_cpu: float
    """Seconds per GiB delivered, of all seeders or leechers, from the leechers' start."""
    seeder_peak: float
    leecher_peak: float
    """Bytes of memory, of the one that took most."""


def contestants(
    libtorrent: Side, aria2: Side | None, which: Sequence[str], size: int
) -> list[Contestant]:
    """Return those with the names in `which`, or all, for a file of `size` bytes."""
    eighth = max(1, -(-size // LARGEST_OF_EIGHT))
    all_of_them = [
        Contestant("trio-swarm", OURS, OURS),
        Contestant("libtorrent", libtorrent, libtorrent),
        *([Contestant("aria2", aria2, aria2)] if aria2 is not None else []),
        Contestant("floor", None, None),
        Contestant("trio-swarm from libtorrent", libtorrent, OURS),
        Contestant("libtorrent from trio-swarm", OURS, libtorrent),
        Contestant("trio-swarm, 256 KiB pieces", OURS, OURS, piece_length=256 * KIB),
        Contestant("libtorrent, 256 KiB pieces", libtorrent, libtorrent, piece_length=256 * KIB),
        Contestant("trio-swarm from 4 seeders", OURS, OURS, seeders=4),
        Contestant("8 trio-swarm from one", OURS, OURS, leechers=8, share=eighth),
    ]
    unknown = set(which) - {each.name for each in all_of_them}
    if unknown:
        names = ", ".join(each.name for each in all_of_them)
        raise SystemExit(f"no contestant {', '.join(sorted(unknown))}; there are {names}")
    return [each for each in all_of_them if not which or each.name in which]


class Field:
    """The file in all shapes needed, and the programs' surroundings, below `scratch`."""

    def __init__(
        self, scratch: Path, size: int, *, write: Callable[[Path, int], None] | None = None
    ) -> None:
        self.scratch = scratch
        self.size = size
        self._write = write if write is not None else write_random
        self.network = Loopback(scratch / "reports")
        self.seeder_prefix: list[str] = []
        self.leecher_prefix: list[str] = []
        """What the peers are run under: a profiler."""
        self._contents: dict[int, Content] = {}
        self._runs = 0

    def content(self, share: int) -> Content:
        """Return the file, or one of that part of its size."""
        if share not in self._contents:
            size = self.size // share
            path = make_folder(self.scratch / f"share-{share}") / "data"
            self._write(path, size)
            self._contents[share] = Content(path, {"": size})
        return self._contents[share]

    async def metainfo(self, contestant: Contestant) -> ours.Metainfo:
        """Return the torrent of what a contestant transfers; hashed once."""
        return await trio.to_thread.run_sync(
            partial(
                ours.create_torrent,
                self.content(contestant.share).path,
                piece_length=contestant.piece_length,
                state_folder=self.scratch / "hashes",
            )
        )

    async def run(self, contestant: Contestant) -> Transfer:
        """Let a contestant transfer once; explains what failed."""
        self._runs += 1
        folder = make_folder(self.scratch / f"run-{self._runs}")
        content = self.content(contestant.share)
        longest = START_SECONDS + 8 * content.path.stat().st_size * contestant.leechers / SLOWEST
        run = self._run_floor if contestant.seeder is None else self._run_clients
        try:
            with trio.fail_after(longest):
                return await run(contestant, content, folder)
        except* (AssertionError, EndedEarlyError, trio.TooSlowError):
            sys.stderr.write(f"{contestant.name} failed.\n{last_output(folder)}\n")
            raise
        finally:
            shutil.rmtree(folder)

    async def _run_clients(
        self, contestant: Contestant, content: Content, folder: Path
    ) -> Transfer:
        assert contestant.seeder is not None
        assert contestant.leecher is not None
        network = self.network
        metainfo = await self.metainfo(contestant)
        async with AsyncExitStack() as stack:
            network.marks = NO_MARKS
            tracker = await stack.enter_async_context(our_tracker(network, folder / "tracker"))
            torrent = folder / "data.torrent"
            torrent.write_bytes(metainfo.with_trackers([tracker.url]).to_bytes())
            seeders = []
            for number in range(contestant.seeders):
                # The state outlives the run: what was verified once is not hashed in every round.
                scratch = self.scratch / f"seeder-{contestant.name}-{number}"
                network.prefix = self.seeder_prefix
                seeder = await stack.enter_async_context(
                    contestant.seeder.seed(network, content, torrent, scratch)
                )
                seeders.append(seeder)
                network.prefix = []
            await until_listed(tracker, seeders, metainfo.info.info_hash)
            leech = partial(self._leecher, contestant.leecher, torrent, folder)
            return await self._measure(contestant, content, folder, seeders, leech)

    async def _run_floor(self, contestant: Contestant, content: Content, folder: Path) -> Transfer:
        network = self.network
        metainfo = await self.metainfo(contestant)
        hashes = folder / "hashes"
        hashes.write_bytes(metainfo.info.piece_hashes)
        address = network.new_address()
        script: list[str | Path] = [sys.executable, FLOOR_SCRIPT]
        sending = [*script, "send", content.path, address]
        size = str(content.path.stat().st_size)
        network.marks = NO_MARKS
        async with running(network, "send", address, sending, folder=folder) as sender:
            await sender.until(lambda: "listening" in sender.output)

            @asynccontextmanager
            async def receiver(number: int) -> AsyncIterator[Program]:
                network.marks = FLOOR_MARKS
                file = make_folder(folder / f"copy-{number}") / content.path.name
                piece_length = str(contestant.piece_length)
                argv = [*script, "receive", file, address, size, piece_length, hashes]
                async with running(network, "receive", address, argv, folder=folder) as program:
                    yield program

            return await self._measure(contestant, content, folder, [sender], receiver)

    @asynccontextmanager
    async def _leecher(
        self, side: Side, torrent: Path, folder: Path, number: int
    ) -> AsyncIterator[Program]:
        self.network.marks = side.marks
        copy, scratch = folder / f"copy-{number}", folder / f"leecher-{number}"
        self.network.prefix = self.leecher_prefix
        async with side.fetch(self.network, torrent, copy, scratch) as program:
            self.network.prefix = []
            yield program

    async def _measure(
        self,
        contestant: Contestant,
        content: Content,
        folder: Path,
        seeders: Sequence[Program],
        leecher: Callable[[int], AbstractAsyncContextManager[Program]],
    ) -> Transfer:
        network = self.network
        await trio.to_thread.run_sync(
            warm_memory, content.path.stat().st_size * contestant.leechers
        )
        cpu_before = sum(map(network.cpu, seeders))
        async with AsyncExitStack() as stack:
            programs = [
                await stack.enter_async_context(leecher(number))
                for number in range(contestant.leechers)
            ]
            readings: list[Reading] = []
            for program in programs:
                await program.until(lambda program=program: network.reading(program) is not None)
                reading = network.reading(program)
                assert reading is not None
                readings.append(reading)
            seeder_cpu = sum(map(network.cpu, seeders)) - cpu_before
            seeder_peak = max(map(network.peak, seeders))
        for number in range(contestant.leechers):
            content.assert_equals_copy_in(folder / f"copy-{number}")
        delivered = content.path.stat().st_size * contestant.leechers
        started = min(reading.started for reading in readings)
        return Transfer(
            rate=delivered / (max(reading.last for reading in readings) - started),
            finished=delivered / (max(reading.done for reading in readings) - started),
            seeder_cpu=seeder_cpu * GIB / delivered,
            leecher_cpu=sum(reading.cpu for reading in readings) * GIB / delivered,
            seeder_peak=seeder_peak,
            leecher_peak=max(reading.peak for reading in readings),
        )


async def until_listed(tracker: Tracker, seeders: Sequence[Program], info_hash: bytes) -> None:
    """Wait until a tracker lists all seeders."""
    while True:
        counts = await tracker.scrape(info_hash)
        if counts is not None and counts.seeders >= len(seeders):
            return
        for seeder in seeders:
            seeder.check_alive()
        await trio.sleep(0.05)


def write_random(path: Path, size: int) -> None:
    """Write a file that neither compresses nor repeats; it is on the disk when this returns."""
    with path.open("wb") as file:
        while size > 0:
            size -= file.write(os.urandom(min(size, 4 * MIB)))
        # Not in the background of the first measurement.
        os.fsync(file.fileno())


def warm_up(contestant: Contestant, size: int) -> Contestant:
    """Return a contestant with a small part of the file of `size` bytes, instead of its own."""
    return replace(contestant, share=max(contestant.share, size // WARM_UP))


def room_needed(running_order: Sequence[Contestant], size: int) -> int:
    """Return the bytes of all files shared, and of the copies that are there at the same time."""
    shares = {each.share for each in running_order}
    shares |= {warm_up(each, size).share for each in running_order}
    copies = max(each.leechers * (size // each.share) for each in running_order)
    return sum(size // share for share in shares) + copies


async def run_rounds(
    field: Field, running_order: Sequence[Contestant], repeats: int
) -> dict[str, list[Transfer]]:
    """Let every contestant run once a round; the results by name, in the order of the rounds."""
    demand_room(field.scratch, room_needed(running_order, field.size))
    by_name = {contestant.name: contestant for contestant in running_order}
    for contestant in running_order:
        await field.run(warm_up(contestant, field.size))
    results: dict[str, list[Transfer]] = {name: [] for name in by_name}
    for number in range(repeats):
        for name in in_alternation(number, list(by_name)):
            transfer = await field.run(by_name[name])
            results[name].append(transfer)
            sys.stderr.write(f"round {number + 1}: {name}: {transfer.rate / MIB:.0f} MiB/s\n")
    return results
