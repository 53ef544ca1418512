"""The values of the panels, as numbers and names, on grids that fit a picture."""

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from trio_swarm.lab.pictures.course import (
    Course,
    SenderGroup,
    availability,
    completion,
    finished,
    last_arrival,
    matrix,
    moments,
    names_of,
    rates,
    sending,
    sent_by,
    sources,
    viewers,
)
from trio_swarm.lab.pictures.readings import Grid

COLUMNS = 240
ROWS = 256
MATRIX = 64
"""Most rows and columns of the matrix."""
BARS = 40
"""Most peers with a bar: those that sent most."""
_FEWEST_BARS = 4
"""Least bars that there is room for: a single bar would fill the panel."""
_FEWEST_RATES = 20
_STEPS = 250
"""Distinct rates of a heat map: a cell is one byte."""
_BLOCKS_A_RATE = 8
"""Mean number of blocks that arrive in one part of the time; with fewer, a curve would show single
blocks."""


class Scale(NamedTuple):
    """The axes that all panels of one kind share, so that they can be compared."""

    seconds: float
    """End of the time axes."""
    copies: int
    """Most copies of a piece."""
    rate: float
    """Highest rate of all arrivals together, bytes/s."""
    sender: float
    """Highest rate of one row of peers, bytes/s."""
    pair: float
    """Most bytes that one peer sent to another, in copies of the torrent."""


def scale_of(courses: Sequence[Course]) -> Scale:
    """Return a scale that has room for all courses."""
    pairs = (
        nbytes / max(1, each.size)
        for each in courses
        for row in matrix(each, MATRIX)[1]
        for nbytes in row
    )
    return Scale(
        seconds=max((each.seconds for each in courses), default=0.0),
        copies=max(
            (
                copies
                for each in courses
                for column in availability(each, moments(each.seconds, COLUMNS), ROWS)
                for copies in column
            ),
            default=0,
        ),
        rate=max(
            (
                sum(column)
                for each in courses
                for column in zip(*rates(each, sources(each), _rate_columns(each)), strict=True)
            ),
            default=0.0,
        ),
        sender=max(
            (rate for each in courses for column in sender_rates(each) for rate in column),
            default=0.0,
        ),
        pair=max(pairs, default=0.0),
    )


