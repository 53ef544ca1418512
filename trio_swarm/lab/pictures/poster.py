"""All panels in one picture: a PNG or SVG file."""

import io
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure, SubFigure

from trio_swarm.lab.pictures import theme
from trio_swarm.lab.pictures.axes import plain
from trio_swarm.lab.pictures.course import Course
from trio_swarm.lab.pictures.lighting import Lighting, SourceColours
from trio_swarm.lab.pictures.numbers import scale_of, short
from trio_swarm.lab.pictures.panels import Panel, common_panels, own_panels

_WIDTH = 6.0
"""Inches of one panel."""

_ACROSS = 4
"""Most panels side by side."""

_MARGIN = 0.25
"""Inches around the whole picture."""

_EDGES: Any = {"bbox_inches": "tight", "pad_inches": _MARGIN}
"""The picture grows for parts that exceed its edges."""

_SMALL = 7.5
"""Points of the letters of a panel's explanation."""

_LINE = 10.5
"""Points of a line of the explanation."""

_LETTERS = 96
"""Most letters in such a line: about five inches, the width of the narrowest panels."""

_LONGEST = 1000
"""Most letters of the text below the picture."""

_MOST_POINTS = 30_000
"""Most points of a PNG's height: programs refuse images of more than 65,535."""

_SETTINGS: Any = {
    "font.size": 9.0,
    "svg.fonttype": "none",  # letters stay text: small, and searchable
    "svg.hashsalt": "trio-swarm",  # so that the same picture is the same file
    "axes.titlesize": 10.0,
    "legend.fontsize": 9.0,
    "hatch.linewidth": 0.6,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with our settings, independent of the user's own."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        # A name in letters that the font lacks is shown as boxes: no reason for a warning.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # Such letters may be so wide that little is left of a panel.
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        yield


def poster(
    title: str, courses: Sequence[Course], form: Literal["png", "svg"], *, says: str = ""
) -> bytes:
    """Return the picture as a file's content, on white; `says` is the text below it.

    If there are several courses, their panels of one kind are side by side.
    """
    with drawing():
        light = Lighting(theme.LIGHT)
        rows = _rows(courses, light)
        across = max(map(len, rows))
        heights = [max(map(_height, row)) for row in rows]
        figure = Figure(figsize=(_WIDTH * across, sum(heights) + 0.6), layout="constrained")
        figure.get_layout_engine().set(w_pad=_MARGIN / 2, h_pad=_MARGIN / 2)  # type: ignore[union-attr,call-arg]
        figure.set_facecolor(theme.LIGHT[theme.PAPER])
        figure.suptitle(
            plain(title), color=theme.LIGHT[theme.INK], fontweight="bold", x=0.01, ha="left"
        )
        if says:
            lines = textwrap.wrap(short(says, _LONGEST), _LETTERS * across)
            figure.supxlabel(
                plain("\n".join(lines), _LONGEST),
                color=theme.LIGHT[theme.FAINT],
                x=0.01,
                ha="left",
                fontsize=_SMALL,
            )
        parts = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)
        for part, row in zip(parts[:, 0], rows, strict=True):
            _fill(part, row)
        return svg_of(figure, **_EDGES) if form == "svg" else _png_of(figure)


def _fill(part: SubFigure, row: Sequence[Panel]) -> None:
    part.set_facecolor("none")
    for axes, panel in zip(part.subplots(1, len(row), squeeze=False)[0], row, strict=True):
        lines = _lines(panel)
        above = 26.0 if panel.key == "playback" else 5.0  # room for its legend
        axes.annotate(
            "\n".join(lines),
            (0.0, 1.0),
            (0.0, above),
            xycoords="axes fraction",
            textcoords="offset points",
            va="bottom",
            color=theme.LIGHT[theme.FAINT],
            fontsize=_SMALL,
        )
        axes.set_title(
            panel.title,
            loc="left",
            color=theme.LIGHT[theme.INK],
            fontweight="bold",
            pad=above + _LINE * len(lines) + 3.0,
        )
        panel.draw(axes)


def _lines(panel: Panel) -> list[str]:
    """Return a panel's explanation in lines that fit it."""
    return textwrap.wrap(panel.says, _LETTERS)


def _height(panel: Panel) -> float:
    """Return the height of a panel with the text above it, inches."""
    return panel.height + 0.75 + _LINE * len(_lines(panel)) / 72.0


def _png_of(figure: Figure) -> bytes:
    dpi = min(110.0, _MOST_POINTS / max(figure.get_figheight(), figure.get_figwidth()))
    content = io.BytesIO()
    figure.savefig(
        content,
        format="png",
        dpi=dpi,
        metadata={"Software": None},
        **_EDGES,
    )
    return content.getvalue()


def svg_of(figure: Figure, **edges: Any) -> bytes:
    """Return a figure as SVG, the same bytes each time; `edges` are options of `savefig`."""
    content = io.BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(content, format="svg", metadata=nothing, **edges)
    return content.getvalue()


def by_kind(panels: Sequence[Sequence[Panel]]) -> list[tuple[str, list[tuple[int, Panel]]]]:
    """Return the panels of all courses by kind: a title, and (course, panel) for each course."""
    kinds: dict[str, list[tuple[int, Panel]]] = {}
    for number, each in enumerate(panels):
        for panel in each:
            kinds.setdefault(panel.key, []).append((number, panel))
    return [(found[0][1].title, found) for found in kinds.values()]


def _rows(courses: Sequence[Course], light: Lighting) -> list[list[Panel]]:
    scale = scale_of(courses)
    colours = SourceColours(courses, light)
    common = common_panels(courses, light)
    own = [own_panels(each, scale, colours, light) for each in courses]
    if len(courses) == 1:
        every = [*common, *own[0]]
        return [every[at : at + 2] for at in range(0, len(every), 2)]
    rows = [common]
    for _, found in by_kind(own):
        titled = [_titled(panel, courses[number]) for number, panel in found]
        rows += [titled[at : at + _ACROSS] for at in range(0, len(titled), _ACROSS)]
    return rows


def _titled(panel: Panel, course: Course) -> Panel:
    return panel._replace(
        title=f"{plain(course.title)}: {panel.title[:1].lower()}{panel.title[1:]}"
    )
