"""What the benchmark of a full uplink asks, times and makes of it."""

import math
import socket
import struct
from collections.abc import Iterator

import pytest
from bench_bloat import KINDS, ROWS, BloatResult, percentile, report
from bench_bloat_probe import (
    BITFIELD,
    BLOCK,
    CANCEL,
    DEPTH,
    HAVE,
    PIECE,
    REJECT,
    REQUEST,
    UNCHOKE,
    Leech,
    frame,
)

PIECES, PER_PIECE = 16, 16
ALL = struct.pack(">IBH", 3, BITFIELD, 0xFFFF)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def requests(said: bytes) -> list[tuple[int, ...]]:
    return [struct.unpack(">IBIII", said[at : at + 17])[1:] for at in range(0, len(said), 17)]


def block(piece: int, begin: int) -> bytes:
    return struct.pack(">IBII", 9 + BLOCK, PIECE, piece, begin) + bytes(BLOCK)


def test_who_is_busy_asks_for_much_and_times_the_reject_of_what_it_takes_back(
    ends: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = ends
    leech = Leech(theirs, PIECES * PER_PIECE, PER_PIECE, is_busy=True)
    ours.sendall(ALL + frame(UNCHOKE))
    asked = requests(leech.hear(1.0))
    assert asked == [(REQUEST, n // 16, n % 16 * BLOCK, BLOCK) for n in range(DEPTH)]
    newest = asked[-1][1:]
    assert leech.probe(2.0) == frame(CANCEL, *newest)
    assert leech.probe(2.1) == b""  # one at a time
    ours.sendall(frame(REJECT, *newest))
    leech.hear(2.25)
    assert capsys.readouterr().out == "busy 2.0000 0.2500\n"


def test_it_says_what_pieces_it_has(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    leech = Leech(theirs, PIECES * 2, 2, is_busy=True)
    ours.sendall(ALL + frame(UNCHOKE))
    leech.hear(1.0)
    ours.sendall(block(3, 0))
    assert leech.hear(1.0) == b""
    ours.sendall(block(3, BLOCK))
    assert leech.hear(1.0) == frame(HAVE, 3)


def test_who_is_quiet_asks_for_one_block_and_takes_it_back_at_once(
    ends: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = ends
    leech = Leech(theirs, PIECES * PER_PIECE, PER_PIECE, is_busy=False)
    assert leech.probe(0.5) == b""  # of which piece?
    ours.sendall(ALL + frame(UNCHOKE))
    assert leech.hear(1.0) == b""
    assert leech.probe(2.0) == frame(REQUEST, 15, 0, BLOCK) + frame(CANCEL, 15, 0, BLOCK)
    ours.sendall(frame(REJECT, 15, 0, BLOCK))
    leech.hear(2.125)
    assert capsys.readouterr().out == "quiet 2.0000 0.1250\n"


def test_a_block_that_comes_in_spite_of_it_is_no_answer_of_a_few_bytes(
    ends: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = ends
    leech = Leech(theirs, PIECES * PER_PIECE, PER_PIECE, is_busy=False)
    ours.sendall(ALL)
    leech.hear(1.0)
    leech.probe(2.0)
    ours.sendall(block(15, 0))
    leech.hear(3.0)
    assert "quiet" not in capsys.readouterr().out
    assert leech.probe(3.0) != b""


def test_95_of_100_do_not_exceed_the_percentile() -> None:
    assert percentile([float(n) for n in range(100)], 0.95) == 95.0
    assert percentile([3.0], 0.95) == 3.0
    assert math.isnan(percentile([], 0.95))


@pytest.mark.parametrize("name", list(ROWS))
def test_the_full_queue_is_behind_the_host_and_half_a_second_long(name: str) -> None:
    row = ROWS[name]
    ports = [f"port{number}" for number in range(len(row.links) + 1)]
    assert row.links[row.target].up is None
    way = row.ways(ports)[row.target]
    assert way.rate == row.up * 125_000
    assert way.buffer == pytest.approx(0.5 * way.rate)
    assert len(row.others) >= 2


def test_a_table_tells_the_median_and_the_worst_of_20() -> None:
    delays = {kind: [0.01 * n for n in range(1, 11)] for kind in KINDS}
    result = BloatResult("bloated-1", "trio-swarm", "cubic", delays, 0.98, 0.0)
    text = report([result, result])
    assert "bloated-1: a seeder of 20 up, 1 leecher, 40 ms; cubic" in text
    assert "55/100 (20)" in text
    assert "0.98 (0.98-0.98)" in text
