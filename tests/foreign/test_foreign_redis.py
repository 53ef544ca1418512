"""Trackers that share by a real redis-server (Debian 12: 7.0.15), which fails in all its ways."""

import gc
import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import trio
from msgspec.structs import replace

import trio_swarm
from local_swarm import HOST, LIMIT, Recorder, until
from redis_server import RedisServer, redis_server
from swarm_processes import processes
from trio_swarm import events
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.errors import ConfigError
from trio_swarm.protocol.addresses import format_address
from trio_swarm.protocol.peer_ids import PEER_ID_PREFIX
from trio_swarm.protocol.trackers.announces import AnnounceRequest
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.server import TrackerHandle, serve_tracker
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.shared.store import SharedStore
from trio_swarm.tracker.store.interface import NameQuestion
from trio_swarm.tracker.udp.steering import steering_fault
from worker_processes import workers_of

pytestmark = [
    pytest.mark.foreign("redis-server"),
    # coredis leaves streams inside this process open where it cannot connect.
    pytest.mark.filterwarnings("ignore:.*MemoryObject:pytest.PytestUnraisableExceptionWarning"),
]

T = TypeVar("T")
HASHES = [bytes([number]) * 20 for number in range(4)]
PEER_ID = PEER_ID_PREFIX + bytes(20 - len(PEER_ID_PREFIX))


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server
    gc.collect()  # or a later test is told of those streams


@asynccontextmanager
async def stores(
    redis: RedisServer, count: int = 3, **settings: object
) -> AsyncIterator[list[SharedStore]]:
    """Stores that share, without sockets."""
    limits = TrackerSettings(**settings)  # type: ignore[arg-type]
    made = [
        SharedStore(limits, url=redis.url, prefix="test", rng=random.Random(number))
        for number in range(count)
    ]
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            for store in made:
                await nursery.start(store.run)
            await until(
                lambda: (
                    not redis.path.exists()
                    or all(store.figures().trackers >= count - 1 for store in made)
                )
            )
            yield made
            nursery.cancel_scope.cancel()


