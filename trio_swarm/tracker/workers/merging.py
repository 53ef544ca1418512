"""One list of names from the lists of several workers, each of which holds those of its swarms."""

from collections.abc import Sequence

import trio

from trio_swarm.protocol.trackers.announces import NameMatch
from trio_swarm.tracker.store.interface import MatchPage


def merged_holders(pages: Sequence[MatchPage], offset: int, most: int) -> MatchPage:
    """Return some of the holders of one name, of whole lists: most seeders first."""
    matches = [match for page in pages for match in page.matches]
    matches.sort(key=lambda match: -match.seeders)
    return MatchPage(sum(page.total for page in pages), matches[offset : offset + most])


class MergedSearch:
    """The result of a search at `workers` workers, as far as it was asked for.

    Each worker's matches come in order, a part at a time. Of the first n of all, no worker has more
    than its own first n, so that much of each is enough.
    """

    def __init__(self, workers: int) -> None:
        self._found: list[list[NameMatch]] = [[] for _ in range(workers)]
        self._totals: list[int | None] = [None] * workers
        self.turns = [trio.Lock() for _ in range(workers)]
        """Who asks a worker for its next matches."""

    def wanted(self, worker: int, count: int) -> int | None:
        """Return from which of its matches on a worker is to be asked, for the first `count`.

        None: what is here is enough.
        """
        total, found = self._totals[worker], len(self._found[worker])
        return found if total is None or found < min(total, count) else None

    def add(self, worker: int, page: MatchPage) -> None:
        """Take in the next matches of a worker; none although there should be some: the last."""
        self._found[worker] += page.matches
        found = len(self._found[worker])
        self._totals[worker] = page.total if page.matches else found

    def lose(self, worker: int) -> None:
        """Go on without further matches of a worker that does not answer."""
        self._totals[worker] = len(self._found[worker])

    def page(self, offset: int, most: int) -> MatchPage:
        """Return some of the matches: by name, then most seeders first."""
        everything = [match for found in self._found for match in found]
        everything.sort(key=lambda match: (match.name, -match.seeders))
        total = sum(total or 0 for total in self._totals)
        return MatchPage(total, everything[offset : offset + most])
