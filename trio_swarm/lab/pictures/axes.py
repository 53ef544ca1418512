"""Drawing functions that all panels share: labels, axes, heat maps."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.image import AxesImage

from trio_swarm.lab.pictures import theme
from trio_swarm.lab.pictures.lighting import Lighting
from trio_swarm.lab.pictures.numbers import short

LONGEST_NAME = 22
"""Letters of a peer's name on an axis: enough for an IPv4 address and port."""


def plain(text: str, longest: int = 40) -> str:
    """Return text as a label that matplotlib draws literally: no mathematics, and not hidden."""
    return (
        short(text, longest)
        .replace("$", r"\$")
        .replace("_", "\u200b_", 1 if text.startswith("_") else 0)
    )


def style(axes: Axes, light: Lighting) -> None:
    """Give axes the colours of the theme."""
    colours = light.colours
    axes.set_facecolor("none")
    axes.tick_params(colors=colours[theme.FAINT], which="both", length=3)
    for spine in axes.spines.values():
        spine.set_color(colours[theme.RULE])
    axes.xaxis.label.set_color(colours[theme.FAINT])
    axes.yaxis.label.set_color(colours[theme.FAINT])


def style_legend(axes: Axes, light: Lighting, **where: Any) -> None:
    """Draw the legend of the colours, without a frame."""
    legend = axes.legend(frameon=False, **where)
    for text in legend.get_texts():
        text.set_color(light.colours[theme.INK])


def time_axis(axes: Axes, seconds: float) -> None:
    """Make the horizontal axis the time, from 0 to `seconds`."""
    axes.set_xlabel("seconds")
    axes.set_xlim(0.0, seconds or 1.0)


def heat_map(
    axes: Axes,
    grid: Sequence[Sequence[float]],
    extent: tuple[float, float, float, float],
    colours: ListedColormap,
    norm: Normalize,
) -> AxesImage:
    """Draw a grid given by columns; its first row is at the top."""
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


def hatch(axes: Axes, light: Lighting) -> None:
    """Hatch the area that no cell covers."""
    axes.patch.set(hatch="////", edgecolor=light.colours[theme.RULE], linewidth=0.0)


def colour_bar(axes: Axes, image: AxesImage, light: Lighting, label: str, **options: Any) -> Any:
    """Draw the scale of a heat map's colours beside it, and return it."""
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05, **options)
    bar.set_label(label, color=light.colours[theme.FAINT])
    bar.ax.tick_params(colors=light.colours[theme.FAINT], length=0)
    bar.outline.set_visible(False)
    bar.minorticks_off()
    bar.ax.set_facecolor("none")
    assert bar.solids is not None
    bar.solids.set_rasterized(True)
    return bar


def name_axis(axes: Axes, names: Sequence[str], which: str, most: int) -> None:
    """Write names on an axis: all of them, or as many as there is room for."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    step = max(1, -(-len(names) // most))
    shown = range(0, len(names), step)
    labels = [plain(names[index], LONGEST_NAME) for index in shown]
    axis.set_ticks([index + 0.5 for index in shown], labels=labels)
    axis.set_tick_params(labelsize=8.0 if len(shown) < 24 else 7.0)
    if which == "x" and max(map(len, labels), default=0) * len(labels) > 48:
        for label in axes.get_xticklabels():
            label.set_rotation(90)
