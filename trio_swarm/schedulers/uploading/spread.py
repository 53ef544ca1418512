"""spread: a seeder sends each piece to one leecher first, and the leechers pass it on."""

from dataclasses import dataclass, field

from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadPeerView, UploadView
from trio_swarm.schedulers.uploading.first_copies import FirstCopies
from trio_swarm.schedulers.uploading.least_sent import LeastSent


@dataclass
class Spread(LeastSent):
    """A seeder sends every piece once before it sends any twice; then it is an ordinary seeder.

    It reveals (BEP 16) to each leecher only pieces that it revealed to no other, about half a
    second ahead of what it sends. A leecher that passes pieces on faster gets more of them. The
    seeder does not wait until a piece is seen at another peer. Once every piece is out, it reveals
    everything to every peer if that saves them time. It also reveals everything to a leecher that
    has had nothing to request for about a second, whatever other peers claim to have. Requests are
    served least-sent pieces first.
    """

    hide: bool = True
    """Reveal only its part to each leecher; if false, reveal everything and suggest the part (BEP
    6), which clients may ignore."""
    ahead_seconds: float = 0.5
    """Seconds of our uplink whose worth of pieces is revealed ahead, to all leechers together."""
    least_pieces: int = 2
    """Pieces revealed ahead, to all leechers together, however slow the uplink is."""
    _firsts: FirstCopies = field(init=False, repr=False)
    _view: UploadView | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
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
        """Return whether we are a seeder that has not sent every piece yet."""
        if not view.is_seeder:
            return False
        self._look_at(view)
        return not self.hide or not self._firsts.is_over

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return the part of this leecher so far, or None to reveal everything."""
        if not view.is_seeder or not self.hide:
            return None
        self._look_at(view)
        if self._firsts.is_over or peer.is_seeder or self._firsts.has_waited_too_long(peer.key):
            return None
        return (peer.revealed | self._firsts.revealed_to(peer.key)) & view.have

    def suggest(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return the part of this leecher so far if everything is revealed to it, else None."""
        if not view.is_seeder or self.hide:
            return None
        self._look_at(view)
        return self._firsts.revealed_to(peer.key) & ~peer.pieces

    def weight(self, view: UploadView, peer: UploadPeerView) -> float:
        """Return how quickly this leecher passes on first copies; 1 for all once that is over.

        A leecher that keeps them would only get more of what the others wait for.
        """
        if not view.is_seeder or self._firsts.is_over:
            return 1.0
        return self._firsts.weight_of(peer.key)

    def _look_at(self, view: UploadView) -> None:
        # The view is mostly the same object; an equal one means the same.
        if view is not self._view and view != self._view:
            self._firsts.plan(view)
            # Once every piece was sent, no further call needs the view, which holds the state of
            # all peers.
            self._view = None if self._firsts.is_over else view
