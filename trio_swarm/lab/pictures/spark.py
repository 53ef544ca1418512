"""Curves as one line of text."""

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
NONE = "·"
"""Stands for nothing at all, which is no small amount."""


def spark(values: Sequence[float], most: float) -> str:
    """Return one character for each value, from 0 to `most`; more than that is as `most`."""
    return "".join(_bar(value / most if most > 0 else 0.0) for value in values)


def _bar(part: float) -> str:
    if not part > 0:  # NaN, too
        return NONE
    return BARS[-1] if part >= 1 else BARS[int(part * len(BARS))]
