"""The main job with real commands: many seeders, many leechers, and the seeders leave."""

import os
from pathlib import Path

import pytest
import trio

from swarm_processes import HOST, RunningCommand, digest, make_big_file, processes

SIZE = (1 << 30) if os.environ.get("TRIO_SWARM_FULL") else 64 << 20
"""A gigabyte takes a minute on two busy cores: `make nightly` sets the variable."""


def _address(command: RunningCommand) -> str:
    return f"{HOST}:{command.of('listening')[0]['port']}"


@pytest.mark.timeout(600)
async def test_leechers_of_four_seeders_serve_a_fifth_when_the_seeders_are_gone(
    tmp_path: Path,
) -> None:
    original = make_big_file(tmp_path / "in" / "big.bin", SIZE)
    right = digest(original)
    with trio.fail_after(90 if SIZE < 1 << 30 else 550):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            seeders = [await start.seed(original, tracker=url, state=f"s{i}") for i in range(4)]
            leechers = [
                await start.get("big.bin", tmp_path / f"out{i}", tracker=url, state=f"l{i}")
                for i in range(4)
            ]
            for i, leecher in enumerate(leechers):
                await leecher.wait_for("completed")
                assert digest(tmp_path / f"out{i}" / "big.bin") == right
            (listed,) = await start.ls_until(url, lambda names: names[0]["leechers"] == 0)
            assert (listed["seeders"], listed["size"]) == (8, SIZE)
            for seeder in seeders:
                assert await seeder.stop() == 0
            (listed,) = await start.ls(url)
            assert listed["seeders"] == 4
            fifth = await start.get(
                "big.bin", tmp_path / "out5", tracker=url, state="l5", flags=["--no-seed"]
            )
            assert await fifth.wait() == 0
            assert fifth.of("completed")[0]["sources"].keys() <= set(map(_address, leechers))
            assert digest(tmp_path / "out5" / "big.bin") == right
            for leecher in leechers:
                assert await leecher.stop() == 0
            assert await start.ls(url) == []
