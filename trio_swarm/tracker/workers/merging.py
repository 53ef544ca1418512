"""One list of names from the lists of several workers, each of which holds those of its swarms."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import trio

from trio_swarm.protocol.trackers.announces import NameMatch
from trio_swarm.tracker.store.interface import MatchPage

_Found: TypeAlias = tuple[NameMatch, int]
"""A match and its mark (`MatchPage.marks`); 0: it has none."""


def merged_holders(pages: Sequence[MatchPage], offset: int, most: int) -> MatchPage:
    """Return some of the holders of one name, of whole lists: most seeders first."""
    found = [each for page in pages for each in _marked(page)]
    found.sort(key=lambda each: -each[0].seeders)
    shown = _without_twins(found)
    total = sum(page.total for page in pages) - len(found) + len(shown)
    return MatchPage(total, shown[offset : offset + most])


def _marked(page: MatchPage) -> Iterable[_Found]:
    return zip(page.matches, page.marks or [0] * len(page.matches), strict=True)


def _without_twins(found: Iterable[_Found]) -> list[NameMatch]:
    """Return matches without those that the same peers announce for another, earlier one.

    Each worker has left out its own, which are the info-hashes of one hybrid torrent.
    """
    shown: list[NameMatch] = []
    seen: set[tuple[str, int]] = set()
    for match, mark in found:
        if not mark or (match.name, mark) not in seen:
            seen.add((match.name, mark))
            shown.append(match)
    return shown


class MergedSearch:
    """The result of a search at `workers` workers, as far as it was asked for.

    Each worker's matches come in order, a part at a time. Of the first n of all, no worker has more
    than its own first n, so that much of each is enough.
    """

    def __init__(self, workers: int) -> None:
        self._found: list[list[_Found]] = [[] for _ in range(workers)]
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
        self._found[worker] += _marked(page)
        found = len(self._found[worker])
        self._totals[worker] = page.total if page.matches else found

    def lose(self, worker: int) -> None:
        """Go on without further matches of a worker that does not answer."""
        self._totals[worker] = len(self._found[worker])

    def page(self, offset: int, most: int) -> MatchPage:
        """Return some of the matches: by name, then most seeders first."""
        everything = [match for found in self._found for match in found]
        everything.sort(key=lambda each: (each[0].name, -each[0].seeders))
        shown = _without_twins(everything)
        total = sum(total or 0 for total in self._totals) - len(everything) + len(shown)
        return MatchPage(total, shown[offset : offset + most])
