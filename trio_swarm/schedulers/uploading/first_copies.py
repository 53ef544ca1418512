"""Which leecher gets the first copy of which piece, so that a seeder sends each about once.

A piece that only we have is revealed to one leecher, which passes it on. (Instead of being revealed
it can be suggested; "revealed" below means either.) How many pieces a leecher gets depends on how
fast it passes them on: the next piece goes to the leecher that would be the first to have passed on
all pieces that it alone has. In all, pieces for about half a second of our uplink are revealed
ahead, so that the link never idles, and no peer waits for a confirmation.
"""

import math
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.piece_sets import PieceSet, lowest
from trio_swarm.schedulers.api import UploadPeerView, UploadView
from trio_swarm.schedulers.uploading.first_copies_tempo import Tempo, UplinkRate
from trio_swarm.schedulers.uploading.waiting_time import WaitingTime

ALONE: Final = 1.0
"""Seconds after which everything is revealed to a leecher that is the only one: no other joined
with it."""

UNASKED: Final = 0.25
"""Seconds without a request from a leecher after which its pieces no longer count as work for our
uplink: another seeder may be sending them."""

MOST_UNASKED: Final = 8
"""Most pieces revealed to a leecher that requests nothing."""

STALE: Final = 1.0
"""Seconds without a request from a leecher after which its pieces are revealed to another."""

LONGEST_WAIT: Final = 0.75
"""Seconds for which a leecher may have nothing to request; then everything is revealed to it,
whatever other peers claim to have for it."""

FIRST_AHEAD: Final = 1024 * 1024
"""Bytes revealed ahead while the rate of our uplink is unknown; doubled each time all of them are
sent."""

MOST_AHEAD: Final = 256 * 1024 * 1024
"""Most bytes revealed ahead, unless the measured rate asks for more."""

SETTLED: Final = 0.1
"""Seconds of our uplink: once fewer are left of all first copies, they count as sent."""

STUCK: Final = 0.25
"""Seconds that a leecher needs to pass on the pieces that it alone has, from which on it is
helped."""

BUSY: Final = 0.9
"""Part of our best rate below which the uplink could send more: then every leecher gets something
to request, however slowly it passes pieces on. Measured on shaped links: a connection that idles
now and then is slow to regain its rate, and the other connections do not fill the uplink (60 to 75
% of it with 0.5 here, 90 to 100 % with 0.85 and 0.9)."""

KEPT: Final = 4
KEEPING: Final = 2.0
"""A leecher that alone has `KEPT` of its pieces, and has passed on none for this many seconds, gets
no more while other leechers pass theirs on. It may be a free rider, and we must send again what it
keeps."""


