"""The engine as the loops see it: a client that gives up early, the keys, and what may go wrong.

coredis comes with the extra `shared` and is imported by whoever asks for a client. A client of it
loses a connection for good at some errors, so every loop has its own client and takes a new one
after any error; it repeats nothing by itself, for what was sent twice would be in twice.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ssl import create_default_context
from typing import TYPE_CHECKING, Any, Final, cast

from trio_swarm.errors import ConfigError
from trio_swarm.tracker.shared.locations import EngineLocation

if TYPE_CHECKING:
    from coredis import Redis

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 2.0
"""Seconds until the engine counts as gone; a read that waits for news waits less than that."""

BLOCK_SECONDS: Final = 1.0
"""Seconds that a read waits for news."""


class EngineKeys:
    """The keys of all trackers with one prefix.

    The braces keep all of them at one node of a cluster, where they can be read at once.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{{{prefix}}}"
        self.trackers = f"{self._prefix}:trackers"
        """A hash: the trackers by their names, and on which machine each is."""
        self.secret = f"{self._prefix}:secret"
        """The secret of the trackers' connection ids."""

    def changes(self, tracker: str) -> str:
        """Return the key of a tracker's stream."""
        return f"{self._prefix}:changes:{tracker}"

    def snapshot(self, tracker: str) -> str:
        """Return the key of the hash that holds a tracker's snapshot."""
        return f"{self._prefix}:snapshot:{tracker}"


def require_library() -> None:
    """Raise ConfigError if coredis is not installed."""
    try:
        import coredis  # noqa: F401, PLC0415  most trackers share nothing
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"needs {error.name}, which is not installed: pip install 'trio-swarm[shared]'",
            key="shared.url",
        ) from error
    # It writes tracebacks of what is said in a line of ours.
    logging.getLogger("coredis").setLevel(logging.CRITICAL + 1)


def engine_errors() -> tuple[type[Exception], ...]:
    """Return what a client raises when the engine does not do what it should."""
    from coredis.exceptions import RedisError  # noqa: PLC0415  as above

    return (RedisError, OSError, TimeoutError)


@asynccontextmanager
async def open_client(location: EngineLocation) -> AsyncIterator["Redis[bytes]"]:
    """Open a client for one loop; it connects at the first command."""
    import coredis  # noqa: PLC0415  as above
    from coredis.connection import TCPLocation  # noqa: PLC0415
    from coredis.retry import NoRetryPolicy  # noqa: PLC0415

    options: dict[str, Any] = {
        "username": location.username,
        "password": location.password,
        "connect_timeout": CONNECT_SECONDS,
        "stream_timeout": ANSWER_SECONDS,
        "max_connections": 2,
    }
    if location.tls:
        options |= {"ssl": True, "ssl_context": create_default_context()}
    retry = NoRetryPolicy()
    async with AsyncExitStack() as stack:
        if location.kind == "cluster":
            nodes = [TCPLocation(*host) for host in location.hosts]
            options["max_connections"] = 2 * 32  # of all nodes
            cluster = coredis.RedisCluster(
                startup_nodes=nodes, retry_policy=retry, pool_timeout=ANSWER_SECONDS, **options
            )
            yield cast("Redis[bytes]", await stack.enter_async_context(cluster))
        elif location.kind == "sentinel":
            sentinel = await stack.enter_async_context(
                coredis.Sentinel(
                    [TCPLocation(*host) for host in location.hosts],
                    sentinel_kwargs={
                        "connect_timeout": CONNECT_SECONDS,
                        "stream_timeout": ANSWER_SECONDS,
                    },
                    db=location.database,
                    retry_policy=retry,
                    **options,
                )
            )
            primary = sentinel.primary_for(location.service, timeout=ANSWER_SECONDS)
            yield await stack.enter_async_context(primary)
        else:
            where: dict[str, Any] = (
                {"unix_socket_path": location.path}
                if location.kind == "socket"
                else {"host": location.hosts[0][0], "port": location.hosts[0][1]}
            )
            client = coredis.Redis(
                **where,
                db=location.database,
                pool_timeout=ANSWER_SECONDS,
                retry_policy=retry,
                **options,
            )
            yield await stack.enter_async_context(client)
