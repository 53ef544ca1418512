"""spread: a seeder sends each piece to one leecher first, and lets them pass it on."""

from dataclasses import dataclass, field

from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadPeerView, UploadView
from trio_swarm.schedulers.uploading.first_copies import FirstCopies
from trio_swarm.schedulers.uploading.least_sent import LeastSent


@dataclass
class Spread(LeastSent):
    """Every piece leaves a seeder once before any leaves it twice; then it is an ordinary one.

    Each leecher is shown (BEP 16) only pieces that nobody else was shown, about half a second
    ahead of what is sent, and the more of them the faster it passes them on. Nobody waits for a
    piece to be seen elsewhere, and as soon as all are out, or the uplink has room to spare,
    everything is shown to everybody; and to a leecher that has had nothing to ask for, for a
    second, whatever others claim to have. What a leecher asks for is served least-sent first.
    """

    hide: bool = True
    """Show a leecher only its part; else show everything and suggest the part (BEP 6), which
    clients obey or not."""
    ahead_seconds: float = 0.5
    """How much of our uplink is given ahead to all leechers together."""
    least_pieces: int = 2
    """How many pieces are given ahead, to all together, however slow the uplink is."""
    _firsts: FirstCopies = field(init=False, repr=False)
    _view: UploadView | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse impossible options."""
        if self.ahead_seconds < 0:
            raise ValueError("ahead_seconds must be 0 or more")
        if self.least_pieces < 1:
            raise ValueError("least_pieces must be 1 or more")
        self._firsts = FirstCopies(
            ahead_seconds=self.ahead_seconds,
            least_pieces=self.least_pieces,
            hides=self.hide,
        )

    def steers(self, view: UploadView) -> bool:
        """Return whether this is a seeder, and not every piece is out yet."""
        if not view.is_seeder:
            return False
        self._look_at(view)
        return not self.hide or not self._firsts.is_over

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return this leecher's part so far, or None: everything."""
        if not view.is_seeder or not self.hide:
            return None
        self._look_at(view)
        if self._firsts.is_over or peer.is_seeder or self._firsts.has_waited_too_long(peer.key):
            return None
        return (peer.revealed | self._firsts.given_to(peer.key)) & view.have

    def suggest(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return this leecher's part so far, if it is shown everything."""
        if not view.is_seeder or self.hide:
            return None
        self._look_at(view)
        return self._firsts.given_to(peer.key) & ~peer.pieces

    def _look_at(self, view: UploadView) -> None:
        # Mostly it is the same object; an equal one must mean the same.
        if view is not self._view and view != self._view:
            self._firsts.plan(view)
            # Once it is over nobody asks about it again, and it holds what is known of all peers.
            self._view = None if self._firsts.is_over else view
