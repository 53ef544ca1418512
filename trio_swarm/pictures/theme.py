"""The colours of pictures: one set on white, one on near-black, both told apart by most eyes.

The line colours follow Okabe and Ito (2008), made darker or lighter until they stand out from the
ground; those of heat maps suit both grounds.
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

NO_COPY: Colour = (0.80, 0.05, 0.35, 1.0)
"""Nobody has it: nothing else is as red."""

_FEW_TO_MANY: tuple[Colour, ...] = (
    (0.98, 0.55, 0.15, 1.0),
    (0.96, 0.80, 0.25, 1.0),
    (0.55, 0.78, 0.45, 1.0),
    (0.20, 0.62, 0.60, 1.0),
    (0.20, 0.42, 0.70, 1.0),
    (0.27, 0.27, 0.58, 1.0),
)

_AMOUNT: tuple[float, float, float] = (0.13, 0.50, 0.86)
"""More of it is less transparent, so that nothing is the ground itself."""


def copies_colours(levels: int) -> list[Colour]:
    """Return one colour for each level of copies, the first one for none."""
    return [NO_COPY, *(_between(_FEW_TO_MANY, n, levels - 1) for n in range(levels - 1))]


def amount_colours() -> list[Colour]:
    """Return the colours from a little to all."""
    return [(*_AMOUNT, 0.10 + 0.90 * step / 63) for step in range(64)]


def _between(colours: Sequence[Colour], number: int, count: int) -> Colour:
    place = number * (len(colours) - 1) / max(1, count - 1)
    lower = min(int(place), len(colours) - 2)
    part = place - lower
    red, green, blue, alpha = (
        low + (high - low) * part
        for low, high in zip(colours[lower], colours[lower + 1], strict=True)
    )
    return red, green, blue, alpha
