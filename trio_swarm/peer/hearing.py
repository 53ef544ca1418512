"""What a peer's messages do: to the torrent's download and upload sides, and to the connection."""

from typing import TYPE_CHECKING

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol import peer_messages as msg
from trio_swarm.protocol.extensions import OUR_UT_METADATA, parse_extension_handshake
from trio_swarm.schedulers.api import UploadRequest

if TYPE_CHECKING:
    from trio_swarm.peer.connection import PeerConnection

REQUEST_QUEUE = 1024
"""Requests we accept from one peer before refusing more: 16 MiB, a second of a gigabit link."""

OWN_MAX_BLOCK = 1024 * 1024
"""Largest block asked of, and served to, another trio-swarm peer; everybody else gets 16 KiB.
Measured: a transfer on one machine takes 0.95 of the time that it takes with 512 KiB."""

REFUSED_LIMIT = 4 * REQUEST_QUEUE
"""Rejects put out for a peer that takes none of them, before it is dropped."""

UNREQUESTED_LIMIT = 256
"""Blocks nobody asked for that are taken from a peer, 4 MiB: those it was asked once and need not
send any more do not count, but there is a limit to what is remembered of them."""


def handle(peer: "PeerConnection", events: list[msg.WireEvent], now: float) -> None:
    """Act on what arrived; raises RemoteProtocolError for what the wire alone cannot judge."""
    for event in events:
        if type(event) is msg.BlockReceived:
            _take_in(peer, event, now)
        elif type(event) is msg.RequestReceived:
            _requested(peer, event)
        else:
            _handle_rare(peer, event, now)
    if peer.is_queue_unordered or peer.wire.has_data_to_send:
        peer.wakeup.set()


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
    if not download.blocks_received(peer, event, now):
        peer.unrequested += 1
        if peer.unrequested > UNREQUESTED_LIMIT:
            raise RemoteProtocolError("it sends blocks that nobody asked for")


def _requested(peer: "PeerConnection", event: msg.RequestReceived) -> None:
    piece = event.piece
    download = peer.torrent.download
    queue = peer.upload_queue
    if (
        download is not None
        and len(queue) < REQUEST_QUEUE
        and download.ledger.have >> piece & 1
        and (not peer.wire.am_choking or piece in peer.allowed_fast)
    ):
        queue.append(UploadRequest(piece, event.begin, event.length))
        peer.is_queue_unordered = True
        return
    _reject(peer, piece, event.begin, event.length)


def _reject(peer: "PeerConnection", piece: int, begin: int, length: int) -> None:
    # Without Fast silence is the answer, as it is to requests that crossed our choke on the way.
    if peer.wire.fast:
        peer.wire.send_reject(piece, begin, length)
        peer.refused += 1
        if peer.refused > REFUSED_LIMIT:
            raise RemoteProtocolError("it asks for what it cannot have and does not listen")


def _handle_rare(peer: "PeerConnection", event: msg.WireEvent, now: float) -> None:
    download = peer.torrent.download if peer.is_attached else None
    match event:
        case msg.Choked() | msg.Unchoked():
            choked = isinstance(event, msg.Choked)
            if download is not None:
                download.ledger.set_choked(peer.key, choked=choked, fast=peer.wire.fast)
                download.wakeup.set()
            if choked:
                _choked(peer, now)
        case msg.Interested() | msg.NotInterested():
            peer.waiting_since = now if isinstance(event, msg.Interested) else None
            peer.torrent.upload.wakeup.set()
            peer.torrent.upload.stir()
        case msg.HasPiece() if download is not None:
            download.ledger.add_piece(peer.key, event.piece)
            _pieces_changed(peer)
        case msg.HasPieces() if download is not None:
            download.ledger.set_pieces(peer.key, event.pieces)
            # It may have fewer now, and what it lacks must not be asked of it.
            _withdraw_grants(peer, now)
            _pieces_changed(peer)
        case msg.RejectReceived() if download is not None:
            peer.asked.pop((event.piece, event.begin), None)
            download.ledger.rejected(peer.key, event.piece, event.begin, event.length, now)
            download.wakeup.set()
        case msg.AllowedFast() if download is not None:
            download.ledger.allow_fast(peer.key, event.piece)
            download.wakeup.set()
        case msg.Suggested() if download is not None:
            download.ledger.suggest(peer.key, event.piece)
        case msg.CancelReceived():
            _cancelled(peer, event)
        case msg.ExtendedReceived():
            _extended(peer, event)
        case _:
            pass  # Keep-alives, ports and have-none need no answer.


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
    peer.torrent.upload.stir()
    if peer.is_seeder:
        peer.torrent.peer_set.part_seeders()


def _cancelled(peer: "PeerConnection", event: msg.CancelReceived) -> None:
    request = UploadRequest(event.piece, event.begin, event.length)
    try:
        peer.upload_queue.remove(request)
    except ValueError:
        return  # It is on its way already, which answers the request.
    _reject(peer, *request)


def _extended(peer: "PeerConnection", event: msg.ExtendedReceived) -> None:
    if event.message_id == 0:
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
    elif event.message_id == OUR_UT_METADATA:
        peer.torrent.metadata.message(peer, event.payload)
