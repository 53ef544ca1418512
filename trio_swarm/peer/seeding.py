"""The upload side of one torrent: whom to unchoke, what to reveal, in which order to serve."""

import math
import random
from collections import deque
from collections.abc import Mapping

import trio

from trio_swarm.peer.connection import PeerConnection
from trio_swarm.peer.leeching import Download
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.schedulers.api import (
    ChokePeerView,
    ChokeView,
    UploadPeerView,
    UploadRequest,
    UploadView,
)
from trio_swarm.swarm.guard import GuardedChoker, GuardedUploader
from trio_swarm.swarm.rates import RateEstimate
from trio_swarm.swarm.serving import (
    CHOKE_ROUND,
    DRY_INTERVAL,
    PEER_VIEWS_AGE,
    REVEAL_INTERVAL,
    STEERING_INTERVAL,
)


class Upload:
    """Owns what was sent, what is revealed and to whom we are unchoked.

    `run` is the one task that chokes, `reveal` the one that reveals more to those from whom
    something is kept.
    """

    def __init__(
        self,
        *,
        uploader: GuardedUploader,
        choker: GuardedChoker,
        rng: random.Random,
        slots: int,
        connections: Mapping[int, PeerConnection],
        own_number: int,
    ) -> None:
        self.sent: dict[int, int] = {}
        self.uploaded = 0
        self.rate = RateEstimate()
        self.wakeup = Wakeup()
        self.download: Download | None = None
        self._uploader = uploader
        self._choker = choker
        self._rng = rng
        self._slots = slots
        self._connections = connections
        self._own_number = own_number
        self._peer_views: dict[int, UploadPeerView] = {}
        self._peer_views_at = -math.inf
        self._is_steering = False
        self._reveal_wakeup = Wakeup()
        self._dry = Wakeup()

    def count(self, connection: PeerConnection, request: UploadRequest) -> None:
        """Count a block that was put out for a peer."""
        del connection  # it is for those that override this
        piece, _, length = request
        self.sent[piece] = self.sent.get(piece, 0) + length
        self.uploaded += length

    # --- what and in which order --------------------------------------------------------------

    def offer(self, connection: PeerConnection) -> None:
        """Decide what to reveal to a peer that joined, or when we have new pieces."""
        view, peer = self._view(connection)
        if self._offer(connection, view, peer):
            self._is_steering = True
            self._reveal_wakeup.set()

    def _offer(self, connection: PeerConnection, view: UploadView, peer: UploadPeerView) -> bool:
        """Decide what one peer should know; returns whether to look at it again."""
        uploader = self._uploader
        before, offered = connection.offered, uploader.offer(view, peer)
        connection.offered, connection.offered_of = offered, view.have
        if offered != before:
            connection.wakeup.set()
        if not (uploader.suggests and peer.takes_suggestions):
            return offered is not None
        suggested = uploader.suggest(view, peer)
        if suggested is None:
            return offered is not None
        connection.to_suggest = suggested & ~connection.suggested
        if connection.to_suggest:
            connection.wakeup.set()
        return offered is not None or bool(view.have & ~peer.pieces)

    def stir(self) -> None:
        """Look soon whether more is to be revealed: something has changed."""
        if self._is_steering:
            self._reveal_wakeup.set()

    def put_out(self, connection: PeerConnection) -> None:
        """Note that blocks were put out."""
        if self._is_steering:
            self._reveal_wakeup.set()
            if not connection.upload_queue and not any(
                other.upload_queue for other in self._connections.values()
            ):
                self._dry.set()

    async def reveal(self) -> None:
        """Reveal more to peers from whom something is kept, whenever it may be time."""
        while True:
            with trio.move_on_after(STEERING_INTERVAL if self._is_steering else math.inf):
                await self._reveal_wakeup.wait()
            self._reveal()
            await trio.sleep(DRY_INTERVAL)
            with trio.move_on_after(REVEAL_INTERVAL - DRY_INTERVAL):
                await self._dry.wait()

    def _reveal(self) -> None:
        attached = [c for c in self._connections.values() if c.is_attached]
        self._is_steering = False
        if not attached:
            return
        self._peer_views_at = -math.inf
        view, _ = self._view(attached[0])
        for connection in attached:
            self._is_steering |= self._offer(connection, view, self._peer_views[connection.key])

    def order(self, connection: PeerConnection) -> None:
        """Put a peer's requests into the order to serve them."""
        queue = connection.upload_queue
        # With one peer the order makes no difference to anybody, and costs.
        if len(queue) < 2 or len(self._connections) < 2:
            return
        first = queue[0].piece
        if all(request.piece == first for request in queue):
            return
        view, peer = self._view(connection)
        connection.upload_queue = deque(self._uploader.order(view, peer, list(queue)))

    def _view(self, connection: PeerConnection) -> tuple[UploadView, UploadPeerView]:
        download = self.download
        assert download is not None
        now = trio.current_time()
        if now - self._peer_views_at > PEER_VIEWS_AGE or connection.key not in self._peer_views:
            self._peer_views = {
                c.key: self._peer_view(c, download, now)
                for c in self._connections.values()
                if c.is_attached
            }
            self._peer_views_at = now
        view = UploadView(
            have=download.ledger.have,
            sent=self.sent,
            rarity=download.ledger.rarity,
            peers=tuple(self._peer_views.values()),
            piece_length=download.info.piece_length,
            piece_count=download.info.piece_count,
            is_seeder=download.ledger.is_complete,
            now=now,
            rate=self.rate.rate(now),
            uploaded=self.uploaded,
            length=download.info.length,
            own_number=self._own_number,
        )
        return view, self._peer_views[connection.key]

    @staticmethod
    def _peer_view(connection: PeerConnection, download: Download, now: float) -> UploadPeerView:
        pieces = download.ledger.pieces_of(connection.key)
        queue = connection.upload_queue
        return UploadPeerView(
            key=connection.key,
            pieces=pieces,
            is_seeder=connection.wants_nothing,
            interested=connection.wire.peer_interested,
            unchoked=not connection.wire.am_choking,
            uploaded=connection.uploaded,
            rate=connection.upload_rate.rate(now),
            revealed=connection.told,
            # Nearly always all are of one length, and there may be a thousand.
            queued=len(queue) * queue[0].length if queue else 0,
            joined_at=connection.joined_at,
            address=connection.address,
            takes_suggestions=connection.wire.fast,
            suggested=connection.suggested,
        )

    # --- the choking task -----------------------------------------------------------------------

    async def run(self) -> None:
        """Decide each round, and at once when interest changes or a peer joins or leaves."""
        while True:
            self._choke(trio.current_time())
            with trio.move_on_after(CHOKE_ROUND):
                await self.wakeup.wait()

    def _choke(self, now: float) -> None:
        download = self.download
        if download is None:
            return
        attached = [c for c in self._connections.values() if c.is_attached]
        view = ChokeView(
            peers=[self._choke_view(c, download, now) for c in attached],
            slots=self._slots,
            is_seeder=download.ledger.is_complete,
            now=now,
        )
        unchoked = frozenset(self._choker.unchoke(view, self._rng))
        for connection in attached:
            should = connection.key in unchoked
            if should == connection.should_unchoke:
                continue
            connection.should_unchoke = should
            if should:
                connection.unchoked_at = now
                connection.waiting_since = None
                connection.uploaded_since_unchoke = 0
            elif connection.wire.peer_interested:
                connection.waiting_since = now
            connection.wakeup.set()
            self.stir()

    @staticmethod
    def _choke_view(connection: PeerConnection, download: Download, now: float) -> ChokePeerView:
        unchoked = connection.should_unchoke
        return ChokePeerView(
            key=connection.key,
            interested=connection.wire.peer_interested,
            unchoked=unchoked,
            unchoked_at=connection.unchoked_at if unchoked else None,
            waiting_since=None if unchoked else connection.waiting_since,
            download_rate=download.ledger.stats(connection.key).rate,
            upload_rate=connection.upload_rate.rate(now),
            uploaded=connection.uploaded_since_unchoke,
            snubbed=download.ledger.snubbed(connection.key, now),
            joined_at=connection.joined_at,
            is_interesting=download.ledger.is_interesting(connection.key),
            choking_us=connection.wire.peer_choking,
            gave_at=connection.received_at,
        )
