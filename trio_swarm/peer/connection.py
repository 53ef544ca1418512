"""One connected peer: a stream, its wire, and the two tasks that move bytes between them.

What is said and heard is the `Conversation`'s. The reading task has it hear what arrives; the
writing task, whenever it is woken, has it speak, and sends that. Before the torrent's metadata is
known and its files are open there is none: then only extended messages are exchanged (BEP 9, 10).
"""

from collections.abc import Iterable
from functools import partial
from typing import Protocol

import trio

from trio_swarm.engine.conversation import Conversation
from trio_swarm.engine.idle_talk import IdleTalk
from trio_swarm.engine.known_peers.crowding import host_of
from trio_swarm.engine.lengths import BLOCK_LENGTH
from trio_swarm.engine.messages import Message
from trio_swarm.engine.read_turn import ReadTurn
from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.errors import RemoteProtocolError, StorageError
from trio_swarm.peer import saying
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.download import Download
from trio_swarm.peer.hashes import HASH_EVENTS, HashExchange, HashRequests
from trio_swarm.peer.hearing import hear
from trio_swarm.peer.metadata import MetadataExchange, MetadataRequests
from trio_swarm.peer.read_limit import ReadLimit
from trio_swarm.peer.transport.errors import PeerClosedError
from trio_swarm.peer.transport.sending import send_segments
from trio_swarm.peer.transport.streams import PeerStream
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.addresses import Address, format_address
from trio_swarm.protocol.extensions.dont_have import LT_DONTHAVE
from trio_swarm.protocol.extensions.handshake import (
    ExtensionHandshake,
    parse_extension_handshake,
)
from trio_swarm.protocol.extensions.metadata import (
    UT_METADATA,
    MetadataMessage,
    encode_metadata_message,
)
from trio_swarm.protocol.extensions.table import HANDSHAKE_ID, hear_extended
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.protocol.peer_ids import client_name
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.allowed_fast import allowed_fast_set
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.protocol.wire.reader import MESSAGES_AT_ONCE
from trio_swarm.storage.content import TorrentFiles

HANDSHAKE_WEIGHT = 64
"""What an extension handshake is charged, in messages of no use: as much time as reading one of
16 KiB takes. Clients send one to three."""

METADATA_WEIGHT = 16
"""The same for asking for metadata that it was sent before: each answer has 16 KiB."""


class PeersTorrent(Protocol):
    """What a connection asks of the torrent that it is about, and tells it."""

    @property
    def context(self) -> NodeContext:
        """What all torrents of the node share."""

    @property
    def info(self) -> Info | None:
        """The info dictionary; None until the metadata is known."""

    @property
    def files(self) -> TorrentFiles | None:
        """The torrent's files; None until they are open."""

    @property
    def download(self) -> Download | None:
        """Where blocks go, once the files are open."""

    @property
    def metadata(self) -> MetadataExchange:
        """Where extended messages about metadata go."""

    @property
    def hashes(self) -> HashExchange:
        """Where messages about hashes of version 2 go."""

    @property
    def short_v2_hash(self) -> bytes | None:
        """The version 2 info-hash, 20 bytes; None: it has none, or it is not known yet."""

    @property
    def group(self) -> int:
        """What the uplink knows its connections by."""

    @property
    def read_limit(self) -> ReadLimit:
        """What limits reading from its peers."""

    @property
    def largest_request(self) -> int:
        """Most bytes that one request may ask of us, by the limits of uploads."""

    @property
    def is_complete(self) -> bool:
        """Every wanted piece is verified and the data has its final name."""

    @property
    def is_whole(self) -> bool:
        """It is complete, and no file is left out."""

    def learned_listen_address(self, connection: "PeerConnection", address: Address) -> None:
        """Note where a peer listens that came in."""

    def part_useless(self) -> None:
        """Look whether there are peers that are of no use any more."""

    def file_changed(self, error: StorageError) -> None:
        """Note that serving found a file changed, or could not read it."""