def free_port() -> int:
    """A port for a server that takes no 0."""
    with socket.create_server((HOST, 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def announce(store: SharedStore, number: int, *, left: int = 1, name: str = "") -> None:
    share = UrlShare(name=name, size=5) if name else None
    address = bytes((10, 0, number >> 8 & 255, number & 255, 27, 0))
    announce = (HASHES[number % 4], address, left, 0, -1, share, PEER_ID, 0)
    (answer,) = await store.announce([announce], trio.current_time())
    assert isinstance(answer, tuple), "no client sees an error"


async def answer(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the answer is not empty."""
    while not (said := await ask()):  # noqa: ASYNC110 - another process answers
        await trio.sleep(0.02)
    return said


def all_list(stores: list[SharedStore], peers: int) -> bool:
    return {store.counts().peers for store in stores} == {peers}


async def test_what_is_registered_at_one_tracker_is_found_at_the_others(
    redis: RedisServer,
) -> None:
    await redis.start()

    async def serve(nursery: trio.Nursery) -> TrackerHandle:
        settings = TrackerSettings(host=HOST, port=0, shared_url=redis.url)
        handle: TrackerHandle = await nursery.start(serve_tracker, settings)
        return handle

    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery, open_tracker_clients() as clients:
            urls = [
                f"udp://{format_address((await serve(nursery)).addresses[0])}" for _ in range(3)
            ]
            peer = AnnounceRequest(
                info_hash=HASHES[0], peer_id=PEER_ID, port=7000, left=0, key=1,
                share_name="film", size=5,
            )  # fmt: skip
            await clients.announce(urls[0], peer)
            for url in urls[1:]:
                found = await answer(partial(trio_swarm.search_names, [url], "film"))
                assert [(each.info_hash, each.seeders) for each in found] == [(HASHES[0], 1)]
                asker = AnnounceRequest(
                    info_hash=HASHES[0], peer_id=PEER_ID, port=7001, left=9, key=2
                )
                assert (HOST, 7000) in (await clients.announce(url, asker)).peers
            nursery.cancel_scope.cancel()


async def test_what_the_lists_of_a_tracker_deny_it_does_not_take_over_from_others(
    redis: RedisServer, tmp_path: Path
) -> None:
    await redis.start()
    denied, names_denied = tmp_path / "deny", tmp_path / "names"
    denied.write_text(f"{HASHES[0].hex()}\n")
    names_denied.write_text("*.exe\n")
    settings = TrackerSettings(host=HOST, port=0, shared_url=redis.url, shared_prefix="test")
    strict = replace(settings, deny=denied, names_deny=names_denied)
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery, open_tracker_clients() as clients:
            handle = await nursery.start(serve_tracker, strict)
            url = f"udp://{format_address(handle.addresses[0])}"

            async def names() -> dict[str, int]:
                found = await trio_swarm.search_names([url], "*")
                return {each.name: each.seeders for each in found}

            async def until_names(expected: dict[str, int]) -> None:
                while await names() != expected:  # noqa: ASYNC110 - another process tells
                    await trio.sleep(0.02)

            async with stores(redis, 1) as (other,):
                for number, name in ((0, "film"), (1, "setup.exe"), (2, "song")):
                    await announce(other, number, left=0, name=name)
                await until_names({"song": 1})
                assert handle.counts().peers == 2
                assert (await clients.scrape(url, [HASHES[0]]))[HASHES[0]].seeders == 0
                # Denied later, and allowed again: what others list comes back by itself.
                denied.write_text(f"{HASHES[2].hex()}\n")
                names_denied.write_text("")
                handle.reload_lists()
                await until_names({"film": 1, "setup.exe": 1})
                # The other one has lists of its own.
                assert other.counts().peers == 3
            nursery.cancel_scope.cancel()


@pytest.mark.skipif(steering_fault() is not None, reason="needs Linux' steering")
async def test_workers_that_are_killed_have_what_they_shared_again_at_once(
    redis: RedisServer,
) -> None:
    await redis.start()
    settings = TrackerSettings(
        host=HOST, port=0, workers=2, shared_url=redis.url, shared_prefix="test"
    )
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery, open_tracker_clients() as clients:
            handle = await nursery.start(serve_tracker, settings)
            url = f"udp://{format_address(handle.addresses[0])}"
            async with stores(redis, 1) as (other,):
                for info_hash in HASHES:
                    peer = AnnounceRequest(
                        info_hash=info_hash, peer_id=PEER_ID, port=7000, left=0, key=1,
                        share_name=f"film {info_hash[0]}", size=5,
                    )  # fmt: skip
                    await clients.announce(url, peer)
                await until(lambda: (other.counts().peers, handle.counts().peers) == (4, 4))
                former = workers_of(os.getpid()).keys()
                for process in former:
                    os.kill(process, signal.SIGKILL)
                await until(lambda: len(workers_of(os.getpid()).keys() - former) == 2)
                await until(lambda: handle.counts().peers == 4)  # each has its own, and no others
                found = await trio_swarm.search_names([url], "film *")
                assert {each.info_hash for each in found} == set(HASHES)
            nursery.cancel_scope.cancel()


async def test_the_peers_of_a_killed_tracker_stay_found_and_its_successor_has_them_at_once(
    redis: RedisServer, tmp_path: Path
) -> None:
    await redis.start()
    with trio.fail_after(LIMIT):
        async with processes(tmp_path) as run, open_tracker_clients() as clients:
            flags = ("tracker", "--listen", f"{HOST}:0", "--shared", redis.url)
            flags += ("--shared-prefix", "test")
            first = await run.start(*flags)
            url = f"udp://{HOST}:{(await first.wait_for('tracker_listening'))['port']}"
            async with stores(redis, 1) as (other,):
                peer = AnnounceRequest(
                    info_hash=HASHES[0], peer_id=PEER_ID, port=7000, left=0, key=1
                )
                await clients.announce(url, peer)
                await until(lambda: other.counts().peers == 1)
                await first.kill()
                successor = await run.start(*flags)
                url = f"udp://{HOST}:{(await successor.wait_for('tracker_listening'))['port']}"
                shared = await successor.wait_for("tracker_shared")
                assert (shared["peers"], shared["complete"]) == (1, 1.0)
                asker = AnnounceRequest(
                    info_hash=HASHES[0], peer_id=PEER_ID, port=7001, left=9, key=2
                )
                assert (HOST, 7000) in (await clients.announce(url, asker)).peers
                assert other.counts().peers >= 1


async def test_an_engine_killed_and_restarted_empty_costs_nobody_anything(
    redis: RedisServer,
) -> None:
    await redis.start()
    async with stores(redis) as trackers:
        for number in range(300):
            await announce(trackers[number % 3], number, left=number % 2)
        await until(lambda: all_list(trackers, 300))
        redis.kill()
        for number in range(300, 400):
            await announce(trackers[number % 3], number)
        await redis.start()
        for number in range(400, 500):
            await announce(trackers[number % 3], number, name=f"name {number % 10}")
        await until(lambda: all_list(trackers, 500))
        # Who comes now finds everything at an engine that forgot all.
        async with stores(redis, 1) as (new,):
            await until(lambda: new.counts() == trackers[0].counts())
        (page,) = await trackers[0].resolve([NameQuestion("name 1", 0, 9)])
        assert page.total == 2  # of the four torrents those with odd numbers


async def test_a_tracker_starts_alone_and_shares_as_soon_as_there_is_an_engine(
    redis: RedisServer,
) -> None:
    told = Recorder()
    settings = TrackerSettings()
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                store = SharedStore(
                    settings, url=redis.url, prefix="test", rng=random.Random(1), on_event=told
                )
                assert await store.secret(b"own".ljust(32)) == b"own".ljust(32)
                await nursery.start(store.run)
                assert not store.figures().is_connected
                await announce(store, 1)
            await redis.start()
            await until(lambda: store.figures().trackers == 1)
            nursery.cancel_scope.cancel()
    assert [each.engine for each in told.of(events.TrackerSharedAlone)] == [redis.url] * 2
    assert len(told.of(events.TrackerShared)) == 2


async def test_an_engine_that_hangs_holds_nobody_up(redis: RedisServer) -> None:
    await redis.start()
    async with stores(redis) as trackers:
        redis.pause()
        for number in range(100):
            await announce(trackers[0], number)
        await until(lambda: not trackers[1].figures().is_connected)
        redis.go_on()
        await until(lambda: all_list(trackers, 100))
        assert all(not store.figures().skipped for store in trackers)


async def test_what_a_full_engine_refuses_is_told_when_it_has_room(redis: RedisServer) -> None:
    await redis.start()
    async with stores(redis, 2) as trackers:
        await redis.ask("CONFIG SET maxmemory 1")
        for number in range(50):
            await announce(trackers[0], number)
        await until(lambda: trackers[0].figures().waiting > 0)
        assert trackers[1].counts().peers == 0
        await redis.ask("CONFIG SET maxmemory 0")
        await until(lambda: all_list(trackers, 50))


async def test_what_others_wrote_at_the_engine_is_skipped_and_counted(redis: RedisServer) -> None:
    await redis.start()
    async with stores(redis, 1) as (store,):
        await redis.ask("HSET {test}:trackers liar '1 0' future '2 0' odd 'xx'")
        await redis.ask("XADD {test}:changes:liar 5-1 b rubbish")
        await redis.ask("XADD {test}:changes:liar 5-2 c rubbish")
        await redis.ask("HSET {test}:snapshot:liar mark rubbish 1 rubbish")
        await until(lambda: len(store.figures().skipped) >= 2)
        assert set(store.figures().skipped) <= {
            "tracker of another version", "batch: another version",
        }  # fmt: skip
        await announce(store, 1)
        assert store.counts().peers == 1


async def test_trackers_of_one_engine_have_one_secret_also_after_it_was_emptied(
    redis: RedisServer,
) -> None:
    await redis.start()
    async with stores(redis, 2) as (a, b):
        kept = await a.secret(b"a".ljust(32))
        assert kept == b"a".ljust(32)
        assert await b.secret(b"b".ljust(32)) == kept
        redis.kill()
        await redis.start()
        await until(lambda: a.figures().is_connected)
        await answer(partial(redis.integer, "EXISTS {test}:secret"))
        async with stores(redis, 1) as (new,):
            assert await new.secret(b"n".ljust(32)) == kept


async def two_share(url: str) -> None:
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            made = [
                SharedStore(TrackerSettings(), url=url, prefix="test", rng=random.Random(1))
                for _ in range(2)
            ]
            for store in made:
                await nursery.start(store.run)
            await announce(made[0], 1)
            await until(lambda: all_list(made, 1))
            assert await made[0].secret(b"a".ljust(32)) == await made[1].secret(b"b".ljust(32))
            nursery.cancel_scope.cancel()


async def test_trackers_share_by_a_cluster(redis: RedisServer) -> None:
    port = free_port()
    await redis.start("--cluster-enabled", "yes", "--cluster-port", str(free_port()), port=port)
    await redis.ask("CLUSTER ADDSLOTSRANGE 0 16383")
    await redis.until("CLUSTER INFO", "cluster_state:ok")
    await two_share(f"redis+cluster://{HOST}:{port}")


async def test_trackers_share_by_the_server_that_sentinel_names(
    redis: RedisServer, tmp_path: Path
) -> None:
    port, sentinel_port = free_port(), free_port()
    await redis.start(port=port)
    config = tmp_path / "sentinel.conf"
    config.write_text(f"sentinel monitor main {HOST} {port} 1\n")
    with redis_server(tmp_path) as sentinel:
        await sentinel.start(str(config), "--sentinel", port=sentinel_port)
        await two_share(f"redis+sentinel://{HOST}:{sentinel_port}/main")


async def test_a_wrong_password_is_told_without_it(redis: RedisServer) -> None:
    await redis.start("--requirepass", "right-one")
    told = Recorder()
    url = f"unix://:wrong-one@{redis.path}"
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            store = SharedStore(
                TrackerSettings(), url=url, prefix="test", rng=random.Random(1), on_event=told
            )
            await nursery.start(store.run)
            (alone,) = told.of(events.TrackerSharedAlone)
            nursery.cancel_scope.cancel()
    assert alone.engine == redis.url
    assert "invalid username-password" in alone.reason
    assert "wrong-one" not in str(alone)


async def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "coredis", None)
    settings = TrackerSettings(host=HOST, port=0, shared_url="redis://localhost")
    with pytest.raises(ConfigError, match=r"shared\.url: .*pip install 'trio-swarm\[shared\]'"):
        await serve_tracker(settings)
