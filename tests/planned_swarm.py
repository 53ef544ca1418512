"""The middle of a large download on a virtual clock, with what its plans cost set apart.

10,000 pieces of 1 MiB in 16 KiB blocks, 500 MiB/s together, the buffers a download has by default.
"""

import random
from collections.abc import Callable
from typing import Any

from ledger_swarm import LedgerSwarm
from toy_swarm import Source
from trio_swarm.schedulers.api import Scheduler
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.settings import NodeSettings
from trio_swarm.swarm.guard import GuardedScheduler
from trio_swarm.swarm.ledger import Ledger
from trio_swarm.swarm.lengths import Lengths

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
    """Plans after every few blocks, and ends when `target` bytes are received."""

    def __init__(
        self, strategy: Scheduler, peers: int, meter: Callable[..., Any], *, are_seeders: bool
    ) -> None:
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

    def _arrive(self, key: int) -> None:
        super()._arrive(key)
        if self.real_ledger.received_bytes >= self._target:
            raise _ReachedError


class _ReachedError(Exception):
    """Enough was received."""
