"""The panels of a picture, each drawn on axes of matplotlib that it is given.

Heat maps are images of at most `COLUMNS` by `ROWS` points, however much happened.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator, PercentFormatter

from trio_swarm.pictures import theme
from trio_swarm.pictures.course import (
    Course,
    availability,
    completion,
    finished,
    holdings,
    matrix,
    moments,
    rates,
    shares,
    sources,
)
from trio_swarm.pictures.lighting import Lighting, SourceColours

COLUMNS = 240
ROWS = 256
MATRIX = 64
"""Most peers told apart in the matrix."""
NAMED = 24
"""Most peers whose names stand at an axis."""
MIB = 1024 * 1024
_AS_SEEN = (
    "Red: nobody there has said that it has it (a seeder may tell of its pieces one by one). "
)
_LONGEST_NAME = 22
"""Letters of a peer's name at an axis: an IPv4 address and port."""


class Panel(NamedTuple):
    """One panel: what stands above it, what it shows, and how it is drawn."""

    key: str
    title: str
    says: str
    draw: Callable[[Axes], None]
    height: float = 3.0
    """Inches, at a width of 6."""


def plain(text: str, longest: int = 40) -> str:
    """Return text as a label: no mathematics, no line breaks, not hidden, not endless."""
    text = "".join(each if each.isprintable() else "?" for each in text)
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return text.replace("$", r"\$").replace("_", "\u200b_", 1 if text.startswith("_") else 0)


def common_panels(courses: Sequence[Course], light: Lighting) -> list[Panel]:
    """Return the panels in which all are compared."""
    says = "How much of it is there and verified."
    if any(each.recorders for each in courses):
        says = "What each peer that recorded has, from when its recording begins until it ends."
    elif any(len(each.fetching) > 1 for each in courses):
        says = (
            "Solid: what those who fetch have, on the mean. "
            "Dashed: which part of them has everything."
        )
    return [
        Panel(
            "completion",
            "Completion",
            says,
            lambda axes: _draw_completion(axes, courses, light),
        ),
        Panel(
            "shares",
            "Who sent it",
            "Which part of all bytes came from whom.",
            lambda axes: _draw_shares(axes, courses, light),
            height=1.6 + 0.45 * len(courses),
        ),
    ]


def own_panels(
    course: Course, most_copies: int, seconds: float, colours: SourceColours, light: Lighting
) -> list[Panel]:
    """Return the panels of one; all but the first argument are of all that are compared."""
    panels = [
        Panel(
            "availability",
            "Copies of each piece",
            (
                "Red: nobody there has it; orange: hardly anybody. "
                if course.follows is None
                else _AS_SEEN
            )
            + "A row that stands for several pieces shows the rarest.",
            lambda axes: _draw_availability(axes, course, most_copies, seconds, light),
            height=3.4,
        ),
        Panel(
            "holdings",
            "What each peer has",
            "A row is a peer, from when it comes until it goes.",
            lambda axes: _draw_holdings(axes, course, seconds, light),
            height=3.4,
        ),
    ]
    if course.blocks.at:
        panels.append(
            Panel(
                "rates",
                "Who sent when",
                "Bytes of blocks that arrived, by sender, one above the other.",
                lambda axes: _draw_rates(axes, course, seconds, colours, light),
                height=3.4,
            )
        )
    if len(set(course.blocks.receiver)) > 1:
        panels.append(
            Panel(
                "matrix",
                "Who sent to whom",
                "Rows send, columns receive, in times the torrent.",
                lambda axes: _draw_matrix(axes, course, light),
                height=4.6,
            )
        )
    return panels


def most_copies_of(courses: Sequence[Course]) -> int:
    """Return the most copies of a piece there are at any time shown."""
    return max(
        (
            copies
            for each in courses
            for column in availability(each, moments(each.seconds, COLUMNS), ROWS)
            for copies in column
        ),
        default=0,
    )


