"""`kill -9` of a seeder, the tracker or the leecher, with real commands: no verified byte twice."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from swarm_processes import (
    Processes,
    RunningCommand,
    digest,
    make_big_file,
    processes,
)
from trio_swarm.peer.disk import BATCH_PIECES
from trio_swarm.protocol.metainfo.torrent import choose_piece_length

MIB = 1 << 20


async def _slow_seeder(
    start: Processes, original: Path, url: str, state: str, limit: str
) -> RunningCommand:
    return await start.seed(original, tracker=url, state=state, flags=["--upload-limit", limit])


async def test_a_download_goes_on_when_one_of_two_seeders_is_killed(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 16 * MIB)
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            first = await _slow_seeder(start, original, url, "s1", "4MiB")
            await _slow_seeder(start, original, url, "s2", "6MiB")
            leecher = await start.get(
                "x.bin", tmp_path / "out", tracker=url, state="l", flags=["--no-seed"]
            )
            await leecher.wait_for_share(0.3)
            await first.kill()
            assert await leecher.wait() == 0
    (done,) = leecher.of("completed")
    assert len(done["sources"]) == 2
    assert done["downloaded"] == 16 * MIB
    assert digest(tmp_path / "out" / "x.bin") == digest(original)


async def test_a_killed_seeder_is_unlisted_when_its_lease_ends(tmp_path: Path) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", MIB)
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here(interval=1, lease=2.5)
            seeder = await start.seed(original, tracker=url, state="s")
            await seeder.kill()
            assert await start.ls_until(url, lambda names: not names) == []


async def test_a_restarted_tracker_lists_everything_again_while_a_download_goes_on(
    tmp_path: Path,
) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 24 * MIB)
    other = make_big_file(tmp_path / "in" / "y.bin", MIB)
    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            tracker, url = await start.tracker(interval=1)
            await start.seed(
                original, other, tracker=url, state="s", flags=["--upload-limit", "4MiB"]
            )
            leecher = await start.get("x.bin", tmp_path / "out", tracker=url, state="l")
            await leecher.wait_for_share(0.1)
            await tracker.kill()
            await leecher.wait_for("tracker_failed")
            await leecher.wait_for_share(0.3)
            await start.tracker(port=int(url.rpartition(":")[2]), interval=1)
            listed = await start.ls_until(
                url, lambda names: sum(name["seeders"] + name["leechers"] for name in names) == 3
            )
            assert [name["share_name"] for name in listed] == ["x.bin", "y.bin"]
            await leecher.wait_for("completed")
            await start.ls_until(url, lambda names: names[0]["seeders"] == 2)
            late = await start.get(
                "y.bin", tmp_path / "out", tracker=url, state="late", flags=["--no-seed"]
            )
            assert await late.wait() == 0
    assert digest(tmp_path / "out" / "x.bin") == digest(original)
    assert digest(tmp_path / "out" / "y.bin") == digest(other)


def _shares_at_random(seed: int, kills: int) -> list[float]:
    rng = random.Random(seed)
    return sorted(rng.uniform(0.02, 0.95) for _ in range(kills))


@pytest.mark.parametrize(
    ("kind", "kill_at"),
    [("file", [0.3, 0.6, 0.9]), ("folder", _shares_at_random(1, 5))],
    ids=["file at 30, 60 and 90 %", "folder at any moments"],
)
async def test_a_leecher_killed_over_and_over_fetches_no_verified_byte_twice(
    tmp_path: Path, kind: str, kill_at: list[float]
) -> None:
    size = 24 * MIB
    if kind == "file":
        original = make_big_file(tmp_path / "in" / "x.bin", size)
    else:
        original = tmp_path / "in" / "x"
        for number, part in enumerate([1, 5 * MIB, 300_001, size - 5 * MIB - 300_002]):
            make_big_file(original / f"{number % 2}" / f"{number}.bin", part)
    with trio.fail_after(110):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            for number in range(2):
                await _slow_seeder(start, original, url, f"s{number}", "8MiB")
            runs: list[RunningCommand] = []
            for share in [*kill_at, None]:
                leecher = await start.get(
                    original.name, tmp_path / "out", tracker=url, state="l", flags=["--no-seed"]
                )
                runs.append(leecher)
                if share is None:
                    assert await leecher.wait() == 0
                else:
                    await leecher.wait_for_share(share)
                    await leecher.kill()
    for before, after in pairwise(runs):
        _assert_nothing_is_lost(before, after)
    (done,) = runs[-1].of("completed")
    assert done["downloaded"] == size - runs[-1].of("checked")[0]["have"]
    fetched = tmp_path / "out" / original.name
    if kind == "file":
        assert digest(fetched) == digest(original)
    else:
        for file in original.rglob("*.bin"):
            assert digest(fetched / file.relative_to(original)) == digest(file)


def _assert_nothing_is_lost(before: RunningCommand, after: RunningCommand) -> None:
    """What was verified before a kill is there after it, and was not hashed again."""
    piece_length = choose_piece_length(before.of("checked")[0]["size"])
    (was,), (now,) = before.of("checked"), after.of("checked")
    verified = len(before.of("piece_verified"))
    assert now["have"] >= was["have"] + (verified - 1) * piece_length
    # Of the pieces that were being written at that moment nothing is known: they are one batch.
    assert now["hashed"] <= BATCH_PIECES * piece_length
