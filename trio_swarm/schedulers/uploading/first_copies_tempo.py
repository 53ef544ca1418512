"""The rate of our uplink during the first copies, and the rate at which leechers get pieces."""

import math
from collections.abc import Sequence
from typing import Final

from trio_swarm.schedulers.api import UploadPeerView, UploadView

TEMPO_SECONDS: Final = 1.0
"""Seconds over which both rates are measured."""

SOON: Final = 0.1
LEAST_SOON: Final = 2.5
MOST_SOON: Final = 5.0
"""The end is near if it is this part (`SOON`) of the time passed away, but at least and at most
this many seconds. Near the end the leechers get the rest from each other, except pieces that only a
slow leecher has."""

FAR: Final = 4.0
"""The end is far if it is this many times as far away as a near end. Then the last first copies
need not be sent before everything is revealed: waiting would leave leechers without requests and
our uplink without work."""

SPARE: Final = 0.5
"""Part of our best rate below which the uplink has room: some leechers do not request their pieces,
and the others need not wait for them."""

_PEAK_SECONDS: Final = 60.0
"""Seconds in which the remembered best rate decays to about a third."""


class UplinkRate:
    """The rate of our uplink now, and its best rate."""

    def __init__(self) -> None:
        self.rate = 0.0
        """Bytes/s over the last second."""
        self.peak = 0.0
        """The best rate so far, bytes/s; it decays slowly."""
        self._sent: list[tuple[float, int]] = []

    def note(self, view: UploadView) -> None:
        """Measure the rate from the bytes sent until `view.now`."""
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
        """Whether the uplink could send clearly more than it does."""
        return self.rate < SPARE * self.peak


class Tempo:
    """How fast the leechers get pieces from each other, and when that would complete them."""

    def __init__(self) -> None:
        self._began_at = math.nan
        self._had: list[tuple[float, float]] = []
        self._missing = 0

    def note(self, view: UploadView, leechers: Sequence[UploadPeerView]) -> None:
        """Count the pieces that the leechers have at `view.now`."""
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
        """Whether all leechers would soon be complete without further help from us."""
        needed, given = self._seconds(now)
        return needed < given

    def is_far_from_end(self, now: float) -> bool:
        """Whether leechers get pieces from each other, but would need long to complete that way."""
        needed, given = self._seconds(now)
        return needed >= FAR * given > 0.0

    def _seconds(self, now: float) -> tuple[float, float]:
        """Return the seconds the leechers need, and the seconds that are soon; equally scaled."""
        since, had = self._had[0]
        gained = self._had[-1][1] - had
        soon = min(MOST_SOON, max(LEAST_SOON, SOON * (now - self._began_at)))
        return self._missing * (now - since), soon * gained
