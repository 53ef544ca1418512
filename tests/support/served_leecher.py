"""A leecher as `Uploads` sees it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trio_swarm.engine.rates import RateEstimate
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadRequest


@dataclass(eq=False)
class Leecher:
    """One that is served."""

    key: int
    offered: PieceSet | None = None
    offered_of: PieceSet = -1
    to_suggest: PieceSet = 0
    should_unchoke: bool = False
    unchoked_at: float | None = None
    waiting_since: float | None = None
    uploaded_since_unchoke: int = 0
    address: str = "10.0.0.1:1"
    joined_at: float = 0.0
    wants_nothing: bool = False
    peer_interested: bool = True
    peer_choking: bool = True
    am_choking: bool = True
    takes_suggestions: bool = True
    told: PieceSet = 0
    suggested: PieceSet = 0
    upload_queue: Sequence[UploadRequest] = ()
    uploaded: int = 0
    upload_rate: RateEstimate = field(default_factory=RateEstimate)
    received_at: float | None = None
