"""The colours of a picture: its theme, and the colours of its peers and groups of senders."""

from collections.abc import Sequence
from typing import NamedTuple

from trio_swarm.lab.pictures import theme
from trio_swarm.lab.pictures.course import MOST_SOURCES, Course, CoursePeer, SenderGroup, sources

_STROKES = ("-", "--", ":", "-.")


class Lighting(NamedTuple):
    """The colours of lines and letters, by their names in `theme`."""

    colours: dict[str, str]

    def line(self, number: int) -> str:
        """Return the colour of the n-th line."""
        return self.colours[theme.SERIES[number % len(theme.SERIES)]]


class SourceColours:
    """One colour for each name of a peer or group, the same in all panels; leechers are grey."""

    def __init__(self, courses: Sequence[Course], light: Lighting) -> None:
        # Groups first: there are no more groups than colours, and they are drawn side by side.
        names = dict.fromkeys(
            source.name for each in courses for source in sources(each) if not source.are_leechers
        )
        names |= dict.fromkeys(
            each.peers[index].name for each in courses for index in each.recorders
        )
        self._grey = light.colours[theme.SERIES[-1]]
        self._numbers = {name: number for number, name in enumerate(names)}
        self._colours = {name: light.line(n % MOST_SOURCES) for name, n in self._numbers.items()}

    def of(self, source: SenderGroup | CoursePeer) -> str:
        """Return the colour of a group of senders."""
        return self._colours.get(source.name, self._grey)

    def stroke_of(self, peer: CoursePeer) -> str:
        """Return the line style of a peer: another style if two peers share a colour."""
        return _STROKES[self._numbers[peer.name] // MOST_SOURCES % len(_STROKES)]
