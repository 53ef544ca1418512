"""The sockets a tracker listens at: UDP, and TCP for HTTP at the same addresses and port."""

import errno
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

import trio

from trio_swarm.errors import ConfigError
from trio_swarm.protocol.addresses import format_address
from trio_swarm.tracker.udp.sockets import ask_for_destinations
from trio_swarm.tracker.udp.steering import share_port, steer

_RECEIVE_BUFFER: Final = 4 * 2**20
"""Bytes asked for: room for the heartbeats of many peers that started in the same second."""

_BACKLOG: Final = 4096
"""Connections the kernel holds while we are busy; it has a limit of its own (somaxconn)."""

_DEFER_SECONDS: Final = 5
"""The kernel hands a connection over when its first bytes are there, or after so long or more."""

_PORT_TRIES: Final = 16
"""Ports tried until one is free for IPv4 and IPv6, UDP and TCP alike."""

_NO_SUCH_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})
_NAMES: Final = {socket.SOCK_DGRAM: "UDP", socket.SOCK_STREAM: "TCP"}


class BoundSockets(NamedTuple):
    """Non-blocking sockets at one port."""

    datagram: list[socket.socket]
    """UDP: for each address one, or one for each worker, in the order of their numbers."""
    listeners: list[socket.socket]
    """TCP, at the same addresses; none without HTTP."""


class _CannotBindError(Exception):
    """A socket of this kind cannot be had, as the system says."""

    def __init__(self, kind: socket.SocketKind, error: OSError) -> None:
        super().__init__(error)
        self.kind = kind
        self.error = error


async def bind_sockets(
    host: str | None, port: int, *, http: bool, workers: int = 1
) -> BoundSockets:
    """Return sockets bound to `host` (None or "": everywhere) and one port; with `http` TCP, too.

    Several workers have a UDP socket each, for which the system steers datagrams.

    ConfigError if that cannot be had. A machine without IPv6 (or IPv4) does with the other.
    """
    if host:
        try:
            found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (OSError, OverflowError, ValueError) as error:
            raise ConfigError(f"cannot listen at {host!r}: {error}") from error
        hosts = list(
            dict.fromkeys((family, str(sockaddr[0])) for family, _, _, _, sockaddr in found)
        )
    else:
        hosts = [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]  # noqa: S104  that is the wish
    for tries_left in reversed(range(_PORT_TRIES)):
        try:
            return _bind_all(hosts, port, http=http, workers=workers)
        except _CannotBindError as failed:
            if port or not tries_left or failed.error.errno != errno.EADDRINUSE:
                raise _refusal(host, port, failed) from failed.error
    raise AssertionError("the last try returns or raises")


def _bind_all(
    hosts: Sequence[tuple[socket.AddressFamily, str]], port: int, *, http: bool, workers: int
) -> BoundSockets:
    bound = BoundSockets([], [])
    missing: _CannotBindError | None = None
    try:
        for family, host in hosts:
            try:
                bound.datagram.append(_bind(family, socket.SOCK_DGRAM, host, port))
            except _CannotBindError as failed:
                if len(hosts) == 1 or failed.error.errno not in _NO_SUCH_FAMILY:
                    raise
                missing = failed
                continue
            port = bound.datagram[0].getsockname()[1]
            if workers > 1:
                # Any program of this user could share the port as well. That one socket could be
                # bound for itself shows that none does.
                bound.datagram.pop().close()
                _bind_group(bound.datagram, family, host, port, workers)
            if http:
                bound.listeners.append(_bind(family, socket.SOCK_STREAM, host, port))
        if missing is not None and not bound.datagram:
            raise missing
    except _CannotBindError:
        for each in (*bound.datagram, *bound.listeners):
            each.close()
        raise
    return bound


def _bind_group(
    group: list[socket.socket], family: socket.AddressFamily, host: str, port: int, workers: int
) -> None:
    """Add a UDP socket for each worker; what comes before all are there is lost."""
    first = len(group)
    for number in range(workers):
        share = share_port if number else partial(steer, workers=workers)
        group.append(_bind(family, socket.SOCK_DGRAM, host, port, share=share))
    for bound in group[first:]:
        with suppress(BlockingIOError):
            while True:
                bound.recv(1)


def _bind(
    family: socket.AddressFamily,
    kind: socket.SocketKind,
    host: str,
    port: int,
    *,
    share: Callable[[socket.socket], None] | None = None,
) -> socket.socket:
    try:
        bound = socket.socket(family, kind)
    except OSError as error:
        raise _CannotBindError(kind, error) from error
    try:
        bound.settimeout(0)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_DGRAM:
            with suppress(OSError):
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            ask_for_destinations(bound, host)
            if share is not None:
                share(bound)
            bound.bind((host, port))
        else:
            _listen(bound, host, port)
    except OSError as error:
        bound.close()
        raise _CannotBindError(kind, error) from error
    return bound


def _listen(unbound: socket.socket, host: str, port: int) -> None:
    # Connections of a tracker that has just ended may linger at the port.
    unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What is set here, the connections have.
    unbound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":
        unbound.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _DEFER_SECONDS)
    unbound.bind((host, port))
    unbound.listen(_BACKLOG)


def _refusal(host: str | None, port: int, failed: _CannotBindError) -> ConfigError:
    error = failed.error
    where = f"{_NAMES[failed.kind]} {format_address((host or '*', port))}"
    if error.errno != errno.EADDRINUSE:
        return ConfigError(f"cannot listen at {where}: {error.strerror or error}")
    if failed.kind == socket.SOCK_DGRAM:
        return ConfigError(
            f"cannot listen at {where}: the port is in use; "
            "end the other tracker or choose another port (--listen HOST:PORT)"
        )
    return ConfigError(
        f"cannot listen at {where}: the port is in use; end the other program, choose another port "
        "(--listen HOST:PORT), or serve UDP only (--no-http; in a file: http = false)"
    )
