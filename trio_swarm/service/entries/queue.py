"""Which entries run and which wait for a place: `max_active_downloads`, `max_active_seeds`."""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

STALLED_AFTER: Final = 1800.0
"""Seconds without a byte after which a download no longer takes up a place: else one that nobody
has would keep all others waiting for ever. As long as Transmission's `queue-stalled-minutes`."""


class Queued(Struct, frozen=True):
    """An entry that would run if there were no queue."""

    id: int
    wants: Literal["download", "seed"]
    is_running: bool = False
    is_stalled: bool = False
    """It runs, and nothing has come for `STALLED_AFTER`."""
    at_once: bool = False
    """Somebody wants it to run whatever the queue says; it takes up a place all the same."""


def chosen_to_run(
    entries: Iterable[Queued], *, max_downloads: int | None, max_seeds: int | None
) -> set[int]:
    """Return the ids of the entries that run, given all of them in the order of the queue.

    It depends on the order only, not on who runs already: an entry that is moved up takes the
    place of a later one, and a restart chooses the same.
    """
    most = {"download": max_downloads, "seed": max_seeds}
    taken = {"download": 0, "seed": 0}
    listed = list(entries)
    for entry in listed:
        taken[entry.wants] += entry.at_once
    chosen: set[int] = set()
    for entry in listed:
        limit = most[entry.wants]
        if entry.at_once or (entry.is_stalled and entry.is_running):
            chosen.add(entry.id)
        elif limit is None or taken[entry.wants] < limit:
            taken[entry.wants] += 1
            chosen.add(entry.id)
    return chosen


def rank_between(ranks: list[float], position: int) -> float:
    """Return a rank that sorts to `position` among these ascending ranks of the other entries."""
    position = max(0, min(position, len(ranks)))
    if not ranks:
        return 0.0
    if position == 0:
        return ranks[0] - 1.0
    if position == len(ranks):
        return ranks[-1] + 1.0
    return (ranks[position - 1] + ranks[position]) / 2
