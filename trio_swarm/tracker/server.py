"""The tracker as a whole: its settings, its store, and the sockets that ask the store."""

import random
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

import trio

from trio_swarm.events import Event, TrackerListening
from trio_swarm.protocol.addresses import Address
from trio_swarm.tracker.journal import SUMMARY_SECONDS, TrackerJournal
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.store.in_memory import InMemoryStore
from trio_swarm.tracker.store.interface import (
    MatchPage,
    NameQuestion,
    StoreCounts,
    TrackerStore,
)
from trio_swarm.tracker.store.registry import TrackerRegistry
from trio_swarm.tracker.udp.answering import DatagramTracker
from trio_swarm.tracker.udp.binding import bind_sockets
from trio_swarm.tracker.udp.own_addresses import OwnAddresses
from trio_swarm.tracker.udp.server import ENDED_PER_WAKE_UP, serve_socket


class TrackerHandle:
    """A running tracker: where it listens, and what it holds."""

    def __init__(
        self, addresses: list[Address], store: TrackerStore, tracker: DatagramTracker
    ) -> None:
        self.addresses = addresses
        """(IP, UDP port) of each socket."""
        self._store = store
        self._tracker = tracker

    @property
    def announces(self) -> int:
        """Announces answered since the start, refused ones among them."""
        return self._tracker.announces

    @property
    def port(self) -> int:
        """The UDP port, the same at all addresses."""
        return self.addresses[0][1]

    def counts(self) -> StoreCounts:
        """Return how many swarms, peers and names are registered now."""
        return self._store.counts()

    async def search(self, question: NameQuestion) -> MatchPage:
        """Return some of the names that fit a pattern."""
        return await self._store.search(question, trio.current_time())


async def serve_tracker(
    settings: TrackerSettings,
    *,
    on_event: Callable[[Event], None] | None = None,
    rng: random.Random | None = None,
    task_status: trio.TaskStatus[TrackerHandle] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Serve until cancelled; `task_status` is given a TrackerHandle once datagrams are taken.

    ConfigError if a setting is impossible or the port is taken. No datagram and no network error
    ends it. It keeps no files: peers fill a new tracker with their next heartbeats. `on_event` gets
    one TrackerListening per address, then changes and sums of them (see `tracker.journal`).
    """
    settings.check()
    journal = TrackerJournal(on_event) if on_event is not None else None
    watch = journal.note if journal is not None else None
    registry = TrackerRegistry(settings, rng=rng or random.Random(), watch=watch)
    store = InMemoryStore(registry, pause=trio.lowlevel.checkpoint)
    tracker = DatagramTracker(
        store,
        secret=secrets.token_bytes(32),
        interval=round(settings.interval),
        own_address=OwnAddresses().facing,
        watch=watch,
    )
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(bound) for bound in await bind_sockets(settings.host, settings.port)
        ]
        handle = TrackerHandle([bound.getsockname()[:2] for bound in sockets], store, tracker)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_leases, store, settings.lease_seconds)
            if journal is not None:
                nursery.start_soon(_sum_up, journal, tracker, store)
            for bound in sockets:
                nursery.start_soon(serve_socket, bound, tracker, store)
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


async def _sum_up(
    journal: TrackerJournal, tracker: DatagramTracker, store: TrackerStore
) -> NoReturn:
    """Tell every now and then how much happened."""
    try:
        while True:
            await trio.sleep(SUMMARY_SECONDS)
            journal.sum_up(tracker.announces, store.counts())
    finally:
        journal.sum_up(tracker.announces, store.counts())


async def _end_leases(store: TrackerStore, lease: float) -> NoReturn:
    """Take peers out when their lease ends, also while no datagram comes."""
    while True:
        due = await store.end_leases(trio.current_time(), ENDED_PER_WAKE_UP)
        # A peer that announces from now on is not due before a lease has passed.
        latest = trio.current_time() + lease
        await trio.sleep_until(latest if due is None else min(due, latest))
