"""The uploads of one torrent: pieces revealed to each peer, order of requests, unchoked peers.

The strategies decide; this module makes their views and carries out their decisions. Real and
simulated peers share it: no method waits, and time is a parameter.
"""

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Generic, TypeVar, overload

from trio_swarm.engine.download.ledger import Ledger
from trio_swarm.engine.guard import GuardedChoker, GuardedUploader
from trio_swarm.engine.rates import RateEstimate
from trio_swarm.engine.upload.reveal_times import RevealTimes
from trio_swarm.engine.upload.sent_bytes import SentBytes
from trio_swarm.engine.upload.served import NEVER, Served
from trio_swarm.engine.upload.serving import HIDING_LIMIT, PEER_VIEWS_AGE, WELCOME
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import (
    ChokePeerView,
    ChokeView,
    UploadPeerView,
    UploadRequest,
    UploadView,
)
from trio_swarm.schedulers.uploading.waiting_time import WaitingTime

P = TypeVar("P", bound=Served)


class Uploads(Generic[P]):
    """Counts the bytes sent, and applies the strategies to the connected `peers`.

    `changed(peer)` is called when a peer must be sent a message. `sooner()` is called when
    `times.due_at` has become earlier; at that time call `look`. `sent(key, request)` is called for
    each block that is sent.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        uploader: GuardedUploader,
        choker: GuardedChoker,
        rng: random.Random,
        slots: int,
        own_number: int,
        changed: Callable[[P], None],
        sooner: Callable[[], None],
        sent: Callable[[int, UploadRequest], None] | None = None,
    ) -> None:
        self.sent = SentBytes(ledger.lengths.piece_count)
        self.uploaded = 0
        """Bytes of blocks sent to all peers."""
        self.rate = RateEstimate()
        """The rate of the blocks sent to all peers."""
        self.peers: dict[int, P] = {}
        """Connected peers by key, in the order they joined."""
        self.times = RevealTimes(sooner)
        self._ledger = ledger
        self._uploader = uploader
        self._choker = choker
        self._rng = rng
        self.slots = slots
        self._own_number = own_number
        self._changed = changed
        self._tell_sent = sent
        self._peer_views: _PeerViews | None = None
        self._view: UploadView | None = None
        self._revealed_of: PieceSet = NEVER  # pieces we had when all were last revealed to all
        self._is_hiding = False  # pieces may be hidden from some peer
        self._waiting: dict[int, WaitingTime] = {}  # of peers that pieces were ever hidden from

    def join(self, peer: P) -> None:
        """Serve a peer, which the ledger knows already."""
        self.peers[peer.key] = peer
        self._peer_views = self._view = None

    def leave(self, key: int) -> None:
        """Forget a peer that left, and what was decided for it."""
        del self.peers[key]
        self._waiting.pop(key, None)
        self._peer_views = self._view = None
        self.times.note_change()

    def set_strategies(self, uploader: GuardedUploader, choker: GuardedChoker, now: float) -> None:
        """Let other strategies decide from now on; call `choke` afterwards.

        What was revealed to a peer stays revealed: a HAVE cannot be taken back.
        """
        self._uploader = uploader
        self._choker = choker
        self._revealed_of = NEVER
        self.look(now)

    # --- which pieces to reveal -------------------------------------------------------------------

    def is_undecided(self, peer: P) -> bool:
        """Whether `offer` must be called before a peer is sent a HAVE or bitfield."""
        have = self._ledger.have
        decided = peer.offered_of
        return decided != have and (decided == NEVER or self._revealed_of != have)

    def offer(self, peer: P, now: float) -> None:
        """Decide what to reveal to a peer that joined, or after we got new pieces."""
        self.offer_to_all((peer,), now)
        peer.decided(self._ledger.have)

    def offer_to_all(self, peers: Collection[P], now: float) -> None:
        """Decide what to reveal to several peers after we got new pieces."""
        view = self._seen(now)
        if not self._uploader.steers(view):
            self._reveal_all(view.have)
            self._peer_views = self._view = None  # they are not needed again soon
            return
        is_steering = False
        for peer in peers:
            is_steering |= self._reveal_to(peer, view, _upload_view(peer, self._ledger, now))
        if is_steering:
            self.times.steer()

    def look(self, now: float) -> None:
        """Decide again for all peers what to reveal, if pieces are hidden from any."""
        self._peer_views = self._view = None
        view = self._seen(now)
        is_steering = False
        if self._uploader.steers(view):
            for peer, seen in zip(self.peers.values(), view.peers, strict=True):
                is_steering |= self._reveal_to(peer, view, seen)
        else:
            self._reveal_all(view.have)
        self.times.looked(now, is_steering=is_steering)

    def _reveal_to(self, peer: P, view: UploadView, seen: UploadPeerView) -> bool:
        """Decide what to reveal to one peer; return whether to decide again later."""
        uploader = self._uploader
        before, offered = peer.offered, uploader.offer(view, seen)
        if offered is not None and self._has_waited_too_long(seen, view.have & ~offered, view):
            offered = None
        peer.reveal(offered, view.have)
        if offered is not None:
            self._is_hiding = True
        if offered != before:
            self._changed(peer)
        if not (uploader.suggests and peer.fast):
            return offered is not None
        suggested = uploader.suggest(view, seen)
        if suggested is None:
            return offered is not None
        if peer.suggest(suggested):
            self._changed(peer)
        return offered is not None or bool(view.have & ~seen.pieces)

    def _has_waited_too_long(
        self, seen: UploadPeerView, hidden: PieceSet, view: UploadView
    ) -> bool:
        """Whether a peer had nothing to request for too long while pieces were hidden from it.

        This is final for the peer: the strategy would hide pieces again.
        """
        waiting = self._waiting.get(seen.key)
        if waiting is None:
            waiting = self._waiting[seen.key] = WaitingTime(view.now)
        if not hidden & ~seen.pieces:
            waiting.restart(view.now)
        elif waiting.seconds <= HIDING_LIMIT:
            waiting.note(seen, view)
        return waiting.seconds > HIDING_LIMIT

    def _reveal_all(self, have: PieceSet) -> None:
        """Reveal all pieces to all peers, so that no decision is needed for any of them."""
        self._revealed_of = have
        if not self._is_hiding:
            return
        self._is_hiding = False
        for peer in self.peers.values():
            if peer.offered is not None:
                peer.reveal(None, peer.offered_of)
                self._changed(peer)

    # --- which blocks are sent --------------------------------------------------------------------

    def order(self, peer: P, now: float) -> Sequence[UploadRequest] | None:
        """Return a peer's requests in the order to serve them; None: the order they arrived in."""
        queue = peer.upload_queue
        # With one peer the order makes no difference, but deciding it takes time.
        if len(queue) < 2 or len(self.peers) < 2:
            return None
        first = next(iter(queue)).piece
        if all(request.piece == first for request in queue):
            return None
        return self._uploader.order(
            self._seen(now), _upload_view(peer, self._ledger, now), list(queue)
        )

    def put_out(self, peer: P, blocks: Sequence[UploadRequest], now: float) -> None:
        """Count blocks that were sent to a peer."""
        nbytes = self.sent.add(blocks)
        self.uploaded += nbytes
        self.rate.add(nbytes, now)
        self._view = None
        if self._tell_sent is not None:
            for request in blocks:
                self._tell_sent(peer.key, request)
        times = self.times
        if times.is_steering:
            times.note_change()
            if not peer.upload_queue and not any(
                other.upload_queue for other in self.peers.values()
            ):
                times.run_dry()

    def weight_of(self, peer: P, now: float) -> float:
        """Return a peer's share of the uplink, in proportion to those of the others."""
        if not self._uploader.weighs or len(self.peers) < 2:
            return 1.0
        return self._uploader.weight(self._seen(now), _upload_view(peer, self._ledger, now))

    # --- which peers to unchoke -------------------------------------------------------------------

    def choke(self, now: float) -> None:
        """Decide which peers are unchoked from now on."""
        ledger = self._ledger
        welcome = self._welcome(now)
        view = ChokeView(
            peers=[
                _choke_view(peer, ledger, now, is_welcome=peer.key in welcome)
                for peer in self.peers.values()
            ],
            slots=self.slots,
            is_seeder=ledger.is_complete,
            now=now,
        )
        unchoked = frozenset(self._choker.unchoke(view, self._rng))
        for key, peer in self.peers.items():
            should = key in unchoked
            if should == peer.should_unchoke:
                continue
            peer.decide_choke(unchoke=should, now=now)
            self._changed(peer)
            self.times.note_change()

    def _welcome(self, now: float) -> Collection[int]:
        """Return the newcomers for whom slots are left: each counts as interested already."""
        left = self.slots - sum([peer.peer_interested for peer in self.peers.values()])
        if left <= 0:
            return ()
        new = [
            peer.key
            for peer in self.peers.values()
            if now - peer.joined_at < WELCOME and not (peer.peer_interested or peer.wants_nothing)
        ]
        return new[:left]

    # --- the views of strategies ------------------------------------------------------------------

    def _seen(self, now: float) -> UploadView:
        ledger = self._ledger
        view = self._view
        have = ledger.have
        if view is not None and view.now == now and view.have == have:
            return view
        peers = self._peer_views
        if peers is None or now - peers.now > PEER_VIEWS_AGE:
            self._peer_views = peers = _PeerViews(self.peers.values(), ledger, now)
        lengths = ledger.lengths
        self._view = view = UploadView(
            have=have,
            sent=self.sent,
            rarity=ledger.rarity,
            peers=peers,
            piece_length=lengths.piece_length,
            piece_count=lengths.piece_count,
            is_seeder=ledger.is_complete,
            now=now,
            rate=self.rate.rate(now),
            uploaded=self.uploaded,
            length=lengths.length,
            own_number=self._own_number,
            delivered=_Delivered(self.peers),
        )
        return view


