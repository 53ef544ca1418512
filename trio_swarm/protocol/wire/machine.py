"""One connection of the peer wire as a value machine: no socket, no clock (BEP 3, 6, 10).

    wire.receive_buffers() ─ bytes in ─▶ wire.received(n) ─▶ [events]
    wire.send_…()                        ─▶ wire.data_to_send() ─▶ [bytes | FileBlock]

After the events of one read, look at `has_data_to_send`: the wire answers a few things by itself.
"""

from trio_swarm import piece_sets
from trio_swarm.errors import LocalProtocolError
from trio_swarm.identities import InfoHash, PeerId, PieceIndex
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.wire import messages as m
from trio_swarm.protocol.wire.handshake import encode_handshake
from trio_swarm.protocol.wire.messages import FileBlock, MessageId, Segment
from trio_swarm.protocol.wire.reader import WireReader

_BARE = {
    message_id: m.BARE_FRAME.pack(1, message_id)
    for message_id in (
        MessageId.CHOKE,
        MessageId.UNCHOKE,
        MessageId.INTERESTED,
        MessageId.NOT_INTERESTED,
        MessageId.HAVE_ALL,
        MessageId.HAVE_NONE,
    )
}


class PeerWire(WireReader):
    """The state of one peer connection: framing, handshakes, chokes and interest of both ends.

    An outgoing connection is made with its info-hash, and sends its handshake first. An incoming
    one waits for HandshakeReceived; the caller finds the torrent and calls `send_handshake` with
    that info-hash. `twin_hash` is the other info-hash of a hybrid torrent, which the peer may
    answer with as well; if it is empty, any info-hash is accepted, because the metadata will tell.
    Both ends begin choking and not interested (BEP 3).

    The three sizes may be given later with `set_torrent` (magnet links). Until then bitfields,
    HAVEs and hints are kept, requests are rejected (ignored without the Fast Extension), and a
    block is a fault.

    Every `send_…` method appends to the send buffer; illegal use raises LocalProtocolError. The
    wire does not know which requests are outstanding: the ledger and the uploading side own them,
    and call `send_block` only when the block is about to be sent.
    """

    def __init__(
        self,
        *,
        peer_id: PeerId,
        info_hash: InfoHash | None,
        is_initiator: bool,
        twin_hash: bytes | None = None,
        piece_count: int | None = None,
        piece_length: int | None = None,
        length: int | None = None,
    ) -> None:
        if len(peer_id) != m.PEER_ID_LENGTH:
            raise LocalProtocolError("a peer id has 20 bytes")
        if info_hash is not None and len(info_hash) != m.INFO_HASH_LENGTH:
            raise LocalProtocolError("an info-hash has 20 bytes")
        if is_initiator and info_hash is None:
            raise LocalProtocolError("an outgoing connection needs an info-hash")
        super().__init__(info_hash=info_hash, twin_hash=twin_hash)
        self._own_peer_id = peer_id
        self._is_initiator = is_initiator
        self._am_choking = True
        self._am_interested = False
        self._pieces_told = False
        self._allowed_to_peer: set[int] = set()
        if piece_count is not None:
            if piece_length is None or length is None:
                raise LocalProtocolError("piece_count comes with piece_length and length")
            self.set_torrent(piece_count=piece_count, piece_length=piece_length, length=length)

    # Facts

    @property
    def am_choking(self) -> bool:
        """Whether we choke the peer: we answer requests for allowed-fast pieces only."""
        return self._am_choking

    @property
    def am_interested(self) -> bool:
        """Whether we told the peer that we are interested in its pieces."""
        return self._am_interested

    @property
    def is_open(self) -> bool:
        """Whether both handshakes are complete: messages may be sent."""
        return self._handshake is not None and self._handshake_sent

    @property
    def has_data_to_send(self) -> bool:
        """Whether `data_to_send` would return any segment."""
        return bool(self._outgoing)

    def data_to_send(self) -> list[Segment]:
        """Return the segments to send, in order, and remove them; adjacent messages are joined."""
        return self._outgoing.drain()

    # Sending

    def send_handshake(
        self, info_hash: InfoHash, *, offers_v2: bool = False, upgrade: InfoHash | None = None
    ) -> None:
        """Send our handshake: first on an outgoing connection, as an answer on an incoming one.

        With `offers_v2` the peer may answer with the twin hash of a hybrid, and `upgrade` is such
        an answer of ours (BEP 52, "Upgrade Path").
        """
        if self._handshake_sent:
            raise LocalProtocolError("the handshake is sent already")
        if not self._is_initiator and self._handshake is None:
            raise LocalProtocolError("an incoming connection is answered, not opened, by us")
        if info_hash != self._info_hash:
            raise LocalProtocolError("the handshake must name the connection's info-hash")
        self._handshake_sent = True
        named = upgrade or info_hash
        self._outgoing.add(encode_handshake(named, self._own_peer_id, offers_v2=offers_v2))

    def send_keep_alive(self) -> None:
        """Send a keep-alive; peers close a connection after about two silent minutes (BEP 3)."""
        self._check_open()
        self._outgoing.add(m.KEEP_ALIVE_FRAME)

    def send_choke(self) -> None:
        """Choke the peer; nothing is sent if it is choked already.

        With the Fast Extension, the caller then rejects every outstanding request except for
        allowed-fast pieces; without, it forgets them (BEP 6, "Reject Request").
        """
        self._check_open()
        if not self._am_choking:
            self._am_choking = True
            self._outgoing.add(_BARE[MessageId.CHOKE])

    def send_unchoke(self) -> None:
        """Unchoke the peer; nothing is sent if it is unchoked already."""
        self._check_open()
        if self._am_choking:
            self._am_choking = False
            self._outgoing.add(_BARE[MessageId.UNCHOKE])

    def send_interested(self) -> None:
        """Tell the peer that we are interested; nothing is sent if it knows."""
        self._check_open()
        if not self._am_interested:
            self._am_interested = True
            self._outgoing.add(_BARE[MessageId.INTERESTED])

    def send_not_interested(self) -> None:
        """Tell the peer that we are not interested; nothing is sent if it knows."""
        self._check_open()
        if self._am_interested:
            self._am_interested = False
            self._outgoing.add(_BARE[MessageId.NOT_INTERESTED])

    def send_bitfield(self, pieces: PieceSet) -> None:
        """Tell all our pieces: once, before any HAVE.

        With Fast it must be sent, even for no pieces, and have-all or have-none stand for a full or
        empty set (BEP 6). Without Fast nothing is sent for an empty set. Before `set_torrent` only
        the empty set can be told; what we get later is then told by HAVEs.
        """
        self._check_open()
        if self._pieces_told:
            raise LocalProtocolError("our pieces were told already")
        if self._limits.piece_count is None and pieces:
            raise LocalProtocolError("pieces of a torrent of unknown size")
        count = self._limits.piece_count or 0
        if pieces < 0 or pieces >> count:
            raise LocalProtocolError(f"the set has pieces beyond the last of {count}")
        self._pieces_told = True
        if not pieces:
            if self._fast:
                self._outgoing.add(_BARE[MessageId.HAVE_NONE])
        elif self._fast and pieces == piece_sets.full_set(count):
            self._outgoing.add(_BARE[MessageId.HAVE_ALL])
        else:
            bitfield = piece_sets.to_bitfield(pieces, count)
            self._outgoing.add(m.BARE_FRAME.pack(1 + len(bitfield), MessageId.BITFIELD))
            self._outgoing.add(bitfield)

    def send_haves(self, pieces: PieceSet) -> None:
        """Tell the peer that we have more pieces, with one HAVE for each."""
        if not pieces:
            return
        self._check_piece(pieces.bit_length() - 1)
        if self._fast and not self._pieces_told:
            raise LocalProtocolError("with Fast, all pieces are told before the first HAVE")
        self._pieces_told = True
        pack, have = m.INDEX_FRAME.pack, MessageId.HAVE
        self._outgoing.add(b"".join([pack(5, have, piece) for piece in piece_sets.iterate(pieces)]))

    def send_request(
        self, piece: PieceIndex, begin: int, length: int, *, block: int | None = None
    ) -> None:
        """Request bytes of a piece; if `block` is given, in blocks of that length.

        The last block may be shorter. We must be interested, and the peer must not choke us, unless
        it allowed the piece fast.
        """
        block = length if block is None else block
        self._check_sendable_range(piece, begin, length)
        if not 0 < block <= self._limits.max_block:
            raise LocalProtocolError(f"{block} bytes asked, {self._limits.max_block} agreed on")
        if not self._am_interested:
            raise LocalProtocolError("a request without interest")
        if self._peer_choking and piece not in self._allowed_to_us:
            raise LocalProtocolError("a request while choked")
        pack, end = m.RANGE_FRAME.pack, begin + length
        frames = [
            pack(13, MessageId.REQUEST, piece, at, min(block, end - at))
            for at in range(begin, end, block)
        ]
        self._outgoing.add(b"".join(frames))

    def send_cancel(self, piece: PieceIndex, begin: int, length: int) -> None:
        """Cancel a request. With the Fast Extension the peer still answers, by block or reject."""
        self._check_sendable_range(piece, begin, length)
        self._outgoing.add(m.RANGE_FRAME.pack(13, MessageId.CANCEL, piece, begin, length))

    def send_reject(self, piece: PieceIndex, begin: int, length: int) -> None:
        """Reject a request; only with the Fast Extension (BEP 6)."""
        self._check_fast()
        self._check_sendable_range(piece, begin, length)
        self._outgoing.add(m.RANGE_FRAME.pack(13, MessageId.REJECT, piece, begin, length))

    def send_block(self, piece: PieceIndex, begin: int, length: int) -> None:
        """Answer a request from the file: append the header now, and the payload as a FileBlock.

        Only while the peer is not choked, or for a piece that we allowed fast.
        """
        if not self._is_usual_range(piece, begin, length):
            self._check_sendable_range(piece, begin, length)
        if length > self._limits.max_request:
            raise LocalProtocolError(f"a block of {length} bytes was never granted")
        if self._am_choking and piece not in self._allowed_to_peer:
            raise LocalProtocolError("a block while choking")
        self._outgoing.add(m.PIECE_FRAME.pack(9 + length, MessageId.PIECE, piece, begin))
        self._outgoing.add_block(FileBlock(piece, begin, length))

    def send_suggest(self, piece: int) -> None:
        """Suggest a piece to fetch from us; only with the Fast Extension (BEP 6)."""
        self._check_fast()
        self._check_piece(piece)
        self._outgoing.add(m.INDEX_FRAME.pack(5, MessageId.SUGGEST, piece))

    def send_allowed_fast(self, piece: int) -> None:
        """Allow the peer to request a piece while it is choked; only with the Fast Extension."""
        self._check_fast()
        self._check_piece(piece)
        self._allowed_to_peer.add(piece)
        self._outgoing.add(m.INDEX_FRAME.pack(5, MessageId.ALLOWED_FAST, piece))

    def send_extended(self, message_id: int, payload: bytes) -> None:
        """Send an extended message under the peer's number for it; 0 is the handshake (BEP 10)."""
        self._check_open()
        if not self._extensions:
            raise LocalProtocolError("the peer does not speak the extension protocol")
        if not 0 <= message_id <= 255:
            raise LocalProtocolError(f"{message_id} is not an extended message id")
        if len(payload) > m.MAX_EXTENDED_LENGTH:
            raise LocalProtocolError(f"an extended message of {len(payload)} bytes")
        frame = m.EXTENDED_FRAME.pack(2 + len(payload), MessageId.EXTENDED, message_id)
        self._outgoing.add(frame)
        self._outgoing.add(payload)

    def send_hash_request(self, wanted: m.HashRange) -> None:
        """Ask for hashes; only of a peer that speaks version 2 (BEP 52, "hash request")."""
        self._send_hashes(MessageId.HASH_REQUEST, wanted)

    def send_hashes(self, asked: m.HashRange, hashes: bytes) -> None:
        """Answer a request for hashes: those, and what proves them, 32 bytes each."""
        if len(hashes) > (m.MAX_HASHES + m.MAX_PROOF) * m.HASH_LENGTH:
            raise LocalProtocolError(f"{len(hashes)} bytes of hashes at once")
        self._send_hashes(MessageId.HASHES, asked, hashes)

    def send_hash_reject(self, asked: m.HashRange) -> None:
        """Answer a request for hashes that are not sent."""
        self._send_hashes(MessageId.HASH_REJECT, asked)

    def _send_hashes(self, message_id: int, named: m.HashRange, hashes: bytes = b"") -> None:
        self._check_open()
        numbers = named.base, named.index, named.length, named.proof
        body = m.HASHES.pack(named.root, *numbers) + hashes
        self._outgoing.add(m.BARE_FRAME.pack(1 + len(body), message_id))
        self._outgoing.add(body)

    # Checks of our own use

    def _check_open(self) -> None:
        if not (self._handshake_sent and self._handshake is not None):
            raise LocalProtocolError("a message before both handshakes")

    def _check_fast(self) -> None:
        self._check_open()
        if not self._fast:
            raise LocalProtocolError("the peer does not speak the Fast extension")

    def _check_piece(self, piece: int) -> None:
        self._check_open()
        if self._limits.piece_count is None or not 0 <= piece < self._limits.piece_count:
            raise LocalProtocolError(f"piece index {piece} of {self._limits.piece_count} pieces")

    def _is_usual_range(self, piece: PieceIndex, begin: int, length: int) -> bool:
        """Whether a range is certainly valid, so that `_check_sendable_range` accepts it."""
        limits = self._limits
        return (
            0 <= piece < limits.last_piece
            and begin >= 0
            and 0 < length <= limits.piece_length - begin
            and self._handshake_sent
            and self._handshake is not None
        )

    def _check_sendable_range(self, piece: PieceIndex, begin: int, length: int) -> None:
        self._check_piece(piece)
        if begin < 0 or length < 1:
            raise LocalProtocolError(f"{length} bytes from {begin} are not a range")
        fault = self._limits.range_fault(piece, begin, length)
        if fault is not None:
            raise LocalProtocolError(fault)
