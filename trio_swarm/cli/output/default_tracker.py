"""Telling a person that a tracker was asked which nobody named, and how to name one."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from trio_swarm import events
from trio_swarm.errors import NameUnknownError, TrackerError
from trio_swarm.settings import DEFAULT_TRACKER

_Answer = TypeVar("_Answer")

ADVICE = (
    f"no tracker was named, so it is the one of this machine ({DEFAULT_TRACKER}): start that by "
    "`trio-swarm tracker`, or name another with --tracker udp://HOST:6969 or TRIO_SWARM_TRACKER"
)
ADVICE_ANSWERED = (
    f"no tracker was named, so it was the one of this machine ({DEFAULT_TRACKER}) that was asked: "
    "name another with --tracker udp://HOST:6969 or TRIO_SWARM_TRACKER"
)
"""The same where that tracker answered, and does not know the name."""


class DefaultTracker:
    """Whether the tracker is the default one, and whether that was said already."""

    def __init__(self, *, is_used: bool) -> None:
        self._is_to_be_told = is_used

    def after(self, on_event: Callable[[events.Event], None]) -> Callable[[events.Event], None]:
        """Return `on_event`, followed by the advice when the tracker fails for the first time."""

        def tell(event: events.Event) -> None:
            on_event(event)
            is_default = (
                isinstance(event, events.TrackerFailed) and event.tracker == DEFAULT_TRACKER
            )
            if is_default and self._is_to_be_told:
                self._is_to_be_told = False
                from trio_swarm.logs import logger_of  # noqa: PLC0415 - `show` needs no logging

                logger_of(__name__).warning(ADVICE)

        return tell

    async def asked(self, answer: Awaitable[_Answer]) -> _Answer:
        """Await `answer`; the advice goes with the errors of trackers."""
        try:
            return await answer
        except (TrackerError, NameUnknownError) as error:
            if self._is_to_be_told:
                self._is_to_be_told = False
                is_there = isinstance(error, NameUnknownError)
                error.add_note(ADVICE_ANSWERED if is_there else ADVICE)
            raise