class _PeerViews(Sequence[UploadPeerView]):
    """The views of all peers for an uploader, made when it reads them: most read one peer only."""

    __slots__ = ("_ledger", "_peers", "_views", "now")

    def __init__(self, peers: Collection[Served], ledger: Ledger, now: float) -> None:
        self.now = now
        self._peers = peers
        self._ledger = ledger
        self._views: tuple[UploadPeerView, ...] | None = None

    def _made(self) -> tuple[UploadPeerView, ...]:
        views = self._views
        if views is None:
            ledger = self._ledger
            views = tuple([_upload_view(peer, ledger, self.now) for peer in self._peers])
            self._views = views
        return views

    def __len__(self) -> int:
        return len(self._peers if self._views is None else self._views)

    def __iter__(self) -> Iterator[UploadPeerView]:
        return iter(self._made())

    @overload
    def __getitem__(self, index: int) -> UploadPeerView: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[UploadPeerView]: ...
    def __getitem__(self, index: int | slice) -> UploadPeerView | Sequence[UploadPeerView]:
        return self._made()[index]


class _Delivered(Mapping[int, int]):
    """What the links of all peers have delivered; each is asked when it is first read.

    To ask TCP takes 2.6 µs, and all else of a peer's view 1 µs; most strategies never read it.
    """

    __slots__ = ("_known", "_peers")

    def __init__(self, peers: Mapping[int, Served]) -> None:
        self._peers = peers
        self._known: dict[int, int] | None = None

    def __getitem__(self, key: int) -> int:
        known = self._known
        if known is None:
            known = self._known = {}
        delivered = known.get(key)
        if delivered is None:
            peer = self._peers[key]
            # Messages count as undelivered, too.
            delivered = max(0, peer.uploaded - peer.undelivered()) if peer.uploaded else 0
            known[key] = delivered
        return delivered

    def __iter__(self) -> Iterator[int]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)


