"""Sizes, counts, rates and times as text for people.

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


def rate_text(rate: float) -> str:
    """Return bytes/s as `3.20 MiB/s`; nothing for rates that round to none."""
    return f"{size_text(rate)}/s" if rate >= 1 else ""


def duration_text(seconds: float) -> str:
    """Return `0.8 s`, `42 s`, `3:07 min`, `2:05 h`, `3 days`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 48 * 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86_400} days"
