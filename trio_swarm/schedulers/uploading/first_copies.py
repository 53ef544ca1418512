"""Who is given the first copy of which piece, so that each leaves a seeder about once.

A piece that only we have is given to one leecher, which passes it on. How much each is given
follows from what it does with it: the next piece goes to whoever would have passed on soonest all
that it holds alone. In all, about half a second of our uplink is given ahead, so that the link
never runs dry, and nobody waits for anything to be confirmed.
"""

import math
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.piece_sets import PieceSet, lowest
from trio_swarm.schedulers.api import UploadPeerView, UploadView
from trio_swarm.schedulers.uploading.first_copies_tempo import Tempo, Uplink
from trio_swarm.schedulers.uploading.waiting_time import WaitingTime

ALONE: Final = 1.0
"""Seconds after which the only leecher there is is shown everything: nobody else came with it."""

UNASKED: Final = 0.25
"""Seconds for which a leecher may ask for nothing before what it was given no longer counts as
work for our uplink: another seeder may be sending it."""

MOST_UNASKED: Final = 8
"""Pieces given to a leecher that asks for nothing, at most."""

STALE: Final = 1.0
"""Seconds for which a leecher may ask for nothing before what it was given is given to another."""

LONGEST_WAIT: Final = 0.75
"""Seconds for which a leecher may have nothing to ask for: then it is shown everything, whatever
others claim to have for it."""

FIRST_AHEAD: Final = 1024 * 1024
"""Bytes given ahead while the rate of our uplink is unknown, doubled each time it runs dry."""

MOST_AHEAD: Final = 256 * 1024 * 1024
"""Bytes given ahead at most, but for what the rate asks for."""

SETTLED: Final = 0.1
"""Once less than so many seconds of our uplink is left of all first copies, they count as sent."""

STUCK: Final = 0.25
"""Seconds for which a leecher must have pieces to pass on that nobody else has, for it to be
helped."""

BUSY: Final = 0.9
"""While our rate is less than this part of what it was, the uplink could take more: then nobody is
left with nothing to ask for, however slowly it passes on. Measured on shaped links: connections
that rest now and then are slow to come up to speed again, and the rest of them do not fill the
uplink (60 to 75 % of it with 0.5 in this place, 90 to 100 % with 0.85 and 0.9)."""

KEPT: Final = 4
KEEPING: Final = 2.0
"""A leecher that alone holds so many of the pieces it was given, and has passed on none for so many
seconds, is given no more while others pass theirs on: it may be a free rider, and what it keeps
must be sent again."""


