"""What one process of a tracker does: it answers at given sockets, from a given store."""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import trio
from msgspec.structs import replace

from trio_swarm.events import Event
from trio_swarm.tracker.binding import BoundSockets
from trio_swarm.tracker.http.answering import HttpTracker
from trio_swarm.tracker.http.forwarded import TrustedProxies
from trio_swarm.tracker.http.names import NamesPage
from trio_swarm.tracker.http.server import HttpServer
from trio_swarm.tracker.journal import SUMMARY_SECONDS, TrackerJournal
from trio_swarm.tracker.own_addresses import OwnAddresses
from trio_swarm.tracker.seen.figures import LISTED, Seen, TopSwarm, TrackerFigures
from trio_swarm.tracker.seen.pages import SeenPages
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


TOP_SECONDS: Final = 10.0
"""For so long a list of the biggest swarms is good: to make one takes 50 ms of 100,000 swarms."""


class OpenedStore(NamedTuple):
    """A store in the memory of this process."""

    own: InMemoryStore
    store: TrackerStore
    """The same, as far as everybody may ask it."""
    lists: "ListFiles | None"
    """The lists of what it takes, None if it takes everything."""
    shared: "SharedStore | None"
    """What shares it with other trackers, None if nothing does."""


async def open_store(
    settings: TrackerSettings,
    *,
    rng: random.Random | None = None,
    watch: Callable[[Change], None] | None = None,
    on_event: Callable[[Event], None] | None = None,
    owns: Callable[[bytes], bool] | None = None,
) -> OpenedStore:
    """Return an empty store that takes what the settings allow; `watch` gets each change.

    `on_event` is told of how the exchange with other trackers goes, and `owns` chooses the swarms
    that are taken over from them. ConfigError if a list file or the exchange's URL is wrong.
    """
    rng = rng or random.Random()
    own: InMemoryStore
    if settings.shared_url is None:
        shared, registry = None, TrackerRegistry(settings, rng=rng, watch=watch)
        own = InMemoryStore(registry, pause=trio.lowlevel.checkpoint)
    else:
        own = shared = _shared_store(
            settings, settings.shared_url, rng, owns=owns, watch=watch, on_event=on_event
        )
        registry = shared.shared_registry
    lists = await read_lists(settings)
    if lists is None:
        return OpenedStore(own, own, None, shared)
    return OpenedStore(own, lists.guarded(own, registry), lists, shared)


def _shared_store(
    settings: TrackerSettings,
    url: str,
    rng: random.Random,
    *,
    owns: Callable[[bytes], bool] | None,
    watch: Callable[[Change], None] | None,
    on_event: Callable[[Event], None] | None,
) -> "SharedStore":
    from trio_swarm.tracker.shared.store import SharedStore  # noqa: PLC0415 - few trackers share

    return SharedStore(
        settings,
        url=url,
        prefix=settings.shared_prefix,
        rng=rng,
        owns=owns,
        watch=watch,
        on_event=on_event,
    )


async def read_lists(settings: TrackerSettings) -> "ListFiles | None":
    """Return the lists of what is taken, None if everything is; ConfigError if one is wrong."""
    if not settings.is_selective:
        return None
    from trio_swarm.tracker.admission.reloading import ListFiles  # noqa: PLC0415 - most have none

    lists = ListFiles(settings)
    await lists.load()
    return lists


