"""The values behind a panel, for a page that shows them under the pointer.

They are in a form that JSON can hold, and small: each cell is rounded to one byte.
"""

import base64
import math
from collections.abc import Sequence
from typing import NamedTuple

_ABSENT = 255
"""The byte of a cell without a value. Values are at most one less."""


class Curve(NamedTuple):
    """One line: its values at its times, NaN where it has none. `unit`: part or rate."""

    name: str
    unit: str
    times: Sequence[float]
    values: Sequence[float]

    def told(self) -> dict[str, object]:
        """Return the line as a JSON object, NaN as null."""
        return {
            "name": self.name,
            "unit": self.unit,
            "times": [round(each, 4) for each in self.times],
            "values": [None if math.isnan(each) else float(f"{each:.4g}") for each in self.values],
        }


class Curves(NamedTuple):
    """Several lines over time, the values of one panel."""

    seconds: float
    curves: Sequence[Curve]

    def told(self) -> dict[str, object]:
        """Return the lines as a JSON object."""
        return {"kind": "curves", "curves": [each.told() for each in self.curves]}


class Grid(NamedTuple):
    """Cells over time, by columns; -1 for a cell without a value.

    `unit` is copies, percent, doing or rate; a cell's value is a multiple of `step`.
    """

    seconds: float
    names: Sequence[str]
    columns: Sequence[Sequence[int]]
    unit: str
    step: float = 1.0

    def told(self) -> dict[str, object]:
        """Return the grid as a JSON object; the cells are bytes, in base64."""
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
    """The amount that each peer (row) sent in each course (column), in copies of the torrent."""

    names: Sequence[str]
    titles: Sequence[str]
    amounts: Sequence[Sequence[float]]
    slots: int
    """Number of bars that there is room for."""

    def told(self) -> dict[str, object]:
        """Return the bars as a JSON object."""
        rounded = [[round(each, 4) for each in row] for row in self.amounts]
        return {
            "kind": "bars",
            "names": self.names,
            "titles": self.titles,
            "amounts": rounded,
            "slots": self.slots,
        }


class Cells(NamedTuple):
    """The amount that each peer (row) sent to each (column), in copies of the torrent."""

    names: Sequence[str]
    sent: Sequence[Sequence[float]]

    def told(self) -> dict[str, object]:
        """Return the cells as a JSON object."""
        rounded = [[float(f"{each:.3g}") for each in row] for row in self.sent]
        return {"kind": "matrix", "names": self.names, "sent": rounded}


Reading = Curves | Grid | Bars | Cells
