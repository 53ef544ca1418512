"""What the benchmark of swarms makes of its counters, and the bound it compares with."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench_measuring import MIB, Spread
from bench_results import append, read
from bench_swarm import Course, completed_duplicate, contestants, starting, timeline
from bench_swarm_columns import COLUMNS, DEFAULT_COLUMNS, EFFICIENCY, Column
from bench_swarm_network import Carried
from bench_swarm_report import Result, payload, quantile, report
from bench_swarm_simulated import (
    COMPARED,
    SHARING,
    Comparison,
    compare,
    contradictions,
    is_valid,
    scenario,
)

from shaped_links import MBIT, Link

SIZE = 64 * MIB
RESULT = Result(
    column="a",
    contestant="trio-swarm",
    size=SIZE,
    bound=10.0,
    finished=(11.0, 13.0, 12.0),
    groups=("giver", "giver", "giver"),
    first=(0.5, 0.25, 1.0),
    sent=SIZE * 3 // 2,
    received=SIZE * 3 + SIZE * 3 // 50,
    duplicate=None,
    busy=0.25,
)


@pytest.mark.parametrize(
    ("name", "mbit_seconds"),
    [
        ("a", 1 / 50),  # the seeder's uplink
        ("b", 1 / 40),
        ("c", 7 / 240),  # all uplinks together
        ("d", 1 / 95),
        ("riders", 7 / 300),  # those of free riders carry nothing
        ("killed", 1 / 50),
    ],
)
def test_the_bound_of_each_column(name: str, mbit_seconds: float) -> None:
    seconds = SIZE / (EFFICIENCY * MBIT) * mbit_seconds
    assert COLUMNS[name].bound(SIZE) == pytest.approx(seconds)


def test_the_slowest_downlink_bounds_a_swarm() -> None:
    column = Column("", "", (Link(100),), (Link(50, 40), Link(50, 20), Link(50, None)))
    assert column.bound(SIZE) == pytest.approx(SIZE / (EFFICIENCY * MBIT * 20))


def test_without_a_seeder_the_leechers_must_carry_the_rest() -> None:
    column = Column("", "", (Link(1000),), (Link(10),) * 3, killed_after=1.5)
    assert column.bound(SIZE) == pytest.approx(1.5 * SIZE / (EFFICIENCY * MBIT * 30))


def test_a_default_run_is_the_four_columns() -> None:
    assert DEFAULT_COLUMNS == ("a", "b", "c", "d")
    assert list(COLUMNS)[:4] == ["a", "b", "c", "d"]


def test_payload_is_what_is_left_without_headers_and_acknowledgements() -> None:
    # 1448 bytes and an acknowledgement; 40 segments that were offloaded as one packet.
    assert payload(1514 + 66, 2) == 1448
    assert payload(66 + 40 * 1448, 1) == 40 * 1448
    assert payload(28, 1) == 0


def test_a_quantile_lies_between_two_values() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile([1, 2], 0.5) == 1.5
    assert quantile([1, 2, 3, 4, 5], 0.95) == pytest.approx(4.8)
    assert quantile([1, math.inf], 0.95) == math.inf


def test_ratios_of_a_run() -> None:
    assert (RESULT.seconds, RESULT.ratio, RESULT.copies) == (13.0, 1.3, 1.5)
    assert pytest.approx(1.275) == RESULT.moving
    assert pytest.approx(0.02) == RESULT.duplicates
    assert replace(RESULT, duplicate=0).duplicates == 0


def test_the_last_of_each_group_is_reported() -> None:
    result = replace(RESULT, groups=("trio-swarm", "libtorrent", "trio-swarm"))
    assert result.by_group() == {"trio-swarm": 12.0, "libtorrent": 13.0}
    assert "trio-swarm: libtorrent  1.30" in report([result]).replace("    ", "  ")


def test_a_swarm_that_never_finishes_is_reported_so() -> None:
    result = replace(RESULT, finished=(11.0, math.inf, math.inf), lost=3)
    assert "never (1 of 3 finished, 3 pieces lost)" in result.line()
    assert "never" in report([result])
    assert "nan" not in report([result])


def test_the_best_of_each_column_is_marked() -> None:
    rival = replace(RESULT, contestant="other", finished=(20.0,), groups=("giver",))
    lines = report([RESULT, rival, replace(rival, column="c")]).splitlines()
    summary = lines[next(n for n, line in enumerate(lines) if "best marked" in line) :]
    assert [line.split() for line in summary[3:]] == [
        ["trio-swarm", "1.30", "*"],
        ["other", "2.00", "2.00", "*"],
    ]


def test_what_was_measured_under_another_congestion_control_is_told_apart() -> None:
    told = report([replace(RESULT, congestion="bbr"), replace(RESULT, congestion="cubic")])
    assert "a under bbr: seeder" in told
    assert "a under cubic: seeder" in told


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "results"
    never = replace(RESULT, finished=(math.inf,))
    assert read(file, Result) == []
    append(file, RESULT)
    append(file, never)
    assert report(read(file, Result)) == report([RESULT, never])


def course(*carried: tuple[int, int]) -> Course:
    """A seeder and a leecher; what both have sent, a second apart; each gets the other's."""
    return Course(
        seeders=1,
        times=[100.0 + second for second in range(len(carried))],
        carried=[[Carried(a, b), Carried(b, a)] for a, b in carried],
    )


