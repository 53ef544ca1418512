"""Which leecher gets the first copy of which piece, so that a seeder sends each about once.

A piece that only we have is revealed to one leecher, which passes it on. (Instead of being revealed
it can be suggested; "revealed" below means either.) The bound of Kumar and Ross is reached if our
uplink is never idle, sends nothing twice, and gives each leecher as much as it can pass on. So the
next piece goes to the leecher that would be the first to have passed on all that it alone has. A
leecher that can pass on one more before the last first copy is out is never left without work.

When all pieces are out, everything is revealed if that saves the leechers time. If they are about
to complete each other, only pieces are revealed that a slow leecher alone has, to a faster one.

No rate is that of bytes put into sockets: what leechers tell to have counts.
"""

import math
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadPeerView, UploadView
from trio_swarm.schedulers.uploading.first_copies_leecher import PATIENCE, Given, Usual
from trio_swarm.schedulers.uploading.first_copies_parts import Parts, common_piece
from trio_swarm.schedulers.uploading.first_copies_rates import BusyRate
from trio_swarm.schedulers.uploading.waiting_time import BUSY_SECONDS

FIRST_AHEAD: Final = 1024.0 * 1024.0
"""Bytes revealed ahead while nobody has told to have any. Simulated at 200 Mbit/s and 100 ms: 5 %
longer with two pieces of 64 KiB, for each further one takes a round trip."""

SOONER: Final = 2.0
"""A piece that one leecher alone has is revealed to another that would pass it on so many times
sooner. Simulated with 1 here: 64 MiB no sooner with 1.5 % more of a copy, 4 MiB 1 % sooner with 4 %
more; without any such help 4 MiB took 6 % longer."""


