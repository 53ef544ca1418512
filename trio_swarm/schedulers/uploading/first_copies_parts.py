"""Which piece is revealed next to which leecher, so that several seeders seldom take the same."""

from collections.abc import Sequence

from trio_swarm.piece_sets import PieceSet, lowest
from trio_swarm.schedulers.api import UploadPeerView, UploadView


class Parts:
    """The pieces to reveal first to each leecher: equal parts, in the order of addresses.

    Seeders that serve the same leechers arrive at the same parts without a message. In each part
    they start at different places. So they seldom reveal one piece to two leechers, and a leecher
    gets different pieces from each seeder.
    """

    def __init__(self, view: UploadView, leechers: Sequence[UploadPeerView]) -> None:
        count = len(leechers)
        order = sorted(range(count), key=lambda index: leechers[index].address)
        self._begins = [0] * count
        self._parts = [0] * count
        for place, index in enumerate(order):
            begin = place * view.piece_count // count
            end = (place + 1) * view.piece_count // count
            self._parts[index] = (1 << end) - (1 << begin)
            self._begins[index] = begin + view.own_number % max(1, end - begin)

    def next(self, pool: PieceSet, index: int) -> int:
        """Return the piece of a non-empty `pool` to reveal next to the leecher at `index`."""
        own = pool & self._parts[index]
        if own:
            begin = self._begins[index]
            return lowest(own >> begin << begin or own)
        # From where its owner would come last.
        others = max((pool & part for part in self._parts), key=int.bit_count)
        owner = next(i for i, part in enumerate(self._parts) if others & part)
        before = others & ((1 << self._begins[owner]) - 1)
        return (before or others).bit_length() - 1


def common_piece(view: UploadView, peer: UploadPeerView) -> int | None:
    """Return a piece that many peers have and `peer` lacks; None if there is none."""
    lacking = view.have & ~peer.pieces
    for level in reversed(view.rarity):
        if level & lacking:
            return lowest(level & lacking)
    return None
