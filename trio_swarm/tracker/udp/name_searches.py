"""Glob searches a tracker owes an answer for, done in slices between datagrams."""

from collections import OrderedDict
from typing import NamedTuple

from trio_swarm.protocol.trackers.udp import NameQuery, name_answer
from trio_swarm.tracker.store.names import NameSearch, SharedName
from trio_swarm.tracker.store.registry import TrackerRegistry
from trio_swarm.tracker.udp.batch import SocketAddress

SLICE = 200
"""Names looked at before others get their turn: about 0.1 ms, a few ms for the worst pattern."""

RESULT_LIFE = 5.0
"""Seconds a result is kept, so that the later pages of a search are pages of one result."""

MAX_RESULTS = 16
"""Results kept."""

_MATCHES_PER_PAGE = 31
"""More than fit one answer: a match takes at least 39 bytes of 1,200."""


class PendingSearch(NamedTuple):
    """A search that is not answered yet, and whom to answer."""

    query: NameQuery
    source: SocketAddress
    search: NameSearch
    destination: bytes = b""
    """The pktinfo of the question (`DatagramBatch.destination`)."""


class NameSearches:
    """Runs searches over a registry's names, remembering recent results."""

    def __init__(self, registry: TrackerRegistry) -> None:
        self._registry = registry
        self._results: OrderedDict[str, tuple[float, list[SharedName]]] = OrderedDict()

    def step(self, pending: PendingSearch, now: float) -> bytes | None:
        """Go on with a search; return the answer once it is found, None if there is more to do."""
        pattern = pending.query.pattern
        while self._results and now - next(iter(self._results.values()))[0] >= RESULT_LIFE:
            self._results.popitem(last=False)
        # A first page begins a search: who asks again wants to know what has changed.
        if pending.query.offset == 0 or pattern not in self._results:
            if not pending.search.step(SLICE):
                return None
            self._results.pop(pattern, None)
            if len(self._results) >= MAX_RESULTS:
                self._results.popitem(last=False)
            self._results[pattern] = (now, pending.search.matches)
        found = self._results[pattern][1]
        offset = pending.query.offset
        page = found[offset : offset + _MATCHES_PER_PAGE]
        return name_answer(pending.query.transaction_id, len(found), self._registry.matches(page))
