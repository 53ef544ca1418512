"""What a node says and does while nothing comes: real sockets, real commands."""

import socket
import time
from pathlib import Path

import pytest
import trio

import trio_swarm
from local_swarm import HOST, Recorder, make_file, tracker, until
from swarm_processes import processes
from trio_swarm.peer.standstill import MAX_OUTCOMES, Outcomes


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        port: int = taken.getsockname()[1]
        return port


async def test_a_download_without_a_peer_says_whom_it_tried_and_what_the_tracker_lists(
    tmp_path: Path,
) -> None:
    recorder = Recorder()
    port = closed_port()
    async with (
        tracker() as url,
        trio_swarm.open_node(
            trio_swarm.NodeSettings(
                trackers=(url,), listen_host=HOST, state_folder=tmp_path, on_event=recorder
            )
        ) as node,
    ):
        torrent = await node.fetch("1" * 40, folder=tmp_path, peers=[(HOST, port)])
        with trio.fail_after(60):
            await until(lambda: f"{HOST}:{port}: Connection refused" in torrent.standstill().reason)
            await until(lambda: f"{url} lists 0 seeders" in torrent.standstill().reason)
        standstill = torrent.standstill()
        assert standstill.reason.startswith("no peer yet")
        assert standstill.alone is not None
        assert standstill.untried == 0


async def test_a_peer_that_has_nothing_is_named(tmp_path: Path) -> None:
    async with tracker() as url:
        settings = trio_swarm.NodeSettings(trackers=(url,), listen_host=HOST, state_folder=tmp_path)
        async with trio_swarm.open_node(settings) as one, trio_swarm.open_node(settings) as other:
            first = await one.fetch("1" * 40, folder=tmp_path)
            await other.fetch("1" * 40, folder=tmp_path)
            with trio.fail_after(60):
                await until(lambda: bool(first.peers()))
            standstill = first.standstill()
            assert standstill.alone is None
            assert "1 peer: " in standstill.reason
            assert "does not have the metadata" in standstill.reason


async def test_whoever_waits_hears_that_the_last_peer_left(tmp_path: Path) -> None:
    async with tracker() as url:
        settings = trio_swarm.NodeSettings(trackers=(url,), listen_host=HOST, state_folder=tmp_path)
        async with trio_swarm.open_node(settings) as one, trio_swarm.open_node(settings) as other:
            first = await one.fetch("1" * 40, folder=tmp_path)
            second = await other.fetch("1" * 40, folder=tmp_path)
            with trio.fail_after(60):
                await until(lambda: bool(first.peers()))
                changed = first.peers_changed
                await second.remove()
                while first.standstill().alone is None:
                    await changed.wait()
                    changed = first.peers_changed


def test_what_is_remembered_of_dialled_peers_is_bounded() -> None:
    outcomes = Outcomes()
    for port in range(1, 2 * MAX_OUTCOMES):
        outcomes.failed((HOST, port), "refused")
    assert len(outcomes.latest()) == MAX_OUTCOMES
    assert outcomes.latest()[0] == ((HOST, 2 * MAX_OUTCOMES - 1), "refused")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["name", "magnet"])
async def test_get_ends_when_the_only_seeder_is_dead_and_says_why(
    tmp_path: Path, what: str
) -> None:
    """Without --wait nobody is waited for who may never come."""
    source = make_file(tmp_path / "film.bin", 200_000)
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            seeder = await start.seed(source, tracker=url, state="seeder")
            (sharing,) = [event for event in seeder.events if event["event"] == "sharing"]
            await seeder.kill()
            began = time.monotonic()
            wanted = "film.bin" if what == "name" else sharing["magnet"]
            flags = ("--tracker", url, "--dir", tmp_path / "out", "--timeout", 4)
            leecher = await start.start("get", wanted, *flags)
            assert await leecher.wait() == 1
    assert time.monotonic() - began >= 4
    why, how = leecher.stderr.splitlines()
    assert "film.bin: given up: no peer yet" in why
    assert "Connection refused" in why
    assert "the same command goes on" in how
    said = [event["reason"] for event in leecher.events if event["event"] == "waiting"]
    assert said
    assert "dial" in said[0] or "refused" in said[0]


async def test_get_with_wait_and_a_timeout_ends_too(tmp_path: Path) -> None:
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            flags = ("--tracker", url, "--dir", tmp_path, "--wait", "--timeout", 1)
            leecher = await start.start("get", "nobody's", *flags)
            assert await leecher.wait() == 1
    assert "nobody's: nobody told within 1 s what that is" in leecher.stderr
