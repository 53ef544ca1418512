"""What one peer serves: the views its uploader and choker decide on, as in `peer/seeding.py`."""

import math
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from trio_swarm.schedulers.api import ChokePeerView, ChokeView, UploadPeerView, UploadView
from trio_swarm.simulator.timeline import Timeline
from trio_swarm.swarm.guard import GuardedChoker, GuardedUploader
from trio_swarm.swarm.ledger import Ledger
from trio_swarm.swarm.rates import RateEstimate
from trio_swarm.swarm.serving import (
    DRY_INTERVAL,
    PEER_VIEWS_AGE,
    REVEAL_INTERVAL,
    STEERING_INTERVAL,
)

if TYPE_CHECKING:
    from trio_swarm.simulator.neighbour import Neighbour

_WAITING, _DUE, _RESTING, _PAUSED = range(4)
"""Phases of looking what to reveal; see `Upload.reveal` in `peer/seeding.py`."""


class UploadSide:
    """Owns what was sent, and to whom; decides nothing itself."""

    def __init__(
        self,
        ledger: Ledger,
        neighbours: Mapping[int, "Neighbour"],
        *,
        timeline: Timeline,
        uploader: GuardedUploader,
        choker: GuardedChoker,
        rng: random.Random,
        slots: int,
        changed: Callable[["Neighbour"], None],
    ) -> None:
        self.sent: dict[int, int] = {}
        """Bytes of each piece that were put out."""
        self.rate = RateEstimate()
        """Of what was put out."""
        self._ledger = ledger
        self._neighbours = neighbours
        self._timeline = timeline
        self._uploader = uploader
        self._choker = choker
        self._rng = rng
        self._slots = slots
        self._own_number = rng.getrandbits(64)
        self._changed = changed
        self._views: dict[int, UploadPeerView] = {}
        self._view_tuple: tuple[UploadPeerView, ...] = ()
        self._views_at = -math.inf
        self._shared: UploadView | None = None
        self.is_steering = False
        """Something is kept from somebody, or may be suggested."""
        self._is_stirred = False
        self._is_dry = False
        self._rest = 0  # counts rests, so that an end of one that was cut short does nothing
        self._phase = _WAITING

    # --- what and in which order ------------------------------------------------------------------

    def offer(self, neighbour: "Neighbour") -> None:
        """Decide what to reveal to a peer that joined, or when there are new pieces."""
        view, peer = self._view(neighbour)
        if self._offer(neighbour, view, peer):
            self.is_steering = True
            self._stir()

    def offer_to_all(self, neighbours: list["Neighbour"]) -> None:
        """Decide what to reveal to several peers, in a moment in which there are new pieces."""
        if neighbours:
            if any(neighbour.key not in self._views for neighbour in neighbours):
                self._views_at = -math.inf
            view, _ = self._view(neighbours[0])
            views = self._views
            for neighbour in neighbours:
                if self._offer(neighbour, view, views[neighbour.key]):
                    self.is_steering = True
                    self._stir()

    def _offer(self, neighbour: "Neighbour", view: UploadView, peer: UploadPeerView) -> bool:
        """Decide what one peer should know; returns whether to look at it again."""
        uploader = self._uploader
        before, offered = neighbour.offered, uploader.offer(view, peer)
        neighbour.offered, neighbour.offered_of = offered, view.have
        if offered != before:
            self._changed(neighbour)
        suggested = uploader.suggest(view, peer)
        if suggested is None:
            return offered is not None
        neighbour.to_suggest = suggested & ~neighbour.suggested
        if neighbour.to_suggest:
            self._changed(neighbour)
        return offered is not None or bool(view.have & ~peer.pieces)

    def stir(self) -> None:
        """Look soon whether more is to be revealed: something has changed."""
        if self.is_steering:
            self._stir()

    def _stir(self) -> None:
        self._is_stirred = True
        if self._phase == _WAITING:
            self._phase = _DUE
            self._timeline.at(self._timeline.now, self._look)

    def put_out(self, neighbour: "Neighbour") -> None:
        """Note that blocks were put out."""
        self._shared = None
        if self.is_steering:
            self._stir()
            if not neighbour.upload_queue and not any(
                other.upload_queue for other in self._neighbours.values()
            ):
                self._is_dry = True
                if self._phase == _PAUSED:
                    self._wait()

    def _look(self) -> None:
        """Reveal more to those from whom something is kept, and rest."""
        self._is_stirred = self.is_steering = False
        if self._neighbours:
            self._views_at = -math.inf
            view, _ = self._view(next(iter(self._neighbours.values())))
            for neighbour in self._neighbours.values():
                self.is_steering |= self._offer(neighbour, view, self._views[neighbour.key])
        self._phase = _RESTING
        self._timeline.at(self._timeline.now + DRY_INTERVAL, self._rested)

    def _rested(self) -> None:
        if self._is_dry:
            self._wait()
        else:
            self._phase = _PAUSED
            self._rest += 1
            pause = REVEAL_INTERVAL - DRY_INTERVAL
            self._timeline.at(self._timeline.now + pause, self._rest_over, self._rest)

    def _rest_over(self, number: int) -> None:
        if number == self._rest and self._phase in {_PAUSED, _WAITING}:
            if self._phase == _PAUSED:
                self._wait()
            else:
                self._phase = _DUE
                self._look()

    def _wait(self) -> None:
        """Look again once something has changed, or after a while."""
        self._is_dry = False
        self._rest += 1
        self._phase = _WAITING
        if self._is_stirred:
            self._stir()
        elif self.is_steering:
            then = self._timeline.now + STEERING_INTERVAL
            self._timeline.at(then, self._rest_over, self._rest)

    def order(self, neighbour: "Neighbour") -> None:
        """Put a peer's requests into the order to serve them."""
        queue = neighbour.upload_queue
        if len(queue) < 2 or len(self._neighbours) < 2:
            return
        first = queue[0].piece
        if all(request.piece == first for request in queue):
            return
        view, peer = self._view(neighbour)
        neighbour.upload_queue = list(self._uploader.order(view, peer, list(queue)))

    def _view(self, neighbour: "Neighbour") -> tuple[UploadView, UploadPeerView]:
        ledger = self._ledger
        now = self._timeline.now
        if now - self._views_at > PEER_VIEWS_AGE or neighbour.key not in self._views:
            self._views = {
                each.key: _upload_view(each, ledger, now) for each in self._neighbours.values()
            }
            self._view_tuple = tuple(self._views.values())
            self._views_at = now
            self._shared = None
        have = ledger.have
        view = self._shared
        if view is not None and view.now == now and view.have == have:
            return view, self._views[neighbour.key]
        lengths = ledger.lengths
        self._shared = view = UploadView(
            have=have,
            sent=self.sent,
            rarity=ledger.rarity,
            peers=self._view_tuple,
            piece_length=lengths.piece_length,
            piece_count=lengths.piece_count,
            is_seeder=ledger.is_complete,
            now=now,
            rate=self.rate.rate(now),
            length=lengths.length,
            own_number=self._own_number,
            uploaded=self.rate.total,
        )
        return view, self._views[neighbour.key]

    # --- whom -------------------------------------------------------------------------------------

    def has_slot_for(self, neighbour: "Neighbour") -> bool:
        """Whether a peer whose interest has changed may have a slot at once."""
        if neighbour.should_unchoke or not neighbour.peer_interested:
            return False
        others = self._neighbours.values()
        return sum(each.should_unchoke and each.peer_interested for each in others) < self._slots

    def choke(self, now: float) -> None:
        """Decide who is unchoked from now on."""
        ledger = self._ledger
        view = ChokeView(
            peers=[_choke_view(each, ledger, now) for each in self._neighbours.values()],
            slots=self._slots,
            is_seeder=ledger.is_complete,
            now=now,
        )
        unchoked = frozenset(self._choker.unchoke(view, self._rng))
        for neighbour in self._neighbours.values():
            should = neighbour.key in unchoked
            if should == neighbour.should_unchoke:
                continue
            neighbour.should_unchoke = should
            if should:
                neighbour.unchoked_at = now
                neighbour.waiting_since = None
                neighbour.uploaded_since_unchoke = 0
            elif neighbour.peer_interested:
                neighbour.waiting_since = now
            self._changed(neighbour)
            self.stir()


