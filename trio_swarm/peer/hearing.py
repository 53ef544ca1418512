"""What a peer's messages do: to the torrent's download and upload sides, and to the connection."""

from typing import TYPE_CHECKING

from trio_swarm.errors import IdleTalkError, RemoteProtocolError
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.extensions.handshake import parse_extension_handshake
from trio_swarm.protocol.extensions.metadata import UT_METADATA
from trio_swarm.protocol.extensions.table import HANDSHAKE_ID, OUR_MESSAGE_IDS
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.reader import MESSAGES_AT_ONCE
from trio_swarm.schedulers.api import UploadRequest

if TYPE_CHECKING:
    from trio_swarm.peer.connection import PeerConnection
    from trio_swarm.peer.download import Download

REQUEST_QUEUE = 1024
"""Requests we accept from one peer before refusing more: 16 MiB, a second of a gigabit link."""

OWN_MAX_BLOCK = 1024 * 1024
"""Largest block asked of, and served to, another trio-swarm peer; everybody else gets 16 KiB.
Measured: a transfer on one machine takes 0.95 of the time that it takes with 512 KiB."""

REFUSED_LIMIT = 4 * REQUEST_QUEUE
"""Rejects put out for a peer that takes none of them, before it is dropped."""

SMALL_REQUEST = 1024
"""Bytes below which a request is charged though it is served: everybody asks for blocks of 16 KiB.
Only the last of a torrent may be so short, and one of a byte costs us as much time."""

HANDSHAKE_WEIGHT = 64
"""What an extension handshake is charged, in messages of no use: as much time as reading one of
16 KiB takes. Clients send one to three."""

REPLACED_WEIGHT = 64
"""The same for a piece set that lacks pieces of the one before: everything that was asked is looked
at again. One that only adds pieces, as aria2 sends them, is free while each KiB adds one."""

METADATA_WEIGHT = 16
"""The same for asking for metadata that it was sent before: each answer has 16 KiB."""

UNREQUESTED_LIMIT = 256
"""Blocks nobody asked for that are taken from a peer, 4 MiB: those it was asked once and need not
send any more do not count, but there is a limit to what is remembered of them."""


def handle(peer: "PeerConnection", events: list[msg.WireEvent], now: float) -> None:
    """Act on what arrived; raises RemoteProtocolError for what the wire alone cannot judge."""
    wire = peer.wire
    idle = wire.ignored
    wire.ignored = 0
    for event in events:
        if type(event) is msg.BlockReceived:
            _take_in(peer, event, now)
        elif type(event) is msg.RequestReceived:
            idle += _requested(peer, event)
        else:
            idle += _handle_rare(peer, event, now)
            if idle > MESSAGES_AT_ONCE:
                # What costs much is not to wait for the end of a turn.
                _charge(peer, idle, now)
                idle = 0
    if idle:
        _charge(peer, idle, now)
    if peer.is_queue_unordered or peer.wire.has_data_to_send:
        peer.wakeup.set()


def _charge(peer: "PeerConnection", idle: int, now: float) -> None:
    if not peer.talk.charge(idle, now):
        raise IdleTalkError("it says too much that is of no use")


def _take_in(peer: "PeerConnection", event: msg.BlockReceived, now: float) -> None:
    download = peer.torrent.download if peer.is_attached else None
    if download is None:
        raise RemoteProtocolError("sent a block that was not asked for")
    asked, piece, begin = peer.asked, event.piece, event.begin
    are_asked = asked.pop((piece, begin), None) is not None
    following = event.following
    if following is not None:
        end = begin + len(event.data)
        for data in following:
            if asked.pop((piece, end), None) is None:
                are_asked = False
            end += len(data)
        if not are_asked:
            # Each for itself, so that one that nobody asked for spoils none that we did ask for.
            for data in (event.data, *following):
                _take_in(peer, msg.BlockReceived(piece, begin, data), now)
                begin += len(data)
            return
    if download.blocks_received(peer, event, now):
        peer.talk.earned += 1
    else:
        peer.unrequested += 1
        if peer.unrequested > UNREQUESTED_LIMIT:
            raise IdleTalkError("it sends blocks that nobody asked for")


