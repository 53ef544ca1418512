"""One download on a virtual clock as in `toy_swarm`, with the real `Ledger` as its host.

The ledger decides queues, deadlines, the endgame and cancels, as in a real peer; the sources and
the links are the toy's: each sends what it was asked, in that order, at its rate.
"""

import heapq
import math
import random
from collections import deque
from functools import partial

from toy_swarm import BLOCK, Outcome, Source
from trio_swarm.engine.download.ledger import BlockOutcome, Ledger
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.engine.lengths import Lengths
from trio_swarm.piece_sets import full_set
from trio_swarm.recording.recorder import RecordedLedger, RecordedScheduler, Recorder
from trio_swarm.schedulers.api import Scheduler
from trio_swarm.schedulers.rarest_first import RarestFirst

MOST_SECONDS = 600.0
"""Virtual seconds after which a download counts as stuck."""


class LedgerSwarm:
    def __init__(
        self,
        strategy: Scheduler,
        sources: list[Source],
        *,
        piece_count: int,
        blocks_per_piece: int = 16,
        jitter: float = 0.0,
        seed: int = 1,
        recorder: Recorder | None = None,
    ) -> None:
        self.sources = sources
        self.size = piece_count * blocks_per_piece * BLOCK
        self.faults: list[str] = []
        make_ledger, make_guard = Ledger, GuardedScheduler
        if recorder is not None:
            make_ledger = partial(RecordedLedger, recorder=recorder)  # type: ignore[assignment]
            make_guard = partial(RecordedScheduler, recorder=recorder)  # type: ignore[assignment]
        self.now = 0.0
        self.ledger = make_ledger(
            Lengths(length=self.size, piece_length=blocks_per_piece * BLOCK),
            scheduler=make_guard(
                strategy,
                type(strategy).__name__,
                RarestFirst,
                timer=lambda: 0.0,
                on_fault=lambda name, reason, faults, replaced: self.faults.append(reason),
            ),
            rng=random.Random(seed),
            open_piece_limit=64,
        )
        self.noise = random.Random(seed + 1)
        self.jitter = jitter
        self.queues: list[deque[tuple[int, int, float]]] = [deque() for _ in sources]
        self.sending: list[tuple[int, int] | None] = [None for _ in sources]
        self.received = [0 for _ in sources]
        self.last_block = [0.0 for _ in sources]
        self.events: list[tuple[float, int, int]] = []
        self.serial = 0
        self.gone: set[int] = set()
        for key, source in enumerate(sources):
            self.ledger.add_peer(key, 0.0, identity=str(key))
            every = full_set(piece_count)
            self.ledger.set_pieces(key, every if source.pieces is None else source.pieces)
            self.ledger.set_choked(key, False, fast=True)  # noqa: FBT003 - the fact itself

    def run(self) -> Outcome:
        for key, source in enumerate(self.sources):
            if source.leaves_at < math.inf:
                self._at(source.leaves_at, -1 - key)
        self._plan()
        while not self.ledger.is_complete and self.now < MOST_SECONDS:
            due = self.ledger.next_deadline()
            if self.events and self.events[0][0] <= due:
                self.now, _, key = heapq.heappop(self.events)
                if key < 0:
                    self.gone.add(-1 - key)
                    self.ledger.remove_peer(-1 - key)
                elif key not in self.gone:
                    self._arrive(key)
            elif due < math.inf:
                self.now = max(self.now, due)
                self.ledger.expire(self.now)
            else:
                break
            if not self.events or self.events[0][0] > self.now:
                self._plan()
        return Outcome(
            finished_at=self.now if self.ledger.is_complete else None,
            received=self.received,
            last_block_at=self.last_block,
            duplicate=self.ledger.duplicate_bytes,
            have=self.ledger.have,
            broken_rules=self.faults,
        )

    def _plan(self) -> None:
        for key, (piece, begin, length) in self.ledger.plan(self.now):
            arrives = self.now + self.sources[key].rtt
            self.queues[key].extend(
                (piece, offset, arrives) for offset in range(begin, begin + length, BLOCK)
            )
            self._send_next(key)
        for key, (piece, begin, length) in self.ledger.take_cancels():
            self.queues[key] = deque(
                each
                for each in self.queues[key]
                if not (each[0] == piece and begin <= each[1] < begin + length)
            )

    def _send_next(self, key: int) -> None:
        if self.sending[key] is None and self.queues[key]:
            piece, begin, earliest = self.queues[key].popleft()
            self.sending[key] = (piece, begin)
            seconds = BLOCK / self.sources[key].rate
            seconds *= 1 + self.jitter * self.noise.uniform(-1, 1)
            self._at(max(self.now, earliest) + seconds, key)

    def _arrive(self, key: int) -> None:
        block = self.sending[key]
        assert block is not None
        self.sending[key] = None
        self.received[key] += BLOCK
        self.last_block[key] = self.now
        outcome = self.ledger.received(key, *block, BLOCK, self.now)
        if outcome is BlockOutcome.COMPLETED:
            self.ledger.verified(block[0])
        self._send_next(key)

    def _at(self, when: float, key: int) -> None:
        self.serial += 1
        heapq.heappush(self.events, (when, self.serial, key))
