"""A download on a virtual clock: a real ledger, and peers that send at their own pace.

A `PacedPeer` describes a peer; `PacedSwarm.run` plays until the file is complete or time is up.
"""

import heapq
import itertools
import math
import random
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from trio_swarm.engine.download.ledger import BlockOutcome, BlockRun, Ledger
from trio_swarm.engine.guard import FaultSink, GuardedScheduler
from trio_swarm.engine.lengths import BLOCK_LENGTH, Lengths
from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.schedulers.api import Scheduler
from trio_swarm.schedulers.rarest_first import RarestFirst

BLOCK = BLOCK_LENGTH
KIB = 1024
MIB = 1024 * 1024


def new_ledger(
    pieces: int = 4,
    *,
    blocks: int = 4,
    last_size: int | None = None,
    strategy: Scheduler | None = None,
    seed: int = 1,
    have: PieceSet = 0,
    chosen: PieceSet | None = None,
    open_piece_limit: int = 64,
    fallback: Callable[[], Scheduler] = RarestFirst,
    on_fault: FaultSink | None = None,
) -> Ledger:
    """Return a ledger of `pieces` pieces with `blocks` blocks each; its guard measures no time."""
    piece_length = blocks * BLOCK
    length = (pieces - 1) * piece_length + (last_size or piece_length)
    return Ledger(
        Lengths(length=length, piece_length=piece_length),
        scheduler=GuardedScheduler(
            strategy or RarestFirst(), "tested", fallback, timer=lambda: 0.0, on_fault=on_fault
        ),
        rng=random.Random(seed),
        have=have,
        chosen=chosen,
        open_piece_limit=open_piece_limit,
    )


@dataclass
class PacedPeer:
    """The behaviour of one simulated peer."""

    rate: float = 1 * MIB
    """Rate at which it sends, bytes/s."""
    latency: float = 0.02
    """Delay in each direction, seconds."""
    pieces: PieceSet | None = None
    """Pieces it has; None: all."""
    identity: str = ""
    is_silent: bool = False
    corrupts: Callable[[int, int], bool] = lambda _piece, _block: False
    """Called with piece and block: whether it sends that block with wrong bytes."""
    rejects: bool = False
    chokes_at: float = math.inf
    leaves_at: float = math.inf
    joins_at: float = 0.0
    fast: bool = True
    queue: deque[BlockRun] = field(default_factory=deque, init=False, repr=False)
    sending: bool = field(default=False, init=False, repr=False)
    sent: int = field(default=0, init=False, repr=False)
    """Bytes it sent."""
    wasted: int = field(default=0, init=False, repr=False)
    """Bytes it sent that were not needed."""


