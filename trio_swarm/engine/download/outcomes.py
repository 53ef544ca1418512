"""Results of the ledger: blocks to request and why, what to do with received blocks, statistics.

The module is not compiled: recordings are read by the annotations of these types, and mypyc does
not keep annotations.
"""

from enum import Enum
from typing import Literal, NamedTuple, Protocol

from trio_swarm.engine.lengths import BlockRun
from trio_swarm.schedulers.api import Assignment, SwarmView


class Grant(NamedTuple):
    """Request `run` from `peer` (or, as a cancel, cancel that request)."""

    peer: int
    run: BlockRun


class Asked(NamedTuple):
    """One question to a strategy, and its answer."""

    view: SwarmView
    assigned: list[Assignment]
    """What the guard kept of the answer."""
    by: Literal["strategy", "fallback", "host"]
    """Who answered; the host asks the fallback if the strategy gave nothing for too long."""
    name: str
    """Of the strategy that was chosen."""
    took: float
    """Seconds; 0.0 for a fallback."""
    faults: list[str]
    """What was wrong in the answer, one of each kind."""


class PlanWatcher(Protocol):
    """Somebody who looks at how a download is planned."""

    def wants(self, now: float) -> bool:
        """Whether to be told of the plan that is about to be made."""

    def planned(self, asked: list[Asked], grants: list[Grant], now: float) -> None:
        """Take note of a plan with grants, and of the questions that led to it."""


class BlockOutcome(Enum):
    """What to do with blocks that arrived."""

    ACCEPTED = "accepted"
    """Keep the bytes."""
    COMPLETED = "completed"
    """Keep the bytes. All blocks of the piece are received now: check its hash."""
    DUPLICATE = "duplicate"
    """Drop the bytes: they were requested once, but are not needed (any more)."""
    UNREQUESTED = "unrequested"
    """Drop the bytes: they were never requested, so the peer is at fault."""


class PeerStats(NamedTuple):
    """Statistics of one peer of a download."""

    rate: float
    """Download rate while something is in flight, bytes/s."""
    rtt: float
    """Seconds from a request to its block if nothing is queued; 0.0 while unknown."""
    in_flight: int
    """Number of blocks in flight."""
    received: int
    """Bytes of blocks from it that were accepted."""
    duplicate: int
    """Bytes of blocks from it that were not needed."""
