"""What the system tells of a connection's link, and pacing, with real sockets on loopback."""

import contextlib
import math
import select
import socket
import sys
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.peer.transport.streams import SocketStream, refill_pause

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")

UNPACED = 2**64 - 1
"""Linux, `net/core/sock.c`, SO_MAX_PACING_RATE: any other value has TCP pace itself."""
EVENLY = UNPACED - 1
HERE = ("127.0.0.1", 1)


@pytest.fixture
def ends() -> Iterator[tuple[SocketStream, socket.socket]]:
    """A connection: our stream, and the other end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        with near, far:
            yield SocketStream(near, HERE), far


def most_paced(sock: socket.socket) -> int:
    """Return SO_MAX_PACING_RATE, bytes/s."""
    return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, 47, 8), sys.byteorder)


def send(stream: SocketStream, far: socket.socket, amount: int) -> None:
    """Have `amount` bytes reach the other end, which reads them."""
    near = stream._socket
    left = amount
    far.settimeout(None)
    while left:
        near.send(bytes(min(left, 16384)))
        left -= len(far.recv(16384, socket.MSG_WAITALL if left >= 16384 else 0))


def test_what_was_acknowledged_and_the_round_trip_are_told(
    ends: tuple[SocketStream, socket.socket],
) -> None:
    stream, far = ends
    before = stream.link_state()
    assert before is not None
    send(stream, far, 16384 * 64)
    after = stream.link_state()
    assert after is not None
    assert after.acknowledged - before.acknowledged + after.in_flight >= 16384 * 62
    assert after.acknowledged <= 16384 * 64 + 1
    assert 0.0 < after.least_round_trip <= after.round_trip < 60.0
    assert after.delivery_rate > 0.0


def test_what_the_other_end_does_not_take_is_told_as_in_flight_or_unsent(
    ends: tuple[SocketStream, socket.socket],
) -> None:
    stream, _far = ends
    near = stream._socket
    taken = 0
    try:
        while True:
            taken += near.send(bytes(16384))
    except BlockingIOError:
        pass
    state = stream.link_state()
    assert state is not None
    assert state.unsent > 0
    assert state.acknowledged + state.in_flight + state.unsent >= taken


def test_the_rate_of_pacing_is_kept_by_the_system_and_taken_back(
    ends: tuple[SocketStream, socket.socket],
) -> None:
    stream, _far = ends
    near = stream._socket
    stream.pace(123_456.7)
    assert most_paced(near) == 123_456
    stream.pace(None)
    assert most_paced(near) == EVENLY


def test_a_stream_is_paced_from_its_first_byte_though_nobody_limits_it(
    ends: tuple[SocketStream, socket.socket],
) -> None:
    stream, far = ends
    assert most_paced(far) == UNPACED
    assert most_paced(stream._socket) == EVENLY


def test_a_closed_stream_tells_nothing_and_is_not_paced(
    ends: tuple[SocketStream, socket.socket],
) -> None:
    stream, _far = ends
    stream._socket.close()
    assert stream.link_state() is None
    stream.pace(1000.0)


FULL = LinkState(
    acknowledged=10_000_000,
    delivery_rate=30e6,
    is_app_limited=True,
    round_trip=0.12,
    least_round_trip=0.1,
    in_flight=4_000_000,
    unsent=0,
    retransmitted=0,
    receiver_limited=0.0,
)
"""A far link whose send buffer is full of what is not acknowledged."""


def test_a_buffer_full_of_what_is_on_its_way_is_filled_up_before_a_third_of_it_is_free() -> None:
    """Linux, `sk_stream_is_writeable`: it tells of room only then."""
    assert 0.001 <= refill_pause(FULL, 2**20) <= FULL.least_round_trip / 8


def test_it_is_filled_up_more_seldom_while_enough_waits_to_be_sent() -> None:
    state = FULL._replace(unsent=1_000_000)
    assert refill_pause(FULL, 2**20) < refill_pause(state, 2**20) <= FULL.least_round_trip / 8


def test_a_near_link_is_filled_up_only_when_the_system_tells_of_room() -> None:
    """A third of a buffer lasts long enough there."""
    assert refill_pause(FULL._replace(least_round_trip=0.0005), 2**20) == math.inf


async def test_who_waits_for_room_is_told_when_the_other_end_reads(
    ends: tuple[SocketStream, socket.socket],
) -> None:
    stream, far = ends
    near = stream._socket
    with contextlib.suppress(BlockingIOError):
        while True:
            near.send(bytes(65536))
    with trio.move_on_after(0.2) as scope:
        await stream.wait_writable()
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.wait_writable)
        far.setblocking(False)  # noqa: FBT003 - as the module has it
        while near not in select.select([], [near], [], 0)[1]:
            with contextlib.suppress(BlockingIOError):
                far.recv(1 << 20)
            await trio.lowlevel.checkpoint()


async def test_a_link_on_which_nothing_moves_is_looked_at_once_more_and_then_left_alone(
    ends: tuple[SocketStream, socket.socket],
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, _far = ends
    with contextlib.suppress(BlockingIOError):
        while True:
            stream._socket.send(bytes(65536))
    states = iter([FULL, FULL._replace(acknowledged=11_000_000), *[FULL] * 10])
    monkeypatch.setattr(stream, "link_state", lambda: next(states))
    began = trio.current_time()
    for _ in range(2):
        await stream.wait_writable()
    assert trio.current_time() - began < 2 * FULL.least_round_trip
    with trio.move_on_after(60) as scope:
        await stream.wait_writable()
    assert scope.cancelled_caught