class PacedSwarm:
    """One download from `peers`; the key of a peer is its index."""

    def __init__(
        self,
        ledger: Ledger,
        peers: Sequence[PacedPeer],
        *,
        verify_seconds: float = 0.001,
        check: Callable[[Ledger], None] | None = None,
    ) -> None:
        self.ledger = ledger
        self.peers = list(peers)
        self.now = 0.0
        self.banned: list[str] = []
        self.outcomes: dict[BlockOutcome, int] = defaultdict(int)
        self.wakeups = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._verify_seconds = verify_seconds
        self._check = check
        self._content: dict[tuple[int, int], bytes] = {}
        self._here: set[int] = set()
        for key, peer in enumerate(self.peers):
            peer.identity = peer.identity or f"peer {key}"
            self.at(peer.joins_at, partial(self._join, key))
            if peer.leaves_at < math.inf:
                self.at(peer.leaves_at, partial(self._leave, key))
            if peer.chokes_at < math.inf:
                self.at(peer.chokes_at, partial(self._choke, key))

    @property
    def is_moving(self) -> bool:
        """Whether a block is on its way, a peer owes a block, or an event is still to come."""
        in_flight = any(self.ledger.stats(key).in_flight for key in self._here)
        return bool(self._events) or in_flight

    def at(self, time: float, what: Callable[[], None]) -> None:
        """Call `what` at the virtual time `time`, seconds."""
        heapq.heappush(self._events, (time, next(self._order), what))

    def run(self, until: float = 600.0) -> float:
        """Play until `until` at most; return when the file was complete, seconds, or inf."""
        ledger = self.ledger
        while True:
            ledger.expire(self.now)
            self._hand_out()
            if self._check is not None:
                self._check(ledger)
            if ledger.is_complete:
                return self.now
            due = self._events[0][0] if self._events else math.inf
            self.now = max(self.now, min(due, ledger.next_deadline()))
            self.wakeups += 1
            if self.now > until:
                return math.inf
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
                if self._check is not None:
                    self._check(ledger)

    def _hand_out(self) -> None:
        for key, run in self.ledger.plan(self.now):
            peer = self.peers[key]
            self.at(self.now + peer.latency, partial(self._asked, key, run))
        for key, run in self.ledger.take_cancels():
            peer = self.peers[key]
            self.at(self.now + peer.latency, partial(self._cancelled, key, run))
        self.ledger.take_abandoned()

    def _join(self, key: int) -> None:
        peer = self.peers[key]
        if self.now >= peer.leaves_at or peer.identity in self.banned:
            return
        self._here.add(key)
        self.ledger.add_peer(key, self.now, identity=peer.identity)
        every = full_set(self.ledger.lengths.piece_count)
        self.ledger.set_pieces(key, every if peer.pieces is None else peer.pieces)
        self.ledger.set_choked(key, self.now >= peer.chokes_at, fast=peer.fast)

    def _leave(self, key: int) -> None:
        if key in self._here:
            self._here.remove(key)
            self.ledger.remove_peer(key)
            self.peers[key].queue.clear()

    def _choke(self, key: int) -> None:
        if key in self._here:
            peer = self.peers[key]
            self.ledger.set_choked(key, choked=True, fast=peer.fast)
            if peer.fast:
                for run in peer.queue:
                    self.ledger.rejected(key, *run, self.now)
            peer.queue.clear()

    def _asked(self, key: int, run: BlockRun) -> None:
        peer = self.peers[key]
        if key not in self._here or peer.is_silent or self.now >= peer.chokes_at:
            return
        for begin in range(run.begin, run.begin + run.length, BLOCK):
            length = min(BLOCK, run.begin + run.length - begin)
            block = BlockRun(run.piece, begin, length)
            if peer.rejects:
                self.ledger.rejected(key, *block, self.now)
            else:
                peer.queue.append(block)
        self._send_next(key)

    def _cancelled(self, key: int, run: BlockRun) -> None:
        peer = self.peers[key]
        for block in list(peer.queue):
            if block.piece == run.piece and 0 <= block.begin - run.begin < run.length:
                peer.queue.remove(block)

    def _send_next(self, key: int) -> None:
        peer = self.peers[key]
        if peer.sending or not peer.queue or key not in self._here:
            return
        block = peer.queue.popleft()
        peer.sending = True

        def sent() -> None:
            peer.sending = False
            peer.sent += block.length
            self.at(self.now + peer.latency, lambda: self._arrived(key, block))
            self._send_next(key)

        self.at(self.now + block.length / peer.rate, sent)

    def _arrived(self, key: int, block: BlockRun) -> None:
        if key not in self._here:
            return
        peer = self.peers[key]
        outcome = self.ledger.received(key, *block, self.now)
        self.outcomes[outcome] += 1
        index = block.begin // BLOCK
        if outcome in {BlockOutcome.ACCEPTED, BlockOutcome.COMPLETED}:
            bad = peer.corrupts(block.piece, index)
            content = f"bad {key} {block}" if bad else "good"
            self._content[block.piece, index] = content.encode()
        else:
            peer.wasted += block.length
        if outcome is BlockOutcome.COMPLETED:
            self.at(self.now + self._verify_seconds, lambda: self._hashed(block.piece))

    def _hashed(self, piece: int) -> None:
        count = self.ledger.lengths.block_count(piece)
        digests = [self._content[piece, block] for block in range(count)]
        if all(digest == b"good" for digest in digests):
            wanted = self.ledger.needs_digests(piece)
            banned = self.ledger.verified(piece, digests if wanted else None)
        else:
            banned = self.ledger.failed(piece, digests)
        self.banned += banned
        for key in list(self._here):
            if self.peers[key].identity in banned:
                self._leave(key)
