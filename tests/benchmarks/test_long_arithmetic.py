"""What the benchmark of long links makes of its counters, and what its switch does to packets."""

import math
import random
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench_long import TCP, contestants, starting
from bench_long_report import LongResult, report
from bench_long_rows import ROWS
from bench_long_trace import Tracer, open_netlink
from bench_measuring import MIB
from bench_results import append, read
from bench_swarm_columns import EFFICIENCY
from bench_swarm_switch import VNET_HEADER, Passage, Way

from shaped_links import MBIT

PACKET = bytes(VNET_HEADER + 1000)
RESULT = LongResult(
    row="far",
    contestant="trio-swarm",
    size=128 * MIB,
    bound=6.0,
    seconds=8.0,
    first=0.5,
    settled=0.97,
    load=None,
    busy=0.5,
)


def passage(way: Way) -> Passage:
    return Passage(way, random.Random(1))


def test_a_packet_is_late_by_the_delay_of_its_way() -> None:
    way = passage(Way("port", delay=0.05))
    way.enter(PACKET, 1.0)
    way.enter(PACKET, 1.25)
    assert [at for at, _ in way.late] == [1.05, 1.3]


def test_a_modem_sends_one_packet_after_the_other_and_drops_what_finds_no_room() -> None:
    way = passage(Way("port", delay=1.0, rate=1000.0, buffer=1500.0))
    for _ in range(4):
        way.enter(PACKET, 0.0)
    # One that is being sent, one behind it, and half a packet of room more.
    assert [at for at, _ in way.late] == [2.0, 3.0]
    assert way.lost == 2
    way.enter(PACKET, 10.0)
    assert way.late[-1][0] == 12.0


def test_packets_are_lost_by_chance_as_often_as_asked_for() -> None:
    way = passage(Way("port", loss=0.1))
    for _ in range(10_000):
        way.enter(PACKET, 0.0)
    assert 900 < way.lost < 1100
    assert len(way.late) == 10_000 - way.lost


@pytest.mark.parametrize(
    ("name", "mbit", "round_trips"),
    [
        ("far", 200, [0.100]),
        ("farther", 100, [0.200]),
        ("fat", 1000, [0.100]),
        ("loss", 100, [0.050]),
        ("near-far", 100, [0.005, 0.150]),
        ("thin", 8, [0.040] * 20),
        ("asymmetric", 10, [0.040]),
    ],
)
def test_what_a_link_carries_and_how_far_its_ends_are(
    name: str, mbit: float, round_trips: list[float]
) -> None:
    row = ROWS[name]
    assert row.bound(row.size) == pytest.approx(row.size / (EFFICIENCY * MBIT * mbit))
    ports = [f"port{number}" for number in range(len(row.links) + 1)]
    *sources, leecher = row.ways(ports)[: len(row.seeders) + 1]
    assert [way.delay + leecher.delay for way in sources] == pytest.approx(round_trips)
    assert len(row.ways(ports)) == len(ports)


def test_a_queue_holds_what_is_on_its_way_in_one_round_trip() -> None:
    for name in ("far", "farther", "fat", "loss"):
        row = ROWS[name]
        assert row.buffer == 2 * row.delays[0]


def test_only_what_seeders_send_is_lost_by_chance() -> None:
    ways = ROWS["loss"].ways(["port0", "port1", "port2"])
    assert [way.loss for way in ways] == [0.001, 0.0, 0.0]


def test_a_table_tells_the_worst_run_and_compares_with_libtorrent() -> None:
    worse = replace(RESULT, seconds=9.0, settled=0.8)
    rival = replace(RESULT, contestant="libtorrent", seconds=10.2)
    line = next(
        line for line in report([RESULT, worse, rival]).splitlines() if line.startswith("trio")
    )
    cells = line.split()
    assert cells[1:] == ["2", "8.50", "(8.00-9.00)", "0.71", "0.89", "0.80", "0.50", "1.20x"]


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "results"
    assert read(file, LongResult) == []
    append(file, RESULT)
    append(file, replace(RESULT, load=1e6))
    assert read(file, LongResult) == [RESULT, replace(RESULT, load=1e6)]
    assert "load, Mbit/s" in report([replace(RESULT, load=1e6)])


def test_tcp_alone_is_measured_where_one_source_is() -> None:
    everybody = contestants(["trio-swarm", "TCP"], [])
    assert [each.name for each in everybody] == ["trio-swarm", "TCP"]
    assert TCP in starting(ROWS["far"], everybody)
    assert TCP not in starting(ROWS["thin"], everybody)
    with pytest.raises(SystemExit, match="no contestant nobody"):
        contestants(["nobody"], [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_trace_tells_what_tcp_knows_of_each_connection(tmp_path: Path) -> None:
    tracer = Tracer(open_netlink())
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as near,
        server.accept()[0] as far,
    ):
        near.sendall(bytes(100_000))
        assert len(far.recv(100_000, socket.MSG_WAITALL)) == 100_000
        tracer.take()
        port = near.getsockname()[1]
    tracer.close(tmp_path / "trace")
    (sample,) = [each for each in tracer.samples if each.local == f"127.0.0.1:{port}"]
    assert sample.acknowledged + sample.in_flight * 65536 >= 100_000
    assert 0.0 < sample.round_trip < 60.0
    assert sample.window >= 10
    assert sample.retransmitted == 0
    assert sample.line() in (tmp_path / "trace").read_text()


def test_a_result_that_is_no_number_is_shown() -> None:
    assert "nan" in replace(RESULT, settled=math.nan).line()
