"""The peers of a recording as sources: which pieces each had and when, and how fast it sent.

Times are seconds since the recording began, rates bytes/s, lengths bytes.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from trio_swarm.engine.lengths import BLOCK_LENGTH, Lengths
from trio_swarm.piece_sets import PieceSet
from trio_swarm.recording import Record, Recording, RecordingError, records
from trio_swarm.recording.story.history import History, PeerHistory

BINS = 200
"""Number of equal parts of the download's time; a peer's rate is measured in each."""

LEAST_BIN = 0.02
"""Least seconds of a part: blocks arrive in batches, which tell nothing about shorter times."""

_LEAST_BUSY = 0.2
"""A rate is measured if a peer was busy for at least this part of the time."""


class RateCurve:
    """The rate of a peer over time: constant within each of many equal parts."""

    __slots__ = ("_later", "_rates", "_width")

    def __init__(self, width: float, rates: Sequence[float], later: float) -> None:
        self._width = width
        self._rates = rates
        self._later = later

    @property
    def later(self) -> float:
        """The rate after the last part: the mean of all parts."""
        return self._later

    def finish(self, start: float, length: float) -> float:
        """Return when `length` bytes are sent if the first is sent at `start`; inf if never."""
        width = self._width
        index = int(start / width)
        while index < len(self._rates):
            rate = self._rates[index]
            end = (index + 1) * width
            could = rate * (end - start)
            if could >= length:
                return start + length / rate
            length -= could
            start = end
            index += 1
        return start + length / self._later if self._later > 0.0 else math.inf


class RecordedSource(Struct, frozen=True, kw_only=True):
    """One peer of the recording, as a source of blocks."""

    key: int
    address: str
    labels: Mapping[str, str]
    curve: RateCurve
    latency: float
    """Seconds from a request to the first byte of its answer if nothing is queued before it."""
    chunk: int
    """Bytes that arrive at a time."""
    is_guess: bool
    """Whether it never sent anything, so that its rate is the median of the others' rates."""


class Measured(Struct, frozen=True, kw_only=True):
    """The facts that a replay takes from a recording."""

    lengths: Lengths
    have: PieceSet
    open_pieces: int
    sources: dict[int, RecordedSource]
    script: list[Record]
    """The events that peers caused themselves, in order: they joined, got pieces, choked, left."""
    verify_seconds: float
    """Seconds from the last block of a piece until the piece was verified."""
    seconds: float
    """Seconds until the download was complete, or until the recording ended."""
    is_complete: bool
    received: dict[int, int]
    """Bytes from each peer that were needed."""
    duplicate: int
    """Bytes that were not needed."""
    decisions: int
    decision_seconds: float


class _Stretch(NamedTuple):
    """A time during which blocks were in flight from a peer, and the bytes that arrived in it."""

    start: float
    end: float
    length: int
    is_first: bool
    """Whether nothing was in flight from it before."""


class _Watched:
    """The bytes that one peer sent, and the times when it was busy sending."""

    def __init__(self) -> None:
        self.stretches: list[_Stretch] = []
        self.lengths: list[int] = []
        self._since: float | None = None
        self._is_first = False

    def is_asked(self, now: float) -> None:
        if self._since is None:
            self._since = now
            self._is_first = True

    def sent(self, length: int, now: float) -> None:
        self.lengths.append(length)
        if self._since is not None:
            self._add(length, now)

    def owes_nothing(self, now: float) -> None:
        if self._since is not None and now > self._since:
            self._add(0, now)
        self._since = None

    def _add(self, length: int, now: float) -> None:
        assert self._since is not None
        self.stretches.append(_Stretch(self._since, now, length, self._is_first))
        self._since = now
        self._is_first = False

    def latency(self) -> float:
        """Return the least time to a first block, without the time that sending it takes.

        If a second block was never requested before the first had arrived, delay and slowness
        cannot be told apart, and the whole time counts as slowness.
        """
        first = [each for each in self.stretches if each.is_first and each.length]
        more = [each for each in self.stretches if not each.is_first]
        seconds = sum(each.end - each.start for each in more)
        length = sum(each.length for each in more)
        if not first or not length:
            return 0.0
        pace = seconds / length
        return min(max(0.0, each.end - each.start - each.length * pace) for each in first)

    def curve(self, width: float, count: int, latency: float) -> RateCurve | None:
        """Return its rates; None if nothing was ever requested from it."""
        busy = [0.0] * count
        sent = [0.0] * count
        for start, end, length, is_first in self.stretches:
            begin = min(end, start + latency) if is_first else start
            _spread(busy, begin, end, end - begin, width)
            _spread(sent, begin, end, float(length), width)
        total = sum(busy)
        if total <= 0.0:
            return None
        mean = sum(sent) / total
        rates: list[float | None] = [
            sent[index] / busy[index] if busy[index] >= _LEAST_BUSY * width else None
            for index in range(count)
        ]
        known = mean
        for rate in rates:
            if rate is not None:
                known = rate
                break
        filled: list[float] = []
        for rate in rates:
            known = known if rate is None else rate
            filled.append(known)
        return RateCurve(width, filled, mean)


