"""A recording in numbers: decisions, the share of each peer, and the longest waits."""

import heapq
from collections import Counter

from msgspec import Struct

from trio_swarm.recording import records
from trio_swarm.recording.reader import Recording
from trio_swarm.recording.story.history import History
from trio_swarm.recording.story.waiting import AwaitedBlocks, AwaitedRequests

LONGEST = 3
"""Number of waits in a summary."""


class PeerSummary(Struct, frozen=True, kw_only=True):
    """One connection; times are seconds, amounts are bytes."""

    peer: int
    address: str
    client: str
    joined: float
    left: float | None
    pieces: int
    """Pieces of which it sent a block."""
    received: int
    """Bytes from it that were needed."""
    duplicate: int
    """Bytes from it that were not needed."""
    sent: int
    """Bytes sent to it."""


class Wait(Struct, frozen=True, kw_only=True):
    """A request, from its grant until no block of it was awaited any more."""

    at: float
    seconds: float
    piece: int
    peer: int
    address: str


class Summary(Struct, frozen=True, kw_only=True):
    """A whole recording in numbers: peers, pieces, times and rates."""

    seconds: float
    completed: float | None
    """When the download was complete; None if never, or from the start."""
    had: int
    """Pieces that were there at the start."""
    verified: int
    failed: int
    """How many times a piece failed its hash."""
    decisions: dict[str, int]
    """Number of decisions, by who made them (see `records.Decider`)."""
    decision_seconds: float
    """Seconds of all decisions together."""
    declined: int
    """Decisions that assigned nothing."""
    faults: dict[str, int]
    """Each fault that the guard found, and the number of answers with it."""
    requests: int
    """Number of requested runs of blocks."""
    doubled: int
    """Requests among these to a second peer (endgame)."""
    cancelled: int
    overdue: int
    """How many times blocks were overdue and other peers were asked."""
    peers: list[PeerSummary]
    waits: list[Wait]
    """The longest waits, the longest first."""


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

    def count(self, event: records.Record) -> None:
        match event:
            case records.Decided():
                self.by[event.by] += 1
                self.faults.update(event.faults)
                self.took += event.took
                self.declined += not event.assigned
            case records.Granted():
                self.requests += len(event.grants)
                self.doubled += len(event.seconds)
            case records.Cancelled():
                self.cancelled += len(event.grants)
            case records.Snubbed():
                self.overdue += 1
            case records.Verified():
                self.verified += 1
            case records.Failed():
                self.failed += 1
            case records.Completed():
                self.completed = event.at / 1e6
            case _:
                pass


def summarize(recording: Recording) -> Summary:
    """Return the summary of a whole recording."""
    history = History(recording.lengths)
    counts = _Counts()
    longest: list[tuple[int, int, int, int]] = []

    def over(ask: AwaitedBlocks[None], at: int) -> None:
        heapq.heappush(longest, (at - ask.at, ask.at, ask.piece, ask.peer))
        if len(longest) > LONGEST:
            heapq.heappop(longest)

    waiting = AwaitedRequests(recording.lengths, over)
    had = 0
    for event in recording.events:
        history.apply(event)
        counts.count(event)
        if isinstance(event, records.Granted):
            for peer, run in event.grants:
                waiting.ask(peer, run, event.at, None)
        elif isinstance(event, records.Began):
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