class PeerConnection:
    """One peer of one torrent: how it came, what it called itself, and when something moved."""

    def __init__(
        self,
        torrent: PeersTorrent,
        stream: PeerStream,
        wire: PeerWire,
        *,
        key: int,
        is_outgoing: bool,
        now: float,
    ) -> None:
        self.wire = wire
        self.key = key
        self.is_outgoing = is_outgoing
        self.remote: Address = stream.remote
        self.listen_address: Address | None = stream.remote if is_outgoing else None
        self.extensions: ExtensionHandshake | None = None
        self.client = client_name(wire.peer_id or b"")
        self.identity = ""
        """What a ban would name; empty before it joins the download."""
        self.host = host_of(self.remote[0])
        self.joined_at = now
        self.moved_at = float("-inf")
        """When a block last came or went."""
        self.last_received = now
        self.last_sent = now
        self.downloaded = 0
        """Bytes of blocks that were asked for and came."""
        self.conversation: Conversation | None = None
        """All that is said and heard, once it has joined the download."""
        self.wakeup = Wakeup()
        """To be set when there may be something to say."""
        self._torrent = torrent
        self._stream = stream
        self._pace: float | None = None
        self._is_metadata_told = False
        self._told_largest = 0
        self._told_upload_only = (False, False)
        """Whether we only upload, and are a partial seeder that has shown all it has."""
        self._is_told_any = False
        self._metadata_requests = MetadataRequests()
        self._hash_requests: HashRequests | None = None
        self._talk = IdleTalk(now, torrent.context.talkative.burst(self.host, now))
        self._handed = 0  # bytes given to the stream
        self._handed_before = 0  # bytes acknowledged when there were none
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
        conversation = self.conversation
        if conversation is None:
            return False
        return conversation.source.pieces == conversation.torrent.every

    @property
    def speaks_v2(self) -> bool:
        """Whether it may be asked for hashes of version 2 (BEP 52)."""
        return self.wire.speaks_v2(self._torrent.short_v2_hash)

    @property
    def wants_nothing(self) -> bool:
        """It has every piece, or says that it only uploads (BEP 21)."""
        return self.is_seeder or (self.extensions is not None and self.extensions.upload_only)

    @property
    def uploaded(self) -> int:
        """Bytes of blocks put out to it."""
        return 0 if self.conversation is None else self.conversation.uploaded

    @property
    def is_closing(self) -> bool:
        """It ends soon: `close` was called."""
        return self._close_reason is not None

    def close(self, reason: str) -> None:
        """End the connection soon; `reason` is for people."""
        if self._close_reason is None:
            self._close_reason = reason
            self._scope.cancel()

    def listens_at(self, address: Address) -> None:
        """Note where the peer can be dialled."""
        self.listen_address = address
        if self.conversation is not None:
            self.conversation.listens_at(self.address)

    def keep_alive(self) -> None:
        """Say something, so that the peer does not take us for dead (BEP 3)."""
        self.wire.send_keep_alive()
        self.wakeup.set()

    # --- its part of the uplink -------------------------------------------------------------------

    @property
    def group(self) -> int:
        """The connections among which its `weight` has a meaning: those of its torrent."""
        return self._torrent.group

    @property
    def weight(self) -> float:
        """Its share of what the torrent may send, in proportion to those of the others."""
        conversation = self.conversation
        if conversation is None:
            return 1.0
        return conversation.torrent.uploads.weight_of(conversation, trio.current_time())

    def link_state(self) -> LinkState | None:
        """Return the state of its link; None: nothing is known of it, or it is closed."""
        return self._stream.link_state()

    def found(self, rate: float) -> None:
        """Note at how many bytes/s the other end acknowledges what is sent."""
        if self.conversation is not None:
            self.conversation.link_rate = rate

    def turn_given(self) -> None:
        """Put blocks out soon: it may do so now."""
        self.wakeup.set()

    # --- tasks --------------------------------------------------------------------------------

    async def run(self, events: list[msg.WireEvent]) -> None:
        """Talk to the peer until it leaves; `events` came with its handshake.

        Raises (inside an exception group): PeerClosedError, RemoteProtocolError, OSError. The
        stream is closed in any case.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._greet()
                    self._torrent.hashes.met(self)
                    if self._torrent.download is not None:
                        self._join(self._torrent.download)
                    nursery.start_soon(self._write, name=f"write to {self.address}")
                    self._hear(events, trio.current_time())
                    await self._read()
            if self._close_reason is not None:
                raise PeerClosedError(self._close_reason)
        finally:
            self._torrent.context.uplink.leave(self.key, trio.current_time())
            self._stream.close()

    async def _read(self) -> None:
        wire = self.wire
        stream = self._stream
        limit = self._torrent.read_limit
        turn = ReadTurn()
        goes_on = False
        while True:
            if wire.is_behind:
                # A peer that says a lot at once: the others are heard in between.
                await trio.lowlevel.checkpoint()
                self._hear(wire.parse_more(), trio.current_time())
                goes_on = False
                continue
            buffers = wire.receive_buffers()
            if limit.most is not None:
                buffers = [buffers[0][: limit.most]]
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
            self._hear(events, now)
            is_full = count == sum(map(len, buffers))
            goes_on = is_full and turn.goes_on(count, len(events), trio.current_time())
            if limit.most is not None and await limit.pay(count, now):
                goes_on = False

    async def _write(self) -> None:
        while True:
            # A reader that failed has cancelled us, and may have left things half told.
            await trio.lowlevel.checkpoint_if_cancelled()
            now = trio.current_time()
            self._speak(now)
            if self.wire.has_data_to_send:
                self.last_sent = now
                torrent = self._torrent
                segments = self.wire.data_to_send()
                self._handed += sum(map(_length, segments))
                buffers = torrent.context.batch_buffers
                try:
                    await send_segments(self._stream, torrent.files, segments, buffers)
                except StorageError as error:
                    # Its file was changed by others. The peer was promised what cannot be sent.
                    torrent.file_changed(error)
                    raise PeerClosedError("a file of ours changed") from error
                continue
            await self.wakeup.wait()

    def _undelivered(self) -> int:
        """Return how many of the bytes given to the stream the other end has not acknowledged."""
        link = self._stream.link_state()
        return 0 if link is None else max(0, self._handed + self._handed_before - link.acknowledged)

    # --- saying ---------------------------------------------------------------------------------

    def _greet(self) -> None:
        torrent = self._torrent
        context = torrent.context
        self._is_metadata_told = torrent.info is not None
        self._told_largest = torrent.largest_request
        self._told_upload_only = only, all_of_part = self._only_uploads()
        saying.greet(
            self.wire,
            torrent.info,
            client=context.client,
            port=context.port,
            upload_only=only,
            shows_all_of_part=all_of_part,
            max_block=torrent.largest_request,
        )

    def _only_uploads(self) -> tuple[bool, bool]:
        """Return whether we only upload, and whether it is a part, all of which was shown."""
        torrent, conversation = self._torrent, self.conversation
        only = torrent.is_complete
        if not only or torrent.is_whole or conversation is None:
            return only, False
        return only, not conversation.torrent.ledger.have & ~conversation.told

    def _speak(self, now: float) -> None:
        """Put into the wire whatever the peer should know by now and was not told."""
        wire, torrent = self.wire, self._torrent
        if not self._is_metadata_told and torrent.info is not None:
            self._greet()
        if self._told_largest != torrent.largest_request:
            self._tell_largest()
        if self._metadata_requests:
            torrent.metadata.answer(self, self._metadata_requests)
        if self._hash_requests is not None:
            self._answer_hashes(self._hash_requests)
        conversation = self.conversation
        if conversation is None:
            if torrent.download is None:
                if wire.fast and not self._is_told_any:
                    # A Fast peer must hear of our pieces first (BEP 6); before the metadata is
                    # here there are none.
                    wire.send_bitfield(0)
                    self._is_told_any = True
                return
            conversation = self._join(torrent.download)
        self._put_out(conversation.speak(now))
        # Of a seeder that is whole, HAVEs tell.
        if not torrent.is_whole and self._told_upload_only != self._only_uploads():
            self._greet()
        uplink = torrent.context.uplink
        if not conversation.upload_queue:
            uplink.sends_nothing(self.key, now)
        elif uplink.may_send(self):
            self._serve(conversation, now)

    def _tell_largest(self) -> None:
        """Let the peer know, if it asks for large blocks at all, that a limit is another now."""
        self._told_largest = self._torrent.largest_request
        largest = None if self.extensions is None else _largest_request(self.extensions)
        if largest is not None:
            self._allow_requests_up_to(largest)  # first: it may ask as soon as it hears of it
            self._greet()

    def _allow_requests_up_to(self, largest: int) -> None:
        self.wire.allow_requests_up_to(min(largest, self._torrent.largest_request))

    def _put_out(self, messages: Iterable[Message]) -> None:
        numbers = self.extensions.message_ids if self.extensions is not None else {}
        saying.put_out(self.wire, messages, numbers)

    def _serve(self, conversation: Conversation, now: float) -> None:
        torrent = self._torrent
        uplink = torrent.context.uplink
        before = conversation.ahead
        served = conversation.serve(
            now,
            most=uplink.turn_length(self),
            # Nothing of a file that others changed, until it is verified again.
            withheld=torrent.files.suspects if torrent.files is not None else 0,
        )
        if conversation.ahead != before:
            self._stream.limit_unsent(conversation.ahead)
        if uplink.pace != self._pace:
            self._pace = uplink.pace
            self._stream.pace(self._pace)
        send_block = self.wire.send_block
        sent = 0
        for piece, begin, length in served:
            send_block(piece, begin, length)
            sent += length
        if sent:
            self.moved_at = now
            uplink.sends(self, sent, now)
        else:
            uplink.sends_nothing(self.key, now)

    def take_back(self, pieces: PieceSet, *, for_good: bool) -> None:
        """Serve nothing of some pieces, which we have no longer, `for_good` or until they are back.

        A peer that would not hear of it (BEP 54) hears what is left when it comes again.
        """
        conversation = self.conversation
        if conversation is None or not pieces:
            return
        conversation.drop_requests(pieces)
        self._put_out(conversation.take_answers())
        if conversation.will_tell_losses:
            self.wakeup.set()
        elif for_good and pieces & conversation.told & ~conversation.source.pieces:
            self.close("a file of ours changed, and with it what we have")

    # --- hearing --------------------------------------------------------------------------------

    def _hear(self, events: list[msg.WireEvent], now: float) -> None:
        """Act on what arrived; raises RemoteProtocolError for what the wire alone cannot judge."""
        wire = self.wire
        idle = wire.ignored
        wire.ignored = 0
        conversation = self.conversation
        for event in events:
            if type(event) is msg.BlockReceived:
                self._take_in(event, now)
            elif type(event) is msg.ExtendedReceived:
                idle += self._extended(event)
            elif type(event) in HASH_EVENTS:
                idle += self._heard_hashes(event)
            elif conversation is not None:
                idle += hear(conversation, event, now)
            else:
                idle += 1
            if idle > MESSAGES_AT_ONCE:
                # What costs much is not to wait for the end of a turn.
                self._talk.spend(idle, now)
                idle = 0
        if idle:
            self._talk.spend(idle, now)
        if conversation is not None:
            if conversation.has_answers:
                self._put_out(conversation.take_answers())
            if conversation.is_queue_unordered:
                self.wakeup.set()
        if wire.has_data_to_send:
            self.wakeup.set()

    def _take_in(self, event: msg.BlockReceived, now: float) -> None:
        conversation, download = self.conversation, self._torrent.download
        if conversation is None or download is None:
            raise RemoteProtocolError("sent a block that was not asked for")
        piece, begin, following = event.piece, event.begin, event.following
        length = len(event.data)
        if following is not None:
            length += sum(map(len, following))
            if not conversation.was_asked(piece, begin, length):
                # Each for itself, so that one that nobody asked for spoils none of the others.
                for data in (event.data, *following):
                    self._take_in(msg.BlockReceived(piece, begin, data), now)
                    begin += len(data)
                return
        if download.blocks_received(conversation, event, length, now):
            self.downloaded += length
            self.moved_at = now

    def _extended(self, event: msg.ExtendedReceived) -> int:
        """Act on an extended message; returns what it is charged."""
        if event.message_id == HANDSHAKE_ID:
            self._told(parse_extension_handshake(event.payload))
            return HANDSHAKE_WEIGHT
        return hear_extended(self, event.message_id, event.payload)

    def metadata_told(self, message: MetadataMessage) -> int:
        """Hand a message about metadata on; returns what it is charged."""
        metadata, requests = self._torrent.metadata, self._metadata_requests
        before = requests.heard
        metadata.message(self, requests, message)
        if requests.heard == before:
            return 1
        self.wakeup.set()
        return METADATA_WEIGHT if requests.heard > metadata.piece_count > 0 else 1

    def _heard_hashes(self, event: msg.WireEvent) -> int:
        """Act on a message about hashes (BEP 52); returns what it is charged."""
        if self._hash_requests is None:
            self._hash_requests = HashRequests()
        self.wakeup.set()
        return self._torrent.hashes.heard(self, self._hash_requests, event)

    def ask_for_hashes(self, wanted: msg.HashRange) -> None:
        """Send a request for hashes (BEP 52)."""
        self.wire.send_hash_request(wanted)
        self.wakeup.set()

    def _answer_hashes(self, requests: HashRequests) -> None:
        """Put out the answers that are there, and have the next one looked for."""
        while requests.answers:
            asked, hashes = requests.answers.popleft()
            if hashes is None:
                self.wire.send_hash_reject(asked)
            else:
                self.wire.send_hashes(asked, hashes)
        self._torrent.hashes.work(requests, self.wakeup.set)

    def piece_taken_back(self, piece: int) -> int:
        """Ask the peer for a piece no longer (BEP 54); returns what it is charged.

        Raises RemoteProtocolError for a piece that the torrent has not.
        """
        if not self.wire.take_back(piece) or self.conversation is None:
            return 1
        return self.conversation.heard_losses(1 << piece, trio.current_time())

    def _told(self, told: ExtensionHandshake) -> None:
        """Act on an extension handshake, the first or a later one (BEP 10)."""
        torrent = self._torrent
        self.extensions = told if self.extensions is None else self.extensions.updated(told)
        extensions, conversation = self.extensions, self.conversation
        if extensions.client:
            self.client = extensions.client
        if extensions.port and self.listen_address is None:
            torrent.learned_listen_address(self, (self.remote[0], extensions.port))
        largest = _largest_request(extensions)
        if largest is not None:
            self._allow_requests_up_to(largest)
            self.wire.expect_blocks_up_to(largest)
        if conversation is not None:
            _heed(extensions, conversation)
        torrent.metadata.peer_told(self)
        if self.wants_nothing:
            torrent.part_useless()

    def send_metadata(self, message: MetadataMessage) -> None:
        """Send a message about metadata, if the peer takes any (BEP 9)."""
        number = None
        if self.extensions is not None:
            number = self.extensions.message_ids.get(UT_METADATA)
        if number is not None:
            self.wire.send_extended(number, encode_metadata_message(message))
            self.wakeup.set()

    # --- joining the download ------------------------------------------------------------------

    def _join(self, download: Download) -> Conversation:
        """Join the torrent's download: its metadata is known and its files are open.

        Raises RemoteProtocolError if what the peer told before does not fit: to be called in its
        tasks.
        """
        info, wire, extensions = download.info, self.wire, self.extensions
        now = trio.current_time()
        self.identity = self.address
        allowed: PieceSet = 0
        if wire.fast and ":" not in self.remote[0]:
            for piece in allowed_fast_set(self.remote[0], info.info_hash, info.piece_count):
                allowed |= 1 << piece
        exchange = download.exchange
        conversation = Conversation(
            exchange,
            self.key,
            self.joined_at,
            address=self.address,
            fast=wire.fast,
            allowed_fast=allowed,
            is_told_any=self._is_told_any,
            talk=self._talk,
        )
        exchange.will_wake(self.key, self.wakeup)
        exchange.join(
            conversation,
            now,
            identity=self.identity,
            labels=self._torrent.context.labels_of(self.identity),
        )
        if extensions is not None:
            _heed(extensions, conversation)
        self.conversation = conversation
        link = self._stream.link_state()
        if link is not None:
            self._handed_before = link.acknowledged - self._handed
            conversation.ask_link(self._undelivered)
        wire.place_block = partial(download.place_block, self.key)
        held_back = wire.set_torrent(
            piece_count=info.piece_count, piece_length=info.piece_length, length=info.length
        )
        # What was heard before, and not kept.
        if not wire.peer_choking:
            conversation.heard_choke(choked=False, now=now)
        if wire.peer_interested:
            conversation.heard_interest(interested=True, now=now)
        self._hear(held_back, now)
        return conversation

    def leave(self, download: Download) -> None:
        """Have the download forget the peer, which has gone."""
        if self.conversation is not None:
            download.peer_left(self.conversation, self.wire.give_up_place(), trio.current_time())


def _largest_request(extensions: ExtensionHandshake) -> int | None:
    """Return the most bytes that one request may ask of the peer; None: the usual block."""
    return min(saying.OWN_MAX_BLOCK, extensions.max_block) if extensions.max_block else None


def _heed(extensions: ExtensionHandshake, conversation: Conversation) -> None:
    """Let a conversation know what the peer told in its extension handshakes (BEP 10)."""
    conversation.accept_requests_of(_largest_request(extensions) or BLOCK_LENGTH)
    conversation.set_only_uploads(extensions.upload_only)
    conversation.tell_losses(LT_DONTHAVE in extensions.message_ids)
    if extensions.request_queue:
        conversation.torrent.ledger.set_queue_limit(conversation.key, extensions.request_queue)


def _length(segment: msg.Segment) -> int:
    return segment.length if isinstance(segment, msg.FileBlock) else len(segment)