def _spread(bins: list[float], start: float, end: float, amount: float, width: float) -> None:
    """Add `amount` evenly to the parts from `start` to `end`."""
    last = len(bins) - 1
    index = min(last, int(start / width))
    span = end - start
    if span <= 0.0:
        bins[index] += amount
        return
    while start < end:
        until = end if index == last else min(end, (index + 1) * width)
        bins[index] += amount * (until - start) / span
        start = until
        index = min(last, index + 1)


class _Verifications:
    def __init__(self) -> None:
        self._last: dict[int, float] = {}
        self.seconds: list[float] = []

    def count(self, event: Record) -> None:
        if isinstance(event, records.Arrived):
            if event.again < event.length:
                self._last[event.piece] = event.at / 1e6
        elif isinstance(event, records.Verified) and event.piece in self._last:
            self.seconds.append(event.at / 1e6 - self._last[event.piece])


_OF_THEMSELVES = (
    records.Joined
    | records.Left
    | records.Held
    | records.Gained
    | records.Choked
    | records.Unchoked
    | records.Allowed
    | records.Suggested
    | records.Limited
)


def measure(recording: Recording) -> Measured:
    """Return the facts for a replay; raises RecordingError if no block was ever received."""
    events = _until_end(recording.events)
    history = History(recording.lengths)
    watched: dict[int, _Watched] = {}
    verifications = _Verifications()
    decisions = took = 0
    have: PieceSet = 0
    for event in events:
        history.apply(event)
        verifications.count(event)
        now = event.at / 1e6
        if isinstance(event, records.Joined):
            watched[event.peer] = _Watched()
        elif isinstance(event, records.Granted):
            for key in {key for key, _ in event.grants}:
                watched[key].is_asked(now)
        elif isinstance(event, records.Decided):
            decisions += 1
            took += event.took
        elif isinstance(event, records.Began):
            have = history.have
        else:
            if isinstance(event, records.Arrived):
                watched[event.peer].sent(event.length, now)
            _look_who_is_done(event, history.known, watched, now)
    seconds = events[-1].at / 1e6
    sources = _sources(history.known, watched, seconds)
    if not sources:
        raise RecordingError(f"{recording.header.name}: nothing was received, so no rate is known")
    return Measured(
        lengths=recording.lengths,
        have=have,
        open_pieces=max(1, history.open_pieces),
        sources=sources,
        script=[event for event in events if isinstance(event, _OF_THEMSELVES)],
        verify_seconds=statistics.median(verifications.seconds or [0.0]),
        seconds=seconds,
        is_complete=isinstance(events[-1], records.Completed),
        received={key: peer.received for key, peer in history.known.items()},
        duplicate=sum(peer.duplicate for peer in history.known.values()),
        decisions=decisions,
        decision_seconds=took / 1e6,
    )


def _until_end(events: Sequence[Record]) -> Sequence[Record]:
    """Return the events until the download was complete, or until we began to leave."""
    for index, event in enumerate(events):
        if isinstance(event, records.Completed):
            return events[: index + 1]
    end = len(events)
    # A program that stops closes its connections: these peers did not leave by themselves.
    while end > 1 and isinstance(events[end - 1], records.Left | records.Named | records.Ended):
        end -= 1
    return events[:end]


def _look_who_is_done(
    event: Record, peers: Mapping[int, PeerHistory], watched: Mapping[int, _Watched], now: float
) -> None:
    match event:
        case records.Cancelled():
            keys = {key for key, _ in event.grants}
        case records.Banned():
            keys = set(peers)
        case (
            records.Arrived()
            | records.Rejected()
            | records.Withdrawn()
            | records.Choked()
            | records.Left()
            | records.Snubbed()
        ):
            keys = {event.peer}
        case _:
            return
    for key in keys:
        if not peers[key].in_flight:
            watched[key].owes_nothing(now)


def _sources(
    peers: Mapping[int, PeerHistory], watched: Mapping[int, _Watched], seconds: float
) -> dict[int, RecordedSource]:
    width = max(LEAST_BIN, seconds / BINS)
    count = int(seconds / width) + 1
    latencies = {key: each.latency() for key, each in watched.items()}
    curves = {key: each.curve(width, count, latencies[key]) for key, each in watched.items()}
    means = [curve.later for curve in curves.values() if curve is not None]
    every = [length for each in watched.values() for length in each.lengths]
    if not means or not every:
        return {}
    usual = statistics.median(means)
    sources = {}
    for key, peer in peers.items():
        curve = curves[key]
        lengths = watched[key].lengths or every
        sources[key] = RecordedSource(
            key=key,
            address=peer.address,
            labels=peer.labels,
            curve=curve or RateCurve(width, (), usual),
            latency=latencies[key],
            chunk=max(BLOCK_LENGTH, int(statistics.median(lengths)) // BLOCK_LENGTH * BLOCK_LENGTH),
            is_guess=curve is None,
        )
    return sources