def short(text: str, longest: int = 80) -> str:
    """Return text without line breaks and control characters, and of limited length."""
    text = "".join(each if each.isprintable() else "?" for each in text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def levels_of(most: int) -> list[int]:
    """Return the least copies of each colour: 0, 1, 2, 3, 4, 6, 8, 12 … up to `most`."""
    levels = [0, 1, 2, 3]
    power = 4
    while power <= most:
        levels += [power, power + power // 2]
        power *= 2
    return [level for level in levels if level <= max(1, most)]


class Line(NamedTuple):
    """One line of the completion panel; its value is NaN where it has none."""

    name: str
    values: list[float]
    colour: int
    """Number of the course; -1 for a recording peer."""
    peer: int
    """Index of the peer if the line is for one peer; else -1."""
    is_dashed: bool


def curves_of(course: Course, number: int, courses: Sequence[Course]) -> list[Line]:
    """Return the lines of one of several courses, at times common to all."""
    seconds = max((each.seconds for each in courses), default=0.0)
    times = [0.0, *moments(seconds, COLUMNS)]
    lines = []
    for index in course.recorders:
        peer = course.peers[index]
        end = math.inf if peer.left is None else peer.left
        values = [
            part if peer.joined <= when <= end else math.nan
            for when, part in zip(times, completion(course, times, [index]), strict=True)
        ]
        lines.append(Line(peer.name, values, -1, index, is_dashed=False))
    if lines:
        return lines
    # The first moment after the end is kept: it has the final values.
    kept = 1 + bisect_left(times, course.seconds) if course.seconds else len(times)

    def until_end(values: Sequence[float]) -> list[float]:
        return [part if at < kept else math.nan for at, part in enumerate(values)]

    title = course.title if len(courses) > 1 else "on the mean"
    lines.append(Line(title, until_end(completion(course, times)), number, -1, is_dashed=False))
    if len(course.fetching) > 1:
        title = f"{course.title}: complete" if len(courses) > 1 else "complete"
        lines.append(Line(title, until_end(finished(course, times)), number, -1, is_dashed=True))
    return lines


def amounts_of(courses: Sequence[Course]) -> tuple[list[str], list[list[float]]]:
    """Return the names of the peers that sent most, and the amounts they sent in each course."""
    totals: dict[str, float] = {}
    each_sent = []
    for course in courses:
        sent: dict[str, float] = {}
        for peer, nbytes in zip(course.peers, sent_by(course), strict=True):
            # A real peer that connected again is another peer with the same name.
            sent[peer.name] = sent.get(peer.name, 0.0) + nbytes / max(1, course.size)
        for name, amount in sent.items():
            totals[name] = totals.get(name, 0.0) + amount
        each_sent.append(sent)
    senders = [name for name, amount in totals.items() if amount]
    if len(senders) > BARS:
        most = sorted(senders, key=lambda name: -totals[name])[:BARS]
        senders = [name for name in senders if name in frozenset(most)]
    amounts = [[sent.get(name, 0.0) for name in senders] for sent in each_sent]
    return senders, amounts


def marks_of(courses: Sequence[Course]) -> str:
    """Return the explanation of the marks of peers that leave."""
    dies = any(peer.died for each in courses for peer in each.peers)
    return "| it leaves, x it dies" if dies else "| it leaves"


def slots_of(names: Sequence[str]) -> int:
    """Return how many bars there is room for."""
    return max(_FEWEST_BARS, len(names))


def rate_curves(course: Course) -> list[tuple[list[float], SenderGroup, list[float]]]:
    """Return times, group and bytes/s for each group of senders, until the last block."""
    apart = sources(course)
    columns = _rate_columns(course)
    width = course.seconds / columns
    last = last_arrival(course)
    times = [width * (column + 0.5) for column in range(columns)]
    kept = max(1, sum(when - width / 2 <= last for when in times))
    return [
        (times[:kept], source, row[:kept])
        for source, row in zip(apart, rates(course, apart, columns), strict=True)
    ]


def sender_rates(course: Course) -> list[list[float]]:
    """Return the bytes/s of each row of peers, by columns, until the end; empty if none sent."""
    return sending(course, _rate_columns(course), ROWS) if course.blocks.at else []


def has_rows_of_senders(course: Course) -> bool:
    """Whether there are more senders than curves can show."""
    return any(len(source.peers) > 1 for source in sources(course))


def _rate_columns(course: Course) -> int:
    """Return how many parts the time is divided into, so that several blocks arrive in each.

    The parts are the same for curves and for rows of peers, which would otherwise differ.
    """
    rows = len(set(course.blocks.sender)) if has_rows_of_senders(course) else 1
    columns = len(course.blocks.at) // (_BLOCKS_A_RATE * max(1, rows))
    return max(_FEWEST_RATES, min(COLUMNS // 2, columns))


def cells_of(course: Course) -> tuple[list[str], list[list[float]]]:
    """Return names, and the amounts that each peer sent to each, in copies of the torrent."""
    names, sent = matrix(course, MATRIX)
    size = max(1, course.size)
    return [short(name) for name in names], [[nbytes / size for nbytes in row] for row in sent]


def piece_names(pieces: int) -> list[str]:
    """Return the labels of the rows of pieces."""
    rows = min(pieces, ROWS)
    bounds = [pieces * row // rows for row in range(rows + 1)] if rows else []
    return [
        f"piece {a}" if b - a == 1 else f"pieces {a} to {b - 1}"
        for a, b in itertools.pairwise(bounds)
    ]


def viewer_names(course: Course) -> list[str]:
    """Return the labels of the rows of viewers."""
    every = [course.peers[index] for index in viewers(course)]
    return names_of(Course(title="", size=0, pieces=0, seconds=0.0, peers=every), ROWS)


def grid_of(
    seconds: float, columns: Sequence[Sequence[float]], names: Sequence[str], unit: str
) -> Grid:
    """Return the values of a heat map by columns, rounded down to whole numbers."""
    return Grid(
        seconds, list(names), [[math.floor(cell) for cell in column] for column in columns], unit
    )


def rate_grid_of(course: Course, columns: Sequence[Sequence[float]], most: float) -> Grid:
    """Return the rates of a heat map, rounded to the nearest of `_STEPS` steps up to `most`."""
    step = most / _STEPS or 1.0
    cells = [[-1 if cell < 0 else round(cell / step) for cell in column] for column in columns]
    names = [short(name) for name in names_of(course, ROWS)]
    return Grid(course.seconds, names, cells, "rate", step)
