"""The lines that a person reads about events: each piece of news once."""

from typing import NamedTuple

from trio_swarm.cli.output.describe import describe
from trio_swarm.cli.output.tracker_news import TrackerNews
from trio_swarm.events import Announced, Event, Listening, TrackerFailed, TrackerSilent
from trio_swarm.foreign_text import shown


class EventLine(NamedTuple):
    """One line."""

    level: str
    """As that of an event: `debug`, `info` or `warning`."""
    text: str


class EventLines:
    """What one reader was told of; `is_verbose`: details and what was said before are told too."""

    def __init__(self, *, is_verbose: bool) -> None:
        self._is_verbose = is_verbose
        self._port = 0
        self._tracker_news = TrackerNews()

    def of(self, event: Event) -> list[EventLine]:
        """Return the lines to tell of an event, if it is news; strangers' words are escaped."""
        lines: list[EventLine] = []
        if isinstance(event, Listening):
            # Every address of both families has the same port: it is said once.
            if event.port == self._port:
                return lines
            self._port = event.port
        if isinstance(event, TrackerFailed | TrackerSilent):
            if not self._tracker_news.is_news(event) and not self._is_verbose:
                return lines
        elif isinstance(event, Announced) and self._tracker_news.works_again(event):
            lines.append(EventLine("info", f"{shown(event.tracker)}: answers now"))
        if event.level != "debug" or self._is_verbose:
            text = describe(event)
            if text:
                lines.append(EventLine(event.level, text))
        return lines
