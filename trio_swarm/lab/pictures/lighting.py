"""Which colour is whose: the theme a picture is drawn in, and its peers and sources."""

from collections.abc import Sequence
from typing import NamedTuple

from trio_swarm.lab.pictures import theme
from trio_swarm.lab.pictures.course import MOST_SOURCES, Course, CoursePeer, Source, sources

_STROKES = ("-", "--", ":", "-.")


class Lighting(NamedTuple):
    """The colours lines and letters are drawn in, by the names in `theme`."""

    colours: dict[str, str]

    def line(self, number: int) -> str:
        """Return the colour of the n-th line."""
        return self.colours[theme.SERIES[number % len(theme.SERIES)]]


class SourceColours:
    """One colour for each name of a peer or source, in all panels; leechers together are grey."""

    def __init__(self, courses: Sequence[Course], light: Lighting) -> None:
        # Sources first: they are no more than there are colours, and lie side by side.
        names = dict.fromkeys(
            source.name for each in courses for source in sources(each) if not source.are_leechers
        )
        names |= dict.fromkeys(
            each.peers[index].name for each in courses for index in each.recorders
        )
        self._grey = light.colours[theme.SERIES[-1]]
        self._numbers = {name: number for number, name in enumerate(names)}
        self._colours = {name: light.line(n % MOST_SOURCES) for name, n in self._numbers.items()}

    def of(self, source: Source | CoursePeer) -> str:
        """Return the colour of one."""
        return self._colours.get(source.name, self._grey)

    def stroke_of(self, peer: CoursePeer) -> str:
        """Return how the line of a peer is drawn: another way where its colour is another's."""
        return _STROKES[self._numbers[peer.name] // MOST_SOURCES % len(_STROKES)]
