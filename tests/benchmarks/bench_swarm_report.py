"""What one run of a swarm showed, and the tables of many."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench_measuring import Spread, size_text, spread, table
from bench_swarm_columns import COLUMNS

HEADERS = 66
"""Bytes of Ethernet, IPv4 and TCP (with timestamps) before the payload of a packet."""


def payload(octets: int, packets: int) -> int:
    """Return what an interface carried beyond headers; acknowledgements are nothing else.

    Segmentation offload sends many segments as one packet, so this is no fixed share of the bytes.
    """
    return max(0, octets - HEADERS * packets)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of them lie, between two of them if need be."""
    values = sorted(values)
    place = share * (len(values) - 1)
    low = math.floor(place)
    if place == low or math.isinf(values[low + 1]):
        return values[math.ceil(place)]
    return values[low] + (place - low) * (values[low + 1] - values[low])


@dataclass(frozen=True)
class Result:
    """One run. Seconds count from the start of the first leecher's process."""

    column: str
    contestant: str
    size: int
    bound: float
    """Seconds."""
    finished: Sequence[float]
    """When each leecher had verified its last byte; inf: never."""
    groups: Sequence[str]
    """Of each leecher: its client, `rider`, or nothing."""
    first: Sequence[float]
    """When each leecher got its first payload; inf: never."""
    sent: int
    """Bytes that the seeders sent."""
    received: int
    """Bytes that the leechers received."""
    duplicate: int | None
    """Bytes received twice, where the client says it."""
    busy: float
    """Share of the machine's processor time in use."""
    lost: int = 0
    """Pieces that no leecher had at the end, if not all finished."""
    congestion: str = ""
    """TCP's congestion control; empty: the system's, whichever that was."""

    @property
    def place(self) -> str:
        """The column and TCP's congestion control: what is compared with each other."""
        return f"{self.column} under {self.congestion}" if self.congestion else self.column

    @property
    def seconds(self) -> float:
        """Until the last leecher was done."""
        return max(self.finished)

    @property
    def ratio(self) -> float:
        """Of the time to the bound."""
        return self.seconds / self.bound

    @property
    def moving(self) -> float:
        """Of the time from the first byte that any leecher got to the bound: without starting."""
        return (self.seconds - min(self.first)) / self.bound

    @property
    def copies(self) -> float:
        """Copies that the seeders sent, all together."""
        return self.sent / self.size

    @property
    def duplicates(self) -> float:
        """Bytes received twice for each byte needed; nan: not known.

        Where the client does not say it, it is all that was received beyond the copies: requests
        and the like, some 0.3 %, count too.
        """
        needed = self.size * len(self.finished)
        if math.isinf(self.seconds):
            return math.nan
        return (self.received - needed if self.duplicate is None else self.duplicate) / needed

    def by_group(self) -> dict[str, float]:
        """Return the last finisher's seconds of each group."""
        last: dict[str, float] = {}
        for group, seconds in zip(self.groups, self.finished, strict=True):
            last[group] = max(last.get(group, 0.0), seconds)
        return last

    def line(self) -> str:
        """Return a line that sums it up."""
        done = sum(math.isfinite(each) for each in self.finished)
        took = (
            f"{self.seconds:.2f} s, {self.ratio:.2f} T"
            if math.isfinite(self.seconds)
            else f"never ({done} of {len(self.finished)} finished, {self.lost} pieces lost)"
        )
        return (
            f"{self.place}: {self.contestant}: {took}; {self.copies:.2f} copies, "
            f"{100 * self.duplicates:.1f} % duplicate, first byte {min(self.first):.2f}-"
            f"{max(self.first):.2f} s, first finisher {min(self.finished):.1f} s, "
            f"processors {100 * self.busy:.0f} % busy"
        )


def _text(values: Iterable[float], digits: int = 2) -> str:
    """Return `median (least-most)`, or `never` where there is no number."""
    text = _range(spread(values), digits)
    return text.replace("inf", "never").replace("nan", "?")


def _range(found: Spread, digits: int) -> str:
    same = found.least == found.most
    text = f"{found.median:.{digits}f}"
    return text if same or text == "nan" else found.text(digits)


def report(results: Sequence[Result]) -> str:
    """Return a table for each column and congestion control, and one of all of them."""
    runs: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        runs.setdefault((result.place, result.contestant), []).append(result)
    order = list(COLUMNS)
    in_order = sorted(results, key=lambda each: (each.congestion, order.index(each.column)))
    places = list(dict.fromkeys(result.place for result in in_order))
    parts = [_column_table(place, runs) for place in places]
    if len(places) > 1:
        parts.append(_summary(places, runs))
    return "\n\n".join(parts)


Runs = dict[tuple[str, str], list[Result]]


def _column_table(place: str, runs: Runs) -> str:
    found = {contestant: each for (where, contestant), each in runs.items() if where == place}
    name = next(iter(found.values()))[0].column
    sizes = sorted({result.size for result in itertools.chain(*found.values())})
    bounds = ", ".join(f"{size_text(s)}: T = {COLUMNS[name].bound(s):.2f} s" for s in sizes)
    heads = (
        "",
        "runs",
        "time/T",
        "from 1st byte",
        "copies",
        "duplicate %",
        "1st byte",
        "p50",
        "p95",
        "busy %",
    )
    rows = [
        (
            contestant,
            str(len(each)),
            _text(result.ratio for result in each),
            _text(result.moving for result in each),
            _text(result.copies for result in each),
            _text((100 * result.duplicates for result in each), 1),
            # From the first leecher's in any run to the last one's.
            f"{min(min(r.first) for r in each):.2f}-{max(max(r.first) for r in each):.2f}",
            _text((quantile(result.finished, 0.5) for result in each), 1),
            _text((quantile(result.finished, 0.95) for result in each), 1),
            f"{max(100 * result.busy for result in each):.0f}",
        )
        for contestant, each in found.items()
    ]
    lines = [f"{place}: {COLUMNS[name].title} Mbit/s; {bounds}", "", table(heads, rows)]
    groups = list(_group_rows(found))
    if groups:
        lines += ["", table(("last of each group", "time/T"), groups)]
    return "\n".join(lines)


def _group_rows(found: dict[str, list[Result]]) -> Iterable[tuple[str, str]]:
    for contestant, each in found.items():
        names = list(each[0].by_group())
        if len(names) > 1:
            for name in names:
                times = (result.by_group()[name] / result.bound for result in each)
                yield f"{contestant}: {name}", _text(times)


def _summary(places: Sequence[str], runs: Runs) -> str:
    """Return the ratios of all: contestants down, columns across, the best of each marked."""
    contestants = list(dict.fromkeys(contestant for _, contestant in runs))
    medians = {key: spread(r.ratio for r in each).median for key, each in runs.items()}
    best = {
        place: min(median for (where, _), median in medians.items() if where == place)
        for place in places
    }

    def cell(place: str, contestant: str) -> str:
        if (place, contestant) not in runs:
            return ""
        text = _text(result.ratio for result in runs[place, contestant])
        is_best = medians[place, contestant] == best[place] < math.inf
        return f"{text} *" if is_best else f"{text}  "

    rows = [(each, *(cell(place, each) for place in places)) for each in contestants]
    return f"time / T, the best marked:\n\n{table(('', *(f'{each}  ' for each in places)), rows)}"
