"""The course of one swarm: which peers were there, who had which piece when, who sent to whom.

Times are seconds from the start, amounts bytes. All values of a picture are computed here, on grids
whose size the caller gives, so that a picture of a thousand peers is no larger than one of ten.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct, field

from trio_swarm.lab.simulator.playback import PlaybackSpec, Span, spans
from trio_swarm.piece_sets import PieceSet, iterate

Role = Literal["seeder", "leecher", "free-rider"]

MOST_SOURCES = 7
"""Most groups of senders in a picture, as many as there are distinct colours; all other senders are
one group."""


class CoursePeer(Struct, kw_only=True):
    """One peer; a real peer that connected again is another `CoursePeer`."""

    name: str
    role: Role
    joined: float = 0.0
    left: float | None = None
    died: bool = False
    """Whether it left without closing its connections."""
    had: PieceSet = 0
    """Pieces it had when it joined."""


class Blocks(Struct):
    """Blocks that arrived, in the order of their times."""

    at: "array[float]" = field(default_factory=lambda: array("d"))
    sender: "array[int]" = field(default_factory=lambda: array("I"))
    receiver: "array[int]" = field(default_factory=lambda: array("I"))
    piece: "array[int]" = field(default_factory=lambda: array("I"))
    length: "array[int]" = field(default_factory=lambda: array("I"))

    def add(self, at: float, sender: int, receiver: int, piece: int, length: int) -> None:
        """Add the arrival of `length` bytes of a piece."""
        self.at.append(at)
        self.sender.append(sender)
        self.receiver.append(receiver)
        self.piece.append(piece)
        self.length.append(length)


_EARLIER = 1.0 - 2.0**-24
"""Factor just below 1: a time multiplied by it is not later once it is rounded to 32 bits."""


class Gains(Struct):
    """Which peer got which piece at what time, in the order of the times."""

    at: "array[float]" = field(default_factory=lambda: array("d"))
    peer: "array[int]" = field(default_factory=lambda: array("I"))
    piece: "array[int]" = field(default_factory=lambda: array("I"))
    part_of_time: float = 1.0
    """Factor that times are multiplied by when they are stored."""

    @classmethod
    def of_swarm(cls, peers: int, pieces: int) -> "Gains":
        """Return empty `Gains` for this many peers and pieces, in half of the memory.

        Its times are rounded down, by some microseconds in a minute, so they are never after the
        end.
        """
        return cls(
            at=array("f"),
            peer=array(_code(peers)),
            piece=array(_code(pieces)),
            part_of_time=_EARLIER,
        )

    def add(self, at: float, peer: int, piece: int) -> None:
        """Add one piece that a peer got at `at`."""
        self.at.append(at * self.part_of_time)
        self.peer.append(peer)
        self.piece.append(piece)


def _code(count: int) -> Literal["H", "I"]:
    """Return the array type code for numbers below `count`."""
    return "H" if count <= 1 << 16 else "I"


class SenderGroup(Struct, frozen=True):
    """Peers that a picture shows as one sender."""

    name: str
    peers: frozenset[int]
    are_leechers: bool = False
    """Whether these are leechers of a simulated swarm, too many to be shown one by one."""


class Course(Struct, kw_only=True):
    """The events of one swarm, or of the part that one peer saw of it."""

    title: str
    """Name that distinguishes it from the courses it is compared with."""
    size: int
    pieces: int
    """Number of pieces of the torrent."""
    seconds: float
    """Time of the last event."""
    peers: list[CoursePeer]
    gains: Gains = field(default_factory=Gains)
    blocks: Blocks = field(default_factory=Blocks)
    follows: list[int] | None = None
    """Indexes of peers whose downloads were recorded: nothing is known of other downloads. None:
    all peers that download are shown, as their mean."""
    playback: PlaybackSpec | None = None
    """How leechers watch the content while they download it; None if they do not."""
    piece_length: int = 0
    """Bytes of a piece; given if leechers watch."""

    @property
    def fetching(self) -> list[int]:
        """Return the indexes of the peers whose downloads are shown."""
        if self.follows is not None:
            return self.follows
        return [index for index, peer in enumerate(self.peers) if peer.role != "seeder"]

    @property
    def recorders(self) -> list[int]:
        """Return the indexes of the recording peers if there are several; each is shown alone."""
        return self.follows if self.follows is not None and len(self.follows) > 1 else []


def moments(seconds: float, columns: int) -> list[float]:
    """Return the times of a grid's columns: the end of each."""
    return [seconds * (column + 1) / columns for column in range(columns)]


