"""How long what is ready waits for the event loop: measured while somebody scrapes."""

import time
from bisect import bisect_left
from typing import Final

import trio
from trio.abc import Instrument

BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Seconds: a pass of an idle node takes less than the first, and peers notice a tenth."""

WATCHED_FOR: Final = 300.0
"""Seconds after the last scrape in which it goes on: people scrape every 15 to 60 seconds."""


class LoopDelay(Instrument):
    """Times each pass of Trio's loop, from one look for events to the next.

    What becomes ready during a pass waits until its end at most, so the length of passes is how
    late timers and messages are. It costs two readings of a clock a pass and needs no task. It goes
    off by itself when nobody has scraped for a while.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        """counts[n] = passes of at most BOUNDS[n] seconds, longer than the bound before; the last
        one counts those above all bounds."""
        self.seconds = 0.0
        """Seconds of all passes together."""
        self.is_on = False
        self._until = 0.0
        self._began: float | None = None

    def look(self) -> None:
        """Measure from now on, or go on with that."""
        self._until = time.perf_counter() + WATCHED_FOR
        if not self.is_on:
            self.is_on, self._began = True, None
            trio.lowlevel.add_instrument(self)

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002  Trio's
        """Note when a pass begins."""
        self._began = time.perf_counter()

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002  Trio's
        """Count the pass that ends."""
        if self._began is None:
            return
        now = time.perf_counter()
        took = now - self._began
        self.counts[bisect_left(BOUNDS, took)] += 1
        self.seconds += took
        if now > self._until:
            self.is_on = False
            trio.lowlevel.remove_instrument(self)
