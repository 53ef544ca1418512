"""The sockets peers connect to."""

import trio

from trio_swarm.errors import ConfigError
from trio_swarm.protocol.addresses import Address

BACKLOG = 512
"""Connections the kernel holds while we are busy: a flash crowd arrives at once."""


async def open_listeners(host: str, port: int) -> list[trio.SocketListener]:
    """Open the listening sockets of a host (empty: all); with port 0 all get the same free one.

    Raises ConfigError if the address cannot be used.
    """
    try:
        listeners = await trio.open_tcp_listeners(port, host=host or None, backlog=BACKLOG)
        if port == 0 and len(listeners) > 1:
            listeners = await _same_free_port(listeners)
    except (OSError, OverflowError, ValueError) as error:
        where = f"{host or '*'}:{port}"
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"cannot listen at {where}: {reason}; choose another with --listen HOST:PORT"
        ) from None
    return listeners


async def _same_free_port(listeners: list[trio.SocketListener]) -> list[trio.SocketListener]:
    """Reopen all listeners at the first one's port; keep the first alone if that is taken."""
    first, *others = listeners
    for other in others:
        other.socket.close()
    port = address_of(first)[1]
    result = [first]
    for other in others:
        host = "::" if other.socket.family == trio.socket.AF_INET6 else "0.0.0.0"  # noqa: S104 - what was asked for
        try:
            result += await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
        except OSError:
            continue  # Another program holds that port of the other family; one family will do.
    return result


def address_of(listener: trio.SocketListener) -> Address:
    """Return where a listener listens."""
    name = listener.socket.getsockname()
    return str(name[0]), int(name[1])
