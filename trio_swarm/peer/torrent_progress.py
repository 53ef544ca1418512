"""What a torrent tells about itself: progress, peers."""

from typing import TYPE_CHECKING

from trio_swarm.progress import PeerProgress, Progress

if TYPE_CHECKING:
    from trio_swarm.peer.connection import PeerConnection
    from trio_swarm.peer.torrent import Torrent


def progress_of(torrent: "Torrent", now: float) -> Progress:
    """Return how far a torrent is."""
    info = torrent.info
    download = torrent.download
    size = info.length if info is not None else (torrent.expected_size or 0)
    have = torrent.bytes_checked
    pieces_have = downloaded = duplicate = 0
    rate = 0.0
    eta: float | None = None
    if download is not None:
        ledger = download.ledger
        pieces_have = ledger.have.bit_count()
        have = download.have_bytes()
        downloaded, duplicate = ledger.received_bytes, ledger.duplicate_bytes
        rate = 0.0 if torrent.is_complete else download.rate.rate(now)
        if torrent.is_complete:
            eta = 0.0
        elif rate > 0:
            eta = ledger.remaining / rate
    connections = torrent.peer_set.connections
    if not connections:  # the last one took its rate with it, which else would fade for seconds
        rate, eta = 0.0, eta if torrent.is_complete else None
    uploaded = torrent.upload.uploaded
    return Progress(
        state=torrent.state,
        size=size,
        have=have,
        pieces=info.piece_count if info is not None else 0,
        pieces_have=pieces_have,
        download_rate=rate,
        upload_rate=torrent.upload.rate(now) if connections else 0.0,
        eta=eta,
        downloaded=downloaded,
        uploaded=uploaded,
        duplicate=duplicate,
        peers=len(connections),
        seeders=sum(c.wants_nothing for c in connections.values()),
        ratio=uploaded / max(1, downloaded, size),
    )


def peer_progress_of(connection: "PeerConnection", now: float) -> PeerProgress:
    """Return what one peer gives and takes."""
    download = connection.torrent.download if connection.is_attached else None
    rate = share = 0.0
    in_flight = 0
    snubbed = False
    if download is not None:
        stats = download.ledger.stats(connection.key)
        rate, in_flight = stats.rate, stats.in_flight
        snubbed = download.ledger.snubbed(connection.key, now)
        pieces = download.ledger.pieces_of(connection.key)
        share = pieces.bit_count() / max(1, download.info.piece_count)
    return PeerProgress(
        address=connection.address,
        client=connection.client,
        outgoing=connection.is_outgoing,
        download_rate=rate,
        upload_rate=connection.upload_rate.rate(now),
        downloaded=connection.downloaded,
        uploaded=connection.uploaded,
        share=share,
        is_seeder=connection.wants_nothing,
        choking_us=connection.wire.peer_choking,
        interested=connection.wire.peer_interested,
        unchoked=not connection.wire.am_choking,
        in_flight=in_flight,
        snubbed=snubbed,
    )
