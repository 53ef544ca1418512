"""The demo: the whole system in one process, with each scheduler."""

import heapq
import re
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import CommandLine
from trio_swarm.cli.commands.demo import SCHEDULERS, SEEDER_RATES, Fetched, ideal_seconds, table
from trio_swarm.engine.token_bucket import TokenBucket
from trio_swarm.peer.saying import OWN_MAX_BLOCK

SLOW = re.compile(r"trio-swarm: strategy \S+: took \d+ ms of \d+ ms \(fault \d+\)\n")
"""What is told of a strategy on a machine that is busy with other things."""


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    made = CommandLine(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    made.environment["TMPDIR"] = str(scratch)
    return made


def test_the_demo_fetches_with_every_scheduler_and_leaves_nothing_behind(line: CommandLine) -> None:
    done = line.run("demo", "--size", "8MiB")
    assert (done.returncode, SLOW.sub("", done.stderr)) == (0, "")
    for scheduler in SCHEDULERS:
        assert f"fetching demo-8MiB.bin with {scheduler}" in done.stdout
        (row,) = [each for each in done.stdout.splitlines() if each.startswith(f"{scheduler}  ")]
        shares = [float(share) for share in row.replace(" %", "").split()[4:8]]
        assert sum(shares) == pytest.approx(100, abs=0.3)
    assert done.stdout.count("the bytes are identical") == len(SCHEDULERS)
    assert list((line.folder / "scratch").iterdir()) == []


def test_a_file_of_ones_own_is_used_and_kept_with_the_result(line: CommandLine) -> None:
    mine = line.folder / "mine.bin"
    mine.write_bytes(bytes(range(256)) * 4096)
    events = [
        each for each in line.events("demo", mine, "--keep") if each["event"] == "demo_result"
    ]
    assert [event["scheduler"] for event in events] == list(SCHEDULERS)
    for event in events:
        assert event["identical"]
        assert sum(event["shares"].values()) == pytest.approx(1)
        assert event["ideal_seconds"] == ideal_seconds(1024**2) <= event["seconds"]
    (kept,) = (line.folder / "scratch").iterdir()
    assert (kept / "fetched/mine.bin").read_bytes() == mine.read_bytes()


def test_an_interrupted_demo_leaves_nothing_behind(line: CommandLine) -> None:
    with line.start("demo", "--size", "200MiB") as program:
        program.wait_for("progress")
        assert program.end(signal.SIGINT) == (1, "")
    assert list((line.folder / "scratch").iterdir()) == []


def test_the_table_compares_times_shares_and_duplicates_with_the_ideal() -> None:
    size = sum(SEEDER_RATES)
    result = Fetched(
        scheduler="round-robin",
        seconds=2.0,
        given=(size // 2, size // 2, 0, 0),
        duplicate=2048,
        is_identical=True,
    )
    heading, row, ideal, *_ = table([result], size)
    assert heading.split()[:3] == ["SCHEDULER", "TIME", "MiB/s"]
    assert " ".join(row.split()) == "round-robin 2.00 s 47.5 50.0 % 50.0 % 0.0 % 0.0 % 2 KiB"
    assert " ".join(ideal.split()) == "ideal 0.91 s 104.6 61.6 % 21.2 % 11.1 % 6.1 % 0 B"


@given(st.integers(0, 1 << 31))
def test_no_seeders_that_keep_to_their_limits_beat_the_ideal(size: int) -> None:
    """Each sends the longest blocks there are as soon as its limit lets it, the first at once."""
    buckets = [TokenBucket(rate) for rate in SEEDER_RATES]
    waiting = [(0.0, number) for number in range(len(buckets))]
    left, now = size, 0.0
    while left > 0:
        now, number = heapq.heappop(waiting)
        left -= OWN_MAX_BLOCK
        heapq.heappush(waiting, (now + buckets[number].take(OWN_MAX_BLOCK, now), number))
    assert now >= ideal_seconds(size) - 1e-9
    # And the bound is no idle one: with blocks of this size it is nearly reached.
    assert now <= ideal_seconds(size) + len(buckets) * OWN_MAX_BLOCK / sum(SEEDER_RATES) + 1e-9


def test_what_may_come_at_once_is_too_little_to_compare_by() -> None:
    result = Fetched("round-robin", 0.1, (100, 0, 0, 0), 0, is_identical=True)
    lines = table([result], 100)
    assert " ".join(lines[2].split()).startswith("ideal 0.00 s 4")  # no rate
    assert lines[-1] == "100 B may all come at once: too little to compare by."
