"""The tracker as a server: one loop per socket, one task for searches, one for ended leases."""

import random
import secrets
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import NoReturn

import trio

from trio_swarm.events import Event, TrackerListening
from trio_swarm.protocol.addresses import Address
from trio_swarm.tracker.journal import SUMMARY_SECONDS, TrackerJournal
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.store.registry import RegistryCounts, TrackerRegistry
from trio_swarm.tracker.udp.batch import BATCH, SocketAddress
from trio_swarm.tracker.udp.binding import bind_sockets
from trio_swarm.tracker.udp.datagrams import DatagramTracker
from trio_swarm.tracker.udp.name_searches import NameSearches, PendingSearch
from trio_swarm.tracker.udp.own_addresses import OwnAddresses
from trio_swarm.tracker.udp.sockets import open_batches, send_datagram

__all__ = ["TrackerHandle", "TrackerSettings", "serve_tracker"]

_BATCHES = 4
"""Answered before other tasks get their turn: 256 datagrams, about 2 ms."""

_EXPIRED_PER_WAKE_UP = 2 * _BATCHES * BATCH
"""Peers whose leases have ended that are taken out per wake-up, or swarms without such that are
looked at: more than the datagrams of a wake-up can cause, so they cannot pile up."""

_MAX_SEARCHES = 64
"""Searches waiting; one more is met with silence, and its client asks again."""

_MAX_SEARCHES_PER_HOST = 8
"""Of one IPv4 address or IPv6 /64, so that no one host can keep others from searching."""


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
    one TrackerListening per address, then changes and sums of them (see `tracker.journal`).
    """
    settings.check()
    journal = TrackerJournal(on_event) if on_event is not None else None
    watch = journal.note if journal is not None else None
    registry = TrackerRegistry(settings, rng=rng or random.Random(), watch=watch)
    datagrams = DatagramTracker(
        registry,
        secret=secrets.token_bytes(32),
        interval=round(settings.interval),
        own_address=OwnAddresses().facing,
        watch=watch,
    )
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(bound) for bound in await bind_sockets(settings.host, settings.port)
        ]
        handle = TrackerHandle([bound.getsockname()[:2] for bound in sockets], registry)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_leases, registry, settings.lease_seconds)
            if journal is not None:
                nursery.start_soon(_sum_up, journal, datagrams, registry)
            for bound in sockets:
                to_search, pending = trio.open_memory_channel[PendingSearch](_MAX_SEARCHES)
                waiting: Counter[bytes] = Counter()
                nursery.start_soon(_answer_searches, bound, registry, pending, waiting)
                nursery.start_soon(
                    _answer_datagrams, bound, datagrams, registry, to_search, waiting
                )
            if on_event is not None:
                for host, port in handle.addresses:
                    on_event(
                        TrackerListening(
                            host=host,
                            port=port,
                            interval=settings.interval,
                            lease=settings.lease_seconds,
                        )
                    )
            task_status.started(handle)
    raise AssertionError("the loops above never end by themselves")


async def _answer_datagrams(
    bound: socket.socket,
    datagrams: DatagramTracker,
    registry: TrackerRegistry,
    to_search: trio.MemorySendChannel[PendingSearch],
    waiting: Counter[bytes],
) -> NoReturn:
    batches = open_batches(bound)
    while True:
        await trio.lowlevel.wait_readable(bound.fileno())
        now = trio.current_time()
        registry.expire(now, _EXPIRED_PER_WAKE_UP)
        for _ in range(_BATCHES):
            count = batches.receive()
            if count == 0:
                break
            answers, searches = datagrams.answers(batches.batch, now)
            batches.send(answers)
            for search in searches:
                host = _host_of(search.source)
                if waiting[host] < _MAX_SEARCHES_PER_HOST:
                    with suppress(trio.WouldBlock):
                        to_search.send_nowait(search)
                        waiting[host] += 1
            if count < BATCH:
                break


async def _answer_searches(
    bound: socket.socket,
    registry: TrackerRegistry,
    pending: trio.MemoryReceiveChannel[PendingSearch],
    waiting: Counter[bytes],
) -> None:
    searches = NameSearches(registry)
    async for search in pending:
        while (answer := searches.step(search, trio.current_time())) is None:
            await trio.lowlevel.checkpoint()
        send_datagram(bound, answer, search.source, search.destination)
        host = _host_of(search.source)
        waiting[host] -= 1
        if not waiting[host]:
            del waiting[host]


def _host_of(asker: SocketAddress) -> bytes:
    """Return the IPv4 address of an asker, or its IPv6 /64."""
    if len(asker) == 2:
        return socket.inet_aton(asker[0])
    return socket.inet_pton(socket.AF_INET6, asker[0].partition("%")[0])[:8]


async def _sum_up(
    journal: TrackerJournal, datagrams: DatagramTracker, registry: TrackerRegistry
) -> NoReturn:
    """Tell every now and then how much happened."""
    try:
        while True:
            await trio.sleep(SUMMARY_SECONDS)
            journal.sum_up(datagrams.announces, registry.counts())
    finally:
        journal.sum_up(datagrams.announces, registry.counts())


async def _end_leases(registry: TrackerRegistry, lease: float) -> NoReturn:
    """Take peers out when their lease ends, also while no datagram comes."""
    while True:
        due = registry.expire(trio.current_time(), _EXPIRED_PER_WAKE_UP)
        # Nobody who announces from now on can be due before a lease has passed.
        latest = trio.current_time() + lease
        await trio.sleep_until(latest if due is None else min(due, latest))
