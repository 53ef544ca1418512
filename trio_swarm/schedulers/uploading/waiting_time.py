"""How long a peer from which pieces are kept has had nothing to ask for.

Nothing that others say counts here: they may lie, or be too slow to help. Only what the peer itself
does counts, and it need not do anything.
"""

from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadPeerView

BUSY_SECONDS: Final = 0.25
"""Seconds after its last request, block or new piece for which a peer counts as busy: the next may
be on its way."""


@mypyc_attr(acyclic=True)
class WaitingTime:
    """Of one peer. A moment with something to do makes up for one without.

    So one that is shown a piece now and then, too slowly to keep it busy for half of the time,
    waits as long as one that is shown nothing.
    """

    __slots__ = ("_busy_at", "_looked_at", "_pieces", "_uploaded", "seconds")

    def __init__(self, now: float) -> None:
        self.seconds = 0.0
        """For how long it had nothing to ask for, less the time in which it had."""
        self._busy_at = now
        self._looked_at = now
        self._pieces: PieceSet = 0
        self._uploaded = 0

    def note(self, peer: UploadPeerView, now: float) -> None:
        """Bring `seconds` up to now."""
        if self._is_busy(peer):
            self._busy_at = now
            self._pieces = peer.pieces
            self._uploaded = peer.uploaded
        passed = now - self._looked_at
        self._looked_at = now
        idle = min(passed, max(0.0, now - self._busy_at - BUSY_SECONDS))
        self.seconds = max(0.0, self.seconds + 2.0 * idle - passed)

    def restart(self, now: float) -> None:
        """Note that nothing is kept from it now."""
        self._busy_at = self._looked_at = now

    def _is_busy(self, peer: UploadPeerView) -> bool:
        """Whether it asks, was sent or got something, or waits for a slot to ask."""
        return (
            peer.queued > 0
            or peer.uploaded != self._uploaded
            or peer.pieces != self._pieces
            or (peer.interested and not peer.unchoked and bool(peer.revealed & ~peer.pieces))
        )