def completion(
    course: Course, times: Sequence[float], who: Sequence[int] | None = None
) -> list[float]:
    """Return the mean part of the torrent that downloading peers have, 0 to 1, at each time.

    `who` holds the indexes of the peers to count; None: all that download.
    """
    fetching = course.fetching if who is None else who
    wanted = len(fetching) * course.pieces
    if not wanted:
        return [1.0] * len(times)
    had = sum(course.peers[index].had.bit_count() for index in fetching)
    looked_at = frozenset(fetching)
    gained = array("d", (at for at, peer in _of(course.gains) if peer in looked_at))
    return [(had + bisect_right(gained, when)) / wanted for when in times]


def finished(course: Course, times: Sequence[float]) -> list[float]:
    """Return the part of the downloading peers that are complete, 0 to 1, at each time."""
    fetching = course.fetching
    if not fetching:
        return [1.0] * len(times)
    ends = sorted(finish_times(course))
    return [bisect_right(ends, when) / len(fetching) for when in times]


def finish_times(course: Course) -> list[float]:
    """Return when downloading peers became complete, unsorted; others are left out."""
    return list(completed(course, course.fetching).values())


def completed(course: Course, who: Iterable[int]) -> dict[int, float]:
    """Return peer index → when the peer became complete; peers that never did are left out."""
    missing = {index: course.pieces - course.peers[index].had.bit_count() for index in who}
    ends = {index: course.peers[index].joined for index, count in missing.items() if not count}
    for at, peer in _of(course.gains):
        if peer in missing:
            missing[peer] -= 1
            if not missing[peer]:
                ends[peer] = at
    return ends


def _of(gains: Gains) -> Iterator[tuple[float, int]]:
    return zip(gains.at, gains.peer, strict=True)


def availability(course: Course, times: Sequence[float], rows: int) -> list[list[int]]:
    """Return the copies among the present peers: one list of `rows` numbers for each time.

    If a row stands for several pieces, it has the fewest copies of any of them, so that a rare
    piece is visible among any number. There are at most as many rows as pieces.
    """
    copies = [0] * course.pieces
    held: list[PieceSet] = [0] * len(course.peers)
    here = [False] * len(course.peers)
    runs = _spans(course.pieces, rows)
    found = []
    events = _comings_and_goings(course)
    event = next(events, None)
    for when in times:
        while event is not None and event[0] <= when:
            _, _, peer, piece = event
            if piece >= 0:
                if not held[peer] >> piece & 1:
                    held[peer] |= 1 << piece
                    copies[piece] += here[peer]
            else:
                here[peer] = piece == _COMES
                change = 1 if here[peer] else -1
                if here[peer]:
                    held[peer] |= course.peers[peer].had
                for each in iterate(held[peer]):
                    copies[each] += change
            event = next(events, None)
        found.append([min(copies[begin:end]) for begin, end in runs])
    return found


_COMES, _GOES = -1, -2


def _comings_and_goings(course: Course) -> Iterator[tuple[float, int, int, int]]:
    """Yield (time, order at equal times, peer, piece or kind of event)."""
    import heapq  # noqa: PLC0415 - only here

    peers = enumerate(course.peers)
    comings = sorted((peer.joined, 0, index, _COMES) for index, peer in peers)
    goings = sorted(
        (peer.left, 2, index, _GOES)
        for index, peer in enumerate(course.peers)
        if peer.left is not None
    )
    gains = (
        (at, 1, peer, piece)
        for at, peer, piece in zip(
            course.gains.at, course.gains.peer, course.gains.piece, strict=True
        )
    )
    return heapq.merge(comings, gains, goings)


