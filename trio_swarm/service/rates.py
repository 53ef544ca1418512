"""The rates of a node: its normal limits, or the alternative ones while a schedule says so."""

import math
import time
from collections.abc import Callable
from datetime import tzinfo
from typing import NamedTuple, Never

import trio

from trio_swarm.amounts import size_text
from trio_swarm.logs import logger_of
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.service.schedule import Phase, phase_at
from trio_swarm.settings import ScheduleSettings

log = logger_of(__name__)

LONGEST_WAIT = 900.0
"""Seconds until the clock on the wall is looked at again, at most: it may be set, and it goes on
while the machine sleeps; Trio's clock does neither, and nothing tells."""


class Rates(NamedTuple):
    """Limits of a node, bytes/s; None: unlimited."""

    upload: int | None
    download: int | None

    def __str__(self) -> str:
        """Return both for people."""
        return f"{_text(self.upload)} up, {_text(self.download)} down"


class RateLimits:
    """Owns which rates of a node are in force; `apply` carries them out.

    `clock` tells Unix seconds, and `zone` is the time zone of schedules (None: this machine's).
    """

    def __init__(
        self,
        normal: Rates,
        schedule: ScheduleSettings | None,
        *,
        apply: Callable[[Rates], None],
        clock: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
    ) -> None:
        self.normal = normal
        """The rates outside of the schedule."""
        self.schedule = schedule
        """When the alternative rates hold by themselves; None: never."""
        self.alternative = _alternative_of(schedule)
        """The alternative rates; None if there are none."""
        self.is_alternative: bool
        """Whether the alternative rates are in force."""
        self._apply = apply
        self._clock = clock
        self._zone = zone
        self._wakeup = Wakeup()
        self._is_scheduled = self.is_alternative = self._phase().is_alternative

    @property
    def in_force(self) -> Rates:
        """The rates that hold now."""
        if self.is_alternative and self.alternative is not None:
            return self.alternative
        return self.normal

    @property
    def next_change(self) -> float | None:
        """When the schedule changes the rates next, Unix seconds; None: never."""
        until = self._phase().until
        return until if math.isfinite(until) else None

    def set_normal(self, normal: Rates) -> None:
        """Change the normal rates; at once, unless the alternative ones are in force."""
        self.normal = normal
        self._apply(self.in_force)

    def set_schedule(self, schedule: ScheduleSettings | None) -> None:
        """Change the alternative rates and their times; what was switched by hand is forgotten."""
        self.schedule = schedule
        self.alternative = _alternative_of(schedule)
        self._is_scheduled = self.is_alternative = self._phase().is_alternative
        self._apply(self.in_force)
        self._wakeup.set()

    def set_alternative(self, alternative: Rates) -> None:
        """Change the alternative rates and not their times; at once, if they are in force.

        They last until the schedule is another one.
        """
        self.alternative = alternative
        self._apply(self.in_force)

    def switch(self, *, on: bool) -> None:
        """Choose the alternative or the normal rates by hand, until the schedule changes them.

        Without alternative rates there is nothing to choose.
        """
        self.is_alternative = on and self.alternative is not None
        self._apply(self.in_force)

    async def run(self) -> Never:
        """Follow the schedule until cancelled."""
        self._apply(self.in_force)
        while True:
            with trio.move_on_after(min(LONGEST_WAIT, self._follow())):
                await self._wakeup.wait()

    def _follow(self) -> float:
        """Do what the schedule says if it says something new; return the seconds until it may."""
        phase = self._phase()
        if phase.is_alternative != self._is_scheduled:
            self._is_scheduled = self.is_alternative = phase.is_alternative
            words = "the schedule's" if self.is_alternative else "the usual"
            log.info("%s limits hold now: %s", words, self.in_force)
            self._apply(self.in_force)
        return max(0.0, phase.until - self._clock())

    def _phase(self) -> Phase:
        if self.schedule is None:
            return Phase(is_alternative=False, until=math.inf)
        return phase_at(self.schedule, self._clock(), self._zone)


def _alternative_of(schedule: ScheduleSettings | None) -> Rates | None:
    return None if schedule is None else Rates(schedule.upload_rate, schedule.download_rate)


def _text(rate: int | None) -> str:
    return "unlimited" if rate is None else f"{size_text(rate)}/s"