class FirstCopies:
    """The gifts of one torrent so far; `plan` is called with each new view."""

    def __init__(self, *, ahead_seconds: float, least_pieces: int, hides: bool) -> None:
        self.is_over = False
        """Every piece is out or as good as out, or there is one leecher only: nothing need be kept
        from anybody."""
        self._ahead_seconds = ahead_seconds
        self._least_pieces = least_pieces
        self._hides = hides
        self._gifts: dict[int, _Gifts] = {}
        self._ahead = FIRST_AHEAD
        self._uplink = Uplink()
        self._alone: int | None = None
        self._alone_since = -math.inf
        self._uploaded = 0
        self._tempo = Tempo()

    def given_to(self, key: int) -> PieceSet:
        """Return the pieces that were given to a leecher, first copies or not."""
        gifts = self._gifts.get(key)
        return 0 if gifts is None else gifts.ever

    def has_waited_too_long(self, key: int) -> bool:
        """Whether a leecher had nothing to ask for, for so long that nothing is kept from it."""
        gifts = self._gifts.get(key)
        return gifts is not None and gifts.waiting.seconds > LONGEST_WAIT

    def plan(self, view: UploadView) -> None:
        """Give out what is due by now."""
        leechers = [
            each for each in view.peers if not each.is_seeder and not self._is_idle(each, view.now)
        ]
        nowhere = view.have & view.rarity[0]
        free = nowhere
        stale = 0
        common = view.have
        unsent = 0
        known = self._gifts
        self._gifts = {each.key: known[each.key] for each in view.peers if each.key in known}
        for each in view.peers:
            if each.key in known:
                known[each.key].note_waiting(each, view)
        least = max(view.piece_length, self._ahead // max(1, len(leechers)))
        for peer in leechers:
            gifts = self._gifts[peer.key] = known.get(peer.key) or _Gifts(view.now)
            gifts.review(peer, nowhere, view)
            free &= ~gifts.pieces
            common &= gifts.ever
            if view.now - gifts.asked_at > STALE:
                stale |= gifts.pieces & ~gifts.sent
            if view.now - gifts.asked_at <= UNASKED:
                # What a slow leecher was given keeps the uplink busy for a moment only.
                soon = max(least, 2 * self._ahead_seconds * peer.rate)
                unsent += min(gifts.unsent, int(soon))
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
            self._give(view, leechers, pool, unsent)

    def _is_idle(self, peer: UploadPeerView, now: float) -> bool:
        """Whether a peer wants nothing of what it was shown: there may be hundreds of those."""
        gifts = self._gifts.get(peer.key)
        return (
            gifts is not None
            and gifts.ever > 0
            and not peer.interested
            and peer.revealed & ~peer.pieces > 0
            and now - gifts.asked_at > STALE
        )

    def _is_alone(self, leechers: Sequence[UploadPeerView], now: float) -> bool:
        key = leechers[0].key if len(leechers) == 1 else None
        if key != self._alone:
            self._alone = key
            self._alone_since = now
        return key is not None and now - self._alone_since >= ALONE

    def _run_dry(self, leechers: Sequence[UploadPeerView]) -> None:
        """Give more ahead if all that was given was taken."""
        uploaded = sum(peer.uploaded for peer in leechers)
        if uploaded > self._uploaded and not any(peer.queued for peer in leechers):
            self._ahead = min(MOST_AHEAD, 2 * self._ahead)
            self._uploaded = uploaded

    def _give(
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
            self._gifts[peer.key].is_keeping(peer, once, everywhere, view.now) for peer in leechers
        ]
        if all(keeping):
            keeping = [False] * len(leechers)  # it cannot be helped
        for index, peer in enumerate(leechers):
            gifts = self._gifts[peer.key]
            if not gifts.ever:
                # Something to be interested in, at once.
                piece = parts.next(pool, index) if pool else _usual(view, peer)
                if piece is not None:
                    pool &= ~(1 << piece)
                    gifts.add(piece, view)
                    unsent += length
            if keeping[index] or not self._takes_more(peer, view):
                continue
            # What it would be given counts, too: a slow leecher is not given the last pieces only
            # because it has nothing. Measured: two pieces are better than one.
            load = gifts.unsent + ((peer.pieces & once).bit_count() + 2) * length
            loads.append((load / gifts.speed(everywhere, view.now), index))
        if self._uplink.rate < BUSY * self._uplink.peak:
            for _, index in loads:
                gifts = self._gifts[leechers[index].key]
                fresh = pool & ~gifts.ever
                if fresh and not gifts.unsent:
                    piece = parts.next(fresh, index)
                    pool ^= 1 << piece
                    gifts.add(piece, view)
                    unsent += length
        heapify(loads)
        while pool and loads and unsent < target:
            load_seconds, index = heappop(loads)
            gifts = self._gifts[leechers[index].key]
            fresh = pool & ~gifts.ever
            if not fresh:
                continue
            piece = parts.next(fresh, index)
            pool ^= 1 << piece
            gifts.add(piece, view)
            unsent += length
            more = length / gifts.speed(everywhere, view.now)
            heappush(loads, (load_seconds + more, index))

    def _takes_more(self, peer: UploadPeerView, view: UploadView) -> bool:
        """Whether a leecher would ask for more pieces if they were given to it."""
        gifts = self._gifts[peer.key]
        if peer.interested:
            if not peer.unchoked:
                return False  # It waits for a slot.
        elif (peer.revealed | gifts.ever) & ~peer.pieces and not gifts.is_newcomer(view.now):
            return False  # It does not want what it was shown.
        if self._hides and not view.have & ~peer.revealed:
            return False  # It may ask for anything already.
        return view.now - gifts.asked_at <= UNASKED or gifts.pieces.bit_count() < MOST_UNASKED

    def _help(self, view: UploadView, leechers: Sequence[UploadPeerView], unsent: int) -> None:
        """Give a piece that one slow leecher holds alone to a fast one, too, while there are such.

        Near the end that is what the others wait for.
        """
        if len(view.rarity) < 2:
            return
        once = view.rarity[1]
        everywhere = view.rarity[0] | once
        length = view.piece_length
        for gifts in self._gifts.values():
            once &= ~gifts.again
        while unsent <= SETTLED * self._uplink.peak:
            seconds = []
            for peer in leechers:
                gifts = self._gifts[peer.key]
                load = gifts.unsent / length + (peer.pieces & once).bit_count()
                seconds.append(load / gifts.speed(everywhere, view.now))
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
            self._gifts[leechers[helper].key].add(piece, view)
            unsent += length


@mypyc_attr(acyclic=True)
class _Gifts:
    """What one leecher was given."""

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
        """First copies that it has not yet, as far as is known."""
        self.ever: PieceSet = 0
        """All it was given so far."""
        self.again: PieceSet = 0
        """Those of them that another had already."""
        self.sent: PieceSet = 0
        """Those of `pieces` that were put out whole: they are as good as out, whether it tells of
        them or not."""
        self.waiting = WaitingTime(now)
        self.unsent = 0
        """Bytes that were not put out yet of `pieces` and of those it lacks that another had."""
        self.asked_at = now
        """When it last asked for something, or was given something."""
        self._sent_before: dict[int, int] = {}
        self._passed_on = 0
        self._passed_on_at = now
        self._joined_at = now
        self._uploaded = 0

    def add(self, piece: int, view: UploadView) -> None:
        """Give it a piece."""
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
        """Look for how long it has had nothing to ask for."""
        if not view.have & ~peer.revealed & ~peer.pieces:
            self.waiting.restart(view.now)
        elif self.waiting.seconds <= LONGEST_WAIT:
            self.waiting.note(peer, view.now)

    def review(self, peer: UploadPeerView, nowhere: PieceSet, view: UploadView) -> None:
        """Take out what somebody has by now, and count what is left."""
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
        """Whether it may not have had the time to say that it wants what it was shown."""
        return now - self._joined_at <= UNASKED

    def passed_on(self, everywhere: PieceSet) -> int:
        """Return how many of its first copies somebody else has by now."""
        return (self.ever & ~self.again & ~everywhere).bit_count()

    def is_keeping(
        self, peer: UploadPeerView, once: PieceSet, everywhere: PieceSet, now: float
    ) -> bool:
        """Whether it holds several pieces alone and has passed on none for a while."""
        passed_on = self.passed_on(everywhere)
        kept = (self.ever & peer.pieces & once).bit_count()
        if passed_on > self._passed_on or kept < KEPT:
            self._passed_on = passed_on
            self._passed_on_at = now
        return now - self._passed_on_at > KEEPING

    def speed(self, everywhere: PieceSet, now: float) -> float:
        """Return how many pieces a second it has passed on; of a new one little is expected."""
        return (self.passed_on(everywhere) + 1.0) / (now - self._joined_at + 1.0)


class _Parts:
    """The pieces each leecher is given first: an equal part, by the order of addresses.

    Seeders that serve the same leechers come to the same parts without talking to each other. In
    each part they begin in different places: so they seldom give one piece to two leechers, and
    one leecher gets other pieces of each.
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
        """Return the piece of a non-empty pool that a leecher is given next."""
        own = pool & self._parts[index]
        if own:
            begin = self._begins[index]
            return lowest(own >> begin << begin or own)
        # From where its owner would come last.
        others = max((pool & part for part in self._parts), key=int.bit_count)
        owner = next(i for i, part in enumerate(self._parts) if others & part)
        before = others & ((1 << self._begins[owner]) - 1)
        return (before or others).bit_length() - 1


def _usual(view: UploadView, peer: UploadPeerView) -> int | None:
    """Return a piece that many have and `peer` lacks."""
    lacking = view.have & ~peer.pieces
    for level in reversed(view.rarity):
        if level & lacking:
            return lowest(level & lacking)
    return None
