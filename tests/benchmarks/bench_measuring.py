"""Numbers of repeated runs: medians, spread, and ratios taken within each round.

A shared machine is faster in one minute than in the next. So every contestant runs once a round,
rounds follow each other, and a ratio is the median of the ratios of each round: what slows one
round slows both of its terms.
"""

import mmap
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_UNITS = {"": 1, "k": KIB, "m": MIB, "g": GIB}


class Spread(NamedTuple):
    """The middle and the ends of some measurements."""

    median: float
    least: float
    most: float

    def text(self, digits: int = 0) -> str:
        """Return `median (least-most)`."""
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}-{self.most:.{digits}f})"


def spread(values: Iterable[float]) -> Spread:
    """Return the spread of one measurement or more."""
    values = sorted(values)
    return Spread(statistics.median(values), values[0], values[-1])


def ratios(values: Sequence[float], others: Sequence[float]) -> Spread:
    """Return the spread of values[i] / others[i]: both were measured in round i."""
    return spread(value / other for value, other in zip(values, others, strict=True))


def parse_size(text: str) -> int:
    """Return bytes for `1GiB`, `64m`, `16384`; ValueError for anything else or nothing."""
    number = text.rstrip("BIbiKMGkmg")
    unit = text[len(number) :].lower().removesuffix("b").removesuffix("i")
    if unit not in _UNITS:
        raise ValueError(f"{text!r} is no size like 256MiB")
    size = round(float(number) * _UNITS[unit])
    if size < 1:
        raise ValueError(f"{text!r} is not more than 0")
    return size


def size_text(size: int) -> str:
    """Return `1 GiB`, `256 KiB`, or bytes if it is no round number of them."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def in_alternation(round_number: int, contestants: Sequence[str]) -> list[str]:
    """Return the order of one round: forwards, then backwards, so that nobody is always first."""
    return list(contestants) if round_number % 2 == 0 else list(reversed(contestants))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return lines with the first column left and the others right aligned."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


SPARE = 512 * MIB
"""Bytes of memory that programs take besides their files."""


def warm_memory(size: int) -> None:
    """Have the system hold `size` bytes of free memory that it can hand out at once, and SPARE.

    A virtual machine gives memory that is free for some seconds back to its host. Getting it again
    was seen to take up to 2 s a GiB, in whichever run happened to need it.
    """
    text = Path("/proc/meminfo").read_text()
    free = next(int(line.split()[1]) * KIB for line in text.splitlines() if "MemFree" in line)
    size = min(size + SPARE, free - SPARE)
    if size > 0:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_POPULATE).close()
