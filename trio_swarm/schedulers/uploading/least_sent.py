"""least-sent: everything is shown to everybody, and what was sent least is served first."""

from collections.abc import Sequence
from dataclasses import dataclass

from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadPeerView, UploadRequest, UploadView


@dataclass
class LeastSent:
    """Of what a peer asks for, serve first the pieces that were sent to anybody least often.

    Pieces that some other peer holds already come last among those equally often sent. Nothing is
    hidden: who asks for what we sent already gets it, if it asks for nothing else.
    """

    def steers(
        self,
        view: UploadView,  # noqa: ARG002 - the interface's; nothing is ever kept from anybody
    ) -> bool:
        """Return False: nothing is kept from anybody."""
        return False

    def offer(
        self,
        view: UploadView,  # noqa: ARG002 - the interface's; everything is shown always
        peer: UploadPeerView,  # noqa: ARG002 - and to everybody
    ) -> PieceSet | None:
        """Return None: show everything."""
        return None

    def order(
        self,
        view: UploadView,
        peer: UploadPeerView,  # noqa: ARG002 - the interface's; this order is the same for all
        requests: Sequence[UploadRequest],
    ) -> Sequence[UploadRequest]:
        """Return `requests`, least-sent pieces first; equal ones keep the order they came in.

        A piece counts as sent as often as it was sent whole: one that is half out does not lose
        its place to one that is not begun.
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
