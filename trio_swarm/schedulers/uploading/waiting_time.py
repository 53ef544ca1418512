"""How long a peer from which pieces are hidden has had nothing to request.

What other peers claim to have does not count: they may lie, or be too slow to help. Only the peer's
own behaviour counts, and it is not required to send anything.
"""

from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadPeerView, UploadView

BUSY_SECONDS: Final = 0.25
"""Seconds after its last request, block or new piece for which a peer counts as busy: its next
request may be on its way."""


@mypyc_attr(acyclic=True)
class WaitingTime:
    """The waiting time of one peer; each busy moment cancels an idle one.

    So a peer that is kept busy for less than half of the time waits as long as one to which nothing
    is revealed.
    """

    __slots__ = ("_busy_at", "_delivered", "_looked_at", "_pieces", "_uploaded", "seconds")

    def __init__(self, now: float) -> None:
        self.seconds = 0.0
        """Seconds with nothing to request, less the seconds with something to request; never below
        0."""
        self._busy_at = now
        self._looked_at = now
        self._pieces: PieceSet = 0
        self._uploaded = 0
        self._delivered = 0

    def note(self, peer: UploadPeerView, view: UploadView) -> None:
        """Add the time since the last call to `seconds`."""
        now = view.now
        delivered = view.delivered_to(peer)
        if self._is_busy(peer, delivered):
            self._busy_at = now
            self._pieces = peer.pieces
            self._uploaded = peer.uploaded
            self._delivered = delivered
        passed = now - self._looked_at
        self._looked_at = now
        idle = min(passed, max(0.0, now - self._busy_at - BUSY_SECONDS))
        self.seconds = max(0.0, self.seconds + 2.0 * idle - passed)

    def restart(self, now: float) -> None:
        """Start again at `now`, when nothing is hidden from the peer."""
        self._busy_at = self._looked_at = now

    def _is_busy(self, peer: UploadPeerView, delivered: int) -> bool:
        """Whether it has requested, received or got something, or waits to be unchoked."""
        return (
            peer.queued > 0
            or peer.uploaded != self._uploaded
            or delivered != self._delivered
            or peer.pieces != self._pieces
            or (peer.interested and not peer.unchoked and bool(peer.revealed & ~peer.pieces))
        )
