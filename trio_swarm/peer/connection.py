"""One connected peer: a stream, its wire, and the two tasks that move bytes between them.

The reading task turns what arrives into calls on the torrent's download and upload sides. The
writing task is level-triggered: whenever it is woken it compares what the peer should know (haves,
interest, choke, requests, blocks owed) with what it was told, and sends the difference. So no
queue of messages can overflow, and messages coalesce by themselves.
"""

from collections import OrderedDict, deque
from functools import partial
from typing import TYPE_CHECKING

import trio

from trio_swarm.engine.download.ledger import BlockRun
from trio_swarm.engine.idle_talk import IdleTalk
from trio_swarm.engine.known_peers.crowding import host_of
from trio_swarm.engine.lengths import BLOCK_LENGTH
from trio_swarm.engine.rates import RateEstimate
from trio_swarm.engine.read_turn import ReadTurn
from trio_swarm.errors import StorageError
from trio_swarm.peer.hearing import handle
from trio_swarm.peer.saying import greet, prepare
from trio_swarm.peer.transport.errors import PeerClosedError
from trio_swarm.peer.transport.sending import send_segments
from trio_swarm.peer.transport.streams import PeerStream
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.addresses import Address, format_address
from trio_swarm.protocol.extensions.handshake import ExtensionHandshake
from trio_swarm.protocol.peer_ids import client_name
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.allowed_fast import allowed_fast_set
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.schedulers.api import UploadRequest

if TYPE_CHECKING:
    from trio_swarm.peer.torrent import Torrent

LIMITED_READ_SECONDS = 0.05
"""Under a download limit one read takes at most what the limit allows in this time."""


