"""Tables as wide as the terminal: the columns that matter least go first, then names are cut."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from trio_swarm.cli.output.tables import widest
from trio_swarm.cli.output.text import cell_width, cells_text, columns

_Row = TypeVar("_Row")

LONGEST_NAME = 80
"""Cells of a name where nothing limits the width."""
_FAIR_NAME = 24
"""Cells of a name that other columns give way to."""
_LEAST_NAME = 8


@dataclass(frozen=True)
class Column(Generic[_Row]):
    """A column: what stands in it, and how soon it gives way."""

    title: str
    cell: Callable[[_Row], str]
    is_left: bool = False
    rank: int = 0
    """The highest goes first where there is no room; 0 stays."""


def table_lines(
    shown: Sequence[Column[_Row]], rows: Sequence[_Row], width: int | None
) -> list[str]:
    """Return the heading and a line for each row, not wider than `width` if that can be.

    The first column is the name, which is cut. A column with nothing in it is left out.
    """
    cells = {column.title: [column.cell(row) for row in rows] for column in shown}
    kept = [column for column in shown if not column.rank or any(cells[column.title])]
    names = [cells_text(name, LONGEST_NAME) for name in cells[shown[0].title]]

    def lines(room: int) -> list[str]:
        cut = [cells_text(name, room) for name in names]
        others = [cells[column.title] for column in kept[1:]]
        body = [list(row) for row in zip(cut, *others, strict=True)]
        left = frozenset(index for index, column in enumerate(kept) if column.is_left)
        return columns([[column.title for column in kept], *body], left=left)

    longest = max(map(cell_width, names), default=0)
    if width is None:
        return lines(LONGEST_NAME)
    while any(column.rank for column in kept) and widest(lines(min(longest, _FAIR_NAME))) > width:
        kept.remove(max(kept, key=lambda column: column.rank))
    whole = lines(max(longest, 1))
    over = widest(whole) - width
    return whole if over <= 0 else lines(max(_LEAST_NAME, longest - over))
