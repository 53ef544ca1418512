"""A tracker's events: changes one by one, up to a bound, and sums of all.

Nearly all announces are heartbeats that change nothing. They are only counted.
"""

from collections import Counter
from collections.abc import Callable

from trio_swarm.events import Event, TrackerChange, TrackerSummary
from trio_swarm.protocol.addresses import format_address, unpack_addresses
from trio_swarm.tracker.seen.figures import refusal_kind
from trio_swarm.tracker.store.interface import Change, StoreCounts

SUMMARY_SECONDS = 10.0
"""Between two sums; there is none if nothing happened."""

MOST_CHANGES = 100
"""Changes told one by one between two sums: strangers decide how many there are, and a log takes
disk space."""


class TrackerJournal:
    """Counts a registry's changes, and makes events of them for `emit`, if somebody wants them."""

    def __init__(self, emit: Callable[[Event], None] | None) -> None:
        self._emit = emit
        self.changes: Counter[str] = Counter()
        """All since the start, by kind."""
        self.refusals: Counter[str] = Counter()
        """Refused announces and names since the start, by the setting that says so."""
        self._counts: Counter[str] = Counter()
        self._untold = 0
        self._announces = 0
        """Their number at the latest sum."""

    def note(self, change: Change) -> None:
        """Take in a change: tell it if there is room, and count it."""
        self.changes[change.kind] += 1
        if change.reason:
            self.refusals[refusal_kind(change.reason)] += 1
        if self._emit is None:
            return
        if self._counts.total() - self._untold < MOST_CHANGES:
            ((host, port),) = unpack_addresses(change.address, ipv6=len(change.address) != 6)
            self._emit(
                TrackerChange(
                    change=change.kind,
                    info_hash=change.info_hash.hex(),
                    address=format_address((host, port)),
                    share_name=change.name,
                    reason=change.reason,
                )
            )
        else:
            self._untold += 1
        self._counts[change.kind] += 1

    def sum_up(self, announces: int, counts: StoreCounts) -> None:
        """Tell the sum of all changes since the latest sum, if there were any.

        `announces`: how many there were since the tracker started; `counts`: what it holds now.
        """
        happened, seen = self._counts, announces - self._announces
        if self._emit is not None and (seen or happened):
            changed = ("registered", "completed", "stopped", "refused")
            self._emit(
                TrackerSummary(
                    announces=seen,
                    renewed=max(0, seen - sum(happened[kind] for kind in changed)),
                    registered=happened["registered"],
                    completed=happened["completed"],
                    stopped=happened["stopped"],
                    expired=happened["expired"],
                    refused=happened["refused"],
                    names_taken=happened["name_taken"],
                    names_refused=happened["name_refused"],
                    names_dropped=happened["name_dropped"],
                    untold=self._untold,
                    swarms=counts.swarms,
                    peers=counts.peers,
                    names=counts.names,
                )
            )
        self._counts.clear()
        self._untold = 0
        self._announces = announces