class FirstCopies:
    """The first copies of one torrent so far; `plan` is called with each new view."""

    def __init__(self, *, ahead_seconds: float, least_pieces: int, hides: bool) -> None:
        self.is_over = False
        """Every piece is sent or nearly sent, or there is only one leecher: nothing need be
        hidden."""
        self._ahead_seconds = ahead_seconds
        self._least_pieces = least_pieces
        self._hides = hides
        self._revealed: dict[int, _Revealed] = {}
        self._ahead = FIRST_AHEAD
        self._uplink = UplinkRate()
        self._alone: int | None = None
        self._alone_since = -math.inf
        self._uploaded = 0
        self._tempo = Tempo()

    def revealed_to(self, key: int) -> PieceSet:
        """Return the pieces revealed to a leecher, whether or not they were first copies."""
        revealed = self._revealed.get(key)
        return 0 if revealed is None else revealed.ever

    def has_waited_too_long(self, key: int) -> bool:
        """Whether a leecher had nothing to request for too long, so nothing is hidden from it."""
        revealed = self._revealed.get(key)
        return revealed is not None and revealed.waiting.seconds > LONGEST_WAIT

    def weight_of(self, view: UploadView, peer: UploadPeerView) -> float:
        """Return the part of the first copies a leecher has that it has passed on, 1.0 at first."""
        revealed = self._revealed.get(peer.key)
        if revealed is None or len(view.rarity) < 2:
            return 1.0
        everywhere = view.rarity[0] | view.rarity[1]
        kept = (revealed.ever & ~revealed.again & peer.pieces & everywhere).bit_count()
        passed_on = revealed.passed_on(everywhere)
        return (passed_on + 1.0) / (passed_on + kept + 1.0)

    def plan(self, view: UploadView) -> None:
        """Reveal the pieces that are due at `view.now`."""
        leechers = [
            each for each in view.peers if not each.is_seeder and not self._is_idle(each, view.now)
        ]
        nowhere = view.have & view.rarity[0]
        free = nowhere
        stale = 0
        common = view.have
        unsent = 0
        known = self._revealed
        self._revealed = {each.key: known[each.key] for each in view.peers if each.key in known}
        for each in view.peers:
            if each.key in known:
                known[each.key].note_waiting(each, view)
        least = max(view.piece_length, self._ahead // max(1, len(leechers)))
        for peer in leechers:
            revealed = self._revealed[peer.key] = known.get(peer.key) or _Revealed(view.now)
            revealed.review(peer, nowhere, view)
            free &= ~revealed.pieces
            common &= revealed.ever
            if view.now - revealed.asked_at > STALE:
                stale |= revealed.pieces & ~revealed.sent
            if view.now - revealed.asked_at <= UNASKED:
                # What a slow leecher was given keeps the uplink busy for a moment only.
                soon = max(least, 2 * self._ahead_seconds * peer.rate)
                unsent += min(revealed.unsent, int(soon))
        self._uplink.note(view)
        if not unsent:
            self._run_dry(leechers)
        # What nobody asks for though it was given is given once more, but last.
        pool = (free & ~common) or (stale & ~common)
        self._tempo.note(view, leechers)
        self.is_over = self._is_alone(leechers, view.now) or (
            not pool
            and (
                unsent <= SETTLED * self._uplink.peak
                or self._uplink.has_room
                or self._tempo.is_far_from_end(view.now)
            )
            and not self._tempo.ends_soon(view.now)
        )
        if not self.is_over and not pool and unsent <= SETTLED * self._uplink.peak:
            self._help(view, leechers, unsent)
        if not self.is_over:
            self._reveal(view, leechers, pool, unsent)

    def _is_idle(self, peer: UploadPeerView, now: float) -> bool:
        """Whether a peer wants no piece revealed to it; there may be hundreds of such peers."""
        revealed = self._revealed.get(peer.key)
        return (
            revealed is not None
            and revealed.ever > 0
            and not peer.interested
            and peer.revealed & ~peer.pieces > 0
            and now - revealed.asked_at > STALE
        )

    def _is_alone(self, leechers: Sequence[UploadPeerView], now: float) -> bool:
        key = leechers[0].key if len(leechers) == 1 else None
        if key != self._alone:
            self._alone = key
            self._alone_since = now
        return key is not None and now - self._alone_since >= ALONE

    def _run_dry(self, leechers: Sequence[UploadPeerView]) -> None:
        """Reveal more ahead if all revealed pieces were sent."""
        uploaded = sum(peer.uploaded for peer in leechers)
        if uploaded > self._uploaded and not any(peer.queued for peer in leechers):
            self._ahead = min(MOST_AHEAD, 2 * self._ahead)
            self._uploaded = uploaded

    def _reveal(
        self, view: UploadView, leechers: Sequence[UploadPeerView], pool: PieceSet, unsent: int
    ) -> None:
        length = view.piece_length
        pieces = max(self._least_pieces, len(leechers) + 1)
        # Of the best rate: one that falls would be given less, and fall further.
        rate = max(view.rate, self._uplink.peak)
        target = max(self._ahead_seconds * rate, self._ahead, pieces * length)
        once = view.rarity[1] if len(view.rarity) > 1 else 0
        everywhere = view.rarity[0] | once
        loads: list[tuple[float, int]] = []
        parts = _Parts(view, leechers)
        keeping = [
            self._revealed[peer.key].is_keeping(peer, once, everywhere, view.now)
            for peer in leechers
        ]
        if all(keeping):
            keeping = [False] * len(leechers)  # no leecher passes anything on: all count
        for index, peer in enumerate(leechers):
            revealed = self._revealed[peer.key]
            if not revealed.ever:
                # Something to be interested in, at once.
                piece = parts.next(pool, index) if pool else _common_piece(view, peer)
                if piece is not None:
                    pool &= ~(1 << piece)
                    revealed.add(piece, view)
                    unsent += length
            if keeping[index] or not self._takes_more(peer, view):
                continue
            # What it would be given counts, too: a slow leecher is not given the last pieces only
            # because it has nothing. Measured: two pieces are better than one.
            load = revealed.unsent + ((peer.pieces & once).bit_count() + 2) * length
            loads.append((load / revealed.speed(everywhere, view.now), index))
        if self._uplink.rate < BUSY * self._uplink.peak:
            for _, index in loads:
                revealed = self._revealed[leechers[index].key]
                fresh = pool & ~revealed.ever
                if fresh and not revealed.unsent:
                    piece = parts.next(fresh, index)
                    pool ^= 1 << piece
                    revealed.add(piece, view)
                    unsent += length
        heapify(loads)
        while pool and loads and unsent < target:
            load_seconds, index = heappop(loads)
            revealed = self._revealed[leechers[index].key]
            fresh = pool & ~revealed.ever
            if not fresh:
                continue
            piece = parts.next(fresh, index)
            pool ^= 1 << piece
            revealed.add(piece, view)
            unsent += length
            more = length / revealed.speed(everywhere, view.now)
            heappush(loads, (load_seconds + more, index))

    def _takes_more(self, peer: UploadPeerView, view: UploadView) -> bool:
        """Whether a leecher would request more pieces if they were revealed to it."""
        revealed = self._revealed[peer.key]
        if peer.interested:
            if not peer.unchoked:
                return False  # It waits to be unchoked.
        elif (peer.revealed | revealed.ever) & ~peer.pieces and not revealed.is_newcomer(view.now):
            return False  # It wants none of the revealed pieces.
        if self._hides and not view.have & ~peer.revealed:
            return False  # Everything is revealed to it already.
        return view.now - revealed.asked_at <= UNASKED or revealed.pieces.bit_count() < MOST_UNASKED

    def _help(self, view: UploadView, leechers: Sequence[UploadPeerView], unsent: int) -> None:
        """Reveal pieces that one slow leecher alone has to fast leechers, too.

        Near the end these are the pieces that all other leechers wait for.
        """
        if len(view.rarity) < 2:
            return
        once = view.rarity[1]
        everywhere = view.rarity[0] | once
        length = view.piece_length
        for revealed in self._revealed.values():
            once &= ~revealed.again
        while unsent <= SETTLED * self._uplink.peak:
            seconds = []
            for peer in leechers:
                revealed = self._revealed[peer.key]
                load = revealed.unsent / length + (peer.pieces & once).bit_count()
                seconds.append(load / revealed.speed(everywhere, view.now))
            slowest = max(range(len(leechers)), key=seconds.__getitem__)
            stuck = leechers[slowest].pieces & once
            helpers = [
                index
                for index, peer in enumerate(leechers)
                if index != slowest
                and stuck & ~peer.pieces
                and seconds[index] < seconds[slowest] / 2
            ]
            if not helpers or seconds[slowest] < STUCK:
                return
            helper = min(helpers, key=seconds.__getitem__)
            piece = (stuck & ~leechers[helper].pieces).bit_length() - 1
            once ^= 1 << piece
            self._revealed[leechers[helper].key].add(piece, view)
            unsent += length


@mypyc_attr(acyclic=True)
class _Revealed:
    """The pieces revealed to one leecher."""

    __slots__ = (
        "_joined_at",
        "_passed_on",
        "_passed_on_at",
        "_sent_before",
        "_uploaded",
        "again",
        "asked_at",
        "ever",
        "pieces",
        "sent",
        "unsent",
        "waiting",
    )

    def __init__(self, now: float) -> None:
        self.pieces: PieceSet = 0
        """First copies that, as far as is known, it does not have yet."""
        self.ever: PieceSet = 0
        """All pieces revealed to it so far."""
        self.again: PieceSet = 0
        """The pieces of `ever` that another peer had already."""
        self.sent: PieceSet = 0
        """The pieces of `pieces` that we sent whole: they count as sent even if it sends no
        HAVE."""
        self.waiting = WaitingTime(now)
        self.unsent = 0
        """Bytes not sent yet of `pieces`, and of the pieces of `again` that it lacks."""
        self.asked_at = now
        """When it last requested a block or was revealed a piece, seconds."""
        self._sent_before: dict[int, int] = {}
        self._passed_on = 0
        self._passed_on_at = now
        self._joined_at = now
        self._uploaded = 0

    def add(self, piece: int, view: UploadView) -> None:
        """Note that `piece` is revealed to it now."""
        bit = 1 << piece
        self.ever |= bit
        if view.rarity[0] & bit:
            self.pieces |= bit
        else:
            self.again |= bit
        self._sent_before[piece] = view.sent.get(piece, 0)
        self.unsent += view.size_of(piece)
        self.asked_at = view.now

    def note_waiting(self, peer: UploadPeerView, view: UploadView) -> None:
        """Measure for how long it has had nothing to request."""
        if not view.have & ~peer.revealed & ~peer.pieces:
            self.waiting.restart(view.now)
        elif self.waiting.seconds <= LONGEST_WAIT:
            self.waiting.note(peer, view.now)

    def review(self, peer: UploadPeerView, nowhere: PieceSet, view: UploadView) -> None:
        """Remove pieces that some peer has by now, and count the unsent bytes of the others."""
        self.pieces &= nowhere
        left = self.pieces | (self.again & ~peer.pieces)
        for piece in [piece for piece in self._sent_before if not left >> piece & 1]:
            del self._sent_before[piece]
        self.unsent = self.sent = 0
        for piece, before in self._sent_before.items():
            unsent = view.size_of(piece) + before - view.sent.get(piece, 0)
            if unsent > 0:
                self.unsent += unsent
            else:
                self.sent |= 1 << piece
        if peer.uploaded != self._uploaded or peer.queued:
            self._uploaded = peer.uploaded
            self.asked_at = view.now

    def is_newcomer(self, now: float) -> bool:
        """Whether it may not have had the time yet to become interested in the revealed pieces."""
        return now - self._joined_at <= UNASKED

    def passed_on(self, everywhere: PieceSet) -> int:
        """Return how many of its first copies another peer has by now."""
        return (self.ever & ~self.again & ~everywhere).bit_count()

    def is_keeping(
        self, peer: UploadPeerView, once: PieceSet, everywhere: PieceSet, now: float
    ) -> bool:
        """Whether it alone has several of its pieces and has passed on none for a while."""
        passed_on = self.passed_on(everywhere)
        kept = (self.ever & peer.pieces & once).bit_count()
        if passed_on > self._passed_on or kept < KEPT:
            self._passed_on = passed_on
            self._passed_on_at = now
        return now - self._passed_on_at > KEEPING

    def speed(self, everywhere: PieceSet, now: float) -> float:
        """Return how many pieces per second it has passed on; a new leecher counts as slow."""
        return (self.passed_on(everywhere) + 1.0) / (now - self._joined_at + 1.0)


class _Parts:
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


def _common_piece(view: UploadView, peer: UploadPeerView) -> int | None:
    """Return a piece that many peers have and `peer` lacks; None if there is none."""
    lacking = view.have & ~peer.pieces
    for level in reversed(view.rarity):
        if level & lacking:
            return lowest(level & lacking)
    return None
