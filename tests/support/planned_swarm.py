"""The middle of a large download on a virtual clock, with what its plans cost set apart.

10,000 pieces of 1 MiB in 16 KiB blocks, 500 MiB/s together, the buffers a download has by default.
"""

import random
from collections.abc import Callable
from typing import Any

from ledger_swarm import LedgerSwarm
from toy_swarm import BLOCK, Source
from trio_swarm.engine.download.ledger import BlockOutcome, Ledger
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.engine.lengths import Lengths
from trio_swarm.schedulers.api import Scheduler
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.settings import NodeSettings

MIB = 1024 * 1024
PIECES = 10_000
BLOCKS_PER_PIECE = 64
RATE = 500 * MIB
BLOCKS_PER_PLAN = 16
"""A peer plans once a wake-up, and at this rate each finds about a receive buffer of blocks."""
QUEUE_LIMIT = 1024
"""Blocks that a trio-swarm peer queues."""


class Metered:
    """A ledger of which `plan` and `received` are called through `meter(name, function, ...)`."""

    def __init__(self, ledger: Ledger, meter: Callable[..., Any]) -> None:
        self._ledger = ledger
        self._meter = meter

    def plan(self, now: float) -> Any:
        return self._meter("plan", self._ledger.plan, now)

    def received(self, *arguments: Any) -> Any:
        return self._meter("received", self._ledger.received, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class PlannedSwarm(LedgerSwarm):
    """Plans after every few blocks, and ends when `target` bytes are received.

    Neighbouring blocks arrive, and are taken in, up to `at_once` at a time.
    """

    def __init__(
        self,
        strategy: Scheduler,
        peers: int,
        meter: Callable[..., Any],
        *,
        are_seeders: bool,
        at_once: int = 1,
    ) -> None:
        self._at_once = at_once
        self._lengths = [0] * peers
        rng = random.Random(1)
        # Every piece has a holder; the others have three quarters of all.
        sources = [
            Source(
                rate=RATE / peers,
                rtt=0.001,
                pieces=rng.getrandbits(PIECES) | rng.getrandbits(PIECES)
                if key and not are_seeders
                else None,
            )
            for key in range(peers)
        ]
        super().__init__(
            strategy, sources, piece_count=PIECES, blocks_per_piece=BLOCKS_PER_PIECE, jitter=0.2
        )
        self.real_ledger = Ledger(
            Lengths(length=self.size, piece_length=MIB),
            scheduler=GuardedScheduler(strategy, "planned", RarestFirst, timer=lambda: 0.0),
            rng=random.Random(1),
            open_piece_limit=NodeSettings().piece_memory // MIB,
        )
        for key, source in enumerate(sources):
            self.real_ledger.add_peer(key, 0.0, identity=str(key))
            every = (1 << PIECES) - 1
            self.real_ledger.set_pieces(key, every if source.pieces is None else source.pieces)
            self.real_ledger.set_queue_limit(key, QUEUE_LIMIT)
            self.real_ledger.set_choked(key, False, fast=True)  # noqa: FBT003 - the fact itself
        self.ledger = Metered(self.real_ledger, meter)  # type: ignore[assignment]
        self._unplanned = BLOCKS_PER_PLAN
        self._target = 0

    def run_until(self, target: int) -> float:
        """Play until `target` bytes are received; return the virtual time."""
        self._target = target
        try:
            self.run()
        except _ReachedError:
            return self.now
        raise AssertionError("the download ended early")

    def _plan(self) -> None:
        self._unplanned += 1
        if self._unplanned >= BLOCKS_PER_PLAN or not self.events:
            self._unplanned = 0
            super()._plan()

    def _send_next(self, key: int) -> None:
        """Let a run of blocks come: of one piece, and behind each other."""
        queue = self.queues[key]
        if self.sending[key] is not None or not queue:
            return
        piece, begin, earliest = queue.popleft()
        count = 1
        while queue and count < self._at_once:
            if queue[0][:2] != (piece, begin + count * BLOCK):
                break
            queue.popleft()
            count += 1
        self.sending[key] = (piece, begin)
        self._lengths[key] = count * BLOCK
        seconds = count * BLOCK / self.sources[key].rate
        seconds *= 1 + self.jitter * self.noise.uniform(-1, 1)
        self._at(max(self.now, earliest) + seconds, key)

    def _arrive(self, key: int) -> None:
        block, length = self.sending[key], self._lengths[key]
        assert block is not None
        self.sending[key] = None
        self._unplanned += length // BLOCK - 1
        outcome = self.ledger.received(key, *block, length, self.now)
        if outcome is BlockOutcome.COMPLETED:
            self.ledger.verified(block[0])
        self._send_next(key)
        if self.real_ledger.received_bytes >= self._target:
            raise _ReachedError


class _ReachedError(Exception):
    """Enough was received."""
