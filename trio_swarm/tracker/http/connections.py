"""Connections to a tracker at the level of the system: taken, read, written and ended.

The sockets are those of `_socket`, without the Python around them that `socket.socket` has: that
took a fifth of the time of an answer.
"""

import errno
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

import trio

from trio_swarm.tracker.http.heads import MAX_HEAD
from trio_swarm.tracker.own_addresses import SocketAddress

ACCEPTED_AT_ONCE: Final = 64
"""Connections taken before the first of them is answered: 1.5 ms."""

LINGER_SECONDS: Final = 2.0
"""How long an answer may take to be read when more of the request is still on its way."""

_MAX_DISCARDED: Final = 262_144
"""Bytes read of what cannot be read, so that the answer to it arrives."""

_LAST: Final = socket.MSG_DONTWAIT | getattr(socket, "MSG_MORE", 0)
"""With MSG_MORE the system waits for more, and the end of a connection is more."""

_NONE_WAITS: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK})
_GONE_ALREADY: Final = frozenset({errno.ECONNABORTED, errno.EINTR, errno.EPERM, errno.EPROTO})


class Accepted(NamedTuple):
    """Connections that were taken from a listener."""

    connections: list[tuple[socket.SocketType, SocketAddress]]
    fault: OSError | None
    """Why no more could be taken although more may wait (too many open files); None: it can."""


def accept_waiting(listener: socket.socket) -> Accepted:
    """Take up to ACCEPTED_AT_ONCE connections that wait, without waiting."""
    accepted: list[tuple[socket.SocketType, SocketAddress]] = []
    family, kind, protocol = int(listener.family), int(listener.type), listener.proto
    accept: Callable[[], tuple[int, SocketAddress]] = listener._accept  # type: ignore[attr-defined]  # noqa: SLF001
    opened = socket.SocketType
    for _ in range(ACCEPTED_AT_ONCE):
        try:
            number, source = accept()
        except OSError as error:
            if error.errno in _NONE_WAITS:
                break
            if error.errno in _GONE_ALREADY:
                continue
            return Accepted(accepted, error)
        accepted.append((opened(family, kind, protocol, number), source))
    return Accepted(accepted, None)


def receive_waiting(connection: socket.SocketType) -> bytes | None:
    """Return what has come, b"" at the end, None if nothing has; raises OSError."""
    try:
        return connection.recv(MAX_HEAD, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None


def send_at_once(connection: socket.SocketType, answer: bytes) -> int:
    """Return how many bytes there was room for; raises OSError."""
    try:
        return connection.send(answer, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return 0


def send_last(connection: socket.SocketType, answer: bytes) -> int:
    """As `send_at_once`, right before the connection is closed: both go in one packet."""
    try:
        return connection.send(answer, _LAST)
    except BlockingIOError:
        return 0


async def receive(connection: socket.SocketType, deadline: float) -> bytes:
    """Return what comes until the deadline, b"" if nothing does; raises OSError."""
    with trio.move_on_at(deadline):
        while True:
            await trio.lowlevel.wait_readable(connection)
            data = receive_waiting(connection)
            if data is not None:
                return data
    return b""


async def send(connection: socket.SocketType, answer: bytes, deadline: float) -> bool:
    """Send all of `answer`; return whether that was done by the deadline. Raises OSError."""
    with trio.move_on_at(deadline):
        at = send_at_once(connection, answer)
        while at < len(answer):
            await trio.lowlevel.wait_writable(connection)
            at += send_at_once(connection, answer[at:])
        return True
    return False


async def linger(connection: socket.SocketType) -> None:
    """End a connection of which more comes than was read: a plain end would destroy the answer."""
    connection.shutdown(socket.SHUT_WR)
    deadline = trio.current_time() + LINGER_SECONDS
    discarded = 0
    while discarded < _MAX_DISCARDED:
        data = await receive(connection, deadline)
        if not data:
            return
        discarded += len(data)
