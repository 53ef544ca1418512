"""SIGINT and SIGTERM, whatever a command is doing: gone soon, unlisted, nothing lost."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest
import trio

from swarm_processes import HOST, Event, RunningCommand, digest, make_big_file, processes

MIB = 1 << 20
PIECE = 16 << 10
"""Bytes of a piece of what is shared here."""
LIMIT = 18.0
"""Seconds in which a command ends on any machine, as it gives itself 2.5 (STOP_DEADLINE) for what
it still has to do: less than a silent tracker gets otherwise (20 over HTTP, 30 over UDP)."""
SIGNALS = (SIGINT, SIGTERM)


async def end(command: RunningCommand, number: int, *, code: int) -> None:
    """Send the signal: the command ends in time, with this code, and has nothing to complain of."""
    with trio.fail_after(LIMIT):
        ended_with = await command.stop(number)
    assert (ended_with, command.stderr) == (code, "")


async def end_each(*commands: RunningCommand, code: int) -> None:
    """End all at once, the first by SIGINT, the next by SIGTERM, and so on."""
    async with trio.open_nursery() as nursery:
        for turn, command in enumerate(commands):
            nursery.start_soon(partial(end, command, SIGNALS[turn % 2], code=code))


def counts(listed: list[Event]) -> list[tuple[str, int, int]]:
    return [(each["share_name"], each["seeders"], each["leechers"]) for each in listed]


@contextmanager
def silent_udp_tracker() -> Iterator[str]:
    """A tracker that takes every datagram and never answers; its URL."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((HOST, 0))
        yield f"udp://{HOST}:{bound.getsockname()[1]}"


@contextmanager
def silent_http_tracker() -> Iterator[str]:
    """A tracker that takes every connection and never answers; its URL."""
    with socket.create_server((HOST, 0), backlog=100) as bound:
        yield f"http://{HOST}:{bound.getsockname()[1]}/announce"


SILENT = {"udp": silent_udp_tracker, "http": silent_http_tracker}


def write_config(path: Path, text: str) -> Path:
    path.write_text(f'{text}\n[node]\nlisten = "{HOST}:0"\n')
    return path


async def test_a_tracker_ends(tmp_path: Path) -> None:
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            await end_each(*[(await start.tracker())[0] for _ in SIGNALS], code=0)


async def test_a_seeder_is_unlisted_and_never_hashes_again(tmp_path: Path) -> None:
    originals = [make_big_file(tmp_path / f"{number}.bin", 3 * MIB) for number in range(2)]
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            seeders = [await start.seed(each, tracker=url, state=each.stem) for each in originals]
            assert len(await start.ls(url)) == 2
            await end_each(*seeders, code=0)
            assert all(each.of("hashing") for each in seeders)
            assert await start.ls(url) == []
            seeders = [await start.seed(each, tracker=url, state=each.stem) for each in originals]
            await end_each(*seeders, code=0)
            assert not any(each.of("hashing") for each in seeders)


async def test_a_download_is_unlisted_and_goes_on_later_without_hashing(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "x.bin", 12 * MIB)
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()

            async def get_both() -> list[RunningCommand]:
                return [
                    await start.get("x.bin", tmp_path / f"out{n}", tracker=url, state=f"l{n}")
                    for n in range(2)
                ]

            slow = ["--upload-limit", "8MiB"]
            seeder = await start.seed(original, tracker=url, state="s", flags=slow)
            leechers = await get_both()
            for leecher in leechers:
                await leecher.wait_for_share(0.3)
            await end_each(*leechers, code=1)
            assert counts(await start.ls(url)) == [("x.bin", 1, 0)]
            verified = [len(leecher.of("piece_verified")) for leecher in leechers]
            await end(seeder, SIGINT, code=0)
            await start.seed(original, tracker=url, state="s")

            leechers = await get_both()
            for number, leecher in enumerate(leechers):
                done = await leecher.wait_for("completed")
                (checked,) = leecher.of("checked")
                assert checked["hashed"] == 0
                assert checked["have"] >= verified[number] * PIECE > 0
                assert done["downloaded"] == done["size"] - checked["have"]
                assert digest(tmp_path / f"out{number}" / "x.bin") == digest(original)
            # It has everything, so this is a seeder's normal end.
            await start.ls_until(url, lambda names: names[0]["seeders"] == 3)
            await end_each(*leechers, code=0)
            assert counts(await start.ls(url)) == [("x.bin", 1, 0)]

            again = (await get_both())[0]
            assert (await again.wait_for("completed"))["downloaded"] == 0
            assert again.of("checked")[0]["hashed"] == 0


async def test_a_download_that_waits_for_a_peer_is_unlisted(tmp_path: Path) -> None:
    originals = [make_big_file(tmp_path / name, MIB) for name in ("x.bin", "y.bin")]
    with trio.fail_after(60):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            seeder = await start.seed(*originals, tracker=url, state="s")
            magnets = [sharing["magnet"] for sharing in seeder.of("sharing")]
            await seeder.kill()
            leechers = [
                await start.get(what, tmp_path / f"{n}", tracker=url, state=f"{n}")
                for n, what in enumerate(["x.bin", magnets[1]])
            ]
            for leecher in leechers:
                assert "no peer yet" in (await leecher.wait_for("waiting"))["reason"]
            assert [each["leechers"] for each in await start.ls(url)] == [1, 1]
            await end_each(*leechers, code=1)
            assert [each["leechers"] for each in await start.ls(url)] == [0, 0]


