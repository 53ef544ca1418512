"""Send buffers of long fat links (`socket(7)`, SO_SNDBUF; `tcp(7)`, `tcp_wmem`)."""

import socket
import sys
from collections.abc import Iterator

import pytest

from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.peer.transport.send_buffers import LARGEST, Limits, limits, widen, wider
from trio_swarm.peer.transport.streams import SocketStream

MIB = 1024 * 1024
ROOMY = Limits(grown=4 * MIB, asked=8 * MIB)


def test_a_buffer_that_the_system_grows_no_further_gets_the_largest_size() -> None:
    assert wider(4 * MIB, ROOMY) == 8 * MIB


def test_a_buffer_that_still_grows_is_left_alone() -> None:
    assert wider(4 * MIB - 1, ROOMY) is None


def test_a_buffer_is_never_made_smaller() -> None:
    """Untouched systems allow less to a program (416 KiB) than they take themselves (4 MiB)."""
    assert wider(4 * MIB, Limits(grown=4 * MIB, asked=2 * 212_992)) is None
    assert wider(8 * MIB, ROOMY) is None


def test_a_connection_has_a_bounded_part_of_the_memory() -> None:
    assert wider(4 * MIB, Limits(grown=4 * MIB, asked=1024 * MIB)) == LARGEST


def test_nothing_is_done_where_the_limits_are_unknown() -> None:
    assert wider(4 * MIB, Limits(0, 0)) is None


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux doubles what is asked")


@pytest.fixture
def near() -> Iterator[socket.socket]:
    """One end of a connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
        with near, far:
            yield near


def size_of(sock: socket.socket) -> int:
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)


@linux_only
def test_the_system_gives_the_size_that_was_meant(near: socket.socket) -> None:
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)
    widen(near, Limits(grown=size_of(near), asked=300_000))
    assert size_of(near) == 300_000


def test_a_closed_connection_is_no_fault(near: socket.socket) -> None:
    near.close()
    widen(near, ROOMY)


class FarStream(SocketStream):
    """A stream over a link with a round trip of 100 ms whose buffer held us back for a while."""

    limited = 0.0

    def link_state(self) -> LinkState:
        return LinkState(1, 1e7, False, 0.1, 0.1, 1, 0, 0, 0.0, self.limited)  # noqa: FBT003


@linux_only
@pytest.mark.skipif(limits().asked <= limits().grown, reason="this system allows no larger buffer")
async def test_a_far_link_that_its_buffer_limits_gets_a_larger_one(near: socket.socket) -> None:
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits().grown // 2)
    before = size_of(near)
    stream = FarStream(near, ("127.0.0.1", 1))
    await stream.wait_writable()
    assert size_of(near) == before
    stream.limited = 0.1
    await stream.wait_writable()
    assert size_of(near) == min(limits().asked, LARGEST)
