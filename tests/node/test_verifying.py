"""All pieces are checked again while a torrent goes on."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

import trio_swarm
from local_swarm import HOST, Recorder, make_file, make_folder, node, until
from trio_swarm import events
from trio_swarm.errors import StorageError
from trio_swarm.progress import Verified
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.hashing import HashingStopped
from trio_swarm.storage.unfinished import Changes


def rot(path: Path, at: int) -> None:
    """Change a byte as a failing disk does: no stamp tells of it."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        (old,) = file.read(1)
        file.seek(at)
        file.write(bytes([old ^ 255]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_a_share_that_is_right_is_found_right_and_goes_on_meanwhile(tmp_path: Path) -> None:
    original = make_folder(tmp_path / "in" / "data")
    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            shared = await seeder.share(original, piece_length=65536)
            assert shared.verifying is None
            async with trio.open_nursery() as nursery:
                results: list[object] = []

                async def verify() -> None:
                    results.append(await shared.verify())

                nursery.start_soon(verify)
                nursery.start_soon(verify)
                torrent = await leecher.fetch(
                    shared.info_hash.hex(), folder=tmp_path / "o", peers=[(HOST, seeder.port)]
                )
                await torrent.wait_complete()
            assert shared.info is not None
            count = shared.info.piece_count
            good = Verified(checked=count, bad=0, is_fetched_again=False)
            assert results == [good, good]
            assert shared.verifying is None


@pytest.mark.parametrize("is_unseen", [False, True])
async def test_bad_pieces_of_a_download_are_fetched_again(
    tmp_path: Path,
    is_unseen: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 3_000_000)
    recorder = Recorder()
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s") as seeder,
            node(tmp_path / "l", recorder=recorder) as leecher,
        ):
            shared = await seeder.share(original, piece_length=65536)
            shared.set_limits(upload_rate=1_000_000)
            torrent = await leecher.fetch(
                shared.info_hash.hex(), folder=tmp_path / "out", peers=[(HOST, seeder.port)]
            )
            await torrent.read_at(0, 0, 65536)
            await until(lambda: torrent.progress().pieces_have > 10)
            shared.set_limits(upload_rate=1)
            assert torrent.download is not None
            await until(lambda: not torrent.download._jobs_pending)  # type: ignore[union-attr]
            rot(tmp_path / "out" / "x.bin.part", 100)
            if is_unseen:  # what only a failing disk can do: other bytes under the same stamp
                assert torrent.files is not None
                assert torrent.files._log is not None
                torrent.files._log.stamps.update(torrent.files._access.scan())
            result = await torrent.verify()
            assert result.bad == 1
            assert result.checked > 10
            assert result.is_fetched_again
            shared.set_limits()
            path = await torrent.wait_complete()
    assert path.read_bytes() == original.read_bytes()
    assert recorder.of(events.TorrentFailed) == []


async def test_bad_pieces_of_finished_data_are_offered_no_longer(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 1_000_000)
    recorder = Recorder()
    with trio.fail_after(60):
        async with node(tmp_path / "s", recorder=recorder) as seeder:
            shared = await seeder.share(original, piece_length=65536)
            rot(original, 70_000)
            assert shared.files is not None
            # What only a failing disk can do: other bytes under the same stamp.
            shared.files._access.known = shared.files._access.scan()
            result = await shared.verify()
            assert (result.bad, result.is_fetched_again) == (1, False)
            assert shared.progress().pieces_have == result.checked - 1
            with pytest.raises(StorageError, match="changed"):
                await shared.read_at(0, 70_000, 10)
            assert (await shared.verify()).checked == result.checked - 1
    (changed,) = recorder.of(events.FilesChanged)
    assert (changed.lost, changed.fetched_again) == (1, False)


async def test_a_file_that_is_gone_is_an_error_of_the_check_alone(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "in" / "data")
    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder:
            shared = await seeder.share(folder, piece_length=65536)
            (folder / "a.bin").unlink()
            result = await shared.verify()
            assert result.bad == 5
            assert shared.state == "seeding"
            assert (await shared.verify()).bad == 0


async def test_nothing_is_checked_before_there_are_files_nor_after_the_end(tmp_path: Path) -> None:
    with trio.fail_after(60):
        async with node(tmp_path) as leecher:
            torrent = await leecher.fetch("ab" * 20, folder=tmp_path)
            with pytest.raises(trio_swarm.TrioSwarmError, match="not open"):
                await torrent.verify()
            await torrent.remove()
            with pytest.raises(trio_swarm.TrioSwarmError, match="not open"):
                await torrent.verify()


async def test_a_check_ends_with_the_torrent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 100_000)
    began = trio.Event()

    def takes_for_ever(_files: object, _note: object, should_stop: Callable[[], bool]) -> Changes:
        trio.from_thread.run_sync(began.set)
        while not should_stop():
            time.sleep(0.01)
        raise HashingStopped

    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder:
            shared = await seeder.share(original, piece_length=65536)
            monkeypatch.setattr(TorrentFiles, "verify_all", takes_for_ever)

            async def verify() -> None:
                with pytest.raises(trio_swarm.TrioSwarmError, match="ended before"):
                    await shared.verify()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(verify)
                await began.wait()
                assert shared.verifying == 0.0
                await shared.remove()
