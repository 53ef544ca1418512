"""What one leecher was given of the first copies, and how it takes them and passes them on."""

import math
from typing import Final, NamedTuple

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadPeerView, UploadView
from trio_swarm.schedulers.uploading.first_copies_rates import BusyRate
from trio_swarm.schedulers.uploading.waiting_time import BUSY_SECONDS, WaitingTime

PATIENCE: Final = 1.0
"""Seconds that whatever depends on others may take: that a leecher takes what it was given (else it
is given to another), has something to request (else everything is revealed to it), and is joined by
others (else nothing need be hidden from it)."""

LONGEST_WAIT: Final = PATIENCE - BUSY_SECONDS
"""Waiting time of a leecher after which everything is revealed to it, whatever other peers claim to
have for it."""


class Usual(NamedTuple):
    """What is usual for a leecher."""

    rate: float
    """Its equal part of our uplink, bytes/s."""
    quickness: float
    """For what part of the pieces that it alone has it passes one on in a second."""


@mypyc_attr(acyclic=True)
class Given:
    """The pieces revealed to one leecher, and what became of them. Amounts in bytes."""

    __slots__ = (
        "_before",
        "_delivered",
        "_held",
        "_looked_at",
        "_moved_at",
        "_passing",
        "_pieces",
        "_taking",
        "_uploaded",
        "alone",
        "confirmed",
        "ever",
        "gained",
        "has_asked",
        "unsent",
        "unsent_pieces",
        "waiting",
    )

    def __init__(self, peer: UploadPeerView, view: UploadView) -> None:
        now = view.now
        self.ever: PieceSet = 0
        """All pieces revealed to it so far."""
        self.alone: PieceSet = 0
        """Pieces that only it has, or that nobody has and it is to have."""
        self.unsent = 0
        """Bytes of what it was given and lacks that are not sent yet."""
        self.unsent_pieces: PieceSet = 0
        """The pieces they belong to."""
        self.confirmed = 0
        """Bytes of it that the leecher has told to have, since the last look."""
        self.has_asked = False
        """It has requested something of us."""
        self.gained = 0
        """Bytes that it got from others since the last look."""
        self.waiting = WaitingTime(now)
        self._before: dict[int, int] = {}  # bytes sent of a piece when it was given
        self._held: PieceSet = 0  # pieces of `alone` that it need only pass on
        self._pieces = peer.pieces
        self._uploaded = peer.uploaded
        self._delivered = view.delivered_to(peer)
        self._looked_at = self._moved_at = now
        self._taking = BusyRate(view.piece_length)
        self._passing = BusyRate(1.0)

    def add(self, piece: int, view: UploadView) -> None:
        """Note that `piece` is revealed to it now."""
        bit = 1 << piece
        self.ever |= bit
        if view.rarity[0] & bit:
            self.alone |= bit
        if not self.unsent:
            self._moved_at = view.now  # it had nothing to request
        self._before[piece] = view.sent.get(piece, 0)
        self.unsent += view.size_of(piece)
        self.unsent_pieces |= bit

    @property
    def has_waited_too_long(self) -> bool:
        """Whether it had nothing to request for too long."""
        return self.waiting.seconds > LONGEST_WAIT

    def review(
        self, peer: UploadPeerView, nowhere: PieceSet, once: PieceSet, view: UploadView
    ) -> None:
        """Note what happened since the last look."""
        now = view.now
        if not view.have & ~peer.revealed & ~peer.pieces:
            self.waiting.restart(now)
        elif not self.has_waited_too_long:
            self.waiting.note(peer, view)
        passed = now - self._looked_at
        taken = peer.uploaded - self._uploaded
        self.gained = (peer.pieces & ~self._pieces).bit_count() * view.piece_length - taken
        self._looked_at = now
        self._pieces = peer.pieces
        self._uploaded = peer.uploaded
        delivered = view.delivered_to(peer)
        if taken or delivered != self._delivered:
            self._moved_at = now
        self._delivered = delivered
        if taken or peer.queued:
            self.has_asked = True
        was_taking = self.is_taking
        self._count(peer, view)
        if was_taking:
            self._taking.note(self.confirmed, passed)
        self.alone = (peer.pieces & once) | (self.ever & nowhere)
        if self._held:
            passed_on = (self._held & ~self.alone).bit_count()
            self._passing.note(passed_on, passed * self._held.bit_count())
        self._held = self.alone & ~self.unsent_pieces

    def _count(self, peer: UploadPeerView, view: UploadView) -> None:
        """Count the bytes of given pieces that are not sent, and those that came to be here."""
        self.confirmed = self.unsent = 0
        self.unsent_pieces = 0
        for piece, before in list(self._before.items()):
            sent = min(view.size_of(piece), view.sent.get(piece, 0) - before)
            unsent = view.size_of(piece) - sent
            if peer.pieces >> piece & 1:
                self.confirmed += sent
                del self._before[piece]
            elif unsent:
                self.unsent += unsent
                self.unsent_pieces |= 1 << piece

    @property
    def is_taking(self) -> bool:
        """Whether it was given something that it has not told to have."""
        return len(self._before) > 0

    @property
    def is_moving(self) -> bool:
        """Whether it took something, or was given something, a moment ago."""
        return self._looked_at - self._moved_at <= PATIENCE

    def is_idle(self, peer: UploadPeerView) -> bool:
        """Whether it wants no piece revealed to it; there may be hundreds of such peers."""
        return (
            self.ever > 0
            and not peer.interested
            and peer.revealed & ~peer.pieces > 0
            and not self.is_moving
        )

    def quickness(self, typical: float) -> float:
        """Return for what part of the pieces that it alone has it passes one on in a second.

        The reciprocal is how long it has a piece alone (Little). So it does not matter how many it
        has.
        """
        return self._passing.rate(typical)

    def work(self, length: int) -> int:
        """Return how much of what is revealed ahead it has, beyond the one piece of each leecher.

        What it does not take, though it was given it, does not keep our uplink busy. What it takes
        slowly does: another connection may have most of our uplink.
        """
        return max(0, self.unsent - length) if self.is_moving else 0

    def seconds(self, length: int, usual: Usual, helped: PieceSet, more: int = 0) -> float:
        """Return in how many seconds it will have taken and passed on all that it alone has.

        Not so what is `helped`: another leecher was given it, too. `more`: pieces given to it in
        addition.
        """
        if self.unsent and not self.is_moving:
            return math.inf
        taking = (self.unsent + more * length) / self._taking.rate(usual.rate)
        alone = (self.alone & ~helped).bit_count() + more
        return taking + alone * length / (usual.rate * self.part(usual))

    def part(self, usual: Usual) -> float:
        """Return what part of the usual rate it passes on: 1.0 unless it is slower than others."""
        return min(1.0, self.quickness(usual.quickness) / usual.quickness)