async def test_a_run_is_unlisted_and_goes_on_later_without_hashing(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "x.bin", 12 * MIB)
    make_big_file(tmp_path / "y.bin", 3 * MIB)
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            slow = ["--upload-limit", "6MiB"]
            await start.seed(original, tracker=url, state="s", flags=slow)
            config = write_config(
                tmp_path / "peer.toml",
                f"""
                trackers = ["{url}"]
                [[share]]
                path = "y.bin"
                [[fetch]]
                what = "x.bin"
                folder = "out"
                """,
            )
            for number in SIGNALS:
                peer = await start.run(config, state="r")
                shared = (await peer.wait_for("sharing"))["info_hash"]
                await peer.wait_for("announced", lambda e, i=shared: e["info_hash"] == i)
                await peer.wait_for("piece_verified")
                await end(peer, number, code=0)
                assert counts(await start.ls(url)) == [("x.bin", 1, 0)]
                # The share is hashed the first time only.
                assert bool(peer.of("hashing")) == (number == SIGNALS[0])
            peer = await start.run(config, state="r")
            done = await peer.wait_for("completed")
            (checked,) = peer.of("checked")
            assert (checked["hashed"], done["downloaded"]) == (0, done["size"] - checked["have"])
            assert digest(tmp_path / "out" / "x.bin") == digest(original)
            await end(peer, SIGINT, code=0)


@pytest.mark.parametrize("scheme", SILENT)
async def test_a_silent_tracker_delays_nobodys_end(tmp_path: Path, scheme: str) -> None:
    original = make_big_file(tmp_path / "x.bin", 12 * MIB)
    with trio.fail_after(100), SILENT[scheme]() as url:
        config = write_config(
            tmp_path / "peer.toml",
            f"""
            trackers = ["{url}"]
            [[share]]
            path = "x.bin"
            [[fetch]]
            what = "{"0" * 40}"
            folder = "out"
            """,
        )
        async with processes(tmp_path) as start:
            flags = ["--listen", f"{HOST}:0", "--tracker", url, "--upload-limit", "4MiB"]
            seeder = await start.start("seed", original, *flags, state="s")
            sharing = await seeder.wait_for("sharing")
            peer = ["--peer", f"{HOST}:{seeder.of('listening')[0]['port']}"]
            leecher = await start.get(
                sharing["magnet"], tmp_path / "l", tracker=url, state="l", flags=peer
            )
            run = await start.run(config, state="r")
            await leecher.wait_for("piece_verified")
            await run.wait_for("sharing")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(end, leecher, SIGTERM, code=1))
                nursery.start_soon(partial(end, run, SIGTERM, code=0))
                nursery.start_soon(partial(end, seeder, SIGINT, code=0))


async def test_a_dead_tracker_delays_nobodys_end(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "x.bin", MIB)
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            tracker, url = await start.tracker()
            seeders = [await start.seed(original, tracker=url, state=f"{n}") for n in range(2)]
            await tracker.kill()
            leecher = await start.get("x.bin", tmp_path, tracker=url, state="l", flags=["--wait"])
            await leecher.wait_for("waiting")
            await end_each(*seeders, code=0)
            await end(leecher, SIGTERM, code=1)


@pytest.mark.parametrize("flags", [[], ["--wait"]], ids=["once", "waiting"])
async def test_the_search_for_a_name_ends(tmp_path: Path, flags: list[str]) -> None:
    with trio.fail_after(60), silent_udp_tracker() as url:
        async with processes(tmp_path) as start:
            leechers = [
                await start.get("x.bin", tmp_path, tracker=url, state=f"{n}", flags=flags)
                for n in range(2)
            ]
            for leecher in leechers:
                await leecher.wait_for("listening")
            await end_each(*leechers, code=1)


async def test_the_hashing_of_a_big_share_ends(tmp_path: Path) -> None:
    (tmp_path / "big.bin").touch()
    with (tmp_path / "big.bin").open("r+b") as file:
        file.truncate(256 << 30)  # a hole: minutes of hashing, and no room on the disk
    with trio.fail_after(60), silent_udp_tracker() as url:
        config = write_config(tmp_path / "peer.toml", '[[share]]\npath = "big.bin"')
        async with processes(tmp_path) as start:
            flags = ["--tracker", url, "--listen", f"{HOST}:0"]
            seeder = await start.start("seed", "big.bin", *flags, state="s")
            peer = await start.run(config, state="r")
            for command in (seeder, peer):
                await command.wait_for("hashing")
            await end_each(seeder, peer, code=1)
            assert not seeder.of("sharing")
            creator = await start.start("create", "big.bin", "-o", "big.torrent", state="c")
            await creator.wait_for("hashing")
            await end(creator, SIGTERM, code=1)
            assert not (tmp_path / "big.torrent").exists()


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "x.bin", MIB)
    with trio.fail_after(60), silent_udp_tracker() as url:
        async with processes(tmp_path) as start:
            flags = ["--tracker", url, "--listen", f"{HOST}:0"]
            seeder = await start.start("seed", original, *flags, state="s")
            await seeder.wait_for("sharing")
            seeder.process.send_signal(SIGINT)
            # The last progress comes when the end has begun; the farewell to the tracker follows.
            await seeder.wait_for("progress")
            # The code tells: an end in good order would have been 0.
            await end(seeder, SIGTERM, code=1)
