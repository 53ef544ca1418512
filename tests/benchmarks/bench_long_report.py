"""What one run over a long link showed, and the tables of many."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench_long_rows import ROWS
from bench_measuring import size_text, spread, table
from bench_swarm_columns import EFFICIENCY

from shaped_links import MBIT

BASELINE = "libtorrent"


@dataclass(frozen=True)
class LongResult:
    """One run. Seconds count from the start of the leecher's process."""

    row: str
    contestant: str
    size: int
    bound: float
    """Seconds that the link takes for the bytes at least."""
    seconds: float
    """Until the last byte was verified."""
    first: float
    """Until the first payload came."""
    settled: float
    """Share of the link in use from one second after the first payload on."""
    load: float | None
    """Bytes a second of what the seeder downloaded at the same time."""
    busy: float
    """Share of the machine's processor time in use."""

    @property
    def share(self) -> float:
        """Of the link, from the start of the process to the end."""
        return self.bound / self.seconds

    def line(self) -> str:
        """Return a line that sums it up."""
        load = "" if self.load is None else f", load {self.load / MBIT / EFFICIENCY:.0f} Mbit/s"
        return (
            f"{self.row}: {self.contestant}: {self.seconds:.2f} s, {self.share:.2f} of the link, "
            f"{self.settled:.2f} settled, first byte {self.first:.2f} s{load}, "
            f"processors {100 * self.busy:.0f} % busy"
        )


def report(results: Sequence[LongResult]) -> str:
    """Return a table for each row."""
    found: dict[str, dict[str, list[LongResult]]] = {}
    for result in results:
        found.setdefault(result.row, {}).setdefault(result.contestant, []).append(result)
    return "\n\n".join(_row_table(name, found[name]) for name in ROWS if name in found)


def _row_table(name: str, found: dict[str, list[LongResult]]) -> str:
    heads = ("", "runs", "seconds", "share", "settled", "worst", "1st byte", f"{BASELINE} takes")
    baseline = found.get(BASELINE, [])
    rows = []
    for contestant, each in found.items():
        cells = [
            contestant,
            str(len(each)),
            spread(run.seconds for run in each).text(2),
            f"{spread(run.share for run in each).median:.2f}",
            f"{spread(run.settled for run in each).median:.2f}",
            f"{min(run.settled for run in each):.2f}",
            f"{spread(run.first for run in each).median:.2f}",
            f"{_times(baseline, each):.2f}x",
        ]
        if each[0].load is not None:
            loads = (run.load / MBIT / EFFICIENCY for run in each if run.load is not None)
            cells.append(spread(loads).text(0))
        rows.append(cells)
    if len(rows[0]) > len(heads):
        heads = (*heads, "load, Mbit/s")
    (first, *_) = next(iter(found.values()))
    title = (
        f"{name}: {ROWS[name].title} Mbit/s; {size_text(first.size)}: {first.bound:.2f} s at least"
    )
    return f"{title}\n\n{table(heads, rows)}"


def _times(baseline: Sequence[LongResult], runs: Sequence[LongResult]) -> float:
    """Return the median time of the one as a multiple of the other's; nan: not measured."""
    if not baseline:
        return math.nan
    medians = [spread(run.seconds for run in each).median for each in (baseline, runs)]
    return medians[0] / medians[1]
