"""Sizes and counts as text for people.

Every layer that writes a message imports this module; it imports none of them.
"""

from typing import Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size_text(size: float) -> str:
    """Return bytes as `512 B`, `1.50 KiB`, `256 MiB`: three significant digits."""
    for unit in _UNITS:
        if abs(size) < 1000 or unit == _UNITS[-1]:
            break
        size /= 1024
    if unit == "B" or size == int(size):
        return f"{size:.0f} {unit}"
    digits = 2 if size < 10 else 1 if size < 100 else 0
    return f"{size:.{digits}f} {unit}"


def count_text(count: int, noun: str) -> str:
    """Return a count with its noun: `1 piece`, `1,024 pieces`, `2 copies`."""
    if count == 1:
        return f"1 {noun}"
    many = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else f"{noun}s"
    return f"{count:,} {many}"


def percent_text(part: float, whole: float) -> str:
    """Return `37 %`, and never `100 %` before all is there."""
    if whole <= 0:
        return "0 %"
    return "100 %" if part >= whole else f"{min(99.0, int(1000 * part / whole) / 10):g} %"
