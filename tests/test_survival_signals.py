"""SIGINT and SIGTERM end every command within five seconds: announced, saved, no traceback."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from swarm_processes import HOST, Processes, RunningCommand, make_big_file, processes

MIB = 1 << 20
PROMISE = 5.0
"""Seconds from the signal to the end of the process."""

SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name
)


async def _ends(command: RunningCommand, number: signal.Signals, code: int) -> None:
    with trio.fail_after(PROMISE):
        assert await command.stop(number) == code, command.stderr
    assert "Traceback" not in command.stderr


@SIGNALS
async def test_every_command_ends_at_a_signal_and_the_tracker_forgets_it_at_once(
    tmp_path: Path, number: signal.Signals
) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 8 * MIB)
    other = make_big_file(tmp_path / "in" / "y.bin", MIB)
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            tracker, url = await start.tracker(interval=60, lease=150)
            slow = ["--upload-limit", "1MiB"]
            seeder = await start.seed(original, other, tracker=url, state="s", flags=slow)
            downloading = await start.get("x.bin", tmp_path / "1", tracker=url, state="1")
            await downloading.wait_for("piece_verified")
            seeding = await start.get("y.bin", tmp_path / "2", tracker=url, state="2")
            await seeding.wait_for("completed")
            config = tmp_path / "peer.toml"
            config.write_text(
                f'trackers = ["{url}"]\n[node]\nlisten = "{HOST}:0"\n[[share]]\npath = "{other}"\n'
            )
            whole_peer = await start.run(config, state="run")
            await whole_peer.wait_for("announced")
            listed = await start.ls(url)
            counts = [(each["share_name"], each["seeders"], each["leechers"]) for each in listed]
            assert counts == [("x.bin", 1, 1), ("y.bin", 3, 0)]
            await _ends(downloading, number, 1)
            await _ends(seeding, number, 0)
            await _ends(whole_peer, number, 0)
            listed = await start.ls(url)
            counts = [(each["share_name"], each["seeders"], each["leechers"]) for each in listed]
            assert counts == [("x.bin", 1, 0), ("y.bin", 1, 0)]
            await _ends(seeder, number, 0)
            assert await start.ls(url) == []
            await _ends(tracker, number, 0)


async def test_a_stopped_download_goes_on_where_it_was_and_hashes_nothing(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 12 * MIB)
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            _, url = await start.tracker()
            await start.seed(original, tracker=url, state="s", flags=["--upload-limit", "6MiB"])
            stopped = await start.get("x.bin", tmp_path / "out", tracker=url, state="l")
            await stopped.wait_for_share(0.5)
            await _ends(stopped, signal.SIGTERM, 1)
            resumed = await start.get(
                "x.bin", tmp_path / "out", tracker=url, state="l", flags=["--no-seed"]
            )
            assert await resumed.wait() == 0
    (checked,) = resumed.of("checked")
    assert checked["hashed"] == 0
    assert checked["have"] >= 6 * MIB
    assert resumed.of("completed")[0]["downloaded"] == 12 * MIB - checked["have"]


@pytest.fixture
def silent_tracker() -> Iterator[str]:
    """A UDP port that takes everything and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((HOST, 0))
        yield f"udp://{HOST}:{bound.getsockname()[1]}"


async def _sharing(start: Processes, folder: Path, tracker: str) -> RunningCommand:
    original = make_big_file(folder / "in" / "x.bin", MIB)
    command = await start.start(
        "seed", original, "--tracker", tracker, "--listen", f"{HOST}:0", state="s"
    )
    await command.wait_for("sharing")
    return command


@SIGNALS
async def test_a_silent_tracker_does_not_delay_the_end(
    tmp_path: Path, silent_tracker: str, number: signal.Signals
) -> None:
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            seeder = await _sharing(start, tmp_path, silent_tracker)
            await _ends(seeder, number, 0)


async def test_a_dead_tracker_does_not_delay_the_end(tmp_path: Path) -> None:
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            tracker, url = await start.tracker()
            seeder = await _sharing(start, tmp_path, url)
            await seeder.wait_for("announced")
            await tracker.kill()
            await _ends(seeder, signal.SIGINT, 0)


async def test_waiting_for_a_silent_tracker_to_know_a_name_ends_at_a_signal(
    tmp_path: Path, silent_tracker: str
) -> None:
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            waiting = await start.get("x.bin", tmp_path / "out", tracker=silent_tracker, state="l")
            await waiting.wait_for("listening")
            await _ends(waiting, signal.SIGINT, 1)


async def test_hashing_ends_at_a_signal(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 0)
    with original.open("r+b") as file:
        file.truncate(64 << 30)  # a hole: hashing it would take half a minute
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            _, url = await start.tracker()
            seeder = await start.start("seed", original, "--tracker", url, state="s")
            await seeder.wait_for("hashing")
            await _ends(seeder, signal.SIGINT, 0)


async def test_a_second_signal_ends_at_once(tmp_path: Path, silent_tracker: str) -> None:
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            seeder = await _sharing(start, tmp_path, silent_tracker)
            # Two kinds, as the system may deliver two of a kind as one.
            seeder.process.send_signal(signal.SIGTERM)
            # The code tells: an end in good order would have been 0.
            assert await seeder.stop(signal.SIGINT) == 1
            assert "Traceback" not in seeder.stderr
