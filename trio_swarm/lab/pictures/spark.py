"""A curve as one line of text, one character for each value."""

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
NONE = "·"
"""Character for nothing at all, which differs from a small amount."""


def spark(values: Sequence[float], most: float) -> str:
    """Return one character for each value, from 0 to `most`; a larger value counts as `most`."""
    return "".join(_bar(value / most if most > 0 else 0.0) for value in values)


def _bar(part: float) -> str:
    if not part > 0:  # NaN, too
        return NONE
    return BARS[-1] if part >= 1 else BARS[int(part * len(BARS))]
