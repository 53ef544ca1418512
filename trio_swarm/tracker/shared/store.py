"""A store in memory that shares its peers and names with other trackers."""

import random
import secrets
import time
from collections.abc import Callable
from typing import NoReturn

import trio

from trio_swarm.events import Event
from trio_swarm.tracker.settings import RegistrySettings
from trio_swarm.tracker.shared.changed_peers import ChangedPeers
from trio_swarm.tracker.shared.claims import SharedRegistry
from trio_swarm.tracker.shared.engine import EngineKeys, require_library
from trio_swarm.tracker.shared.exchange import Exchange, ExchangeFigures
from trio_swarm.tracker.shared.following import Follower
from trio_swarm.tracker.shared.locations import parse_location
from trio_swarm.tracker.shared.publishing import Publisher, RecentCompletions
from trio_swarm.tracker.store.in_memory import InMemoryStore
from trio_swarm.tracker.store.interface import Change


class SharedStore(InMemoryStore):
    """A TrackerStore that answers from memory, and exchanges what changes by way of an engine.

    `url` is the engine's; trackers with the same `prefix` share. `owns` tells which swarms this
    process answers for, where there are several: it takes over no others. ConfigError if the URL is
    wrong or coredis is missing. Nothing is exchanged before `run`.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        *,
        url: str,
        prefix: str,
        rng: random.Random,
        owns: Callable[[bytes], bool] | None = None,
        watch: Callable[[Change], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        location = parse_location(url)
        require_library()
        self._changed = ChangedPeers()
        self._news = trio.Event()
        self.shared_registry = registry = SharedRegistry(
            settings, rng=rng, note=self._note, wall_clock=time.time, watch=watch
        )
        super().__init__(registry, pause=trio.lowlevel.checkpoint)
        completions = RecentCompletions()
        self._exchange = Exchange(
            location,
            EngineKeys(prefix),
            # A name is never used again, so nobody takes the entries of one process for another's.
            name=secrets.token_hex(8),
            publisher=Publisher(
                registry, self._changed, completions, incarnation=time.time_ns() // 1_000_000
            ),
            follower=Follower(
                registry,
                completions,
                lease=settings.lease_seconds,
                now=trio.current_time(),
                owns=owns,
            ),
            news=self._wait_for_news,
            drop=self._drop,
            on_event=on_event,
        )
        registry.load_again = self._exchange.load_again

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Share until cancelled; it has started once what is live was loaded, or soon after."""
        await self._exchange.run(task_status=task_status)

    async def secret(self, own: bytes) -> bytes:
        """Return the secret that all trackers of the engine use for connection ids.

        The first one's is everybody's; `own` where the engine cannot be asked.
        """
        return await self._exchange.secret(own)

    def figures(self) -> ExchangeFigures:
        """Return how the exchange is getting on."""
        registry = self.shared_registry
        return self._exchange.figures(
            trio.current_time(), held=registry.held, refused=registry.refused
        )

    def _note(self, info_hash: bytes, address: bytes, flags: int) -> None:
        self._changed.note(info_hash, address, flags)
        if not self._news.is_set():
            self._news.set()

    async def _wait_for_news(self) -> None:
        if not len(self._changed):
            self._news = trio.Event()
            await self._news.wait()

    async def _drop(self, bit: int) -> None:
        for _ in self.shared_registry.drop(bit):
            await trio.lowlevel.checkpoint()
