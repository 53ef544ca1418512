"""The panels of a picture, each drawn on given matplotlib axes.

Heat maps are images of at most `COLUMNS` by `ROWS` points, for any number of events. Each panel
also has its values, for a page that shows them under the pointer.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from trio_swarm.lab.pictures import theme
from trio_swarm.lab.pictures.axes import (
    LONGEST_NAME,
    colour_bar,
    hatch,
    heat_map,
    name_axis,
    plain,
    style,
    style_legend,
    time_axis,
)
from trio_swarm.lab.pictures.course import (
    MOST_SOURCES,
    PLAYS,
    STALLS,
    WAITS,
    Course,
    availability,
    holdings,
    moments,
    names_of,
    sent_by,
    viewers,
    watching,
)
from trio_swarm.lab.pictures.lighting import Lighting, SourceColours
from trio_swarm.lab.pictures.numbers import (
    BARS,
    COLUMNS,
    ROWS,
    Line,
    Scale,
    amounts_of,
    cells_of,
    curves_of,
    grid_of,
    has_rows_of_senders,
    levels_of,
    marks_of,
    piece_names,
    rate_curves,
    rate_grid_of,
    sender_rates,
    short,
    slots_of,
    viewer_names,
)
from trio_swarm.lab.pictures.readings import Bars, Cells, Curve, Curves, Reading

_ROW = 0.155
"""Inches of a row with a name."""
NAMED = 40
"""Most rows that a panel grows for, so that each has its name; of more rows, some have a name."""
_MARKED = 400
"""Most peers whose leaving is marked; more marks could not be distinguished."""
_AS_SEEN = (
    "Red: nobody there has said that it has it (a seeder may tell of its pieces one by one, and "
    "not say that it is one). "
)
_DOING = {WAITS: "waits to start", PLAYS: "plays", STALLS: "stalls"}
MIB = 1024 * 1024


class Panel(NamedTuple):
    """One panel: its title, its values, and the function that draws it."""

    key: str
    title: str
    says: str
    draw: Callable[[Axes], None]
    read: Callable[[], Reading]
    height: float = 3.0
    """Inches, for a width of 6."""


def common_panels(courses: Sequence[Course], light: Lighting) -> list[Panel]:
    """Return the panels in which all courses are compared."""
    says = "How much of it is there and verified."
    if any(each.recorders for each in courses):
        says = "What each peer that recorded has, from when its recording begins until it ends."
    elif any(len(each.fetching) > 1 for each in courses):
        says = (
            "Solid: what all that ever fetch have, on the mean. "
            "Dashed: which part of them has everything."
        )
    if any(peer.left is not None for each in courses for peer in each.peers):
        says += f" At the top, for each peer: {marks_of(courses)}."
    curves = [
        curve for number, each in enumerate(courses) for curve in curves_of(each, number, courses)
    ]
    names, amounts = amounts_of(courses)
    rest = max(sum(1 for sent in sent_by(each) if sent) for each in courses) if courses else 0
    told = f", of those that sent most ({BARS} of {rest:,})" if rest > BARS else ""
    seconds = max((each.seconds for each in courses), default=0.0)
    tall = max(3.0, 1.1 + _ROW * max(1.0, 0.45 * len(courses)) * len(names))
    return [
        Panel(
            "completion",
            "Completion",
            says,
            lambda axes: _draw_completion(axes, courses, curves, light),
            lambda: Curves(
                seconds,
                [
                    Curve(
                        short(curve.name),
                        "part",
                        [0.0, *moments(seconds, COLUMNS)],
                        curve.values,
                    )
                    for curve in curves
                ],
            ),
        ),
        Panel(
            "shares",
            "Who sent how much",
            f"What arrived from each peer, in times the torrent{told}.",
            # The legend is far enough below the axis for the axis labels.
            lambda axes: _draw_amounts(axes, courses, names, amounts, light, -0.5 / (tall - 1.1)),
            lambda: Bars(
                list(map(short, names)),
                [short(each.title) for each in courses],
                amounts,
                slots_of(names),
            ),
            height=tall,
        ),
    ]


def own_panels(
    course: Course, scale: Scale, colours: SourceColours, light: Lighting
) -> list[Panel]:
    """Return the panels of one course; all arguments but the first are common to all courses."""
    times = moments(course.seconds, COLUMNS)
    peer_rows = min(len(course.peers), ROWS)
    has_left = any(peer.left is not None for peer in course.peers)
    panels = [
        Panel(
            "availability",
            "Copies of each piece",
            (
                "Red: nobody there has it; dark: hardly anybody. "
                if course.follows is None
                else _AS_SEEN
            )
            + "A row that stands for several pieces shows the rarest.",
            lambda axes: _draw_availability(axes, course, scale, light),
            lambda: grid_of(
                course.seconds,
                availability(course, times, ROWS),
                piece_names(course.pieces),
                "copies",
            ),
            height=3.4,
        ),
        Panel(
            "holdings",
            "What each peer has",
            "A row is a peer, from when it comes until it goes; hatched: it is not there."
            + (f" {marks_of([course])}." if has_left else ""),
            lambda axes: _draw_holdings(axes, course, scale, light),
            lambda: grid_of(
                course.seconds,
                [
                    [100 * part + 1e-6 if part >= 0 else -1 for part in each]
                    for each in holdings(course, times, ROWS)
                ],
                [short(name) for name in names_of(course, ROWS)],
                "percent",
            ),
            height=max(3.4, 0.8 + _ROW * min(peer_rows, NAMED)),
        ),
    ]
    if viewers(course):
        rows = min(len(viewers(course)), ROWS)
        panels.append(
            Panel(
                "playback",
                "Who watches without waiting",
                "A row is a viewer: it waits until enough is there, plays, and stalls where a "
                "piece is due and missing. A row of several viewers shows the worst.",
                lambda axes: _draw_playback(axes, course, scale, light),
                lambda: grid_of(
                    course.seconds,
                    watching(course, times, ROWS),
                    [short(name) for name in viewer_names(course)],
                    "doing",
                ),
                height=max(2.6, 0.9 + _ROW * min(rows, NAMED)),
            )
        )
    if course.blocks.at:
        panels.append(
            Panel(
                "rates",
                "Who sent when",
                "Bytes of blocks that arrived, by sender, one above the other, until the last one.",
                lambda axes: _draw_rates(axes, course, scale, colours, light),
                lambda: Curves(
                    scale.seconds,
                    [
                        Curve(short(source.name), "rate", middles, row)
                        for middles, source, row in rate_curves(course)
                    ],
                ),
                height=3.4,
            )
        )
    if has_rows_of_senders(course):
        panels.append(
            Panel(
                "senders",
                "How fast each peer sent",
                "A row is a peer; hatched: it is not there. A row of several peers is their mean.",
                lambda axes: _draw_senders(axes, course, scale, light),
                lambda: rate_grid_of(course, sender_rates(course), scale.sender),
                height=max(3.4, 0.8 + _ROW * min(peer_rows, NAMED)),
            )
        )
    if len(set(course.blocks.receiver)) > 1:
        panels.append(
            Panel(
                "matrix",
                "Who sent to whom",
                "Rows send, columns receive, in times the torrent.",
                lambda axes: _draw_matrix(axes, course, scale, light),
                lambda: Cells(*cells_of(course)),
                height=max(4.6, 1.4 + _ROW * 0.8 * min(len(course.peers), NAMED)),
            )
        )
    return panels


# The drawing functions


def _draw_completion(
    axes: Axes, courses: Sequence[Course], curves: Sequence[Line], light: Lighting
) -> None:
    seconds = max((each.seconds for each in courses), default=0.0)
    times = [0.0, *moments(seconds, COLUMNS)]
    colours = SourceColours(courses, light)
    recorders = [course.peers[index] for course in courses for index in course.recorders]
    for curve, peer in itertools.zip_longest(curves, recorders[: len(curves)]):
        label = plain(curve.name, LONGEST_NAME if peer is not None else 40)
        if curve.peer >= 0 and peer is not None:
            colour, stroke = colours.of(peer), colours.stroke_of(peer)
            axes.plot(times, curve.values, color=colour, label=label, lw=1.8, ls=stroke)
        elif curve.is_dashed:
            colour = light.line(curve.colour)
            axes.plot(times, curve.values, color=colour, lw=1.1, ls=(0, (4, 2)))
        else:
            colour = light.line(curve.colour)
            axes.plot(times, curve.values, color=colour, label=label, lw=1.8)
    for number, course in enumerate(courses):
        colour = light.line(number) if len(courses) > 1 else light.colours[theme.FAINT]
        _mark_leaving(axes, course, [1.035 + 0.03 * number] * len(course.peers), colour)
    time_axis(axes, seconds)
    axes.set_ylim(0.0, 1.06 + 0.03 * max(0, len(courses) - 1))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_yticks([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.grid(color=light.colours[theme.RULE], lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    style(axes, light)
    is_dashed = any(curve.is_dashed for curve in curves)
    if is_dashed:
        colour = light.line(0) if len(courses) == 1 else light.colours[theme.FAINT]
        axes.plot([], [], color=colour, lw=1.1, ls=(0, (4, 2)), label="have everything")
    if len(courses) > 1 or is_dashed or 0 < len(recorders) <= NAMED:
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": 3}
        is_crowded = len(curves) > 6 or any(
            peer.left is not None for c in courses for peer in c.peers
        )
        style_legend(axes, light, **(below if is_crowded else {"loc": "upper left"}))


def _mark_leaving(
    axes: Axes, course: Course, heights: Sequence[float], colour: str, size: float = 5.0
) -> None:
    """Mark where peers leave and die, each at its height."""
    gone = [
        (peer.left, height, peer.died)
        for peer, height in zip(course.peers, heights, strict=True)
        if peer.left is not None and peer.left <= course.seconds
    ][:_MARKED]
    for marker, died in (("|", False), ("x", True)):
        places = [(left, height) for left, height, is_dead in gone if is_dead == died]
        if places:
            axes.plot(
                [left for left, _ in places],
                [height for _, height in places],
                ls="",
                marker=marker,
                ms=size,
                mew=1.3,
                color=colour,
                clip_on=False,
                gid="left" if not died else "died",
            )


def _draw_amounts(  # noqa: PLR0917  the values and their style
    axes: Axes,
    courses: Sequence[Course],
    names: Sequence[str],
    amounts: Sequence[Sequence[float]],
    light: Lighting,
    below: float,
) -> None:
    colours = SourceColours(courses, light)
    thick = 0.78 / max(1, len(courses))
    known = {peer.name: peer for each in courses for peer in each.peers}
    for number, (course, row) in enumerate(zip(courses, amounts, strict=True)):
        places = [place - 0.39 + thick * (number + 0.5) for place in range(len(names))]
        colour: str | list[str] = light.line(number)
        if len(courses) == 1:
            colour = [colours.of(known[name]) for name in names]
        axes.barh(places, row, height=thick, color=colour, label=plain(course.title))
    most = max((amount for row in amounts for amount in row), default=0.0)
    axes.set_xlim(0.0, 1.08 * most or 1.0)
    axes.set_ylim(slots_of(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [plain(name, LONGEST_NAME) for name in names])
    axes.tick_params(axis="y", labelsize=8.0)
    axes.set_xlabel("times the torrent")
    axes.grid(axis="x", color=light.colours[theme.RULE], lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    style(axes, light)
    if len(courses) > 1 and names:
        style_legend(axes, light, loc="upper center", bbox_to_anchor=(0.5, below), ncols=3)


def _draw_availability(axes: Axes, course: Course, scale: Scale, light: Lighting) -> None:
    most = scale.copies
    levels = levels_of(most)
    grid = availability(course, moments(course.seconds, COLUMNS), ROWS)
    colours = ListedColormap(theme.copies_colours(len(levels)))
    norm = BoundaryNorm([*(level - 0.5 for level in levels), max(1, most) + 0.5], len(levels))
    extent = (0.0, course.seconds or 1.0, max(1.0, course.pieces), 0.0)
    image = heat_map(axes, grid, extent, colours, norm)
    bounds = [*levels, max(1, most) + 1]
    middles = [(low + high) / 2 - 0.5 for low, high in itertools.pairwise(bounds)]
    bar = colour_bar(axes, image, light, "copies", spacing="uniform", ticks=middles)
    bar.set_ticklabels(
        [
            str(low) if high - low == 1 else f"{low}-{high - 1}"
            for low, high in itertools.pairwise(bounds)
        ]
    )
    time_axis(axes, scale.seconds)
    axes.set_ylabel("piece")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    style(axes, light)


def _draw_holdings(axes: Axes, course: Course, scale: Scale, light: Lighting) -> None:
    columns = holdings(course, moments(course.seconds, COLUMNS), ROWS)
    grid = [[math.nan if part < 0 else part for part in column] for column in columns]
    colours = ListedColormap(theme.amount_colours())
    count = len(course.peers)
    extent = (0.0, course.seconds or 1.0, max(1.0, count), 0.0)
    image = heat_map(axes, grid, extent, colours, Normalize(0.0, 1.0))
    colour_bar(axes, image, light, "of the torrent", format=PercentFormatter(1.0, decimals=0))
    _mark_leaving(
        axes,
        course,
        [index + 0.5 for index in range(count)],
        light.colours[theme.INK],
        size=6.0 if count <= NAMED else 3.0,
    )
    time_axis(axes, scale.seconds)
    axes.set_ylim(max(1.0, count), 0.0)
    name_axis(axes, [peer.name for peer in course.peers], "y", NAMED)
    style(axes, light)
    hatch(axes, light)


def _draw_playback(axes: Axes, course: Course, scale: Scale, light: Lighting) -> None:
    columns = watching(course, moments(course.seconds, COLUMNS), ROWS)
    grid = [[math.nan if state < 0 else state for state in column] for column in columns]
    shades = {WAITS: (0.55, 0.60, 0.66, 1.0), PLAYS: (0.13, 0.57, 0.55, 1.0), STALLS: theme.NO_COPY}
    colours = ListedColormap([shades[state] for state in sorted(shades)])
    names = [course.peers[index].name for index in viewers(course)]
    extent = (0.0, course.seconds or 1.0, max(1.0, len(names)), 0.0)
    heat_map(axes, grid, extent, colours, BoundaryNorm([-0.5, 0.5, 1.5, 2.5], 3))
    time_axis(axes, scale.seconds)
    name_axis(axes, names, "y", NAMED)
    style(axes, light)
    hatch(axes, light)
    handles = [Patch(color=shades[state], label=_DOING[state]) for state in sorted(shades)]
    style_legend(axes, light, handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)


def _draw_rates(
    axes: Axes, course: Course, scale: Scale, colours: SourceColours, light: Lighting
) -> None:
    curves = rate_curves(course)
    axes.stackplot(
        curves[0][0],
        [[rate / MIB for rate in row] for _, _, row in curves],
        labels=[plain(source.name, LONGEST_NAME) for _, source, _ in curves],
        colors=[colours.of(source) for _, source, _ in curves],
        lw=0,
    )
    time_axis(axes, scale.seconds)
    axes.set_ylim(0.0, 1.05 * scale.rate / MIB or 1.0)
    axes.set_ylabel("MiB/s")
    axes.grid(color=light.colours[theme.RULE], lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    style(axes, light)
    columns = 3 if max(len(source.name) for _, source, _ in curves) > 12 else MOST_SOURCES
    style_legend(axes, light, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns)


def _draw_senders(axes: Axes, course: Course, scale: Scale, light: Lighting) -> None:
    grid = [
        [math.nan if rate < 0 else rate / MIB for rate in column] for column in sender_rates(course)
    ]
    colours = ListedColormap(theme.amount_colours())
    extent = (0.0, course.seconds or 1.0, max(1.0, len(course.peers)), 0.0)
    image = heat_map(axes, grid, extent, colours, Normalize(0.0, scale.sender / MIB or 1.0))
    colour_bar(axes, image, light, "MiB/s")
    time_axis(axes, scale.seconds)
    name_axis(axes, [peer.name for peer in course.peers], "y", NAMED)
    style(axes, light)
    hatch(axes, light)


def _draw_matrix(axes: Axes, course: Course, scale: Scale, light: Lighting) -> None:
    _, sent = cells_of(course)
    columns = [[each or math.nan for each in column] for column in zip(*sent, strict=True)]
    count = max(1.0, len(course.peers))
    colours = ListedColormap(theme.amount_colours())
    extent = (0.0, count, count, 0.0)
    image = heat_map(axes, columns, extent, colours, Normalize(0.0, scale.pair or 1.0))
    axes.set_aspect("equal")
    colour_bar(axes, image, light, "times the torrent")
    every = [peer.name for peer in course.peers]
    name_axis(axes, every, "x", NAMED)
    name_axis(axes, every, "y", NAMED)
    axes.set_xlabel("to")
    axes.set_ylabel("from")
    style(axes, light)
