"""Glob searches over a registry's names, in slices, with their latest results."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from trio_swarm.tracker.store.interface import MatchPage, NameQuestion
from trio_swarm.tracker.store.names import SharedName
from trio_swarm.tracker.store.registry import TrackerRegistry

SLICE = 200
"""Names looked at before others get their turn: about 0.1 ms, a few ms for the worst pattern."""

RESULT_LIFE = 5.0
"""Seconds a result is kept, so that the later pages of a search are pages of one result."""

MAX_RESULTS = 16
"""Results kept."""


class NameSearches:
    """Searches the names of a registry; `pause` is awaited between two slices of a search."""

    def __init__(self, registry: TrackerRegistry, pause: Callable[[], Awaitable[None]]) -> None:
        self._registry = registry
        self._pause = pause
        self._results: OrderedDict[str, tuple[float, list[SharedName]]] = OrderedDict()
        """By pattern, oldest first: when it was asked for, and what was found."""

    async def page(self, question: NameQuestion, now: float) -> MatchPage:
        """Return a page of a search, with the counts of the swarms as of now.

        A first page begins a search: who asks again wants to know what has changed.
        """
        pattern, offset, most = question
        while self._results and now - next(iter(self._results.values()))[0] >= RESULT_LIFE:
            self._results.popitem(last=False)
        if offset == 0 or pattern not in self._results:
            found = await self._search(pattern)
            self._results.pop(pattern, None)
            if len(self._results) >= MAX_RESULTS:
                self._results.popitem(last=False)
            self._results[pattern] = (now, found)
        else:
            found = self._results[pattern][1]
        return self._registry.page_of(len(found), found[offset : offset + most])

    async def _search(self, pattern: str) -> list[SharedName]:
        search = self._registry.search(pattern)
        while not search.step(SLICE):
            await self._pause()
        return search.matches
