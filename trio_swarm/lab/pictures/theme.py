"""The colours of pictures: one set on white, one on near-black, distinct to most eyes.

The line colours follow Okabe and Ito (2008), made darker or lighter to contrast with the
background. All heat maps use one sequence of colours, viridis (Smith and van der Walt, 2015): its
equal steps look equally large, to most eyes and in grey. It suits both backgrounds.
"""

from collections.abc import Sequence

INK = "ink"
FAINT = "faint"
RULE = "rule"
PAPER = "paper"
SERIES = tuple(f"line{number}" for number in range(8))

LIGHT = {
    INK: "#1b1f24",
    FAINT: "#57606b",
    RULE: "#d3d9e0",
    PAPER: "#fefefe",
    SERIES[0]: "#0b6fb8",
    SERIES[1]: "#d1570b",
    SERIES[2]: "#12805c",
    SERIES[3]: "#a8478b",
    SERIES[4]: "#8a6d01",
    SERIES[5]: "#6f5bd0",
    SERIES[6]: "#b3202c",
    SERIES[7]: "#5b6671",
}
DARK = {
    INK: "#e9edf2",
    FAINT: "#9da7b3",
    RULE: "#343b44",
    PAPER: "#14181d",
    SERIES[0]: "#5cb3f5",
    SERIES[1]: "#ff9a56",
    SERIES[2]: "#4fcf9f",
    SERIES[3]: "#ee92cf",
    SERIES[4]: "#e0c04a",
    SERIES[5]: "#ab9bff",
    SERIES[6]: "#ff7d83",
    SERIES[7]: "#aab4be",
}

Colour = tuple[float, float, float, float]

NO_COPY: Colour = (0.84, 0.10, 0.36, 1.0)
"""The colour of a piece that no peer has: no other colour is as red."""

_VIRIDIS: tuple[Colour, ...] = tuple(
    (red / 255, green / 255, blue / 255, 1.0)
    for red, green, blue in (
        (68, 1, 84),
        (71, 44, 122),
        (59, 81, 139),
        (44, 113, 142),
        (33, 144, 141),
        (39, 173, 129),
        (92, 200, 99),
        (170, 220, 50),
        (253, 231, 37),
    )
)
"""Colours from little to much, at equal distances."""


def amount_colours(steps: int = 64) -> list[Colour]:
    """Return `steps` colours, from a small amount to all."""
    return [_between(_VIRIDIS, number, steps) for number in range(steps)]


def copies_colours(levels: int) -> list[Colour]:
    """Return one colour for each level of copies; the first one means no copy."""
    return [NO_COPY, *amount_colours(levels - 1)]


def _between(colours: Sequence[Colour], number: int, count: int) -> Colour:
    place = number * (len(colours) - 1) / max(1, count - 1)
    lower = min(int(place), len(colours) - 2)
    part = place - lower
    red, green, blue, alpha = (
        low + (high - low) * part
        for low, high in zip(colours[lower], colours[lower + 1], strict=True)
    )
    return red, green, blue, alpha
