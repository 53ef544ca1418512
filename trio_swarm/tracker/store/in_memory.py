"""A store in the memory of this process."""

from collections.abc import Awaitable, Callable, Sequence
from heapq import nlargest
from typing import Final

from trio_swarm.protocol.trackers.announces import ScrapeCounts
from trio_swarm.tracker.store.interface import (
    Announce,
    AnnounceRefusedError,
    BigSwarm,
    Claim,
    ClaimAnswer,
    MatchPage,
    NameQuestion,
    StoreCounts,
    SwarmAnswer,
)
from trio_swarm.tracker.store.registry import TrackerRegistry
from trio_swarm.tracker.store.searches import NameSearches

_SIZES_AT_ONCE: Final = 1_000
"""Swarms that are looked at between two turns of others: about 0.5 ms."""


class InMemoryStore:
    """A TrackerStore that answers from a registry. Only a search waits, between its slices.

    `pause` is awaited there, so that others get their turn (`trio.lowlevel.checkpoint`).
    """

    def __init__(self, registry: TrackerRegistry, *, pause: Callable[[], Awaitable[None]]) -> None:
        self._registry = registry
        self._pause = pause
        self._searches = NameSearches(registry, pause)

    @property
    def loopback_peers(self) -> int:
        """As TrackerStore."""
        return self._registry.loopback_peers

    def counts(self) -> StoreCounts:
        """As TrackerStore."""
        return self._registry.counts()

    async def announce(
        self, announces: Sequence[Announce], now: float
    ) -> list[SwarmAnswer | AnnounceRefusedError]:
        """As TrackerStore."""
        return self._registry.announce_all(announces, now)

    async def scrape(self, info_hashes: Sequence[bytes]) -> list[ScrapeCounts]:
        """As TrackerStore."""
        return [self._registry.scrape(info_hash) for info_hash in info_hashes]

    async def biggest(self, most: int) -> list[BigSwarm]:
        """Return the swarms with most peers, in slices between which others get their turn."""
        registry = self._registry
        sizes: list[tuple[int, bytes]] = []
        hashes = registry.swarm_hashes()
        for first in range(0, len(hashes), _SIZES_AT_ONCE):
            here = hashes[first : first + _SIZES_AT_ONCE]
            sizes = nlargest(most, [*sizes, *((registry.size(each), each) for each in here)])
            await self._pause()
        return [
            BigSwarm(each, registry.a_name(each), registry.scrape(each))
            for size, each in sizes
            if size
        ]

    async def resolve(self, questions: Sequence[NameQuestion]) -> list[MatchPage]:
        """As TrackerStore."""
        return [self._registry.resolve(*question) for question in questions]

    async def claim(self, claims: Sequence[Claim]) -> list[ClaimAnswer]:
        """As TrackerStore."""
        registry = self._registry
        return [
            ClaimAnswer(registry.name_refusal(name, info_hash, host), registry.scrape(info_hash))
            for name, info_hash, host, _ in claims
        ]

    async def search(self, question: NameQuestion, now: float) -> MatchPage:
        """As TrackerStore."""
        return await self._searches.page(question, now)

    async def end_leases(self, now: float, limit: int) -> float | None:
        """As TrackerStore."""
        return self._registry.expire(now, limit)