def _upload_view(peer: Served, ledger: Ledger, now: float) -> UploadPeerView:
    queue = peer.upload_queue
    return UploadPeerView(
        key=peer.key,
        pieces=ledger.pieces_of(peer.key),
        is_seeder=peer.wants_nothing,
        interested=peer.peer_interested,
        unchoked=not peer.am_choking,
        uploaded=peer.uploaded,
        rate=peer.upload_rate.rate(now),
        revealed=peer.told,
        # Nearly always all requests have the same length, and there can be a thousand.
        queued=len(queue) * next(iter(queue)).length if queue else 0,
        joined_at=peer.joined_at,
        address=peer.address,
        takes_suggestions=peer.fast,
        suggested=peer.suggested,
    )


def _choke_view(peer: Served, ledger: Ledger, now: float, *, is_welcome: bool) -> ChokePeerView:
    unchoked = peer.should_unchoke
    rate, snubbed, is_interesting = ledger.as_giver(peer.key, now)
    return ChokePeerView(
        key=peer.key,
        interested=peer.peer_interested or is_welcome,
        unchoked=unchoked,
        unchoked_at=peer.unchoked_at if unchoked else None,
        waiting_since=None if unchoked else peer.waiting_since,
        download_rate=rate,
        upload_rate=peer.upload_rate.rate(now),
        uploaded=peer.uploaded_since_unchoke,
        snubbed=snubbed,
        joined_at=peer.joined_at,
        is_interesting=is_interesting,
        choking_us=peer.peer_choking,
        gave_at=peer.received_at,
    )