def rarest(course: Course, times: Sequence[float]) -> list[int]:
    """Return the number of copies of the rarest piece at each time."""
    return [row[0] for row in availability(course, times, 1)]


def holdings(course: Course, times: Sequence[float], rows: int) -> list[list[float]]:
    """Return the part of the torrent that each peer has, 0 to 1: a list of rows for each time.

    Before it joins and after it leaves, a peer has -1. If a row stands for several peers, it is the
    mean of those present.
    """
    gained: list[array[float]] = [array("d") for _ in course.peers]
    for at, peer in _of(course.gains):
        gained[peer].append(at)
    found = []
    for when in times:
        column = [
            (peer.had.bit_count() + bisect_right(times_of, when)) / max(1, course.pieces)
            if peer.joined <= when and (peer.left is None or when < peer.left)
            else -1.0
            for peer, times_of in zip(course.peers, gained, strict=True)
        ]
        found.append([min(1.0, _mean_of(column[a:b])) for a, b in _spans(len(column), rows)])
    return found


def _mean_of(parts: Sequence[float]) -> float:
    there = [part for part in parts if part >= 0]
    return sum(there) / len(there) if there else -1.0


def names_of(course: Course, rows: int) -> list[str]:
    """Return the labels of the rows of a picture; adjacent peers may share a row."""
    return [
        course.peers[begin].name
        if end - begin == 1
        else f"{course.peers[begin].name} to {course.peers[end - 1].name}"
        for begin, end in _spans(len(course.peers), rows)
    ]


def sent_by(course: Course) -> list[int]:
    """Return the bytes that arrived from each peer, by index."""
    sent = [0] * len(course.peers)
    for sender, length in zip(course.blocks.sender, course.blocks.length, strict=True):
        sent[sender] += length
    return sent


def last_arrival(course: Course) -> float:
    """Return when the last block arrived; no peer sends after it."""
    return max(course.blocks.at, default=0.0)


WAITS, PLAYS, STALLS = 0, 1, 2
"""The states of a viewer: waiting for the first piece, playing, stalled."""


def viewers(course: Course) -> list[int]:
    """Return the indexes of the peers that watch."""
    return [] if course.playback is None else course.fetching


def watched(course: Course) -> list[list[Span]]:
    """Return each viewer's states over time: every wait but the first is a stall."""
    spec = course.playback
    if spec is None:
        return []
    place = {peer: row for row, peer in enumerate(course.fetching)}
    ready = [
        [
            course.peers[peer].joined if course.peers[peer].had >> piece & 1 else math.inf
            for piece in range(course.pieces)
        ]
        for peer in place
    ]
    gains = course.gains
    for at, peer, piece in zip(gains.at, gains.peer, gains.piece, strict=True):
        if peer in place:
            ready[place[peer]][piece] = min(at, ready[place[peer]][piece])
    found = []
    for peer, row in place.items():
        left = course.peers[peer].left
        found.append(
            spans(
                ready[row],
                spec,
                size=course.size,
                piece_length=course.piece_length,
                joined=course.peers[peer].joined,
                until=course.seconds if left is None else left,
            )
        )
    return found


def watching(course: Course, times: Sequence[float], rows: int) -> list[list[float]]:
    """Return each viewer's state: one list of `rows` numbers for each time, -1 while absent.

    If a row stands for several viewers, it is the worst state of any: a stall, then waiting.
    """
    columns = [[-1.0] * len(times) for _ in viewers(course)]
    for row, parts in zip(columns, watched(course), strict=True):
        for number, part in enumerate(parts):
            state = PLAYS if part.plays else STALLS if number else WAITS
            for column in range(bisect_left(times, part.begins), bisect_left(times, part.ends)):
                row[column] = state
    badness = {-1.0: -1, PLAYS: 0, WAITS: 1, STALLS: 2}
    return [
        [
            max((column[number] for column in columns[a:b]), key=lambda each: badness[each])
            for a, b in _spans(len(columns), rows)
        ]
        for number in range(len(times))
    ]