def _upload_view(neighbour: "Neighbour", ledger: Ledger, now: float) -> UploadPeerView:
    pieces = ledger.pieces_of(neighbour.key)
    queue = neighbour.upload_queue
    return UploadPeerView(
        key=neighbour.key,
        pieces=pieces,
        is_seeder=neighbour.is_complete,
        interested=neighbour.peer_interested,
        unchoked=not neighbour.am_choking,
        uploaded=neighbour.uploaded,
        rate=neighbour.upload_rate.rate(now),
        revealed=neighbour.told,
        queued=len(queue) * queue[0].length if queue else 0,
        joined_at=neighbour.joined_at,
        address=neighbour.address,
        takes_suggestions=True,
        suggested=neighbour.suggested,
    )


def _choke_view(neighbour: "Neighbour", ledger: Ledger, now: float) -> ChokePeerView:
    unchoked = neighbour.should_unchoke
    rate, snubbed, is_interesting = ledger.as_giver(neighbour.key, now)
    return ChokePeerView(
        key=neighbour.key,
        interested=neighbour.peer_interested,
        unchoked=unchoked,
        unchoked_at=neighbour.unchoked_at if unchoked else None,
        waiting_since=None if unchoked else neighbour.waiting_since,
        download_rate=rate,
        upload_rate=neighbour.upload_rate.rate(now),
        uploaded=neighbour.uploaded_since_unchoke,
        snubbed=snubbed,
        joined_at=neighbour.joined_at,
        is_interesting=is_interesting,
        choking_us=neighbour.peer_choking,
        gave_at=neighbour.received_at,
    )
