"""least-sent: a seeder's first copy of the file is spread before any second one."""

from collections.abc import Sequence
from dataclasses import dataclass

from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.schedulers.api import UploadPeerView, UploadRequest, UploadView


@dataclass
class LeastSent:
    """Of what a peer asks for, serve first the pieces that were sent to anybody least often.

    So the pieces that only we have go out once before any goes out twice, without a peer waiting
    for it. Pieces that some other peer holds already come last among those equally often sent.
    With `spread` the seeder also hides (BEP 16) until every piece was offered once: each leecher is
    shown what others hold and a few pieces of its own; no timers, so nobody waits for a round.
    """

    spread: bool = False
    """Show each leecher only its part until every piece is offered once; for one seeder and many
    leechers that connect at about the same time."""
    window_kib: int = 4096
    """With `spread`: how much of what it does not have a leecher is shown ahead, KiB; at least two
    pieces."""

    def __post_init__(self) -> None:
        """Refuse impossible options."""
        if self.window_kib < 1:
            raise ValueError("window_kib must be 1 or more")
        self._shown: dict[int, PieceSet] = {}

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return None (show everything), or with `spread` this peer's part so far."""
        here = {each.key for each in view.peers}
        self._shown = {key: shown for key, shown in self._shown.items() if key in here}
        leechers = sum(not each.is_seeder for each in view.peers)
        if not self.spread or not view.is_seeder or leechers < 2:
            # A lone leecher is shown everything: then everything was offered, and spreading ends.
            self._shown[peer.key] = view.have
            return None
        elsewhere = 0
        for each in view.peers:
            elsewhere |= each.pieces
        offered = elsewhere
        for shown in self._shown.values():
            offered |= shown
        unseen = view.have & ~offered
        mine = self._shown.get(peer.key, 0) | (elsewhere & view.have)
        pending = (mine & ~elsewhere).bit_count()
        window = max(2, self.window_kib * 1024 // view.piece_length)
        while unseen and pending < window:
            bit = unseen & -unseen
            unseen ^= bit
            mine |= bit
            pending += 1
        self._shown[peer.key] = mine
        if not unseen:
            self._shown[peer.key] = full_set(view.piece_count) & view.have
            return None
        return mine

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
        sent = view.sent
        length = view.piece_length
        unique = view.rarity[0] if view.rarity else 0

        def key(request: UploadRequest) -> tuple[int, int]:
            times = sent.get(request.piece, 0) // length
            return (times, 0 if unique >> request.piece & 1 else 1)

        first = requests[0].piece
        if all(request.piece == first for request in requests):
            return requests
        return sorted(requests, key=key)
