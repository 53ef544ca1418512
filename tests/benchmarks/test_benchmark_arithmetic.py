"""What benchmarks make of their numbers."""

from pathlib import Path

import pytest
from bench import make_parser
from bench_measuring import (
    GIB,
    KIB,
    MIB,
    in_alternation,
    parse_size,
    ratios,
    size_text,
    spread,
    table,
)
from bench_room import NoRoomError, demand_room, room_in
from bench_targets import Target


def test_a_spread_is_the_middle_and_the_ends() -> None:
    assert spread([5, 1, 2]) == (2, 1, 5)
    assert spread([4, 1]) == (2.5, 1, 4)
    assert spread([5, 1, 2]).text(1) == "2.0 (1.0-5.0)"


def test_ratios_are_taken_within_each_round() -> None:
    # The second round was ten times slower, for both.
    assert ratios([200, 20, 220], [100, 10, 100]) == (2.0, 2.0, 2.2)
    with pytest.raises(ValueError, match="shorter"):
        ratios([1, 2], [1])


def test_every_other_round_runs_backwards() -> None:
    assert in_alternation(0, ["a", "b", "c"]) == ["a", "b", "c"]
    assert in_alternation(1, ["a", "b", "c"]) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("16384", 16 * KIB), ("256KiB", 256 * KIB), ("64m", 64 * MIB), ("1.5G", 1536 * MIB)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "1 parsec", "0", "1TiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|more than 0|float"):
        parse_size(text)


def test_sizes_are_shown_in_the_largest_round_unit() -> None:
    assert [size_text(each) for each in (4 * GIB, 1536 * MIB, 16 * KIB, 1000)] == [
        "4 GiB",
        "1536 MiB",
        "16 KiB",
        "1000 bytes",
    ]


def test_a_target_is_reached_or_missed_in_the_direction_that_is_better() -> None:
    speed, cost = Target(2.0, 1.5), Target(64, 96)
    assert [speed.verdict(value) for value in (2.0, 1.9, 1.2)] == [
        "goal reached",
        "least reached",
        "misses the least by 20%",
    ]
    assert [cost.verdict(value) for value in (64, 65, 120)] == [
        "goal reached",
        "least reached",
        "misses the least by 25%",
    ]
    assert speed.cells(1.5, 1) == ("2.0", "1.5", "least reached")


def test_what_does_not_fit_is_refused_before_it_is_written(tmp_path: Path) -> None:
    room = room_in(tmp_path)
    demand_room(tmp_path, 0)
    with pytest.raises(NoRoomError, match=r"GiB are needed: name another folder"):
        demand_room(tmp_path, 2 * room + GIB)


def test_a_table_is_aligned() -> None:
    assert table(("", "n"), [("one", "1"), ("eleven", "11")]).splitlines() == [
        "         n",
        "one      1",
        "eleven  11",
    ]


@pytest.mark.parametrize("part", ["peer", "memory", "tracker", "hash", "swarm"])
def test_flags_for_all_parts_may_follow_the_part_as_make_passes_them(part: str) -> None:
    arguments = make_parser().parse_args(
        ["--repeats", "5", part, "--scratch", "/dev/shm", "--repeats", "1"]
    )
    assert arguments.scratch == Path("/dev/shm")
    assert arguments.repeats == 1
    assert make_parser().parse_args(["--repeats", "5", part]).repeats == 5
