"""What sharing by an engine costs a tracker, and how soon others know what one has heard.

    bench_shared.py [--seconds 10] [--restarts 20] [--peers 1000000] [--only PART]

Needs redis-server. Stores are asked without sockets, so what sharing costs is set against less than
a tracker does for an announce: over UDP the ratio is nearer to 1. Three trackers and the engine
share the cores of this machine.
"""

import argparse
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import trio

sys.path.append(str(Path(__file__).parent.parent / "support"))

from redis_server import redis_server
from trio_swarm.protocol.peer_ids import PEER_ID_PREFIX
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.settings import MOST, TrackerSettings
from trio_swarm.tracker.shared.store import SharedStore
from trio_swarm.tracker.store.in_memory import InMemoryStore
from trio_swarm.tracker.store.interface import Announce, NameQuestion
from trio_swarm.tracker.store.registry import TrackerRegistry

SETTINGS = TrackerSettings(
    max_swarms=MOST, max_peers=MOST, max_peers_per_swarm=MOST, max_peers_per_host=MOST, lease=3600
)
SWARMS, PEERS = 1_000, 50_000
"""Of each tracker, while announces are counted."""
BATCH = 64
CHANGED = 30
"""One announce of so many is no heartbeat: sessions of half an hour and an announce a minute."""
PEER_ID = PEER_ID_PREFIX + bytes(20 - len(PEER_ID_PREFIX))


def announce(number: int, first: int = 0, name: str = "", event: int = 0) -> Announce:
    address = (0x0A000000 + first + number).to_bytes(4, "big") + b"\x1a\xe1"
    info_hash = (number % SWARMS).to_bytes(20, "big")
    share = UrlShare(name=name, size=1) if name else None
    return info_hash, address, number % 2, event, -1, share, PEER_ID, 0


def new_store(url: str) -> SharedStore:
    return SharedStore(SETTINGS, url=url, prefix="bench", rng=random.Random(1))


@asynccontextmanager
async def running(url: str, count: int = 1) -> AsyncIterator[list[SharedStore]]:
    async with trio.open_nursery() as nursery:
        made = [new_store(url) for _ in range(count)]
        for store in made:
            await nursery.start(store.run)
        yield made
        nursery.cancel_scope.cancel()


