"""How fast our uplink is while first copies are given out, and how fast leechers get pieces."""

import math
from collections.abc import Sequence
from typing import Final

from trio_swarm.schedulers.api import UploadPeerView, UploadView

TEMPO_SECONDS: Final = 1.0
"""Seconds over which is measured how fast the leechers get pieces."""

SOON: Final = 0.1
LEAST_SOON: Final = 2.5
MOST_SOON: Final = 5.0
"""The end is near if it is this part of the time passed so far away: then the leechers are left to
themselves, but for what a slow one holds alone. At least and at most so many seconds."""

FAR: Final = 4.0
"""If the end is so many times as far away as a near one, nobody waits for the last first copies to
be put out: leechers would wait for something to ask for, and our uplink for them."""

SPARE: Final = 0.5
"""While our rate is less than this part of what it was, some leechers take their time: the others
need not wait for those."""

_PEAK_SECONDS: Final = 60.0
"""Seconds in which the memory of our best rate fades to about a third."""


class Uplink:
    """How fast ours is, and was at its best."""

    def __init__(self) -> None:
        self.rate = 0.0
        """Bytes/s over the last second."""
        self.peak = 0.0
        """The best rate so far; slowly forgotten."""
        self._sent: list[tuple[float, int]] = []

    def note(self, view: UploadView) -> None:
        """Note what was sent up to now."""
        now = view.now
        sent = self._sent
        if sent:
            self.peak *= math.exp((sent[-1][0] - now) / _PEAK_SECONDS)
        sent.append((now, view.uploaded))
        while len(sent) > 2 and now - sent[1][0] >= TEMPO_SECONDS:
            del sent[0]
        passed = now - sent[0][0]
        self.rate = (view.uploaded - sent[0][1]) / max(passed, TEMPO_SECONDS)
        self.peak = max(self.peak, self.rate)

    @property
    def has_room(self) -> bool:
        """It could take clearly more than it is given."""
        return self.rate < SPARE * self.peak


class Tempo:
    """How fast the leechers get pieces of each other, and when they would have all that way."""

    def __init__(self) -> None:
        self._began_at = math.nan
        self._had: list[tuple[float, float]] = []
        self._missing = 0

    def note(self, view: UploadView, leechers: Sequence[UploadPeerView]) -> None:
        """Note what they have now."""
        now = view.now
        if not self._had:
            self._began_at = now
        had = sum(peer.pieces.bit_count() for peer in leechers)
        self._missing = view.piece_count * len(leechers) - had
        of_us = sum(peer.uploaded for peer in leechers) / view.piece_length
        self._had.append((now, had - of_us))
        while now - self._had[0][0] > TEMPO_SECONDS:
            del self._had[0]

    def ends_soon(self, now: float) -> bool:
        """Whether they would have all soon without any more help of ours."""
        needed, given = self._seconds(now)
        return needed < given

    def is_far_from_end(self, now: float) -> bool:
        """Whether they get pieces of each other, and would need long that way."""
        needed, given = self._seconds(now)
        return needed >= FAR * given > 0.0

    def _seconds(self, now: float) -> tuple[float, float]:
        """Return two numbers in the proportion of what they would need to what is soon."""
        since, had = self._had[0]
        gained = self._had[-1][1] - had
        soon = min(MOST_SOON, max(LEAST_SOON, SOON * (now - self._began_at)))
        return self._missing * (now - since), soon * gained