def _requested(peer: "PeerConnection", event: msg.RequestReceived) -> int:
    """Queue a request or refuse it; returns what it is charged."""
    piece = event.piece
    download = peer.torrent.download
    queue = peer.upload_queue
    if (
        download is not None
        and len(queue) < REQUEST_QUEUE
        and download.ledger.have >> piece & 1
        and (not peer.wire.am_choking or piece in peer.allowed_fast)
    ):
        request = UploadRequest(piece, event.begin, event.length)
        if request in queue:
            return 1  # One block answers both.
        queue[request] = None
        peer.is_queue_unordered = True
        return 1 if event.length < SMALL_REQUEST else 0
    _reject(peer, piece, event.begin, event.length)
    return 1


def _reject(peer: "PeerConnection", piece: int, begin: int, length: int) -> None:
    # Without Fast silence is the answer, as it is to requests that crossed our choke on the way.
    if peer.wire.fast:
        peer.wire.send_reject(piece, begin, length)
        peer.refused += 1
        if peer.refused > REFUSED_LIMIT:
            raise IdleTalkError("it asks for what it cannot have and does not listen")


def _handle_rare(peer: "PeerConnection", event: msg.WireEvent, now: float) -> int:
    """Act on anything else; returns what it is charged, 0 if it told something that matters.

    What changes nothing ends here: nobody is woken, nothing is planned.
    """
    match event:
        case msg.Choked() | msg.Unchoked():
            return _choke_told(peer, now, choked=isinstance(event, msg.Choked))
        case msg.Interested() | msg.NotInterested():
            return _interest_told(peer, now, interested=isinstance(event, msg.Interested))
        case msg.CancelReceived():
            return _cancelled(peer, event)
        case msg.ExtendedReceived():
            return _extended(peer, event)
        case _ if peer.is_attached and peer.torrent.download is not None:
            return _source_told(peer, peer.torrent.download, event, now)
    return 1


def _source_told(
    peer: "PeerConnection", download: "Download", event: msg.WireEvent, now: float
) -> int:
    """Take in what a peer tells of itself as a source; returns what it is charged."""
    ledger, key = download.ledger, peer.key
    match event:
        case msg.HasPiece(piece):
            return 0 if _has_piece(peer, download, piece) else 1
        case msg.HasPieces(pieces):
            return _has_pieces(peer, download, pieces, now)
        case msg.RejectReceived(piece, begin, length):
            peer.asked.pop((piece, begin), None)
            if not ledger.rejected(key, piece, begin, length, now):
                return 1
        case msg.AllowedFast(piece) if not ledger.source(key).fast_pieces >> piece & 1:
            ledger.allow_fast(key, piece)
        case msg.Suggested(piece) if not ledger.source(key).suggested >> piece & 1:
            ledger.suggest(key, piece)
            return 0
        case _:
            return 1  # Keep-alives and ports need no answer, and the rest was known.
    download.wakeup.set()
    return 0


def _choke_told(peer: "PeerConnection", now: float, *, choked: bool) -> int:
    """Act on a choke or unchoke; each is charged, for the next may take it back."""
    if choked == peer.choke_heard:
        return 1
    peer.choke_heard = choked
    download = peer.torrent.download if peer.is_attached else None
    if download is not None:
        download.ledger.set_choked(peer.key, choked=choked, fast=peer.wire.fast)
        download.wakeup.set()
    if choked:
        _choked(peer, now)
    return 1


def _interest_told(peer: "PeerConnection", now: float, *, interested: bool) -> int:
    """Act on interest or its end; each is charged, for the next may take it back."""
    if interested != peer.interest_heard:
        peer.interest_heard = interested
        peer.waiting_since = now if interested else None
        peer.torrent.upload.wakeup.set()
        peer.torrent.upload.note_change()
    return 1


