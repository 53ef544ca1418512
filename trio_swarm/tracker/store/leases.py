"""How long a peer is listed after an announce: until it is late by its own habit.

A tracker asks for a heartbeat every 30 seconds or so, and our own peers give it. Others have least
intervals of their own: libtorrent 2.1 (qBittorrent, Deluge) comes back after 300 s whatever it is
told, rTorrent after 600 s. A lease of 75 s would list them a quarter of the time. So:

- A client that is not ours by its peer id (BEP 20) is expected every FOREIGN_GAP seconds until it
  shows another habit.
- A client that comes back when it was asked to has the plain lease from then on.
- Any other has the time between its announces, and some slack. A longer time counts at once, a
  shorter one when it was seen twice in a row: people press buttons ("force reannounce").
- A client whose peer id says nothing begins with the plain lease. If that ends before the client
  comes back, the time in between is noticed (`Lapsed`) and becomes its habit.
- An announce with an event, or far sooner than asked for, says nothing about the next one.

All that is kept of this is a peer's *habit*, one byte: PROMPT, or the time between announces in
steps of STEP seconds, and a bit that says that the latest time was shorter.
"""

from collections import OrderedDict
from math import ceil, inf
from typing import Final

FOREIGN_GAP: Final = 600.0
"""Seconds: the longest time that a client in use insists on between announces (rTorrent's). What
comes back later is not listed in between; a peer that died is listed for a quarter longer."""

SLACK: Final = 1 / 4
"""Part of its habit that a peer may be late by; at least the lease, so that a heartbeat lost on the
way can be repeated."""

STEP: Final = 5.0
"""Seconds: how finely times between announces are told apart."""

PROMPT: Final = 0
"""The habit of a peer that comes back when it is asked to."""

HELD: Final = 0xFF
"""The habit of a peer without a lease here, which is listed because other trackers list it. No time
between announces has this code, and no announce of such a peer is a mere heartbeat."""

MAX_LAPSED: Final = 16_384
"""Peers remembered after their lease, 250 bytes each; beyond it the oldest are forgotten."""

_SHORTER: Final = 0x80
"""A bit of a habit: the latest time was shorter than the habit says."""

_LONGEST: Final = 0x7F


class LeaseRule:
    """The lease of each habit; `lease` (of prompt peers) and `interval` (asked of all) in seconds.

    `lengths` and `fresh` are tables by habit, because an announce must not cost a call.
    """

    def __init__(self, *, lease: float, interval: float) -> None:
        self._soon = interval / 2
        self._prompt_until = min(1.5 * interval, lease)
        self.lengths = [_length(habit & _LONGEST, lease) for habit in range(256)]
        """Seconds from an announce to the end of its lease."""
        self.fresh = [length - self._soon for length in self.lengths]
        """An announce that finds more than this many seconds of its lease left changes no habit."""
        self.fresh[PROMPT] = lease - self._prompt_until
        self.fresh[HELD] = inf
        foreign = _code(FOREIGN_GAP)
        self.foreign = foreign if self.lengths[foreign] > lease else PROMPT
        """The habit to begin with."""
        self.longest = max(self.lengths)
        """Seconds; no lease is longer."""

    def returned(self, gap: float) -> int:
        """Return the habit of a peer that comes `gap` seconds after an announce, not listed."""
        return min(_code(gap), self.foreign)

    def after(self, habit: int, left: float) -> int:
        """Return the habit of a client not ours after an announce without an event.

        `left` is how many seconds of its lease were left.
        """
        gap = self.lengths[habit] - left
        if gap < self._soon:
            return habit
        if gap <= self._prompt_until or not self.foreign:
            return PROMPT
        code = min(_code(gap), self.foreign)
        if code >= habit & _LONGEST or habit & _SHORTER:
            return code
        return habit | _SHORTER


class Lapsed:
    """When peers that are listed no longer, as their leases ended, announced last."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._announced: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._announced)

    def add(self, peer: bytes, announced: float) -> None:
        """Remember a peer (info-hash and compact address)."""
        self._announced[peer] = announced
        if len(self._announced) > MAX_LAPSED:
            self._announced.popitem(last=False)

    def take(self, peer: bytes, now: float) -> float | None:
        """Forget a peer; return how long ago it announced if that was not too long ago."""
        announced = self._announced.pop(peer, None)
        return None if announced is None or now - announced > self._longest else now - announced


def _code(gap: float) -> int:
    return ceil(gap / STEP)


def _length(code: int, lease: float) -> float:
    gap = code * STEP
    return gap + max(lease, SLACK * gap) if code else lease
