"""What a supervisor is told, as sd_notify(3) and sd_watchdog_enabled(3) of systemd 252 ask."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from trio_swarm.service.notify import (
    STATUS_LENGTH,
    address_in,
    message,
    open_supervisor,
    watchdog_in,
)


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
        theirs.bind(address)
        theirs.settimeout(30)
        yield theirs


def said(theirs: socket.socket) -> dict[str, str]:
    lines = theirs.recv(4096).decode().split("\n")
    return dict(line.split("=", 1) for line in lines)


def test_a_value_is_one_line_of_bounded_length() -> None:
    assert message({"STATUS": "a\nREADY=1", "X": 2}) == b"STATUS=a\\nREADY=1\nX=2"
    assert len(message({"STATUS": "a" * 5000})) <= len("STATUS=") + STATUS_LENGTH + 2


def test_the_socket_is_a_path_or_an_abstract_name() -> None:
    assert address_in({"NOTIFY_SOCKET": "/run/systemd/notify"}) == "/run/systemd/notify"
    assert address_in({"NOTIFY_SOCKET": "@abstract"}) == "\0abstract"
    assert address_in({"NOTIFY_SOCKET": "vsock:2:1234"}) is None
    assert address_in({}) is None


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({}, None),
    ],
)
def test_a_sign_of_life_comes_twice_in_the_time_that_the_watchdog_waits(
    environment: dict[str, str], interval: float | None
) -> None:
    assert watchdog_in(environment, pid=7) == interval


@pytest.mark.parametrize("kind", ["path", "abstract"])
async def test_a_supervisor_hears_of_start_reload_and_end(kind: str, tmp_path: Path) -> None:
    name = f"trio-swarm-test-{os.getpid()}"
    address = str(tmp_path / "n") if kind == "path" else f"\0{name}"
    environment = {"NOTIFY_SOCKET": address.replace("\0", "@"), "HOME": "/"}
    with listening(address) as theirs, open_supervisor(environment) as supervisor:
        assert environment == {"HOME": "/"}  # hooks that are run have none of it
        await supervisor.ready("serving")
        assert said(theirs) == {"READY": "1", "STATUS": "serving"}
        before = time.monotonic_ns() // 1000
        await supervisor.reloading()
        reloading = said(theirs)
        assert reloading["RELOADING"] == "1"
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        await supervisor.stopping()
        assert said(theirs) == {"STOPPING": "1"}


async def test_signs_of_life_come_in_time_and_the_status_when_it_changes(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    address = str(tmp_path / "n")
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000000"}
    heard: list[str] = []

    async def read(theirs: socket.socket) -> None:
        while True:
            await trio.lowlevel.wait_readable(theirs)
            heard.append(theirs.recv(4096).decode())

    with listening(address) as theirs, open_supervisor(environment) as supervisor:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, theirs)
            with trio.move_on_after(95):
                await supervisor.keep_told(lambda: "many" if trio.current_time() > 50 else "few")
            nursery.cancel_scope.cancel()
    assert heard.count("WATCHDOG=1") == 10
    assert [each for each in heard if each != "WATCHDOG=1"] == ["STATUS=few", "STATUS=many"]


async def test_a_supervisor_that_does_not_read_holds_nothing_up(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    address = str(tmp_path / "n")
    with listening(address), open_supervisor({"NOTIFY_SOCKET": address}) as supervisor:
        for _ in range(2000):
            await supervisor.stopping()
            if trio.current_time() > 1:
                break
        assert trio.current_time() < 60


async def test_without_a_socket_or_with_a_wrong_one_nobody_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_supervisor({}) as supervisor:
        await supervisor.ready("x")
        await supervisor.keep_told(lambda: "x")
    assert not caplog.records
    with open_supervisor({"NOTIFY_SOCKET": str(tmp_path / "missing")}) as supervisor:
        await supervisor.ready("x")
    assert "socket cannot be used" in caplog.text