def _has_piece(peer: "PeerConnection", download: "Download", piece: int) -> bool:
    """Take in a HAVE; returns whether it may be said."""
    if not download.ledger.pieces_of(peer.key) >> piece & 1:
        download.ledger.add_piece(peer.key, piece)
        _pieces_changed(peer)
    elif peer.known_haves:
        # Some clients tell each piece of their bitfield again.
        peer.known_haves -= 1
    else:
        return False
    return True


def _has_pieces(peer: "PeerConnection", download: "Download", pieces: PieceSet, now: float) -> int:
    """Take in a piece set; returns what it is charged."""
    before = download.ledger.pieces_of(peer.key)
    weight = 1 + (download.info.piece_count >> 13)
    if pieces == before:
        return weight
    download.ledger.set_pieces(peer.key, pieces)
    lost = before & ~pieces
    if lost:
        # What it lacks now must not be asked of it.
        _withdraw_grants(peer, now)
    _pieces_changed(peer)
    return weight + REPLACED_WEIGHT if lost else max(0, weight - (pieces ^ before).bit_count())


def _choked(peer: "PeerConnection", now: float) -> None:
    """Forget what a choke drops: with Fast only what was not sent yet, else everything."""
    if not peer.wire.fast:
        peer.asked.clear()
    _withdraw_grants(peer, now)


def _withdraw_grants(peer: "PeerConnection", now: float) -> None:
    """Give back what we were about to ask."""
    download = peer.torrent.download
    while peer.grants:
        assert download is not None
        run = peer.grants.popleft()
        download.ledger.withdraw(peer.key, run, now)


def _pieces_changed(peer: "PeerConnection") -> None:
    download = peer.torrent.download
    assert download is not None
    download.wakeup.set()
    peer.wakeup.set()
    peer.torrent.upload.note_change()
    if peer.is_seeder:
        peer.torrent.peer_set.part_seeders()


def _cancelled(peer: "PeerConnection", event: msg.CancelReceived) -> int:
    """Take a request back; returns what that is charged: the request was of no use either."""
    request = UploadRequest(event.piece, event.begin, event.length)
    if request not in peer.upload_queue:
        return 1  # It is on its way already, which answers the request.
    del peer.upload_queue[request]
    _reject(peer, *request)
    return 2


def _extended(peer: "PeerConnection", event: msg.ExtendedReceived) -> int:
    """Act on an extended message; returns what it is charged: at least 1, and 1 for each KiB."""
    if event.message_id == HANDSHAKE_ID:
        told = parse_extension_handshake(event.payload)
        peer.extensions = told if peer.extensions is None else peer.extensions.updated(told)
        if peer.extensions.client:
            peer.client = peer.extensions.client
        if peer.extensions.port and peer.listen_address is None:
            peer.torrent.peer_set.learned_listen_address(
                peer, (peer.remote[0], peer.extensions.port)
            )
        if peer.extensions.max_block:
            largest = min(OWN_MAX_BLOCK, peer.extensions.max_block)
            peer.wire.allow_requests_up_to(largest)
            peer.wire.expect_blocks_up_to(largest)
            peer.max_request = largest
        peer.limit_queue()
        peer.torrent.metadata.peer_told(peer)
        if peer.wants_nothing:
            peer.torrent.peer_set.part_seeders()
        return HANDSHAKE_WEIGHT
    if event.message_id == OUR_MESSAGE_IDS[UT_METADATA]:
        asked = peer.metadata_asked
        peer.torrent.metadata.message(peer, event.payload)
        pieces = peer.torrent.metadata.piece_count
        if peer.metadata_asked != asked and peer.metadata_asked > pieces > 0:
            return METADATA_WEIGHT
    return 1 + (len(event.payload) >> 10)
