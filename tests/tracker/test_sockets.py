"""Datagrams in batches: real sockets on loopback, with and without the system calls for batches."""

import ctypes
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import cast

import pytest

from trio_swarm.tracker.udp.batch import BATCH, DatagramBatch
from trio_swarm.tracker.udp.sockets import (
    BatchedDatagrams,
    DatagramSocket,
    SingleDatagrams,
    ask_for_destinations,
    open_batches,
    send_datagram,
)

HOSTS = ["127.0.0.1", "::1"]
NOBODY = 0
"""A port that nothing can be sent to."""

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="recvmmsg and sendmmsg")


class CountedCalls:
    """The C library's calls for batches, counted; each sends no more than `most` datagrams."""

    def __init__(self, most: int = BATCH) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._most = most
        self.received = self.sent = 0

    def recvmmsg(self, *arguments: object) -> int:
        self.received += 1
        return cast("int", self._libc.recvmmsg(*arguments))

    def sendmmsg(self, number: int, at: object, count: int, flags: int) -> int:
        self.sent += 1
        return cast("int", self._libc.sendmmsg(number, at, min(count, self._most), flags))


def a_c_library(functions: object) -> ctypes.CDLL:
    return cast("ctypes.CDLL", functions)


WITHOUT_BATCHES = a_c_library(SimpleNamespace())


