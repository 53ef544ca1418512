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


@pytest.mark.parametrize("limited", ["upload_rate", "download_rate"])
async def test_a_torrents_own_limit_holds_from_the_moment_it_is_set_and_is_taken_off_again(
    tmp_path: Path, mock_clock: MockClock, limited: str
) -> None:
    limit = 250_000
    async with meeting(tmp_path, mock_clock, size=40 * limit) as peers:
        (torrent,) = peers.fetching
        side = peers.seeding if limited == "upload_rate" else torrent
        side.set_limits(**{limited: limit})
        assert getattr(side.limits, limited) == limit
        peers.begin()
        moved = await bytes_in_ten_seconds(lambda: torrent.progress().downloaded)
        assert moved == pytest.approx(10 * limit, rel=0.1)
        side.set_limits()
        assert getattr(side.limits, limited) is None
        with trio.fail_after(2):  # of virtual time: 7.5 MB at 50 MiB/s
            await until(lambda: torrent.state != "downloading")


@pytest.mark.parametrize("limited", ["upload_rate", "download_rate"])
async def test_the_nodes_limit_can_be_changed_while_everything_waits_for_a_lower_one(
    tmp_path: Path, mock_clock: MockClock, limited: str
) -> None:
    limit = 1000
    side = "seeder" if limited == "upload_rate" else "leecher"
    limits: dict[str, Any] = {side: {limited: limit}}
    async with meeting(tmp_path, mock_clock, size=3_000_000, **limits) as peers:
        (torrent,) = peers.fetching
        node_of = peers.nodes[side]
        peers.begin()
        await trio.sleep(60)
        assert torrent.progress().downloaded < 200_000
        node_of.set_rates(
            300_000 if limited == "upload_rate" else None,
            300_000 if limited == "download_rate" else None,
        )
        assert limited == ("upload_rate" if node_of.rates[0] else "download_rate")
        moved = await bytes_in_ten_seconds(lambda: torrent.progress().downloaded)
        assert moved == pytest.approx(3_000_000, rel=0.15) or torrent.is_complete


async def test_the_lower_of_a_nodes_and_a_torrents_limit_counts(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with meeting(
        tmp_path, mock_clock, size=4_000_000, leecher={"download_rate": 200_000}
    ) as peers:
        (torrent,) = peers.fetching
        torrent.set_limits(download_rate=900_000)
        peers.begin()
        moved = await bytes_in_ten_seconds(lambda: torrent.progress().downloaded)
        assert moved == pytest.approx(2_000_000, rel=0.1)


async def test_slots_of_a_torrent_can_be_changed_and_given_back(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with meeting(
        tmp_path,
        mock_clock,
        size=40_000_000,
        leechers=4,
        seeder={"upload_rate": 500_000, "upload_slots": 3},
    ) as peers:
        seeding = peers.seeding

        def served() -> int:
            return sum(peer.unchoked for peer in seeding.peers())

        peers.begin()
        await trio.sleep(3)
        assert served() == 3
        seeding.set_limits(upload_slots=1)
        await trio.sleep(1)
        assert served() == 1
        seeding.set_limits()
        await trio.sleep(1)
        assert served() == 3


@pytest.mark.parametrize(
    "limits",
    [{"upload_rate": 0}, {"download_rate": -5}, {"upload_slots": 0}, {"upload_rate": 1e999}],
)
async def test_a_limit_that_is_none_is_refused_and_changes_nothing(
    tmp_path: Path, limits: dict[str, Any]
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 100_000)
    async with node(tmp_path / "s") as seeder:
        shared = await seeder.share(original)
        shared.set_limits(upload_rate=7, download_rate=8, upload_slots=9)
        before = shared.limits
        with pytest.raises(trio_swarm.ConfigError, match="must be above 0"):
            shared.set_limits(**limits)
        assert shared.limits == before
        with pytest.raises(trio_swarm.ConfigError, match="upload_rate: must be above 0"):
            seeder.set_rates(-1, 5)
        assert seeder.rates == (None, None)


async def test_peers_of_our_own_kind_ask_for_shorter_blocks_under_a_limit_set_later(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """A block leaves in one go: one of 1 MiB at 100 kB/s would hold up the others for seconds."""
    async with meeting(tmp_path, mock_clock, size=60_000_000) as peers:
        (torrent,) = peers.fetching
        peers.begin()
        await until(lambda: torrent.progress().downloaded > 5_000_000)
        (connection,) = torrent.peer_set.connections.values()
        assert connection.conversation is not None
        assert connection.conversation.max_request == 1024 * 1024
        peers.seeding.set_limits(upload_rate=400_000)
        await trio.sleep(10)
        assert connection.conversation.max_request == 16384
        peers.seeding.set_limits()
        await trio.sleep(1)
        assert connection.conversation.max_request == 1024 * 1024
        with trio.fail_after(60):
            await until(lambda: torrent.state != "downloading")
