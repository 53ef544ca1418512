"""Watching while it is fetched: when playing starts, and how often and how long it stalls.

A player plays the pieces in their order at a constant rate. It starts when the first seconds are
there, stops when a piece is due and not there, and goes on when as many seconds are ahead again.
"""

import math
import statistics
from collections.abc import Sequence

from msgspec import Struct

from trio_swarm.lab.simulator.trace import PIECE, Sink


class PlaybackSpec(Struct, frozen=True, kw_only=True):
    """What is played: `rate` in bytes/s, and `buffer` in seconds before it starts or goes on."""

    rate: float
    buffer: float = 2.0


class Playback(Struct, frozen=True, kw_only=True):
    """How it went for one peer."""

    starts_after: float | None
    """Seconds from joining until it plays; None if it never did."""
    stalls: int
    stalled: float
    """Seconds in all; a stall that never ends counts until the peer or the run ends."""
    is_whole: bool
    """It came to the end."""


class Audience(Struct, frozen=True, kw_only=True):
    """All who watched; times in seconds."""

    watched: int
    never_started: int
    starts_after: float | None
    """Mean of those that started; None if none did."""
    starts_after_most: float | None
    stalls: int
    """Of all together."""
    stalled: float
    """Of all together."""
    stalled_most: float
    """Of the one that stalled longest."""
    without_stall: int
    """Peers that played from the beginning to the end without one."""


class PieceTimes:
    """A sink that remembers when each peer had each piece, and passes everything on."""

    def __init__(self, peers: int, pieces: int, onward: Sink | None = None) -> None:
        self._times = [[math.inf] * pieces for _ in range(peers)]
        self._onward = onward

    def __call__(  # noqa: PLR0917  one record, as all sinks are given it
        self, kind: int, now: float, peer: int, to: int, piece: int, begin: int, length: int
    ) -> None:
        """Take note."""
        if kind == PIECE:
            self._times[peer][piece] = now
        if self._onward is not None:
            self._onward(kind, now, peer, to, piece, begin, length)

    def of(self, peer: int) -> Sequence[float]:
        """Return when the peer had each piece; infinite for those it never had."""
        return self._times[peer]


class Span(Struct, frozen=True):
    """A part of watching: what plays, or waits for data, from when until when."""

    begins: float
    ends: float
    plays: bool


def spans(
    ready_at: Sequence[float],
    spec: PlaybackSpec,
    *,
    size: int,
    piece_length: int,
    joined: float,
    until: float,
) -> list[Span]:
    """Return how watching went, of which piece `n` was there at `ready_at[n]`; it ends `until`.

    The first span waits, even if for no time; then playing and waiting take turns. The last one is
    cut off `until` if it was not over, and a film that was there to its end plays to its end.
    """
    found: list[Span] = []
    clock = joined
    position = 0
    """Bytes played."""
    whole_until: list[float] = []
    """When all up to the n-th piece are there."""
    latest = -math.inf
    for when in ready_at:
        latest = max(latest, when)
        whole_until.append(latest)
    while True:
        ahead = min(size, position + max(1, math.ceil(spec.rate * spec.buffer)))
        plays_at = max(clock, whole_until[(ahead - 1) // piece_length])
        if plays_at > until:
            if clock < until or not found:
                found.append(Span(clock, max(clock, until), plays=False))
            return found
        found.append(Span(clock, plays_at, plays=False))
        due = position // piece_length
        while due < len(ready_at):
            due_at = plays_at + (due * piece_length - position) / spec.rate
            if whole_until[due] > due_at and due * piece_length > position:
                break
            due += 1
        if due == len(ready_at):
            found.append(Span(plays_at, plays_at + (size - position) / spec.rate, plays=True))
            return found
        clock = due_at
        position = due * piece_length
        found.append(Span(plays_at, min(clock, until), plays=True))


def watch(
    ready_at: Sequence[float],
    spec: PlaybackSpec,
    *,
    size: int,
    piece_length: int,
    joined: float,
    until: float,
) -> Playback:
    """Return how watching went in numbers; see `spans`."""
    found = spans(ready_at, spec, size=size, piece_length=piece_length, joined=joined, until=until)
    stalls = [each for each in found[1:] if not each.plays]
    return Playback(
        starts_after=found[0].ends - joined if len(found) > 1 else None,
        stalls=len(stalls),
        stalled=sum(each.ends - each.begins for each in stalls),
        is_whole=math.inf not in ready_at and max(ready_at) <= until and found[-1].plays,
    )


def audience_of(watched: Sequence[Playback]) -> Audience:
    """Return the audience of these."""
    starts = [each.starts_after for each in watched if each.starts_after is not None]
    return Audience(
        watched=len(watched),
        never_started=len(watched) - len(starts),
        starts_after=statistics.fmean(starts) if starts else None,
        starts_after_most=max(starts, default=None),
        stalls=sum(each.stalls for each in watched),
        stalled=sum(each.stalled for each in watched),
        stalled_most=max((each.stalled for each in watched), default=0.0),
        without_stall=sum(each.is_whole and not each.stalls for each in watched),
    )
