"""The tracker as a server: one loop per socket, one task for searches, one for ended leases."""

import errno
import random
import secrets
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

import trio

from trio_swarm.events import Event, TrackerListening
from trio_swarm.protocol.addresses import Address
from trio_swarm.swarm.tracker_registry import RegistryCounts, TrackerRegistry
from trio_swarm.tracker.binding import bind_sockets
from trio_swarm.tracker.datagrams import MAX_DATAGRAM, DatagramTracker
from trio_swarm.tracker.name_searches import NameSearches, PendingSearch
from trio_swarm.tracker.own_addresses import OwnAddresses
from trio_swarm.tracker.settings import TrackerSettings

__all__ = ["TrackerHandle", "TrackerSettings", "serve_tracker"]

_BATCH = 256
"""Datagrams answered before other tasks get their turn: about 3 ms."""

_EXPIRED_PER_BATCH = 2 * _BATCH
"""Ended leases taken out per batch: more than a batch can add, so they cannot pile up."""

_MAX_SEARCHES = 64
"""Searches waiting; one more is met with silence, and its client asks again."""

# What the network, not a bug of ours, makes of reading a UDP socket.
_PASSING_ERRORS = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOBUFS,
        errno.ENOMEM,
    }
)


class TrackerHandle:
    """A running tracker: where it listens, and what it holds."""

    def __init__(self, addresses: list[Address], registry: TrackerRegistry) -> None:
        self.addresses = addresses
        """(IP, UDP port) of each socket."""
        self._registry = registry

    @property
    def port(self) -> int:
        """The UDP port, the same at all addresses."""
        return self.addresses[0][1]

    def counts(self) -> RegistryCounts:
        """Return how many swarms, peers and names are registered now."""
        return self._registry.counts()


async def serve_tracker(
    settings: TrackerSettings,
    *,
    on_event: Callable[[Event], None] | None = None,
    rng: random.Random | None = None,
    task_status: trio.TaskStatus[TrackerHandle] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Serve until cancelled; `task_status` is given a TrackerHandle once datagrams are taken.

    ConfigError if a setting is impossible or the port is taken. No datagram and no network error
    ends it. It holds no files: peers fill a new tracker with their next heartbeats. `on_event` gets
    one TrackerListening per address.
    """
    settings.check()
    registry = TrackerRegistry(
        lease=settings.lease, rng=rng or random.Random(), limits=settings.limits()
    )
    datagrams = DatagramTracker(
        registry,
        secret=secrets.token_bytes(32),
        interval=round(settings.interval),
        own_address=OwnAddresses().facing,
    )
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(bound) for bound in await bind_sockets(settings.host, settings.port)
        ]
        handle = TrackerHandle([bound.getsockname()[:2] for bound in sockets], registry)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_leases, registry, settings.lease)
            for bound in sockets:
                to_search, pending = trio.open_memory_channel[PendingSearch](_MAX_SEARCHES)
                nursery.start_soon(_answer_searches, bound, registry, pending)
                nursery.start_soon(_answer_datagrams, bound, datagrams, registry, to_search)
            if on_event is not None:
                for host, port in handle.addresses:
                    on_event(
                        TrackerListening(
                            host=host, port=port, interval=settings.interval, lease=settings.lease
                        )
                    )
            task_status.started(handle)
    raise AssertionError("the loops above never end by themselves")


async def _answer_datagrams(
    bound: socket.socket,
    datagrams: DatagramTracker,
    registry: TrackerRegistry,
    to_search: trio.MemorySendChannel[PendingSearch],
) -> NoReturn:
    while True:
        await trio.lowlevel.wait_readable(bound.fileno())
        now = trio.current_time()
        registry.expire(now, _EXPIRED_PER_BATCH)
        for _ in range(_BATCH):
            try:
                data, source = bound.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno not in _PASSING_ERRORS:
                    raise
                break
            answer = datagrams.answer(data, source, now)
            if isinstance(answer, bytes):
                _send(bound, answer, source)
            elif answer is not None:
                try:
                    to_search.send_nowait(answer)
                except trio.WouldBlock:
                    continue


async def _answer_searches(
    bound: socket.socket,
    registry: TrackerRegistry,
    pending: trio.MemoryReceiveChannel[PendingSearch],
) -> None:
    searches = NameSearches(registry)
    async for search in pending:
        while (answer := searches.step(search, trio.current_time())) is None:
            await trio.lowlevel.checkpoint()
        _send(bound, answer, search.source)


async def _end_leases(registry: TrackerRegistry, lease: float) -> NoReturn:
    """Take peers out when their lease ends, also while no datagram comes."""
    while True:
        due = registry.expire(trio.current_time(), _EXPIRED_PER_BATCH)
        # Nobody who announces from now on can be due before a lease has passed.
        await trio.sleep_until(trio.current_time() + lease if due is None else due)


def _send(bound: socket.socket, answer: bytes, source: object) -> None:
    try:
        bound.sendto(answer, source)  # type: ignore[call-overload]  # as recvfrom gave it
    except OSError:
        # No route, a full buffer, a firewall, an absurd source port: as good as a lost datagram.
        return
