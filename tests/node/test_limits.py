"""What a node is told to keep to: rates, connections, slots, memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import trio_swarm
from local_swarm import HOST, contents, make_file, node, tracker, until
from simulated_link import meeting

LEAVE_SECONDS = 20.0
"""Seconds in which a node is gone on any machine; it gives itself 2.5 (STOP_DEADLINE)."""


async def bytes_in_ten_seconds(moved: Callable[[], int]) -> int:
    """Count from the first block on, for a bucket is full at first."""
    await until(lambda: moved() >= 16384)
    first = moved()
    await trio.sleep(10)
    return moved() - first


@pytest.mark.parametrize("limited", ["upload_rate", "download_rate"])
async def test_a_rate_limit_holds_within_a_tenth_over_ten_seconds(
    tmp_path: Path, mock_clock: MockClock, limited: str
) -> None:
    limit = 250_000
    side = "seeder" if limited == "upload_rate" else "leecher"
    limits: dict[str, Any] = {side: {limited: limit}}
    async with meeting(tmp_path, mock_clock, size=11 * limit, **limits) as peers:
        (torrent,) = peers.fetching
        peers.begin()
        moved = await bytes_in_ten_seconds(lambda: torrent.progress().downloaded)
    assert moved == pytest.approx(10 * limit, rel=0.1)


async def test_one_upload_limit_is_shared_by_all_leechers(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    limit = 250_000
    async with meeting(
        tmp_path, mock_clock, size=11 * limit, leechers=2, seeder={"upload_rate": limit}
    ) as peers:
        peers.begin()
        moved = await bytes_in_ten_seconds(lambda: peers.seeding.progress().uploaded)
        assert all(each.progress().downloaded for each in peers.fetching)
    assert moved == pytest.approx(10 * limit, rel=0.1)


async def test_two_hundred_leechers_are_served_by_one_seeder(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 100_000)
    finished: list[Path] = []

    async def leech(number: int, info_hash: str, port: int) -> None:
        async with node(tmp_path / f"l{number}") as leecher:
            torrent = await leecher.fetch(
                info_hash, folder=tmp_path / f"o{number}", peers=[(HOST, port)]
            )
            finished.append(await torrent.wait_complete())
            await everybody_in.wait()

    everybody_in = trio.Event()
    with trio.fail_after(100):
        async with node(tmp_path / "s") as seeder, trio.open_nursery() as nursery:
            shared = await seeder.share(original)
            for number in range(200):
                nursery.start_soon(leech, number, shared.info_hash.hex(), seeder.port)
            await until(lambda: len(finished) >= 200)
            everybody_in.set()
    assert all(contents(path) == contents(original) for path in finished)


async def test_beyond_the_connection_limit_peers_are_turned_away_and_others_go_on(
    tmp_path: Path,
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 200_000)
    with trio.fail_after(30):
        async with node(tmp_path / "s", max_connections=1) as seeder:
            shared = await seeder.share(original)
            async with node(tmp_path / "a") as one:
                torrent = await one.fetch(
                    shared.info_hash.hex(), folder=tmp_path / "1", peers=[(HOST, seeder.port)]
                )
                await torrent.wait_complete()
            async with node(tmp_path / "b") as two:
                torrent = await two.fetch(
                    shared.info_hash.hex(), folder=tmp_path / "2", peers=[(HOST, seeder.port)]
                )
                path = await torrent.wait_complete()
    assert contents(path) == contents(original)


async def test_a_download_larger_than_its_piece_memory_completes(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 6_000_000)
    with trio.fail_after(30):
        async with (
            tracker() as url,
            node(tmp_path / "s", url) as seeder,
            node(tmp_path / "l", url, piece_memory=1) as leecher,
        ):
            await seeder.share(original, piece_length=262144)
            torrent = await leecher.fetch("x.bin", folder=tmp_path / "out")
            path = await torrent.wait_complete()
    assert contents(path) == contents(original)


async def test_leaving_the_node_while_downloading_is_quick_and_loses_nothing(
    tmp_path: Path,
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 8_000_000)
    with trio.fail_after(60):
        async with node(tmp_path / "s", upload_rate=4_000_000) as seeder:
            shared = await seeder.share(original, piece_length=65536)
            fetch = {
                "folder": tmp_path / "out",
                "peers": [(HOST, seeder.port)],
            }
            with trio.fail_after(60) as limit:
                async with node(tmp_path / "l") as leecher:
                    torrent = await leecher.fetch(shared.info_hash.hex(), **fetch)
                    await until(lambda: torrent.progress().pieces_have >= 20)
                    limit.deadline = trio.current_time() + LEAVE_SECONDS
            had = torrent.progress().have
            with pytest.raises(trio_swarm.TrioSwarmError, match="removed"):
                await torrent.wait_complete()
            async with node(tmp_path / "l") as leecher:
                torrent = await leecher.fetch(shared.info_hash.hex(), **fetch)
                path = await torrent.wait_complete()
                assert torrent.progress().downloaded <= 8_000_000 - had
    assert contents(path) == contents(original)