def matrix(course: Course, most: int) -> tuple[list[str], list[list[int]]]:
    """Return names, and the bytes that each (row) sent to each (column).

    Beyond `most` peers, adjacent peers share one row and column.
    """
    parts = _spans(len(course.peers), most)
    group = [index for index, (begin, end) in enumerate(parts) for _ in range(begin, end)]
    sent = [[0] * len(parts) for _ in parts]
    blocks = course.blocks
    for sender, receiver, length in zip(blocks.sender, blocks.receiver, blocks.length, strict=True):
        sent[group[sender]][group[receiver]] += length
    return names_of(course, most), sent


def sources(course: Course) -> list[SenderGroup]:
    """Return the groups of senders to show, those that sent most first.

    There are as many groups as colours. In a simulated swarm, whose peers are known, all leechers
    are one group if there are too many peers; and the order is that of the peers, so that swarms of
    the same peers can be compared.
    """
    sent: dict[int, int] = {}
    blocks = course.blocks
    for sender, length in zip(blocks.sender, blocks.length, strict=True):
        sent[sender] = sent.get(sender, 0) + length
    apart = sorted(sent, key=lambda peer: (-sent[peer], peer))
    together: list[int] = []
    is_simulated = course.follows is None
    if is_simulated and len(course.peers) > MOST_SOURCES and len(set(blocks.receiver)) > 1:
        together = [peer for peer in apart if course.peers[peer].role != "seeder"]
        apart = [peer for peer in apart if course.peers[peer].role == "seeder"]
    rest = apart[MOST_SOURCES - 1 :] if len(apart) > MOST_SOURCES else []
    alone = apart[: len(apart) - len(rest)]
    if is_simulated:
        alone.sort()
    found = [SenderGroup(course.peers[peer].name, frozenset({peer})) for peer in alone]
    if rest:
        found.append(SenderGroup(f"{len(rest)} others", frozenset(rest)))
    if len(together) == 1:
        found.append(
            SenderGroup(course.peers[together[0]].name, frozenset(together), are_leechers=True)
        )
    elif together:
        found.append(
            SenderGroup(f"{len(together)} leechers", frozenset(together), are_leechers=True),
        )
    return found


def sending(course: Course, columns: int, rows: int) -> list[list[float]]:
    """Return the bytes/s that each peer sent: one list of `rows` numbers for each column.

    Before it joins and after it leaves, a peer has -1. If a row stands for several peers, it is the
    mean of those present.
    """
    each = [SenderGroup(peer.name, frozenset({index})) for index, peer in enumerate(course.peers)]
    sent = rates(course, each, columns)
    spans_of = _spans(len(course.peers), rows)
    width = course.seconds / columns
    found = []
    for column in range(columns):
        begins, ends = width * column, width * (column + 1)
        now = [
            row[column]
            if row[column] or (peer.joined < ends and (peer.left is None or peer.left > begins))
            else -1.0
            for peer, row in zip(course.peers, sent, strict=True)
        ]
        found.append([_mean_of(now[a:b]) for a, b in spans_of])
    return found


def rates(course: Course, apart: Sequence[SenderGroup], columns: int) -> list[list[float]]:
    """Return the bytes/s that each group sent in each of `columns` equal parts of the time."""
    width = course.seconds / columns
    return [
        [nbytes / width if width else 0.0 for nbytes in row]
        for row in _sent(course, apart, columns)
    ]


def _sent(course: Course, apart: Sequence[SenderGroup], columns: int) -> list[list[int]]:
    number = {peer: index for index, source in enumerate(apart) for peer in source.peers}
    found = [[0] * columns for _ in apart]
    blocks = course.blocks
    scale = columns / course.seconds if course.seconds else 0.0
    for at, sender, length in zip(blocks.at, blocks.sender, blocks.length, strict=True):
        if sender in number:
            found[number[sender]][max(0, min(columns - 1, int(at * scale)))] += length
    return found


def _spans(count: int, most: int) -> list[tuple[int, int]]:
    """Return at most `most` ranges of nearly equal length that cover `count` items."""
    parts = min(count, most)
    return [(count * part // parts, count * (part + 1) // parts) for part in range(parts)]
