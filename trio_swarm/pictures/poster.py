"""All panels in one picture: PNG, or SVG."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure

from trio_swarm.pictures import theme
from trio_swarm.pictures.course import Course
from trio_swarm.pictures.lighting import Lighting, SourceColours
from trio_swarm.pictures.panels import (
    Panel,
    common_panels,
    most_copies_of,
    own_panels,
    plain,
)

_WIDTH = 6.0
"""Inches of one panel."""

_MOST_POINTS = 30_000
"""Of the height of a PNG: readers of images refuse more than 65,535."""

_SETTINGS: Any = {
    "font.size": 9.0,
    "svg.fonttype": "none",  # letters stay letters: small, and found by a search
    "svg.hashsalt": "trio-swarm",  # or the same picture would be another file each time
    "axes.titlesize": 10.0,
    "legend.fontsize": 9.0,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with our settings, whatever a person's own are."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        # A name in letters that the font lacks is shown as boxes: no reason to speak.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # The same letters may be so wide that little is left of a panel.
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        yield


def poster(title: str, courses: Sequence[Course], form: Literal["png", "svg"]) -> bytes:
    """Return the picture as a file's content, on white.

    Several courses are compared: what is of one stands in a row of its own.
    """
    with drawing():
        light = Lighting(theme.LIGHT)
        rows = _rows(courses, light)
        across = max(map(len, rows))
        heights = [max(panel.height for panel in row) + 0.75 for row in rows]
        figure = Figure(figsize=(_WIDTH * across, sum(heights) + 0.6), layout="constrained")
        figure.set_facecolor(theme.LIGHT[theme.PAPER])
        figure.suptitle(
            plain(title), color=theme.LIGHT[theme.INK], fontweight="bold", x=0.01, ha="left"
        )
        parts = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)
        for part, row in zip(parts[:, 0], rows, strict=True):
            part.set_facecolor("none")
            for axes, panel in zip(part.subplots(1, len(row), squeeze=False)[0], row, strict=True):
                axes.set_title(
                    panel.title, loc="left", color=theme.LIGHT[theme.INK], fontweight="bold"
                )
                panel.draw(axes)
        if form == "svg":
            return svg_of(figure)
        dpi = min(110.0, _MOST_POINTS / figure.get_figheight())
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
        return content.getvalue()


def svg_of(figure: Figure) -> bytes:
    """Return a figure as SVG, the same bytes each time."""
    content = io.BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(content, format="svg", metadata=nothing)
    return content.getvalue()


def _rows(courses: Sequence[Course], light: Lighting) -> list[list[Panel]]:
    rows = [common_panels(courses, light)]
    most = most_copies_of(courses)
    colours = SourceColours(courses, light)
    seconds = max((each.seconds for each in courses), default=0.0)
    rows += [
        _titled(own_panels(each, most, seconds, colours, light), each, courses) for each in courses
    ]
    return rows


def _titled(panels: list[Panel], course: Course, courses: Sequence[Course]) -> list[Panel]:
    if len(courses) < 2:
        return panels
    name = plain(course.title)
    return [
        panel._replace(title=f"{name}: {panel.title[:1].lower()}{panel.title[1:]}")
        for panel in panels
    ]
