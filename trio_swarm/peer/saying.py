"""What we say to a peer: the difference between what it should know by now and what it was told."""

from collections import OrderedDict
from typing import TYPE_CHECKING

from trio_swarm import piece_sets
from trio_swarm.engine.download.ledger import BlockRun
from trio_swarm.engine.lengths import BLOCK_LENGTH
from trio_swarm.engine.upload.serving import UPLOAD_BATCH, bytes_ahead, request_size
from trio_swarm.peer.hearing import OWN_MAX_BLOCK, REQUEST_QUEUE
from trio_swarm.protocol.extensions.handshake import ExtensionHandshake, encode_extension_handshake
from trio_swarm.protocol.extensions.metadata import UT_METADATA
from trio_swarm.protocol.extensions.table import OUR_MESSAGE_IDS
from trio_swarm.schedulers.api import UploadRequest

if TYPE_CHECKING:
    from trio_swarm.peer.connection import PeerConnection
    from trio_swarm.peer.download import Download


def greet(peer: "PeerConnection") -> None:
    """Put the extension handshake out (BEP 10); again, with the metadata's size, once it is known.

    A peer that lacks the metadata, too, could not ask us for it otherwise (BEP 9).
    """
    torrent = peer.torrent
    info = torrent.info
    peer.is_metadata_told = info is not None
    if not peer.wire.extensions:
        return
    told = ExtensionHandshake(
        message_ids={UT_METADATA: OUR_MESSAGE_IDS[UT_METADATA]},
        client=torrent.context.client,
        port=torrent.context.port or None,
        request_queue=REQUEST_QUEUE,
        metadata_size=len(info.raw) if info is not None else None,
        upload_only=torrent.is_complete,
        max_block=OWN_MAX_BLOCK,
    )
    peer.wire.send_extended(0, encode_extension_handshake(told))


def prepare(peer: "PeerConnection", now: float) -> None:
    """Put into the wire whatever the peer should know by now and was not told."""
    wire = peer.wire
    torrent = peer.torrent
    download = torrent.download
    if not peer.is_metadata_told and torrent.info is not None:
        greet(peer)
    if peer.metadata_requests:
        torrent.metadata.answer(peer)
    if download is None:
        if wire.fast and not peer.is_told_any:
            # A Fast peer must hear of our pieces first (BEP 6); before the metadata is here
            # there are none.
            wire.send_bitfield(0)
            peer.is_told_any = True
        return
    if not peer.is_attached:
        peer.attach()
    _tell_pieces(peer, download.ledger.have)
    # Each sends nothing if the peer knows it.
    if not torrent.is_complete and download.ledger.is_interesting(peer.key):
        wire.send_interested()
    else:
        wire.send_not_interested()
    if peer.should_unchoke == wire.am_choking:
        _tell_choke(peer)
    while peer.grants:
        run = peer.grants.popleft()
        # In endgame another peer may have completed the piece since it was granted.
        if not (download.ledger.have >> run.piece) & 1:
            _ask(peer, download, run)
    for run in peer.cancels:
        _cancel(peer, run)
    peer.cancels.clear()
    if peer.upload_queue and now >= peer.upload_at:
        _serve(peer, now)


def _tell_pieces(peer: "PeerConnection", have: int) -> None:
    offered = have
    if have & ~peer.told or not peer.is_told_any:
        if peer.torrent.upload.is_undecided(peer):
            peer.torrent.upload.offer(peer)
        if peer.offered is not None:
            offered &= peer.offered
    wire = peer.wire
    if not peer.is_told_any:
        wire.send_bitfield(offered)
        peer.is_told_any = True
        peer.told = offered
    else:
        new = offered & ~peer.told
        if new:
            wire.send_haves(new)
            peer.told |= new
            # Each may make it interested, and not interested again once it has the piece.
            peer.talk.earned += 2 * new.bit_count()
    if peer.allowed_fast_untold:
        for piece in peer.allowed_fast_untold:
            wire.send_allowed_fast(piece)
        peer.allowed_fast_untold = frozenset()
    if peer.to_suggest:
        for piece in piece_sets.iterate(peer.to_suggest):
            wire.send_suggest(piece)
        peer.suggested |= peer.to_suggest
        peer.to_suggest = 0


def _tell_choke(peer: "PeerConnection") -> None:
    wire = peer.wire
    if peer.should_unchoke:
        wire.send_unchoke()
        return
    wire.send_choke()
    # BEP 6: every request a choke drops is rejected, but allowed-fast ones may stay.
    kept: list[UploadRequest] = []
    for request in peer.upload_queue:
        if request.piece in peer.allowed_fast:
            kept.append(request)
        elif wire.fast:
            wire.send_reject(request.piece, request.begin, request.length)
    peer.upload_queue = OrderedDict.fromkeys(kept)


def _ask(peer: "PeerConnection", download: "Download", run: BlockRun) -> None:
    piece, begin, length = run
    end = begin + length
    size = _request_size(peer, download)
    peer.wire.send_request(piece, begin, length, block=size)
    asked = peer.asked
    for at in range(begin, end, size):
        asked[piece, at] = min(size, end - at)


def _request_size(peer: "PeerConnection", download: "Download") -> int:
    most = peer.max_request
    return (
        most if most <= BLOCK_LENGTH else request_size(download.ledger.stats(peer.key).rate, most)
    )


def _cancel(peer: "PeerConnection", run: BlockRun) -> None:
    end = run.begin + run.length
    begin = run.begin
    while begin < end:
        length = peer.asked.get((run.piece, begin))
        if length is None or begin + length > end:
            begin += BLOCK_LENGTH
            continue
        peer.wire.send_cancel(run.piece, begin, length)
        if not peer.wire.fast:
            # Without Fast nothing confirms a cancel; a block already on its way is unrequested.
            del peer.asked[run.piece, begin]
        begin += length


def _suit_link(peer: "PeerConnection", now: float) -> int:
    """Return how many bytes are put out ahead of a peer's link, and have its socket keep to it."""
    ahead = bytes_ahead(peer.upload_rate.rate(now), peer.ahead)
    if ahead != peer.ahead:
        peer.ahead = ahead
        peer.stream.limit_unsent(ahead)
    return ahead


def _serve(peer: "PeerConnection", now: float) -> None:
    upload = peer.torrent.upload
    if peer.is_queue_unordered:
        peer.is_queue_unordered = False
        upload.order(peer)
    bucket = peer.torrent.context.upload_bucket
    ahead = _suit_link(peer, now)
    batch = min(UPLOAD_BATCH, ahead) if bucket.rate is None else 1
    sent = 0
    blocks: list[UploadRequest] = []
    files = peer.torrent.files
    suspects = files.suspects if files is not None else 0
    held: list[UploadRequest] = []
    while peer.upload_queue and sent < batch:
        request, _ = peer.upload_queue.popitem(last=False)
        if suspects and suspects >> request.piece & 1:
            held.append(request)  # until its file is verified again
            continue
        peer.wire.send_block(request.piece, request.begin, request.length)
        blocks.append(request)
        sent += request.length
    for request in reversed(held):
        peer.upload_queue[request] = None
        peer.upload_queue.move_to_end(request, last=False)
    if sent:
        peer.moved_at = now
        peer.talk.earned += sent // BLOCK_LENGTH
    peer.uploaded += sent
    peer.uploaded_since_unchoke += sent
    peer.upload_rate.add(sent, now)
    upload.put_out(peer, blocks, now)
    peer.upload_at = now + bucket.take(sent, now)
