"""What the ledger tells: what to ask for, what became of blocks that arrived, and of peers.

Not compiled: recordings are read by these types' annotations, and mypyc keeps none of classes.
"""

from enum import Enum
from typing import NamedTuple

from trio_swarm.engine.lengths import BlockRun


class Grant(NamedTuple):
    """Ask `run` of `peer` (or, as a cancel, ask it no longer)."""

    peer: int
    run: BlockRun


class BlockOutcome(Enum):
    """What became of blocks that arrived."""

    ACCEPTED = "accepted"
    """Keep the bytes."""
    COMPLETED = "completed"
    """Keep the bytes; the piece has all its blocks now: check its hash."""
    DUPLICATE = "duplicate"
    """It was asked for once, but is not needed (any more): drop the bytes."""
    UNREQUESTED = "unrequested"
    """It was never asked for: drop the bytes; the peer is at fault."""


class PeerStats(NamedTuple):
    """What the ledger knows of one peer."""

    rate: float
    """Bytes/s while something is asked of it."""
    rtt: float
    """Seconds from a request to its block when nothing is queued; 0.0 while unknown."""
    in_flight: int
    """Blocks."""
    received: int
    """Bytes of blocks taken from it."""
    duplicate: int
    """Bytes of blocks it sent in vain."""
