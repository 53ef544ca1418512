"""Files that are read while they are fetched, and afterwards."""

import os
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import trio_swarm
from local_swarm import HOST, make_file, make_folder, node, until
from simulated_link import meeting
from trio_swarm.engine.download.readers import MOST_READERS
from trio_swarm.errors import FileChangedError
from trio_swarm.peer.reading import MOST_BYTES

KIB = 1024


async def test_a_reader_has_its_bytes_long_before_the_rest_is_here(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    size = 40_000_000
    async with meeting(tmp_path, mock_clock, size=size) as peers:
        (torrent,) = peers.fetching
        torrent.set_limits(download_rate=1_000_000)
        original = (tmp_path / "in" / "x.bin").read_bytes()
        peers.begin()
        await trio.sleep(2)
        for offset in (31_000_000, 5, 20_000_001, size - 100):
            began = trio.current_time()
            data = await reads(torrent, mock_clock, offset, 300 * KIB)
            assert data == original[offset : offset + 300 * KIB]
            assert trio.current_time() - began < 4
        assert torrent.progress().have < size // 2
        await torrent.remove()


async def reads(
    torrent: trio_swarm.Torrent, clock: MockClock, offset: int, size: int, *, file: int = 0
) -> bytes:
    """Read on virtual time, which does not pass while a thread reads."""
    done: list[bytes] = []

    async def read() -> None:
        done.append(await torrent.read_at(file, offset, size))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        assert torrent.info is not None
        length = torrent.info.piece_length
        await until(lambda: bool(done) or has(torrent, offset // length))
        threshold, clock.autojump_threshold = clock.autojump_threshold, float("inf")
        rate, clock.rate = clock.rate, 1.0
    clock.autojump_threshold, clock.rate = threshold, rate
    return done[0]


def has(torrent: trio_swarm.Torrent, piece: int) -> bool:
    assert torrent.download is not None
    return bool(torrent.download.ledger.have >> piece & 1)


async def test_a_reader_that_goes_on_never_waits_long_although_the_rarest_come_first_else(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """A film of 8 Mbit/s over a link of 12: after the beginning it is always there in time."""
    async with meeting(tmp_path, mock_clock, size=24_000_000) as peers:
        (torrent,) = peers.fetching
        torrent.set_limits(download_rate=1_500_000)
        peers.begin()
        await trio.sleep(1)
        waits = []
        for number in range(10):
            began = trio.current_time()
            await reads(torrent, mock_clock, 4_000_000 + number * 1_000_000, 1_000_000)
            waits.append(trio.current_time() - began)
            await trio.sleep(max(0.0, 1.0 - waits[-1]))
        assert max(waits[2:]) < 1.0, waits
        await torrent.remove()


async def test_files_of_a_share_are_read_at_any_place_and_cut_off_at_their_end(
    tmp_path: Path,
) -> None:
    folder = make_folder(tmp_path / "in" / "data")
    async with node(tmp_path / "s") as seeder:
        shared = await seeder.share(folder, piece_length=65536)
        for state in shared.file_states():
            whole = (folder / state.path).read_bytes()
            assert await shared.read_at(state.index, 0, MOST_BYTES) == whole[:MOST_BYTES]
            assert await shared.read_at(state.index, 65535, 70000) == whole[65535 : 65535 + 70000]
            assert await shared.read_at(state.index, len(whole), 5) == b""
        with pytest.raises(trio_swarm.ConfigError, match="no file number 99"):
            await shared.read_at(99, 0, 1)
        with pytest.raises(trio_swarm.ConfigError, match="no file number -1"):
            await shared.read_at(-1, 0, 1)
        with pytest.raises(ValueError, match="at most"):
            await shared.read_at(0, 0, MOST_BYTES + 1)
        with pytest.raises(ValueError, match="from -1 on"):
            await shared.read_at(0, -1, 1)


async def test_readers_that_wait_are_let_go_when_the_torrent_is_removed(tmp_path: Path) -> None:
    failed: list[str] = []

    async def read() -> None:
        with pytest.raises(trio_swarm.TrioSwarmError, match="removed"):
            await torrent.read_at(0, 0, 10)
        failed.append("it was told")

    with trio.fail_after(30):
        async with node(tmp_path) as leecher:
            torrent = await leecher.fetch("ab" * 20, folder=tmp_path)
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked()
                await torrent.remove()
            with pytest.raises(trio_swarm.TrioSwarmError, match="removed"):
                await torrent.read_at(0, 0, 10)
    assert len(failed) == 3


async def test_a_finished_torrent_that_is_removed_is_read_no_more(tmp_path: Path) -> None:
    async with node(tmp_path / "s") as seeder:
        shared = await seeder.share(make_file(tmp_path / "in" / "x.bin", 100_000))
        assert len(await shared.read_at(0, 0, 10)) == 10
        await shared.remove()
        with pytest.raises(trio_swarm.TrioSwarmError, match=r"x\.bin: was removed"):
            await shared.read_at(0, 0, 10)


async def test_a_file_that_was_only_touched_is_looked_at_and_read(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 300_000)
    with trio.fail_after(30):
        async with node(tmp_path / "s") as seeder:
            shared = await seeder.share(original)
            os.utime(original, (1, 1))
            assert await shared.read_at(0, 1000, 1000) == original.read_bytes()[1000:2000]


async def test_finished_data_that_was_changed_is_not_read_as_if_it_were_right(
    tmp_path: Path,
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 300_000)
    with trio.fail_after(30):
        async with node(tmp_path / "s") as seeder:
            shared = await seeder.share(original, piece_length=65536)
            with original.open("r+b") as file:
                file.write(b"other")
            with pytest.raises(FileChangedError):
                await shared.read_at(0, 1000, 1000)
            right = await shared.read_at(0, 70_000, 1000)
            assert right == original.read_bytes()[70_000:71_000], "the other pieces are right still"


async def test_bytes_that_others_spoilt_before_the_end_are_fetched_again_and_then_read(
    tmp_path: Path,
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 3_000_000)
    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            shared = await seeder.share(original, piece_length=65536)
            shared.set_limits(upload_rate=500_000)
            torrent = await leecher.fetch(
                shared.info_hash.hex(), folder=tmp_path / "out", peers=[(HOST, seeder.port)]
            )
            wanted = original.read_bytes()[5:65_000]
            assert await torrent.read_at(0, 5, 64_995) == wanted
            with (tmp_path / "out" / "x.bin.part").open("r+b") as file:
                file.write(b"other bytes")
            assert await torrent.read_at(0, 5, 64_995) == wanted
            shared.set_limits()
            path = await torrent.wait_complete()
            assert await torrent.read_at(0, 5, 64_995) == wanted
    assert path.read_bytes() == original.read_bytes()


async def test_no_more_readers_than_are_bearable(tmp_path: Path, mock_clock: MockClock) -> None:
    async with meeting(tmp_path, mock_clock, size=3_000_000) as peers:
        (torrent,) = peers.fetching
        async with trio.open_nursery() as nursery:
            for number in range(MOST_READERS):
                nursery.start_soon(torrent.read_at, 0, number, 10)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio_swarm.TrioSwarmError, match="64 others"):
                await torrent.read_at(0, 1000, 10)
            nursery.cancel_scope.cancel()
        assert torrent.download is not None
        assert not torrent.download.ledger._planner.deadlines
        with trio.move_on_after(1) as scope:
            await torrent.read_at(0, 1000, 10)
        assert scope.cancelled_caught, "and others may come when some have gone"