async def load(store: InMemoryStore, rate: float, seconds: float, first: int) -> int:
    """Let peers announce at a rate, 0 for as fast as it goes; return how many did."""
    rng = random.Random(first)
    done, begin, new = 0, time.monotonic(), PEERS
    while (now := time.monotonic()) - begin < seconds:
        batch = [announce(rng.randrange(PEERS), first) for _ in range(BATCH)]
        for at in range(done % CHANGED, BATCH, CHANGED):
            # Peers come and go in turns.
            batch[at] = announce(new // 2, first, event=3 if new % 2 else 0)
            new += 1
        await store.announce(batch, now)
        done += BATCH
        ahead = done / rate - (time.monotonic() - begin) if rate else 0.0
        await trio.sleep(max(0.0, ahead))
    return done


async def fill(store: InMemoryStore, first: int, count: int = PEERS) -> None:
    for number in range(0, count, BATCH):
        peers = [announce(number + at, first) for at in range(min(BATCH, count - number))]
        await store.announce(peers, time.monotonic())
        await trio.lowlevel.checkpoint()


def other_tracker(url: str, pipe: Connection, rate: float, seconds: float, first: int) -> None:
    """A tracker in a process of its own; with a pipe it registers names and tells when."""

    async def register(store: SharedStore) -> None:
        for number in range(10_000):
            await trio.sleep(0.02 + random.random() * 0.06)
            pipe.send(time.time())
            # Each name has a torrent of its own, or the torrent would have too many.
            info_hash = (10**6 + number).to_bytes(20, "big")
            share = UrlShare(name=f"name {number}", size=1)
            address = b"\x0b" + number.to_bytes(3, "big") + b"\1\1"
            await store.announce(
                [(info_hash, address, 0, 0, -1, share, PEER_ID, 0)], time.monotonic()
            )

    async def run() -> None:
        async with running(url) as (store,):
            await fill(store, first)
            pipe.send(None)
            async with trio.open_nursery() as nursery:
                if seconds:
                    nursery.start_soon(register, store)
                await load(store, rate, seconds or 3600, first)
                nursery.cancel_scope.cancel()

    trio.run(run)


def start_other(url: str, rate: float, seconds: float, first: int):  # noqa: ANN201  two of them
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(
        target=other_tracker, args=(url, theirs, rate, seconds, first), daemon=True
    )
    process.start()
    return process, ours


async def visibility(url: str, seconds: float) -> None:
    """How long a name takes from one tracker to another, both at 10,000 announces a second."""
    process, pipe = start_other(url, 10_000, seconds, 10**7)
    async with running(url) as (store,), trio.open_nursery() as nursery:
        await trio.to_thread.run_sync(pipe.recv)
        await fill(store, 0)
        nursery.start_soon(load, store, 10_000, seconds + 1, 0)
        waits: list[float] = []
        begin, number = time.time() + 2, 0  # until then what was filled in is told
        while process.is_alive() or pipe.poll():
            try:
                sent = await trio.to_thread.run_sync(pipe.recv)
            except EOFError:
                break
            name, number = NameQuestion(f"name {number}", 0, 1), number + 1
            with trio.move_on_after(2):
                while not (await store.resolve([name]))[0].total:  # noqa: ASYNC110 - when is measured
                    await trio.sleep(0.001)  # as soon as can be
                if sent > begin:
                    waits.append(time.time() - sent)
        nursery.cancel_scope.cancel()
    waits.sort()
    print(
        f"a name is found elsewhere after p50 {statistics.median(waits) * 1000:.0f} ms, "
        f"p99 {waits[int(len(waits) * 0.99)] * 1000:.0f} ms, most {waits[-1] * 1000:.0f} ms "
        f"({len(waits)} names, 10,000 announces/s at each of two trackers)"
    )


def tracker_alone(pipe: Connection, seconds: float) -> None:
    """A tracker that shares nothing and holds as many peers; sends announces per CPU second."""

    async def run() -> None:
        registry = TrackerRegistry(SETTINGS, rng=random.Random(1))
        store = InMemoryStore(registry, pause=trio.lowlevel.checkpoint)
        for number in range(3):
            await fill(store, 10**7 * number)
        before = time.process_time()
        done = await load(store, 0, seconds, 0)
        pipe.send(done / (time.process_time() - before))

    trio.run(run)


async def cost(url: str, seconds: float, rounds: int = 5) -> None:
    """Announces per CPU second with sharing and without, in turns, beside two other trackers."""
    others = [start_other(url, 2_000, 0.0, 10**7 * number) for number in (1, 2)]
    for _, pipe in others:
        await trio.to_thread.run_sync(pipe.recv)
    rates: dict[str, list[float]] = {"off": [], "on": []}
    spawn = multiprocessing.get_context("spawn")
    async with running(url) as (store,):
        await fill(store, 0)
        await trio.sleep(5)  # those are told, which is not what is measured
        for _ in range(rounds):
            ours, theirs = spawn.Pipe()
            spawn.Process(target=tracker_alone, args=(theirs, seconds), daemon=True).start()
            rates["off"].append(await trio.to_thread.run_sync(ours.recv))
            before = time.process_time()
            done = await load(store, 0, seconds, 0)
            rates["on"].append(done / (time.process_time() - before))
    for process, _ in others:
        process.terminate()
    ratios = sorted(on / off for on, off in zip(rates["on"], rates["off"], strict=True))
    print(
        f"announces per CPU second, without sockets: off {statistics.median(rates['off']):,.0f}, "
        f"on {statistics.median(rates['on']):,.0f}; ratio {statistics.median(ratios):.2f} "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


async def restarts(redis, count: int) -> None:  # noqa: ANN001  a RedisServer
    """How soon three trackers agree after the engine came back empty, at 5,000 announces/s."""
    times = []
    async with running(redis.url, 3) as stores, trio.open_nursery() as nursery:
        for number, store in enumerate(stores):
            nursery.start_soon(load, store, 5_000 / 3, 3600, number * 10**7)
        await trio.sleep(3)
        for number in range(count):
            redis.kill()
            await trio.sleep(1)
            await redis.start()
            begin = time.monotonic()
            marks = []
            for at, store in enumerate(stores):
                share = UrlShare(name=f"mark {number} {at}", size=1)
                info_hash = (10**6 + 3 * number + at).to_bytes(20, "big")
                peer = (info_hash, b"\x0c\0\0" + bytes([at]) + b"\1\1", 0, 0, -1, share, PEER_ID, 0)
                await store.announce([peer], time.monotonic())
                marks.append(NameQuestion(share.name, 0, 1))
            while not all([await knows(store, marks) for store in stores]):  # noqa: ASYNC110
                await trio.sleep(0.01)
            times.append(time.monotonic() - begin)
        nursery.cancel_scope.cancel()
    times.sort()
    print(
        f"engine killed and restarted empty {count} times: all agree after "
        f"{statistics.median(times):.1f} s, most {times[-1]:.1f} s"
    )


async def knows(store: SharedStore, names: list[NameQuestion]) -> bool:
    """Whether a tracker has these names, and all that the two others claim."""
    figures = store.figures()
    return all(page.total for page in await store.resolve(names)) and (
        figures.trackers == 2 and figures.complete > 0.999
    )


async def snapshot(url: str, peers: int) -> None:
    """How long a new tracker takes to load so many peers, and how long others wait meanwhile."""
    async with running(url) as (full,):
        await fill(full, 0, peers)
        while full.figures().waiting:  # noqa: ASYNC110 - no event tells
            await trio.sleep(0.1)
        await trio.sleep(35)  # a round of snapshots with all of them
        new = new_store(url)
        longest = 0.0

        async def look() -> None:
            nonlocal longest
            last = time.monotonic()
            while True:
                await trio.lowlevel.checkpoint()
                now = time.monotonic()
                longest, last = max(longest, now - last), now

        async with trio.open_nursery() as nursery:
            begin, cpu = time.monotonic(), time.process_time()
            nursery.start_soon(look)
            await nursery.start(new.run)
            while new.counts().peers < peers:  # noqa: ASYNC110 - when is measured
                await trio.sleep(0.01)
            print(
                f"{peers:,} peers in {SWARMS:,} swarms loaded in {time.monotonic() - begin:.1f} s "
                f"({time.process_time() - cpu:.1f} CPU); others waited {longest * 1000:.0f} ms at "
                f"most; {os.cpu_count()} cores"
            )
            nursery.cancel_scope.cancel()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--peers", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["visibility", "cost", "snapshot", "restarts"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:
        for part, measure in {
            "visibility": lambda: visibility(redis.url, given.seconds),
            "cost": lambda: cost(redis.url, given.seconds),
            "snapshot": lambda: snapshot(redis.url, given.peers),
            "restarts": lambda: restarts(redis, given.restarts),
        }.items():
            if given.only in {None, part}:
                await redis.start()
                await measure()
                redis.kill()


if __name__ == "__main__":
    trio.run(main)
