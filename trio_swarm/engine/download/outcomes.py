"""Results of the ledger: blocks to request, what to do with received blocks, statistics of peers.

The module is not compiled: recordings are read by the annotations of these types, and mypyc does
not keep annotations.
"""

from enum import Enum
from typing import NamedTuple

from trio_swarm.engine.lengths import BlockRun


class Grant(NamedTuple):
    """Request `run` from `peer` (or, as a cancel, cancel that request)."""

    peer: int
    run: BlockRun


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