class TrackerProcess:
    """Answers over UDP and HTTP from `store`, which is of `own` or of several processes.

    `secret` makes connection ids. `journal` counts what changes, and is asked for its sums. `lists`
    are read again when they change, and `shared` exchanges with other trackers. `steered_store` is
    asked instead of `store` over UDP, where the system has chosen this process for its datagrams.
    `look` returns what is seen of all processes, by default of this one, which has a `number`.
    """

    def __init__(
        self,
        settings: TrackerSettings,
        store: TrackerStore,
        *,
        own: InMemoryStore,
        secret: bytes,
        journal: TrackerJournal,
        lists: "ListFiles | None" = None,
        shared: "SharedStore | None" = None,
        steered_store: TrackerStore | None = None,
        look: Callable[[], Awaitable[Sequence[Seen]]] | None = None,
        number: int = 0,
    ) -> None:
        self._own = own
        self._number = number
        self._started_at = time.time()
        self._top: list[TopSwarm] = []
        self._top_at = float("-inf")
        self._store = store
        self._steered_store = steered_store or store
        self._lease = settings.lease_seconds
        self._journal = journal
        self._lists = lists
        self._shared = shared
        interval, own_address = round(settings.interval), OwnAddresses().facing
        watch = journal.note
        self._names = NamesPage(store)
        seen = SeenPages(settings, look or self._look)
        self._udp = DatagramTracker(
            self._steered_store,
            secret=secret,
            interval=interval,
            own_address=own_address,
            watch=watch,
            wall_clock=time.time,
        )
        self._http = HttpTracker(
            store,
            interval=interval,
            own_address=own_address,
            pages={b"/names": self._names, **seen.pages()},
            watch=watch,
        )
        self._web = HttpServer(self._http, store, proxies=TrustedProxies(settings.proxies))

    @property
    def announces(self) -> int:
        """Announces answered since the start, over UDP and HTTP, refused ones among them."""
        return self._udp.announces + self._http.announces

    @property
    def http_announces(self) -> int:
        """Those among them that came over HTTP."""
        return self._http.announces

    def counts(self) -> StoreCounts:
        """Return how many swarms, peers and names are registered here now."""
        return self._store.counts()

    def figures(self) -> list[TrackerFigures]:
        """Return what this process did, and what it holds."""
        counts = self._own.counts()
        exchange = None if self._shared is None else self._shared.figures()
        figures = TrackerFigures(
            worker=self._number,
            started_at=self._started_at,
            announces_udp=self._udp.announces,
            announces_http=self._http.announces,
            scrapes_udp=self._udp.scrapes,
            scrapes_http=self._http.scrapes,
            questions=self._udp.questions + self._names.questions,
            changes=dict(self._journal.changes),
            refusals=dict(self._journal.refusals),
            swarms=counts.swarms,
            peers=counts.peers,
            names=counts.names,
        )
        if exchange is not None:
            figures = replace(
                figures,
                is_shared=True,
                is_connected=exchange.is_connected,
                trackers=exchange.trackers,
                held=exchange.held,
                waiting=exchange.waiting,
                lag=exchange.lag,
            )
        return [figures]

    async def seen(self) -> Seen:
        """Return what is seen of this process."""
        now = trio.current_time()
        if now - self._top_at >= TOP_SECONDS:
            self._top_at = now
            self._top = [
                TopSwarm(
                    each.info_hash.hex(),
                    each.name,
                    each.counts.seeders,
                    each.counts.leechers,
                    each.counts.completed,
                )
                for each in await self._own.biggest(LISTED)
            ]
        (figures,) = self.figures()
        return Seen(figures, self._top)

    async def _look(self) -> list[Seen]:
        return [await self.seen()]

    def reload_lists(self) -> None:
        """Have the files of `allow`, `deny` and the like read again, in a moment."""
        if self._lists is not None:
            self._lists.reload_soon()

    async def search(self, question: NameQuestion, now: float) -> MatchPage:
        """Return some of the names that fit a pattern; `now` in monotonic seconds."""
        return await self._store.search(question, now)

    async def serve(
        self,
        sockets: BoundSockets,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Answer at the sockets until cancelled. Nothing that comes by the network ends it.

        What other trackers list is loaded first, as far as that does not take long.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_leases, self._store, self._lease)
            if self._lists is not None:
                nursery.start_soon(self._lists.keep_read)
            if self._shared is not None:
                await nursery.start(self._shared.run)
            nursery.start_soon(_sum_up, self._journal, self)
            for bound in sockets.datagram:
                nursery.start_soon(serve_socket, bound, self._udp, self._steered_store)
            for listener in sockets.listeners:
                nursery.start_soon(self._web.serve, listener)
            task_status.started()
        raise AssertionError("the loops above never end by themselves")


async def _sum_up(journal: TrackerJournal, process: TrackerProcess) -> NoReturn:
    """Tell every now and then how much happened."""
    try:
        while True:
            await trio.sleep(SUMMARY_SECONDS)
            journal.sum_up(process.announces, process.counts())
    finally:
        journal.sum_up(process.announces, process.counts())


async def _end_leases(store: TrackerStore, lease: float) -> NoReturn:
    """Take peers out when their lease ends, also while no datagram comes."""
    while True:
        due = await store.end_leases(trio.current_time(), ENDED_PER_WAKE_UP)
        # A peer that announces from now on is not due before a lease has passed.
        latest = trio.current_time() + lease
        await trio.sleep_until(latest if due is None else min(due, latest))