def levels_of(most: int) -> list[int]:
    """Return the least number of copies of each colour: 0, 1, 2, 3, 4, 6, 8, 12 … up to `most`."""
    levels = [0, 1, 2, 3]
    power = 4
    while power <= most:
        levels += [power, power + power // 2]
        power *= 2
    return [level for level in levels if level <= max(1, most)]


def _style(axes: Axes, light: Lighting) -> None:
    colours = light.colours
    axes.set_facecolor("none")
    axes.tick_params(colors=colours[theme.FAINT], which="both", length=3)
    for spine in axes.spines.values():
        spine.set_color(colours[theme.RULE])
    axes.xaxis.label.set_color(colours[theme.FAINT])
    axes.yaxis.label.set_color(colours[theme.FAINT])


def _style_legend(axes: Axes, light: Lighting, **where: Any) -> None:
    legend = axes.legend(frameon=False, **where)
    for text in legend.get_texts():
        text.set_color(light.colours[theme.INK])


def _time_axis(axes: Axes, seconds: float) -> None:
    axes.set_xlabel("seconds")
    axes.set_xlim(0.0, seconds or 1.0)


def _draw_completion(axes: Axes, courses: Sequence[Course], light: Lighting) -> None:
    seconds = max((each.seconds for each in courses), default=0.0)
    times = [0.0, *moments(seconds, COLUMNS)]
    colours = SourceColours(courses, light)
    for number, course in enumerate(courses):
        if course.recorders:
            _draw_each_completion(axes, course, times, colours)
            continue
        colour = light.line(number)
        axes.plot(times, completion(course, times), color=colour, label=plain(course.title), lw=1.8)
        if len(course.fetching) > 1:
            axes.plot(times, finished(course, times), color=colour, lw=1.1, ls=(0, (4, 2)))
    _time_axis(axes, seconds)
    axes.set_ylim(0.0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(color=light.colours[theme.RULE], lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    _style(axes, light)
    if len(courses) > 1 or any(0 < len(each.recorders) <= NAMED for each in courses):
        _style_legend(axes, light, loc="upper left")


def _draw_each_completion(
    axes: Axes, course: Course, times: Sequence[float], colours: SourceColours
) -> None:
    for index in course.recorders:
        peer = course.peers[index]
        end = math.inf if peer.left is None else peer.left
        curve = [
            part if peer.joined <= when <= end else math.nan
            for when, part in zip(times, completion(course, times, [index]), strict=True)
        ]
        name, stroke = plain(peer.name, _LONGEST_NAME), colours.stroke_of(peer)
        axes.plot(times, curve, color=colours.of(peer), label=name, lw=1.8, ls=stroke)


def _draw_shares(axes: Axes, courses: Sequence[Course], light: Lighting) -> None:
    colours = SourceColours(courses, light)
    seen: set[str] = set()
    for row, course in enumerate(courses):
        apart = sources(course)
        left = 0.0
        for source, share in zip(apart, shares(course, apart), strict=True):
            label = "_" if source.name in seen else plain(source.name, _LONGEST_NAME)
            seen.add(source.name)
            axes.barh(row, share, left=left, height=0.62, color=colours.of(source), label=label)
            if share >= 0.05:
                axes.text(
                    left + share / 2,
                    row,
                    f"{share:.0%}",
                    ha="center",
                    va="center",
                    color=light.colours[theme.PAPER],
                    fontsize="small",
                )
            left += share
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(max(1, len(courses)) - 0.5, -0.5)
    axes.set_yticks(range(len(courses)), [plain(each.title, _LONGEST_NAME) for each in courses])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.spines[["top", "right", "left"]].set_visible(False)
    _style(axes, light)
    if seen:
        _style_legend(axes, light, loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=4)


def _heat_map(
    axes: Axes,
    grid: Sequence[Sequence[float]],
    extent: tuple[float, float, float, float],
    colours: ListedColormap,
    norm: Normalize,
) -> AxesImage:
    """Draw a grid given by columns, its rows from the top."""
    rows = [list(row) for row in zip(*grid, strict=True)] or [[math.nan]]
    return axes.imshow(
        rows,
        extent=extent,
        cmap=colours,
        norm=norm,
        aspect="auto",
        interpolation="none",
        origin="upper",
    )


def _colour_bar(axes: Axes, image: AxesImage, light: Lighting, label: str, **options: Any) -> Any:
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05, **options)
    bar.set_label(label, color=light.colours[theme.FAINT])
    bar.ax.tick_params(colors=light.colours[theme.FAINT], length=0)
    bar.outline.set_visible(False)
    bar.minorticks_off()
    bar.ax.set_facecolor("none")  # its colours may be transparent, as those of the map are
    assert bar.solids is not None
    bar.solids.set_rasterized(True)
    return bar


def _draw_availability(
    axes: Axes, course: Course, most: int, seconds: float, light: Lighting
) -> None:
    levels = levels_of(most)
    grid = availability(course, moments(course.seconds, COLUMNS), ROWS)
    colours = ListedColormap(theme.copies_colours(len(levels)))
    norm = BoundaryNorm([*(level - 0.5 for level in levels), max(1, most) + 0.5], len(levels))
    extent = (0.0, course.seconds or 1.0, max(1.0, course.pieces), 0.0)
    image = _heat_map(axes, grid, extent, colours, norm)
    bounds = [*levels, max(1, most) + 1]
    middles = [(low + high) / 2 - 0.5 for low, high in itertools.pairwise(bounds)]
    bar = _colour_bar(axes, image, light, "copies", spacing="uniform", ticks=middles)
    bar.set_ticklabels(
        [
            str(low) if high - low == 1 else f"{low}-{high - 1}"
            for low, high in itertools.pairwise(bounds)
        ]
    )
    _time_axis(axes, seconds)
    axes.set_ylabel("piece")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    _style(axes, light)


def _draw_holdings(axes: Axes, course: Course, seconds: float, light: Lighting) -> None:
    columns = holdings(course, moments(course.seconds, COLUMNS), ROWS)
    grid = [[math.nan if part < 0 else part for part in column] for column in columns]
    colours = ListedColormap(theme.amount_colours())
    count = len(course.peers)
    extent = (0.0, course.seconds or 1.0, max(1.0, count), 0.0)
    image = _heat_map(axes, grid, extent, colours, Normalize(0.0, 1.0))
    _colour_bar(axes, image, light, "of the torrent", format=PercentFormatter(1.0, decimals=0))
    _time_axis(axes, seconds)
    _name_axis(axes, course, "y")
    _style(axes, light)


def _name_axis(axes: Axes, course: Course, which: str) -> None:
    count = len(course.peers)
    axis = axes.yaxis if which == "y" else axes.xaxis
    if count <= NAMED:
        names = [plain(peer.name, _LONGEST_NAME) for peer in course.peers]
        axis.set_ticks([index + 0.5 for index in range(count)], labels=names)
        if which == "x" and max(map(len, names), default=0) > 3:
            for label in axes.get_xticklabels():
                label.set_rotation(90)
    else:
        axis.set_major_locator(MaxNLocator(6, integer=True))
        axis.set_label_text("peer")


def _draw_rates(
    axes: Axes, course: Course, seconds: float, colours: SourceColours, light: Lighting
) -> None:
    apart = sources(course)
    columns = COLUMNS // 2
    times = [course.seconds * (column + 0.5) / columns for column in range(columns)]
    series = [[rate / MIB for rate in row] for row in rates(course, apart, columns)]
    axes.stackplot(
        times,
        series,
        labels=[plain(source.name, _LONGEST_NAME) for source in apart],
        colors=[colours.of(source) for source in apart],
        lw=0,
    )
    _time_axis(axes, seconds)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("MiB/s")
    axes.grid(color=light.colours[theme.RULE], lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _style(axes, light)
    _style_legend(axes, light, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4)


def _draw_matrix(axes: Axes, course: Course, light: Lighting) -> None:
    _, sent = matrix(course, MATRIX)
    size = max(1, course.size)
    rows = [[nbytes / size if nbytes else math.nan for nbytes in row] for row in sent]
    count = max(1.0, len(course.peers))
    colours = ListedColormap(theme.amount_colours())
    most = max((nbytes / size for row in sent for nbytes in row), default=0.0)
    extent = (0.0, count, count, 0.0)
    columns = [list(column) for column in zip(*rows, strict=True)]
    image = _heat_map(axes, columns, extent, colours, Normalize(0.0, most or 1.0))
    axes.set_aspect("equal")
    _colour_bar(axes, image, light, "times the torrent")
    _name_axis(axes, course, "x")
    _name_axis(axes, course, "y")
    axes.set_xlabel("to")
    axes.set_ylabel("from")
    _style(axes, light)
