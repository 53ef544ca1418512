"""What a torrent tells about itself: progress, peers."""

from collections.abc import Collection
from typing import Protocol

from trio_swarm.peer.connection import PeerConnection
from trio_swarm.peer.download import Download
from trio_swarm.piece_sets import PieceSet
from trio_swarm.progress import PeerProgress, Progress, State
from trio_swarm.protocol.metainfo.torrent import Info


class ShownTorrent(Protocol):
    """A torrent of which is told how far it is."""

    @property
    def state(self) -> State:
        """The torrent's state, for people and programs."""

    @property
    def info(self) -> Info | None:
        """The info dictionary; None until the metadata is known."""

    @property
    def expected_size(self) -> int | None:
        """Bytes that were told before it was known."""

    @property
    def bytes_checked(self) -> int:
        """Bytes of files that were looked at, before they are open."""

    @property
    def download(self) -> Download | None:
        """What is here and what comes, once the files are open."""

    @property
    def have(self) -> PieceSet:
        """The verified pieces; none before the files are open."""

    @property
    def missing(self) -> int | None:
        """Bytes of pieces that are not verified; None while nothing is known of them."""

    @property
    def downloaded(self) -> int:
        """Bytes of blocks received so far, from anybody."""

    @property
    def duplicate(self) -> int:
        """Bytes of blocks that came though they were here."""

    @property
    def uploaded(self) -> int:
        """Bytes of blocks put out so far, to anybody."""

    @property
    def is_complete(self) -> bool:
        """Every piece is verified and the data has its final name."""


def progress_of(
    torrent: ShownTorrent, connections: Collection[PeerConnection], now: float
) -> Progress:
    """Return how far a torrent is."""
    info = torrent.info
    download = torrent.download
    size = info.size if info is not None else (torrent.expected_size or 0)
    have = torrent.bytes_checked if torrent.state == "checking" else 0
    pieces = info.piece_count if info is not None else 0
    had = torrent.have
    if download is not None:
        size, have = download.wanted_bytes(), download.have_bytes()
        pieces, had = download.ledger.chosen.bit_count(), had & download.ledger.chosen
    elif torrent.missing is not None:
        have = size - torrent.missing
    rate = upload_rate = 0.0
    eta: float | None = 0.0 if torrent.is_complete else None
    if download is not None:
        rate = 0.0 if torrent.is_complete else download.rate.rate(now)
        upload_rate = download.exchange.uploads.rate.rate(now)
        if rate > 0:
            eta = download.ledger.remaining / rate
    if not connections:  # the last one took its rate with it, which else would fade for seconds
        rate = upload_rate = 0.0
        eta = eta if torrent.is_complete else None
    uploaded, downloaded = torrent.uploaded, torrent.downloaded
    return Progress(
        state=torrent.state,
        size=size,
        have=have,
        pieces=pieces,
        pieces_have=had.bit_count(),
        download_rate=rate,
        upload_rate=upload_rate,
        eta=eta,
        downloaded=downloaded,
        uploaded=uploaded,
        duplicate=torrent.duplicate,
        peers=len(connections),
        seeders=sum(c.wants_nothing for c in connections),
        ratio=uploaded / max(1, downloaded, size),
    )


def peer_progress_of(connection: PeerConnection, now: float) -> PeerProgress:
    """Return what one peer gives and takes."""
    conversation = connection.conversation
    rate = upload_rate = share = 0.0
    in_flight = 0
    snubbed = False
    if conversation is not None:
        ledger = conversation.torrent.ledger
        stats = ledger.stats(connection.key)
        rate, in_flight = stats.rate, stats.in_flight
        snubbed = ledger.snubbed(connection.key, now)
        share = conversation.source.pieces.bit_count() / max(1, ledger.lengths.piece_count)
        upload_rate = conversation.upload_rate.rate(now)
    return PeerProgress(
        address=connection.address,
        client=connection.client,
        outgoing=connection.is_outgoing,
        download_rate=rate,
        upload_rate=upload_rate,
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