def test_the_first_payload_is_more_than_handshakes() -> None:
    run = course((0, 0), (800, 0), (20_000, 0))
    assert run.first(0, started=99.5) == 2.5
    assert course((800, 0)).first(0, started=99.5) == math.inf


def test_a_timeline_tells_how_full_uplinks_were() -> None:
    column = Column("x", "", (Link(10),), (Link(20),))
    full = column.capacity(column.seeders)
    run = course((0, 0), (round(full), 0), (round(full * 1.5), round(full)), (0, 0), (0, 0))
    assert [line.split() for line in timeline(run, column, 100.0).splitlines()[1:3]] == [
        ["0.0", "s", "seeders", "100", "%", "leechers", "0", "%"],
        ["1.0", "s", "seeders", "50", "%", "leechers", "50", "%"],
    ]


def test_a_swarm_that_receives_nothing_for_long_is_stalled() -> None:
    assert not course(*[(0, 0)] * 1000).is_stalled()
    assert course(*[(0, 0)] * 2000).is_stalled()
    assert not course(*[(10_000 * step, 0) for step in range(2000)]).is_stalled()


def test_duplicates_are_what_the_leecher_says() -> None:
    said = '{"event":"completed","duplicate":77}'
    assert completed_duplicate(f'noise "completed"\n{{"event":"progress"}}\n{said}\n') == 77
    assert completed_duplicate("complete\n") is None


def test_each_scheduler_is_a_contestant() -> None:
    found = contestants(["trio-swarm"], ["rarest-first", "round-robin"], [], [])
    assert [each.name for each in found] == ["trio-swarm, rarest-first", "trio-swarm, round-robin"]
    with pytest.raises(SystemExit, match="no contestant nobody"):
        contestants(["nobody"], [], [], [])


def test_only_those_that_can_run_in_a_column_do() -> None:
    everybody = contestants(["trio-swarm", "libtorrent"], [], [], [])
    names = {
        name: [each.name for each in starting(COLUMNS[name], everybody)]
        for name in ("a", "riders", "mixed")
    }
    assert names == {
        "a": ["trio-swarm", "libtorrent"],
        "riders": ["trio-swarm", "libtorrent"],
        "mixed": ["trio-swarm with libtorrent"],
    }


@pytest.mark.parametrize("part", ["swarm", "long"])
def test_without_its_tools_the_benchmark_refuses_in_one_line(tmp_path: Path, part: str) -> None:
    script = Path(__file__).with_name("bench.py")
    done = subprocess.run(
        [sys.executable, script, part],
        env={**os.environ, "PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"bench-{part}: ip and tc not found (Debian: iproute2)\n"


def test_a_simulated_column_has_the_bound_of_the_measured_one() -> None:
    for name in COMPARED:
        assert scenario(COLUMNS[name], SIZE).bound == pytest.approx(COLUMNS[name].bound(SIZE))


def test_the_simulator_agrees_if_it_is_near_and_has_nobody_the_other_way_round() -> None:
    one = Comparison("a", "one", Spread(1.0, 0.9, 1.1), Spread(1.14, 1.13, 1.15))
    other = Comparison("a", "other", Spread(1.3, 1.2, 1.4), Spread(1.45, 1.4, 1.5))
    assert is_valid([one, other])
    assert not is_valid([one._replace(simulated=Spread(1.16, 1.1, 1.2)), other])
    turned = other._replace(real=Spread(0.8, 0.75, 0.85), simulated=Spread(0.9, 1.2, 1.3))
    assert contradictions([one, turned]) == ["a: one and other"]
    assert not is_valid([one, turned])
    # In another column, or where ranges overlap, nobody is before the other.
    assert not contradictions([one, turned._replace(column="b")])
    assert not contradictions([one, turned._replace(simulated=Spread(0.9, 1.14, 1.3))])


def test_what_was_measured_of_our_schedulers_is_simulated() -> None:
    small = replace(
        RESULT,
        size=4 * MIB,
        bound=COLUMNS["a"].bound(4 * MIB),
        first=[0.3 + number / 100 for number in range(7)],
    )
    cubic = replace(small, congestion="cubic")
    found = compare(
        [small, cubic, replace(small, contestant="libtorrent"), replace(small, column="delay")],
        seeds=2,
    )
    assert [(each.column, each.scheduler) for each in found] == [
        ("a", "rarest-first"),
        ("a under cubic", "rarest-first"),
    ]
    assert [each.real.median for each in found] == [small.moving] * 2
    fair, first_come = (each.simulated.median for each in found)
    assert 1.0 <= fair < 2.0
    assert 1.0 <= first_come < 2.5
    assert first_come != fair


def test_leechers_are_simulated_to_come_as_they_came_where_connections_share_as_they_did() -> None:
    joins = [0.05 * number for number in range(7)]
    cubic = scenario(COLUMNS["b"], SIZE, joins=joins, sharing=SHARING["cubic"])
    assert [each.joins_at for each in cubic.peers] == [0.0, *joins]
    assert cubic.network.sharing == "first-come"
    assert cubic.network.shares_uplink  # as the real ones do
    assert scenario(COLUMNS["b"], SIZE, sharing=SHARING["bbr"]).network.sharing == "fair"
