"""When alternative limits hold: by the time of day and the weekday, in local time.

Pure: the moment and the time zone are parameters. A time that the clocks skip in spring comes as
much later; of a time that comes twice in autumn, the first counts (PEP 495, `fold=0`).
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from trio_swarm.settings import DAYS, ScheduleSettings

_MIDNIGHT = time()
_DAY = timedelta(days=1)
_LOOK_BACK, _LOOK_AHEAD = 1, 8
"""Days around today whose spans matter: one that began yesterday, and the same day next week."""


class Phase(NamedTuple):
    """What a schedule says at a moment."""

    is_alternative: bool
    until: float
    """Unix seconds: it says the same until then at least."""


def phase_at(schedule: ScheduleSettings, now: float, zone: tzinfo | None = None) -> Phase:
    """Return what holds at `now` (Unix seconds), and until when.

    `zone` is the time zone of the schedule; None: that of this machine.
    """
    held_until = now
    for begin, end in _spans(schedule, now, zone):
        if end <= held_until:
            continue
        if begin > held_until:  # a pause before the next span
            return Phase(held_until > now, held_until if held_until > now else begin)
        held_until = end
    return Phase(is_alternative=True, until=held_until)  # without a pause all week


def _spans(
    schedule: ScheduleSettings, now: float, zone: tzinfo | None
) -> Iterator[tuple[float, float]]:
    """Yield begin and end (Unix seconds) of the spans around `now`, by their begin."""
    today = datetime.fromtimestamp(now, zone).date()
    begins, ends = schedule.begin or _MIDNIGHT, schedule.end or _MIDNIGHT
    for ahead in range(-_LOOK_BACK, _LOOK_AHEAD + 1):
        day = today + ahead * _DAY
        if schedule.days and DAYS[day.weekday()] not in schedule.days:
            continue
        last = day if ends > begins else day + _DAY
        yield _instant(day, begins, zone), _instant(last, ends, zone)


def _instant(day: date, at: time, zone: tzinfo | None) -> float:
    """Return the Unix seconds of a time that a clock on the wall shows."""
    return datetime.combine(day, at, tzinfo=zone).timestamp()
