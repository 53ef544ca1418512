"""Full disks, changed and deleted files, folders that cannot be written: one line, nothing lost."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from swarm_processes import HOST, Processes, RunningCommand, digest, make_big_file, processes

MIB = 1 << 20


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own in memory; skips the test where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "trio-swarm-test", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount: {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """20 MiB, of which `filler` takes 12."""
    with mounted(tmp_path / "disk", "size=20m") as folder:
        (folder / "filler").write_bytes(bytes(12 * MIB))
        yield folder


async def _seeded(start: Processes, original: Path) -> str:
    _, url = await start.tracker()
    await start.seed(original, tracker=url, state="s")
    return url


async def test_a_full_disk_ends_get_with_one_line_and_it_goes_on_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 16 * MIB)
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            url = await _seeded(start, original)
            fetch = {"tracker": url, "state": "l", "flags": ["--no-seed"]}
            stopped = await start.get("x.bin", small_disk / "out", **fetch)
            assert await stopped.wait() == 1
            assert "Traceback" not in stopped.stderr
            (error,) = stopped.of("error")
            assert "x.bin.part: the disk is full (" in error["message"]
            line, advice = stopped.errors
            assert line == f"trio-swarm: {error['message']}"
            assert "same command again" in advice
            verified = len(stopped.of("piece_verified"))
            assert verified > 0
            (small_disk / "filler").unlink()
            resumed = await start.get("x.bin", small_disk / "out", **fetch)
            assert await resumed.wait() == 0
            assert digest(small_disk / "out" / "x.bin") == digest(original)
    (checked,) = resumed.of("checked")
    assert checked["hashed"] == 0
    pieces = resumed.of("metadata_received")[0]["pieces"]
    assert checked["have"] == verified * 16 * MIB // pieces
    assert resumed.of("completed")[0]["downloaded"] == 16 * MIB - checked["have"]


async def test_a_full_disk_makes_a_peer_wait_and_it_goes_on_by_itself_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 16 * MIB)
    config = tmp_path / "peer.toml"
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            url = await _seeded(start, original)
            config.write_text(
                f'trackers = ["{url}"]\n'
                f'[node]\nlisten = "{HOST}:0"\ndownload_folder = "{small_disk / "out"}"\n'
                '[[fetch]]\nwhat = "x.bin"\n'
            )
            peer = await start.run(config, state="l")
            await peer.wait_for("waiting", lambda event: "the disk is full" in event["reason"])
            (small_disk / "filler").unlink()
            await peer.wait_for("completed")
            assert digest(small_disk / "out" / "x.bin") == digest(original)
            assert peer.stderr == ""
    first, second = peer.of("checked")
    assert (first["have"], second["hashed"]) == (0, 0)
    assert peer.of("completed")[0]["downloaded"] == 16 * MIB - second["have"]


def _flip_a_byte(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("finished", [False, True], ids=["unfinished", "finished"])
async def test_data_that_was_changed_while_stopped_is_noticed_and_fetched_again(
    tmp_path: Path, *, finished: bool
) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 8 * MIB)
    out = tmp_path / "out"
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            _, url = await start.tracker()
            await start.seed(original, tracker=url, state="s", flags=["--upload-limit", "8MiB"])
            first = await start.get("x.bin", out, tracker=url, state="l")
            if finished:
                await first.wait_for("completed")
            else:
                await first.wait_for_share(0.5)
            await first.stop()
            written = out / ("x.bin" if finished else "x.bin.part")
            # A byte of a piece that was verified: the first piece that is there.
            _flip_a_byte(written, _first_data(written) + 5)
            again = await start.get("x.bin", out, tracker=url, state="l", flags=["--no-seed"])
            assert await again.wait() == 0
    (checked,) = again.of("checked")
    assert checked["hashed"] > 0
    assert checked["have"] < 8 * MIB
    assert digest(out / "x.bin") == digest(original)


def _first_data(path: Path) -> int:
    with path.open("rb") as file:
        return os.lseek(file.fileno(), 0, os.SEEK_DATA)


@pytest.mark.parametrize("harm", ["deleted", "cut"])
async def test_a_share_that_vanishes_is_one_line_and_the_others_go_on(
    tmp_path: Path, harm: str
) -> None:
    lost = make_big_file(tmp_path / "in" / "lost.bin", 2 * MIB)
    kept = make_big_file(tmp_path / "in" / "kept.bin", 2 * MIB)
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            _, url = await start.tracker()
            seeder = await start.seed(lost, kept, tracker=url, state="s")
            if harm == "deleted":
                lost.unlink()
            else:
                os.truncate(lost, MIB)
            waiting = await start.get("lost.bin", tmp_path / "out", tracker=url, state="l1")
            failed = await seeder.wait_for("torrent_failed")
            assert failed["share_name"] == "lost.bin"
            assert str(lost) in failed["reason"]
            leecher = await start.get(
                "kept.bin", tmp_path / "out", tracker=url, state="l2", flags=["--no-seed"]
            )
            assert await leecher.wait() == 0
            await start.ls_until(url, lambda names: [each["seeders"] for each in names] == [1, 0])
            assert await waiting.stop() == 1
            assert await seeder.stop() == 0
            assert "Traceback" not in seeder.stderr
    assert digest(tmp_path / "out" / "kept.bin") == digest(kept)


async def _fails(start: Processes, url: str, folder: Path) -> str:
    """Fetch into a folder that will not do; return the one line that says so."""
    leecher: RunningCommand = await start.get(
        "x.bin", folder, tracker=url, state="l", flags=["--no-seed"]
    )
    assert await leecher.wait() == 1
    (line,) = leecher.errors
    assert [event["message"] for event in leecher.of("error")] == [
        line.removeprefix("trio-swarm: ")
    ]
    return line


async def test_a_target_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", MIB)
    (tmp_path / "1" / "x.bin").mkdir(parents=True)
    (tmp_path / "2" / "x.bin.part").mkdir(parents=True)
    (tmp_path / "3").write_text("a file")
    make_big_file(tmp_path / "4" / "x.bin", 1000)
    with mounted(tmp_path / "5", "ro"), trio.fail_after(60):
        async with processes(tmp_path) as start:
            url = await _seeded(start, original)
            assert "1/x.bin: exists and is not a file" in await _fails(start, url, tmp_path / "1")
            assert "2/x.bin.part: exists and is" in await _fails(start, url, tmp_path / "2")
            assert "3: cannot be used as a folder" in await _fails(start, url, tmp_path / "3")
            assert "4/x.bin: exists already" in await _fails(start, url, tmp_path / "4")
            assert "5/x.bin.part: the file system is read-only" in await _fails(
                start, url, tmp_path / "5"
            )
            assert "5/deeper: " in await _fails(start, url, tmp_path / "5" / "deeper")
    assert (tmp_path / "4" / "x.bin").stat().st_size == 1000
