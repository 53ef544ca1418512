"""The numbers behind a panel, for a page that shows them where the pointer is.

What is told is as JSON has it, and small: cells are rounded to a byte each.
"""

import base64
import math
from collections.abc import Sequence
from typing import NamedTuple

_ABSENT = 255
"""Of a cell that stands for nothing. More than this less one is told as that."""


class Curve(NamedTuple):
    """One line: its values at its times; NaN where there is none. `unit`: part or rate."""

    name: str
    unit: str
    times: Sequence[float]
    values: Sequence[float]

    def told(self) -> dict[str, object]:
        """Return it as JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "times": [round(each, 4) for each in self.times],
            "values": [None if math.isnan(each) else float(f"{each:.4g}") for each in self.values],
        }


class Curves(NamedTuple):
    """Lines over time."""

    seconds: float
    curves: Sequence[Curve]

    def told(self) -> dict[str, object]:
        """Return it as JSON."""
        return {"kind": "curves", "curves": [each.told() for each in self.curves]}


class Grid(NamedTuple):
    """Cells over time, by columns; -1 where there is none.

    `unit`: copies, percent, doing or rate; a cell is so many times `step`.
    """

    seconds: float
    names: Sequence[str]
    columns: Sequence[Sequence[int]]
    unit: str
    step: float = 1.0

    def told(self) -> dict[str, object]:
        """Return it as JSON; the cells are bytes, in base64."""
        cells = bytes(
            _ABSENT if cell < 0 else min(cell, _ABSENT - 1)
            for column in self.columns
            for cell in column
        )
        return {
            "kind": "grid",
            "end": self.seconds,
            "unit": self.unit,
            "step": self.step,
            "names": list(self.names),
            "columns": len(self.columns),
            "cells": base64.b64encode(cells).decode(),
        }


class Bars(NamedTuple):
    """What each (row) sent in each (column), in times the torrent."""

    names: Sequence[str]
    titles: Sequence[str]
    amounts: Sequence[Sequence[float]]
    slots: int
    """Bars there is room for."""

    def told(self) -> dict[str, object]:
        """Return it as JSON."""
        rounded = [[round(each, 4) for each in row] for row in self.amounts]
        return {
            "kind": "bars",
            "names": self.names,
            "titles": self.titles,
            "amounts": rounded,
            "slots": self.slots,
        }


class Cells(NamedTuple):
    """What each (row) sent to each (column), in times the torrent."""

    names: Sequence[str]
    sent: Sequence[Sequence[float]]

    def told(self) -> dict[str, object]:
        """Return it as JSON."""
        rounded = [[float(f"{each:.3g}") for each in row] for row in self.sent]
        return {"kind": "matrix", "names": self.names, "sent": rounded}


Reading = Curves | Grid | Bars | Cells
