"""A whole recording in numbers: what was decided, what each peer gave, and what took long."""

import heapq
from collections import Counter

from msgspec import Struct

from trio_swarm.recording import records as ev
from trio_swarm.recording.reader import Recording
from trio_swarm.recording.story.history import History
from trio_swarm.recording.story.waiting import Ask, Waiting

LONGEST = 3
"""Waits that are told of."""


class PeerSummary(Struct, frozen=True, kw_only=True):
    """One connection; times in seconds, amounts in bytes."""

    peer: int
    address: str
    client: str
    joined: float
    left: float | None
    pieces: int
    """Of which it sent something."""
    received: int
    """From it, and of use."""
    duplicate: int
    """From it, in vain."""
    sent: int
    """To it."""


class Wait(Struct, frozen=True, kw_only=True):
    """A request, from when it was granted until nothing of it was awaited any more."""

    at: float
    seconds: float
    piece: int
    peer: int
    address: str


class Summary(Struct, frozen=True, kw_only=True):
    """A whole recording."""

    seconds: float
    completed: float | None
    """None if it never was, or was so from the start."""
    had: int
    """Pieces that were there at the start."""
    verified: int
    failed: int
    """Times that a piece failed its hash."""
    decisions: dict[str, int]
    """How many, by who made them (see `events.Decider`)."""
    decision_seconds: float
    """What all of them took."""
    declined: int
    """Decisions that gave nothing to anybody."""
    faults: dict[str, int]
    """What the guard found wrong, and in how many answers."""
    requests: int
    """Runs of blocks that were asked for."""
    doubled: int
    """Of those, how many of a second peer (endgame)."""
    cancelled: int
    overdue: int
    """Times that a peer kept us waiting so long that others were asked."""
    peers: list[PeerSummary]
    waits: list[Wait]
    """The longest, longest first."""


class _Counts:
    def __init__(self) -> None:
        self.by: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.took = 0
        self.declined = 0
        self.requests = 0
        self.doubled = 0
        self.cancelled = 0
        self.overdue = 0
        self.verified = 0
        self.failed = 0
        self.completed: float | None = None

    def count(self, event: ev.Record) -> None:
        match event:
            case ev.Decided():
                self.by[event.by] += 1
                self.faults.update(event.faults)
                self.took += event.took
                self.declined += not event.assigned
            case ev.Granted():
                self.requests += len(event.grants)
                self.doubled += len(event.seconds)
            case ev.Cancelled():
                self.cancelled += len(event.grants)
            case ev.Snubbed():
                self.overdue += 1
            case ev.Verified():
                self.verified += 1
            case ev.Failed():
                self.failed += 1
            case ev.Completed():
                self.completed = event.at / 1e6
            case _:
                pass


def summarize(recording: Recording) -> Summary:
    """Return the whole recording in numbers."""
    history = History(recording.lengths)
    counts = _Counts()
    longest: list[tuple[int, int, int, int]] = []

    def over(ask: Ask[None], at: int) -> None:
        heapq.heappush(longest, (at - ask.at, ask.at, ask.piece, ask.peer))
        if len(longest) > LONGEST:
            heapq.heappop(longest)

    waiting = Waiting(recording.lengths, over)
    had = 0
    for event in recording.events:
        history.apply(event)
        counts.count(event)
        if isinstance(event, ev.Granted):
            for peer, run in event.grants:
                waiting.ask(peer, run, event.at, None)
        elif isinstance(event, ev.Began):
            had = history.have.bit_count()
        else:
            waiting.apply(event)
    return Summary(
        seconds=recording.seconds,
        completed=counts.completed,
        had=had,
        verified=counts.verified,
        failed=counts.failed,
        decisions=dict(counts.by),
        decision_seconds=counts.took / 1e6,
        declined=counts.declined,
        faults=dict(counts.faults.most_common()),
        requests=counts.requests,
        doubled=counts.doubled,
        cancelled=counts.cancelled,
        overdue=counts.overdue,
        peers=[
            PeerSummary(
                peer=peer.key,
                address=peer.address,
                client=peer.client,
                joined=peer.joined_at / 1e6,
                left=None if peer.left_at is None else peer.left_at / 1e6,
                pieces=peer.fetched.bit_count(),
                received=peer.received,
                duplicate=peer.duplicate,
                sent=peer.sent,
            )
            for peer in history.known.values()
        ],
        waits=[
            Wait(
                at=at / 1e6,
                seconds=waited / 1e6,
                piece=piece,
                peer=peer,
                address=history.known[peer].address,
            )
            for waited, at, piece, peer in sorted(longest, reverse=True)
        ],
    )