@pytest.fixture(params=HOSTS)
def tracker(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as bound:
        bound.settimeout(0)
        bound.bind((request.param, 0))
        yield bound


@pytest.fixture
def askers(tracker: socket.socket) -> Iterator[list[socket.socket]]:
    """Sockets connected to the tracker's."""
    sockets = [socket.socket(tracker.family, socket.SOCK_DGRAM) for _ in range(5)]
    for asker in sockets:
        asker.connect(tracker.getsockname())
        asker.settimeout(10)
    yield sockets
    for asker in sockets:
        asker.close()


def take(batches: DatagramSocket) -> list[tuple[object, bytes]]:
    """Return what is there: sender and data."""
    count = batches.receive()
    batch = batches.batch
    return [(batch.source(index), batch.data(index)) for index in range(count)]


@needs_linux
def test_linux_takes_batches_and_everybody_else_single_datagrams(tracker: socket.socket) -> None:
    assert isinstance(open_batches(tracker), BatchedDatagrams)
    assert isinstance(open_batches(tracker, WITHOUT_BATCHES), SingleDatagrams)

    def forbidden(*_arguments: object) -> int:
        return -1

    refused = a_c_library(SimpleNamespace(recvmmsg=forbidden, sendmmsg=forbidden))
    assert isinstance(open_batches(tracker, refused), SingleDatagrams)


@pytest.mark.parametrize("libc", [None, WITHOUT_BATCHES], ids=["batches", "single"])
def test_each_sender_gets_its_own_answer_and_silence_is_nothing(
    tracker: socket.socket, askers: list[socket.socket], libc: ctypes.CDLL | None
) -> None:
    batches = open_batches(tracker, libc)
    assert take(batches) == []
    for turn in range(2):
        for number, asker in enumerate(askers):
            asker.send(b"%d" % number * (number + 1))
        seen = take(batches)
        assert seen == [
            (asker.getsockname(), b"%d" % number * (number + 1))
            for number, asker in enumerate(askers)
        ]
        # Silence at the beginning, in the middle, at the end.
        batches.send([b"" if number % 2 == 0 else b"%d" % (number + turn) for number in range(5)])
        assert [asker.recv(99) for asker in askers[1::2]] == [
            b"%d" % (1 + turn),
            b"%d" % (3 + turn),
        ]
    for asker in askers[::2]:
        asker.settimeout(0)
        with pytest.raises(BlockingIOError):
            asker.recv(99)


@pytest.mark.parametrize("libc", [None, WITHOUT_BATCHES], ids=["batches", "single"])
def test_no_more_than_a_batch_is_taken_at_once(
    tracker: socket.socket, askers: list[socket.socket], libc: ctypes.CDLL | None
) -> None:
    batches = open_batches(tracker, libc)
    for number in range(BATCH + 3):
        askers[0].send(b"%d" % number)
    first, then = take(batches), take(batches)
    assert [int(data) for _, data in first + then] == list(range(BATCH + 3))
    assert len(first) == BATCH
    assert take(batches) == []


@needs_linux
def test_a_batch_takes_one_call_each_way(
    tracker: socket.socket, askers: list[socket.socket]
) -> None:
    calls = CountedCalls()
    batches = open_batches(tracker, a_c_library(calls))
    calls.received = calls.sent = 0
    for _ in range(BATCH):
        askers[0].send(b"?")
    assert batches.receive() == BATCH
    batches.send([b"!"] * BATCH)
    assert (calls.received, calls.sent) == (1, 1)


@needs_linux
@pytest.mark.parametrize("most", [1, 3])
def test_what_one_call_did_not_send_the_next_one_does(
    tracker: socket.socket, askers: list[socket.socket], most: int
) -> None:
    batches = open_batches(tracker, a_c_library(CountedCalls(most)))
    for asker in askers:
        asker.send(b"?")
    assert batches.receive() == 5
    batches.send([b"0", b"1", b"", b"3", b"4"])
    assert [asker.recv(99) for asker in askers[:2] + askers[3:]] == [b"0", b"1", b"3", b"4"]


@needs_linux
@pytest.mark.parametrize("unreachable", [{0}, {4}, {1, 2}, {0, 2, 4}])
def test_an_answer_that_cannot_be_sent_is_lost_and_no_other(
    tracker: socket.socket, askers: list[socket.socket], unreachable: set[int]
) -> None:
    batches = open_batches(tracker)
    for asker in askers:
        asker.send(b"?")
    assert batches.receive() == 5
    for index in unreachable:
        source = tracker.getsockname()
        batches.batch.put(index, (source[0], NOBODY, *source[2:]), b"?")
    batches.send([b"%d" % number for number in range(5)])
    for number, asker in enumerate(askers):
        if number not in unreachable:
            assert asker.recv(99) == b"%d" % number


def test_a_single_answer_that_cannot_be_sent_is_lost_and_no_other(
    tracker: socket.socket, askers: list[socket.socket]
) -> None:
    batches = open_batches(tracker, WITHOUT_BATCHES)
    for asker in askers:
        asker.send(b"?")
    assert batches.receive() == 5
    # Longer than any datagram can be.
    batches.send([bytes(70_000), b"1", bytes(70_000), b"3", b"4"])
    assert [askers[index].recv(99) for index in (1, 3, 4)] == [b"1", b"3", b"4"]


@pytest.mark.parametrize("libc", [None, WITHOUT_BATCHES], ids=["batches", "single"])
def test_an_asker_that_has_gone_is_no_error(
    tracker: socket.socket, askers: list[socket.socket], libc: ctypes.CDLL | None
) -> None:
    batches = open_batches(tracker, libc)
    askers[0].send(b"?")
    assert batches.receive() == 1
    askers[0].close()
    for _ in range(2):
        # The system says of the first that nobody is there, at the next call.
        batches.send([b"!"])
    assert take(batches) == []
    askers[1].send(b"?")
    assert len(take(batches)) == 1


@needs_linux
@pytest.mark.parametrize("libc", [None, WITHOUT_BATCHES], ids=["batches", "single"])
def test_each_answer_comes_from_the_address_that_was_asked(libc: ctypes.CDLL | None) -> None:
    """A connected socket hears nothing else (udp(7)); BEP 15 clients connect theirs."""
    hosts = [f"127.0.0.{number}" for number in range(1, 9)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound, ExitStack() as stack:
        bound.settimeout(0)
        ask_for_destinations(bound, "0.0.0.0")
        bound.bind(("0.0.0.0", 0))
        batches = open_batches(bound, libc)
        askers = []
        for host in hosts:
            asker = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            asker.connect((host, bound.getsockname()[1]))
            asker.settimeout(10)
            askers.append(asker)
        for turn in range(3):
            # Another order each time, so that nothing left from a batch before will do.
            order = random.Random(turn).sample(range(8), 8)
            for number in order:
                askers[number].send(b"?")
            assert batches.receive() == 8
            batches.send([b"%d" % number for number in order])
            assert [asker.recv(99) for asker in askers] == [b"%d" % at for at in range(8)]
            # So does one that comes later, as that to a search does.
            source, destination = batches.batch.source(0), batches.batch.destination(0)
            send_datagram(bound, b"late", source, destination)
            assert askers[order[0]].recv(99) == b"late"


@needs_linux
@pytest.mark.parametrize("libc", [None, WITHOUT_BATCHES], ids=["batches", "single"])
def test_ipv6_tells_the_address_that_was_asked_too(libc: ctypes.CDLL | None) -> None:
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as bound,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asker,
    ):
        bound.settimeout(0)
        ask_for_destinations(bound, "::")
        bound.bind(("::", 0))
        batches = open_batches(bound, libc)
        asker.connect(("::1", bound.getsockname()[1]))
        asker.settimeout(10)
        asker.send(b"?")
        assert batches.receive() == 1
        assert batches.batch.destination(0) == bytes(15) + b"\1" + bytes(4)
        batches.send([b"!"])
        assert asker.recv(99) == b"!"


@needs_linux
def test_a_socket_of_one_address_is_asked_for_no_more_than_that(tracker: socket.socket) -> None:
    ask_for_destinations(tracker, tracker.getsockname()[0])
    batches = open_batches(tracker)
    with socket.socket(tracker.family, socket.SOCK_DGRAM) as asker:
        asker.connect(tracker.getsockname())
        asker.send(b"?")
        assert batches.receive() == 1
        assert batches.batch.destination(0) == b""


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_destination_is_kept_without_its_interface(family: int) -> None:
    batch = DatagramBatch(family, 2)
    told = bytes(range(1, batch.packet_info.size + 1))
    batch.put_destination(1, told)
    assert batch.destination(0) == b""
    kept = batch.destination(1)
    assert kept in {bytes(4) + told[4:], told[:-4] + bytes(4)}
    batch.put_destination(1, b"")
    assert batch.destination(1) == b""