class FirstCopies:
    """The first copies of one torrent so far; `plan` is called with each new view."""

    def __init__(self, *, ahead_seconds: float, least_pieces: int, hides: bool) -> None:
        self.is_over = False
        """Nothing need be hidden: every piece is out, or there is only one leecher."""
        self._ahead_seconds = ahead_seconds
        self._least_pieces = least_pieces
        self._hides = hides
        self._given: dict[int, Given] = {}
        self._ahead = FIRST_AHEAD
        self._alone: int | None = None
        self._alone_since = -math.inf
        self._uploaded = 0
        self._helped: PieceSet = 0  # given to a second leecher, to be sooner
        self._sending = BusyRate(0.0)
        self._exchanging = BusyRate(0.0)
        self._missing = 0
        self._looked_at = 0.0
        self._rate = 0.0  # of our uplink, bytes/s
        self._usual = Usual(1.0, 1.0)

    def revealed_to(self, key: int) -> PieceSet:
        """Return the pieces revealed to a leecher, whether or not they were first copies."""
        given = self._given.get(key)
        return 0 if given is None else given.ever

    def has_waited_too_long(self, key: int) -> bool:
        """Whether a leecher had nothing to request for too long, so nothing is hidden from it."""
        given = self._given.get(key)
        return given is not None and given.has_waited_too_long

    def weight_of(self, key: int) -> float:
        """Return the share of our uplink that a leecher should have, in proportion to the others'.

        It is 1.0 unless the leecher has its pieces alone for longer than others: half if twice as
        long, and next to nothing if it keeps what it gets. It means nothing once `is_over`.
        """
        given = self._given.get(key)
        return 1.0 if given is None else given.part(self._usual)

    def plan(self, view: UploadView) -> None:
        """Reveal the pieces that are due at `view.now`."""
        nowhere = view.have & view.rarity[0]
        leechers = self._review(view, nowhere)
        if self._is_alone(leechers, view.now):
            self.is_over = True
            return
        free = nowhere
        sending: PieceSet = 0
        for peer in leechers:
            given = self._given[peer.key]
            free &= ~given.ever
            sending |= given.unsent_pieces
        is_out = not free and not sending & nowhere
        # BUSY_SECONDS: what takes no longer than the next request is nothing to save.
        self.is_over = is_out and self._seconds_saved() > BUSY_SECONDS
        if self.is_over:
            return
        ahead = self._bytes_ahead(view, leechers)
        self._helped &= ~free
        parts = Parts(view, leechers)
        free = self._greet(view, leechers, parts, free)
        if free:
            self._give(view, leechers, parts, free, ahead)
        else:
            self._help(view, leechers)

    def _review(self, view: UploadView, nowhere: PieceSet) -> list[UploadPeerView]:
        """Note what became of all that was given; return the leechers to give to."""
        known = self._given
        self._given = {}
        once = view.rarity[1] if len(view.rarity) > 1 else 0
        leechers = []
        confirmed = gained = missing = 0
        was_sending = any(each.is_taking for each in known.values())
        for peer in view.peers:
            given = known.get(peer.key)
            if given is None:
                if peer.is_seeder:
                    continue
                given = Given(peer, view)
            self._given[peer.key] = given
            given.review(peer, nowhere, once, view)
            if not peer.is_seeder and not given.is_idle(peer):
                confirmed += given.confirmed
                gained += given.gained
                missing += (view.have & ~peer.pieces).bit_count()
                leechers.append(peer)
        passed = view.now - self._looked_at
        self._looked_at = view.now
        if was_sending:
            self._sending.note(confirmed, passed)
        if confirmed and self._ahead == FIRST_AHEAD:
            self._ahead = 0.0
        if self._missing:
            self._exchanging.note(gained, passed)
        self._missing = missing * view.piece_length
        self._rate = self._sending.rate(1.0)
        quick = sorted(self._given[each.key].quickness(self._usual.quickness) for each in leechers)
        self._usual = Usual(
            max(self._rate, view.piece_length) / max(1, len(leechers)),
            quick[len(quick) // 2] if quick else 1.0,
        )
        return leechers

    def _seconds_saved(self) -> float:
        """Return how much sooner all leechers are complete if our uplink helps."""
        alone = self._exchanging.rate(1.0)
        return self._missing / alone - self._missing / (alone + self._rate)

    def _is_alone(self, leechers: Sequence[UploadPeerView], now: float) -> bool:
        key = leechers[0].key if len(leechers) == 1 else None
        if key != self._alone:
            self._alone = key
            self._alone_since = now
        return key is not None and now - self._alone_since >= PATIENCE

    def _greet(
        self, view: UploadView, leechers: Sequence[UploadPeerView], parts: Parts, free: PieceSet
    ) -> PieceSet:
        """Give each newcomer something to be interested in, at once; return what is still free."""
        for index, peer in enumerate(leechers):
            given = self._given[peer.key]
            if given.ever:
                continue
            piece = parts.next(free, index) if free else common_piece(view, peer)
            if piece is not None:
                free &= ~(1 << piece)
                given.add(piece, view)
        return free

    def _give(
        self,
        view: UploadView,
        leechers: Sequence[UploadPeerView],
        parts: Parts,
        free: PieceSet,
        ahead: float,
    ) -> None:
        """Reveal `ahead` bytes to those that would have passed them on first."""
        length = view.piece_length
        takers = [index for index, peer in enumerate(leechers) if self._takes_more(peer, view)]
        givens = [self._given[peer.key] for peer in leechers]
        left = free.bit_count() * length / self._rate
        loads: list[tuple[float, int]] = []
        for index in takers:
            given = givens[index]
            seconds = given.seconds(length, self._usual, self._helped, 1)
            # A connection that idles is slow to regain its rate.
            if free and not given.unsent and seconds < left:
                piece = parts.next(free, index)
                free ^= 1 << piece
                given.add(piece, view)
                seconds = given.seconds(length, self._usual, self._helped, 1)
            loads.append((seconds, index))
        heapify(loads)
        ahead -= sum(given.work(length) for given in givens)
        while free and loads and ahead > 0:
            _, index = heappop(loads)
            given = givens[index]
            piece = parts.next(free, index)
            free ^= 1 << piece
            ahead -= min(length, given.unsent)
            given.add(piece, view)
            heappush(loads, (given.seconds(length, self._usual, self._helped, 1), index))

    def _bytes_ahead(self, view: UploadView, leechers: Sequence[UploadPeerView]) -> float:
        """Return how many bytes to reveal ahead; twice as many after all of them were sent."""
        least = self._least_pieces * view.piece_length
        ahead = max(self._ahead, least, self._ahead_seconds * self._rate)
        if view.uploaded > self._uploaded and not any(
            peer.queued or self._given[peer.key].unsent for peer in leechers
        ):
            self._uploaded = view.uploaded
            self._ahead = ahead = 2 * ahead
        return ahead

    def _takes_more(self, peer: UploadPeerView, view: UploadView) -> bool:
        """Whether a leecher would request more pieces if they were revealed to it."""
        given = self._given[peer.key]
        if not given.has_asked:
            return False  # One piece is reason enough to request; hundreds may request nothing.
        if peer.interested:
            if not peer.unchoked:
                return False  # It waits to be unchoked.
        elif (peer.revealed | given.ever) & ~peer.pieces:
            return False  # It wants none of the revealed pieces.
        if self._hides and not view.have & ~peer.revealed:
            return False  # Everything is revealed to it already.
        return given.is_moving or not given.unsent

    def _help(self, view: UploadView, leechers: Sequence[UploadPeerView]) -> None:
        """Reveal pieces that one slow leecher alone has to leechers that would be sooner.

        They are what all others wait for in the end.
        """
        length = view.piece_length
        givens = [self._given[peer.key] for peer in leechers]
        helpers = [
            index
            for index, peer in enumerate(leechers)
            if not givens[index].unsent and self._takes_more(peer, view)
        ]
        for index in helpers:
            helper = givens[index]
            slowest = max(givens, key=lambda each: each.seconds(length, self._usual, self._helped))
            stuck = slowest.alone & ~self._helped & ~helper.ever & ~leechers[index].pieces
            if not stuck:
                continue
            if SOONER * helper.seconds(length, self._usual, self._helped, 1) > slowest.seconds(
                length, self._usual, self._helped
            ):
                continue
            piece = (stuck & slowest.unsent_pieces or stuck).bit_length() - 1
            self._helped |= 1 << piece
            helper.add(piece, view)