class PeerConnection:
    """One peer of one torrent. Its facts: what it was told, what it owes, what we owe it."""

    def __init__(  # noqa: PLR0915 - one fact a line and no logic
        self,
        torrent: "Torrent",
        stream: PeerStream,
        wire: PeerWire,
        *,
        key: int,
        is_outgoing: bool,
        now: float,
    ) -> None:
        self.torrent = torrent
        self.stream = stream
        self.wire = wire
        self.key = key
        self.is_outgoing = is_outgoing
        self.remote: Address = stream.remote
        self.listen_address: Address | None = stream.remote if is_outgoing else None
        self.extensions: ExtensionHandshake | None = None
        self.client = client_name(wire.peer_id or b"")
        self.identity = ""
        self.host = host_of(self.remote[0])
        self.joined_at = now
        self.moved_at = float("-inf")  # when a block last came or went
        self.received_at: float | None = None  # when a block last came
        self.last_received = now
        self.last_sent = now
        self.is_attached = False
        self.choke_heard = True
        self.interest_heard = False
        self.told = 0
        self.is_told_any = False
        self.offered: PieceSet | None = None  # None: all we have
        self.offered_of = -1  # the pieces we had when that was decided
        self.to_suggest: PieceSet = 0
        self.suggested: PieceSet = 0
        self.is_metadata_told = False
        self.grants: deque[BlockRun] = deque()
        self.asked: dict[tuple[int, int], int] = {}
        self.cancels: list[BlockRun] = []
        # A dict, so that a request is found and taken back at once. A plain one would walk over all
        # that were served before it finds its first.
        self.upload_queue: OrderedDict[UploadRequest, None] = OrderedDict()
        self.is_queue_unordered = False
        self.should_unchoke = False
        self.unchoked_at: float | None = None
        self.waiting_since: float | None = None
        self.uploaded = 0
        self.uploaded_since_unchoke = 0
        self.downloaded = 0
        self.upload_rate = RateEstimate()
        self.allowed_fast: frozenset[int] = frozenset()
        self.allowed_fast_untold: frozenset[int] = frozenset()
        self.refused = 0
        self.unrequested = 0
        self.metadata_requests: deque[int] = deque()
        self.metadata_asked = 0
        self.known_haves = 0  # HAVEs of pieces we know it has that it may still send
        self.talk = IdleTalk(now, torrent.context.talkative.burst(self.host, now))
        self.max_request = BLOCK_LENGTH
        self.wakeup = Wakeup()
        self.upload_at = 0.0
        self.ahead = 0  # bytes put out ahead of the link; 0 before the first
        self._scope = trio.CancelScope()
        self._close_reason: str | None = None

    # --- facts for others -------------------------------------------------------------------

    @property
    def address(self) -> str:
        """`host:port` where it can be dialled if known, else where it came from."""
        return format_address(self.listen_address or self.remote)

    @property
    def is_seeder(self) -> bool:
        """It has every piece."""
        download = self.torrent.download
        if download is not None and self.is_attached:
            return download.ledger.pieces_of(self.key) == download.all_pieces
        return False

    @property
    def wants_nothing(self) -> bool:
        """It has every piece, or says that it only uploads (BEP 21)."""
        return self.is_seeder or (self.extensions is not None and self.extensions.upload_only)

    @property
    def peer_interested(self) -> bool:
        """It wants something of us."""
        return self.wire.peer_interested

    @property
    def peer_choking(self) -> bool:
        """It chokes us."""
        return self.wire.peer_choking

    @property
    def am_choking(self) -> bool:
        """It was told that we choke it."""
        return self.wire.am_choking

    @property
    def takes_suggestions(self) -> bool:
        """It speaks the Fast Extension (BEP 6)."""
        return self.wire.fast

    @property
    def is_closing(self) -> bool:
        """It ends soon: `close` was called."""
        return self._close_reason is not None

    def close(self, reason: str) -> None:
        """End the connection soon; `reason` is for people."""
        if self._close_reason is None:
            self._close_reason = reason
            self._scope.cancel()

    # --- tasks --------------------------------------------------------------------------------

    async def run(self, events: list[msg.WireEvent]) -> None:
        """Talk to the peer until it leaves; `events` came with its handshake.

        Raises (inside an exception group): PeerClosedError, RemoteProtocolError, OSError. The
        stream is closed in any case.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    greet(self)
                    if self.torrent.download is not None:
                        self.attach()
                    nursery.start_soon(self._write, name=f"write to {self.address}")
                    handle(self, events, trio.current_time())
                    await self._read()
            if self._close_reason is not None:
                raise PeerClosedError(self._close_reason)
        finally:
            self.stream.close()

    async def _read(self) -> None:
        wire = self.wire
        stream = self.stream
        bucket = self.torrent.context.download_bucket
        rate = bucket.rate
        most = None if rate is None else max(BLOCK_LENGTH, int(rate * LIMITED_READ_SECONDS))
        turn = ReadTurn()
        goes_on = False
        while True:
            if wire.is_behind:
                # A peer that says a lot at once: the others are heard in between.
                await trio.lowlevel.checkpoint()
                handle(self, wire.parse_more(), trio.current_time())
                goes_on = False
                continue
            buffers = wire.receive_buffers()
            if most is not None:
                buffers = [buffers[0][:most]]
            # A read that was filled has most likely left something, so no turn of the loop is due.
            count = stream.try_receive_into(buffers) if goes_on else None
            if count is None:
                count = await stream.receive_into(buffers)
                now = trio.current_time()
                turn.begin(now)
            else:
                now = trio.current_time()
            self.last_received = now
            events = wire.received(count)
            if count == 0:
                raise PeerClosedError("it closed the connection")
            handle(self, events, now)
            is_full = count == sum(map(len, buffers))
            goes_on = is_full and turn.goes_on(count, len(events), trio.current_time())
            if bucket.rate is not None:
                pause = bucket.take(count, now)
                if pause > 0:
                    goes_on = False
                    await trio.sleep(pause)

    async def _write(self) -> None:
        while True:
            # A reader that failed has cancelled us, and may have left things half told.
            await trio.lowlevel.checkpoint_if_cancelled()
            now = trio.current_time()
            prepare(self, now)
            if self.wire.has_data_to_send:
                self.last_sent = now
                torrent = self.torrent
                segments = self.wire.data_to_send()
                buffers = torrent.context.batch_buffers
                try:
                    await send_segments(self.stream, torrent.files, segments, buffers)
                except StorageError as error:
                    # Its file was changed by others. The peer was promised what cannot be sent.
                    torrent.keeping.changed(error)
                    raise PeerClosedError("a file of ours changed") from error
                self.refused = 0
                continue
            if self.upload_queue and self.upload_at > now:
                with trio.move_on_at(self.upload_at):
                    await self.wakeup.wait()
            else:
                await self.wakeup.wait()

    # --- joining the download ------------------------------------------------------------------

    def attach(self) -> None:
        """Join the torrent's download: its metadata is known and its files are open.

        Raises RemoteProtocolError if what the peer told before does not fit: call it in its task.
        """
        download = self.torrent.download
        info = self.torrent.info
        assert download is not None
        assert info is not None
        self.is_attached = True
        self.known_haves = info.piece_count
        self.wire.place_block = partial(download.place_block, self.key)
        self.identity = self.address
        now = trio.current_time()
        download.ledger.add_peer(
            self.key,
            now,
            identity=self.identity,
            labels=self.torrent.context.labels_of(self.identity),
        )
        self.torrent.upload.join(self)
        self.limit_queue()
        held_back = self.wire.set_torrent(
            piece_count=info.piece_count, piece_length=info.piece_length, length=info.length
        )
        if not self.wire.peer_choking:
            download.ledger.set_choked(self.key, choked=False, fast=self.wire.fast)
        handle(self, held_back, now)
        if self.wire.fast and ":" not in self.remote[0]:
            self.allowed_fast = self.allowed_fast_untold = frozenset(
                allowed_fast_set(self.remote[0], info.info_hash, info.piece_count)
            )
        self.wakeup.set()

    def drop_requests(self, pieces: PieceSet) -> None:
        """Serve nothing of some pieces, which we have no longer."""
        if not pieces:
            return
        for request in list(self.upload_queue):
            if pieces >> request.piece & 1:
                del self.upload_queue[request]
                if self.wire.fast:
                    self.wire.send_reject(request.piece, request.begin, request.length)

    def limit_queue(self) -> None:
        """Keep to the queue length that the peer told (BEP 10, "reqq")."""
        download = self.torrent.download
        if download is None or not self.is_attached or self.extensions is None:
            return
        blocks = self.extensions.request_queue
        if blocks:
            download.ledger.set_queue_limit(self.key, blocks)
