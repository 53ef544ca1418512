"""The UDP sockets a tracker listens at."""

import errno
import socket
from collections.abc import Sequence
from contextlib import suppress

import trio

from trio_swarm.errors import ConfigError
from trio_swarm.protocol.addresses import format_address
from trio_swarm.tracker.udp.sockets import ask_for_destinations

_RECEIVE_BUFFER = 4 * 2**20
"""Bytes asked for: room for the heartbeats of many peers that started in the same second."""

_PORT_TRIES = 16
"""Ports tried until one is free for IPv4 and IPv6 alike."""

_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


async def bind_sockets(host: str | None, port: int) -> list[socket.socket]:
    """Return non-blocking UDP sockets bound to `host` (None or "": everywhere) and one port.

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
    for _ in range(_PORT_TRIES - 1):
        try:
            return _bind_all(hosts, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise _refusal(host, port, error) from error
    try:
        return _bind_all(hosts, port)
    except OSError as error:
        raise _refusal(host, port, error) from error


def _bind_all(hosts: Sequence[tuple[socket.AddressFamily, str]], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, host in hosts:
            try:
                sockets.append(_bind(family, host, port))
            except OSError as error:
                if len(hosts) == 1 or error.errno not in _NO_SUCH_FAMILY:
                    raise
                missing = error
                continue
            port = sockets[0].getsockname()[1]
        if missing is not None and not sockets:
            raise missing
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.settimeout(0)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        with suppress(OSError):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        ask_for_destinations(bound, host)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _refusal(host: str | None, port: int, error: OSError) -> ConfigError:
    where = format_address((host or "*", port))
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"cannot listen at UDP {where}: the port is in use; "
            "end the other tracker or choose another port (--listen HOST:PORT)"
        )
    return ConfigError(f"cannot listen at UDP {where}: {error.strerror or error}")
