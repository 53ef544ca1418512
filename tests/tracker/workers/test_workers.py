"""A tracker of two real processes: announces, names over UDP and HTTP, and workers that die."""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from local_swarm import until
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.errors import ConfigError, TrackerRefusedError
from trio_swarm.events import Event, TrackerChange, TrackerSummary
from trio_swarm.logs import ROOT
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceRequest
from trio_swarm.tracker.handle import TrackerHandle
from trio_swarm.tracker.server import serve_tracker
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.store.interface import NameQuestion
from trio_swarm.tracker.udp.steering import owner_of, steering_fault
from worker_processes import workers_of

pytestmark = pytest.mark.skipif(steering_fault() is not None, reason="needs Linux' steering")

NUMBER = random.Random(17)


async def gone(process: int) -> None:
    """Wait until a process that is not our child has ended."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)


@asynccontextmanager
async def two_workers(
    on_event: list[Event] | None = None, **settings: object
) -> AsyncIterator[TrackerHandle]:
    chosen = TrackerSettings(  # type: ignore[call-arg]
        **({"port": 0, "host": "127.0.0.1", "workers": 2} | settings)  # type: ignore[arg-type]
    )

    async def serve(task_status: trio.TaskStatus[TrackerHandle]) -> None:
        tell = None if on_event is None else on_event.append
        await serve_tracker(chosen, on_event=tell, task_status=task_status)

    async with trio.open_nursery() as nursery:
        yield await nursery.start(serve)
        nursery.cancel_scope.cancel()


def hash_of(owner: int) -> bytes:
    """Return an info-hash that a worker of two owns."""
    while owner_of(info_hash := NUMBER.randbytes(20), 2) != owner:
        pass
    return info_hash


def peer(info_hash: bytes, port: int, name: str | None = None, left: int = 0) -> AnnounceRequest:
    return AnnounceRequest(
        info_hash=info_hash,  # type: ignore[arg-type]
        peer_id=b"-TS0001-" + bytes(12),  # type: ignore[arg-type]
        port=port,
        left=left,
        key=5,
        share_name=name,
        size=9 if name else None,
    )


async def test_names_swarms_and_counts_are_the_same_at_each_worker_over_udp_and_http() -> None:
    told: list[Event] = []
    hashes = [hash_of(at % 2) for at in range(40)]
    async with two_workers(told) as tracker, open_tracker_clients() as clients:
        urls = [f"{kind}://127.0.0.1:{tracker.port}/announce" for kind in ("udp", "http")]
        for at, info_hash in enumerate(hashes):
            url = urls[at // 2 % 2]
            await clients.announce(url, peer(info_hash, 1000 + at, f"name {at:02}"))
            answer = await clients.announce(url, peer(info_hash, 2000 + at, left=5))
            assert answer.peers == (("127.0.0.1", 1000 + at),)
            assert (answer.seeders, answer.leechers) == (1, 1)
        for url in urls:
            counts = await clients.scrape(url, hashes)
            assert [counts[each].seeders for each in hashes] == [1] * 40
            for at, info_hash in enumerate(hashes):
                (found,) = await clients.resolve(url, f"name {at:02}")
                assert found.info_hash == info_hash
                assert await clients.name_refusal(url, f"name {at:02}", info_hash) is None
            # 40 names take two pages over UDP, which may be asked of different workers.
            everything = await clients.search(url, "name *")
            assert [each.info_hash for each in everything] == hashes
        page = await tracker.search(NameQuestion("name 3*", 0, 4))
        assert (page.total, len(page.matches)) == (10, 4)
        await until(lambda: tracker.announces == 80)
        assert tracker.http_announces == 40
        assert tracker.counts() == (40, 80, 40)
    changes = [each for each in told if isinstance(each, TrackerChange)]
    assert sum(each.change == "registered" for each in changes) == 80
    sums = [each for each in told if isinstance(each, TrackerSummary)]
    assert sum(each.announces for each in sums) == 80
    assert sum(each.registered for each in sums) == 80


async def test_datagrams_and_questions_for_a_killed_worker_wait_for_its_successor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hashes = [hash_of(at % 2) for at in range(100)]
    async with two_workers() as tracker, open_tracker_clients() as clients:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            plain.connect(("127.0.0.1", tracker.port))
            plain.setblocking(False)  # noqa: FBT003
            plain.send(udp_tracker.connect_request(1))
            await trio.lowlevel.wait_readable(plain)
            connection_id = udp_tracker.parse_connect_answer(plain.recv(2048))
            for round_number in range(2):
                killed = sorted(workers_of(os.getpid()))[round_number]
                os.kill(killed, signal.SIGKILL)
                for at, info_hash in enumerate(hashes):
                    request = peer(info_hash, 3000 + round_number)
                    plain.send(udp_tracker.announce_request(connection_id, at, request))
                # Each is answered, and its connection id is good at the successor.
                answered = set()
                while len(answered) < 100:
                    await trio.lowlevel.wait_readable(plain)
                    action, number = udp_tracker.parse_answer_header(plain.recv(2048))
                    assert action == udp_tracker.Action.ANNOUNCE
                    answered.add(number)
                # What the killed one did counts on.
                await until(lambda done=100 * (round_number + 1): tracker.announces >= done)  # type: ignore[misc]
        counts = await clients.scrape(f"udp://127.0.0.1:{tracker.port}", hashes[:60])
        # Both owners know their swarms: what a worker forgot, its next announces brought back.
        assert all(each.seeders for each in counts.values())
        assert len(workers_of(os.getpid())) == 2
    assert caplog.text.count("was ended by SIGKILL: another takes its place") == 2


async def test_connection_ids_are_good_after_a_restart_and_at_another_port(tmp_path: Path) -> None:
    """libtorrent 2.0 keeps one for an IP address for a minute, and is deaf if it is refused."""
    ids = []
    for _ in range(2):
        async with two_workers(state_folder=tmp_path) as tracker:
            with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                await client.connect(("127.0.0.1", tracker.port))
                await client.send(udp_tracker.connect_request(1))
                ids.append(udp_tracker.parse_connect_answer(await client.recv(2048)))
                for at in range(10):
                    request = udp_tracker.announce_request(ids[0], 2, peer(hash_of(at % 2), 1))
                    await client.send(request)
                    action, _ = udp_tracker.parse_answer_header(await client.recv(2048))
                    assert action == udp_tracker.Action.ANNOUNCE


async def test_lists_hold_at_each_worker_and_are_read_again_by_all(tmp_path: Path) -> None:
    hashes = [hash_of(at) for at in range(2)]
    denied = tmp_path / "deny"
    denied.write_text("".join(f"{each.hex()}\n" for each in hashes))
    async with two_workers(deny=denied) as tracker, open_tracker_clients() as clients:
        urls = [f"{kind}://127.0.0.1:{tracker.port}/announce" for kind in ("udp", "http")]
        for url in urls:
            for info_hash in hashes:
                with pytest.raises(TrackerRefusedError):
                    await clients.announce(url, peer(info_hash, 1))
        denied.write_text("")
        tracker.reload_lists()
        for info_hash in hashes:
            counts = None
            while counts is None:
                with suppress(TrackerRefusedError):
                    counts = await clients.announce(urls[0], peer(info_hash, 1))
        # What is listed, and found at either worker, is so no more once it is denied.
        names = [f"name {at}" for at in range(2)]
        for info_hash, name in zip(hashes, names, strict=True):
            await clients.announce(urls[1], replace(peer(info_hash, 1), share_name=name, size=5))
        denied.write_text("".join(f"{each.hex()}\n" for each in hashes))
        tracker.reload_lists()
        for url in urls:
            for info_hash, name in zip(hashes, names, strict=True):
                with suppress(TrackerRefusedError):
                    while True:
                        await clients.announce(url, peer(info_hash, 1))
                assert (await clients.scrape(url, [info_hash]))[info_hash].seeders == 0
                assert await clients.resolve(url, name) == []
        await until(lambda: tracker.counts().peers == 0)
    denied.write_text("nonsense")
    with pytest.raises(ConfigError, match="deny"):
        await serve_tracker(TrackerSettings(host="127.0.0.1", port=0, workers=2, deny=denied))


@pytest.mark.parametrize("level", ["INFO", "WARNING"])
async def test_what_workers_log_is_logged_by_the_tracker_from_the_same_level_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, level: str
) -> None:
    caplog.set_level(level, ROOT)
    denied = tmp_path / "deny"
    denied.write_text(f"{hash_of(0).hex()}\n")
    async with two_workers(deny=denied) as tracker:
        denied.write_text("nonsense\n")
        tracker.reload_lists()
        await until(lambda: caplog.text.count("nothing was changed") == 2)
    said = [(line.name, line.levelname, line.getMessage()) for line in caplog.records]
    for number in range(2):
        logger = "trio_swarm.tracker.admission.reloading"
        read = (logger, "INFO", f"worker {number}: {denied}: 1 entry (tracker.deny)")
        assert (read in said) is (level == "INFO")
        assert any(
            each[1] == "WARNING" and each[2].startswith(f"worker {number}: ") for each in said
        )


async def test_a_worker_that_is_replaced_while_a_list_is_wrong_waits_until_it_is_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", ROOT)
    denied, allowed = hash_of(0), hash_of(0)
    file = tmp_path / "deny"
    file.write_text(f"{denied.hex()}\n")
    async with two_workers(deny=file) as tracker, open_tracker_clients() as clients:
        url = f"udp://127.0.0.1:{tracker.port}/announce"
        file.write_text("half a li")
        former = workers_of(os.getpid()).keys()
        for process in former:
            os.kill(process, signal.SIGKILL)
        await until(lambda: caplog.text.count("is not tracked until that is right") == 2)
        successors = workers_of(os.getpid()).keys()
        assert len(successors) == 2
        assert not successors & former
        file.write_text(f"{denied.hex()}\n")
        assert (await clients.announce(url, peer(allowed, 1))).seeders == 1
        with pytest.raises(TrackerRefusedError):
            await clients.announce(url, peer(denied, 1))
        assert workers_of(os.getpid()).keys() == successors


def test_a_process_that_serves_a_tracker_collects_all_garbage_seldom() -> None:
    code = (
        "import gc; from trio_swarm.tracker.collecting import collect_seldom; "
        "young = gc.get_threshold()[:2]; collect_seldom(); "
        "assert gc.get_threshold() == (*young, 100), gc.get_threshold()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_where_nothing_is_steered_one_process_serves_and_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_swarm.tracker.server.steering_fault", lambda: "Permission denied")
    async with two_workers() as tracker, open_tracker_clients() as clients:
        await clients.announce(f"udp://127.0.0.1:{tracker.port}", peer(bytes(20), 1))
        assert tracker.announces == 1
        assert workers_of(os.getpid()) == {}
    assert caplog.text.count("runs with one worker, not 2") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_workers_end_with_their_parent_however_it_ends(
    number: signal.Signals, tmp_path: Path
) -> None:
    command = ["-m", "trio_swarm", "tracker", "--listen", "127.0.0.1:0", "--workers", "2"]
    process = await trio.lowlevel.open_process(
        [sys.executable, *command, "--state-dir", str(tmp_path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = b""
    while b"tracker at" not in said:
        more = await process.stdout.receive_some()
        assert more, said
        said += more
    workers = workers_of(process.pid)
    assert len(workers) == 2
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    for each in workers:
        await gone(each)
    async for more in process.stdout:
        said += more
    assert await process.wait() == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    assert b"Traceback" not in said
    assert b"another takes its place" not in said
