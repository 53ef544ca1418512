"""least-sent: reveal everything to every peer, and serve the least-sent pieces first."""

from collections.abc import Sequence
from dataclasses import dataclass

from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadPeerView, UploadRequest, UploadView


@dataclass
class LeastSent:
    """Of a peer's requests, serve those first whose pieces were sent least often.

    Among pieces sent equally often, pieces that another peer has already come last. Nothing is
    hidden: a peer that requests only pieces sent before still gets them.
    """

    def steers(
        self,
        view: UploadView,  # noqa: ARG002 - part of the interface
    ) -> bool:
        """Return False: nothing is hidden from any peer."""
        return False

    def offer(
        self,
        view: UploadView,  # noqa: ARG002 - part of the interface; everything is revealed
        peer: UploadPeerView,  # noqa: ARG002 - and to every peer
    ) -> PieceSet | None:
        """Return None: reveal everything to every peer."""
        return None

    def order(
        self,
        view: UploadView,
        peer: UploadPeerView,  # noqa: ARG002 - part of the interface; the order does not depend on it
        requests: Sequence[UploadRequest],
    ) -> Sequence[UploadRequest]:
        """Return `requests`, least-sent pieces first; equal ones keep their order.

        Only whole copies count, so a piece that is half sent keeps its place before pieces that
        were not sent at all.
        """
        if len(requests) < 2:
            return requests
        first = requests[0].piece
        if all(request.piece == first for request in requests):
            return requests
        sent = view.sent
        unique = view.rarity[0] if view.rarity else 0

        def key(request: UploadRequest) -> tuple[int, int]:
            piece = request.piece
            times = sent.get(piece, 0) // view.size_of(piece)
            return (times, 0 if unique >> piece & 1 else 1)

        return sorted(requests, key=key)
