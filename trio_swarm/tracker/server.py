"""The tracker as a whole: its settings, its store, and the sockets that ask the store."""

import random
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

import trio

from trio_swarm.events import Event, TrackerListening
from trio_swarm.protocol.addresses import Address
from trio_swarm.tracker.binding import bind_sockets
from trio_swarm.tracker.http.answering import HttpTracker
from trio_swarm.tracker.http.forwarded import TrustedProxies
from trio_swarm.tracker.http.names import NamesPage
from trio_swarm.tracker.http.server import HttpServer
from trio_swarm.tracker.journal import SUMMARY_SECONDS, TrackerJournal
from trio_swarm.tracker.own_addresses import OwnAddresses
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.store.in_memory import InMemoryStore
from trio_swarm.tracker.store.interface import (
    Change,
    MatchPage,
    NameQuestion,
    StoreCounts,
    TrackerStore,
)
from trio_swarm.tracker.store.registry import TrackerRegistry
from trio_swarm.tracker.udp.answering import DatagramTracker
from trio_swarm.tracker.udp.server import ENDED_PER_WAKE_UP, serve_socket

if TYPE_CHECKING:
    from trio_swarm.tracker.admission.reloading import ListFiles
    from trio_swarm.tracker.shared.store import SharedStore


class TrackerHandle:
    """A running tracker: where it listens, and what it holds."""

    def __init__(
        self,
        addresses: list[Address],
        http_addresses: list[Address],
        store: TrackerStore,
        *,
        udp: DatagramTracker,
        http: HttpTracker,
        lists: "ListFiles | None" = None,
    ) -> None:
        self.addresses = addresses
        """(IP, UDP port) of each socket."""
        self.http_addresses = http_addresses
        """(IP, TCP port) of each listener: the same ones, or none without HTTP."""
        self._store = store
        self._udp = udp
        self._http = http
        self._lists = lists

    @property
    def announces(self) -> int:
        """Announces answered since the start, over UDP and HTTP, refused ones among them."""
        return self._udp.announces + self._http.announces

    @property
    def http_announces(self) -> int:
        """Those among them that came over HTTP."""
        return self._http.announces

    @property
    def port(self) -> int:
        """The port, the same at all addresses, for UDP and TCP."""
        return self.addresses[0][1]

    def counts(self) -> StoreCounts:
        """Return how many swarms, peers and names are registered now."""
        return self._store.counts()

    def reload_lists(self) -> None:
        """Have the files of `allow`, `deny` and the like read again, in a moment.

        A wrong one is logged, and changes nothing.
        """
        if self._lists is not None:
            self._lists.reload_soon()

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
    """Serve until cancelled; `task_status` is given a TrackerHandle once it can be asked.

    ConfigError if a setting is impossible, a list file is wrong, or the port is taken. Nothing that
    comes by the network ends it. It keeps no files: peers fill a new tracker with their next
    heartbeats. `on_event` gets one TrackerListening per address, then changes and sums of them (see
    `tracker.journal`). With `shared_url` it begins with what other trackers list.
    """
    settings.check()
    journal = TrackerJournal(on_event) if on_event is not None else None
    watch = journal.note if journal is not None else None
    rng = rng or random.Random()
    secret = secrets.token_bytes(32)
    store: TrackerStore
    shared = None
    registry: TrackerRegistry
    if settings.shared_url is None:
        registry = TrackerRegistry(settings, rng=rng, watch=watch)
        store = InMemoryStore(registry, pause=trio.lowlevel.checkpoint)
    else:
        store = shared = _shared_store(settings, rng, watch, on_event)
        registry = shared.shared_registry
        secret = await shared.secret(secret)
    lists = await _read_lists(settings)
    if lists is not None:
        store = lists.guarded(store, registry, watch=watch)
    interval, own_address = round(settings.interval), OwnAddresses().facing
    udp = DatagramTracker(
        store,
        secret=secret,
        interval=interval,
        own_address=own_address,
        watch=watch,
    )
    http = HttpTracker(
        store,
        interval=interval,
        own_address=own_address,
        pages={b"/names": NamesPage(store)},
        watch=watch,
    )
    web = HttpServer(http, store, proxies=TrustedProxies(settings.proxies))
    with ExitStack() as stack:
        sockets = await bind_sockets(settings.host, settings.port, http=settings.http)
        for bound in (*sockets.datagram, *sockets.listeners):
            stack.enter_context(bound)
        addresses, http_addresses = (
            [bound.getsockname()[:2] for bound in kind] for kind in sockets
        )
        handle = TrackerHandle(addresses, http_addresses, store, udp=udp, http=http, lists=lists)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_leases, store, settings.lease_seconds)
            if lists is not None:
                nursery.start_soon(lists.keep_read)
            if shared is not None:
                await nursery.start(shared.run)
            if journal is not None:
                nursery.start_soon(_sum_up, journal, handle)
            for bound in sockets.datagram:
                nursery.start_soon(serve_socket, bound, udp, store)
            for listener in sockets.listeners:
                nursery.start_soon(web.serve, listener)
            if on_event is not None:
                for host, port in handle.addresses:
                    on_event(
                        TrackerListening(
                            host=host,
                            port=port,
                            interval=settings.interval,
                            lease=settings.lease_seconds,
                            http=settings.http,
                        )
                    )
            task_status.started(handle)
    raise AssertionError("the loops above never end by themselves")


async def _read_lists(settings: TrackerSettings) -> "ListFiles | None":
    """Return the lists of what is taken, None if everything is; ConfigError if one is wrong."""
    if not settings.is_selective:
        return None
    from trio_swarm.tracker.admission.reloading import ListFiles  # noqa: PLC0415 - most have none

    lists = ListFiles(settings)
    await lists.load()
    return lists


def _shared_store(
    settings: TrackerSettings,
    rng: random.Random,
    watch: Callable[[Change], None] | None,
    on_event: Callable[[Event], None] | None,
) -> "SharedStore":
    from trio_swarm.tracker.shared.store import SharedStore  # noqa: PLC0415  few trackers share

    assert settings.shared_url is not None
    return SharedStore(
        settings,
        url=settings.shared_url,
        prefix=settings.shared_prefix,
        rng=rng,
        watch=watch,
        on_event=on_event,
    )


async def _sum_up(journal: TrackerJournal, handle: TrackerHandle) -> NoReturn:
    """Tell every now and then how much happened."""
    try:
        while True:
            await trio.sleep(SUMMARY_SECONDS)
            journal.sum_up(handle.announces, handle.counts())
    finally:
        journal.sum_up(handle.announces, handle.counts())


async def _end_leases(store: TrackerStore, lease: float) -> NoReturn:
    """Take peers out when their lease ends, also while no datagram comes."""
    while True:
        due = await store.end_leases(trio.current_time(), ENDED_PER_WAKE_UP)
        # A peer that announces from now on is not due before a lease has passed.
        latest = trio.current_time() + lease
        await trio.sleep_until(latest if due is None else min(due, latest))
