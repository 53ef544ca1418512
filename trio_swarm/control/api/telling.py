"""What is told of an entry of the list, running or not."""

from collections.abc import Iterator

from trio_swarm.control.shapes import (
    Decision,
    Pieces,
    PiecesOfPeer,
    SchedulerChoice,
    Torrent,
)
from trio_swarm.peer.torrent import Torrent as RunningTorrent
from trio_swarm.peer.torrent_parts import file_states_of
from trio_swarm.progress import FileState, Progress
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.recording.story.live import ToldDecision
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.links import link_of
from trio_swarm.settings import FetchSettings, NodeSettings

MAX_PEERS_MAPPED = 200
"""Peers whose pieces are told: of each a bitfield of up to 100 KiB."""


def torrent_of(entry: Entry, settings: NodeSettings) -> Torrent:
    """Return what is told of an entry; `settings` are the node's."""
    running = entry.torrent
    progress = None if running is None else running.progress()
    info = info_of(entry)
    metainfo = None if running is None else running.metainfo
    size, have = _amounts(entry, progress)
    digest = entry.info_hash
    return Torrent(
        id=entry.id,
        name=entry.name,
        info_hash=None if digest is None else digest.hex(),
        magnet=link_of(entry, settings),
        kind=entry.kind,
        origin=entry.origin,
        state=entry.state,
        error=entry.error,
        waits_for=entry.waits_for,
        labels=entry.labels,
        limits=entry.limits,
        queue_position=entry.queue_position,
        added_at=entry.added_at,
        completed_at=entry.completed_at,
        active_at=entry.active_at,
        folder=str(entry.folder.absolute()),
        path=None if entry.path is None else str(entry.path),
        size=size,
        have=have,
        pieces=0 if info is None else info.piece_count,
        pieces_have=_pieces_have(entry, progress),
        piece_length=0 if info is None else info.piece_length,
        progress=have / size if size else float(info is not None and entry.is_complete),
        download_rate=0.0 if progress is None else progress.download_rate,
        upload_rate=0.0 if progress is None else progress.upload_rate,
        eta=None if progress is None else progress.eta,
        downloaded=0 if progress is None else progress.downloaded,
        uploaded=0 if progress is None else progress.uploaded,
        duplicate=0 if progress is None else progress.duplicate,
        downloaded_ever=entry.downloaded_ever,
        uploaded_ever=entry.uploaded_ever,
        ratio=entry.ratio(size),
        peers=0 if progress is None else progress.peers,
        seeders=0 if progress is None else progress.seeders,
        private=info is not None and info.private,
        scheduler=_scheduler(entry, running, settings),
        comment="" if metainfo is None else metainfo.comment,
        created_at=None if metainfo is None else metainfo.creation_date,
        created_by="" if metainfo is None else metainfo.created_by,
    )


def info_of(entry: Entry) -> Info | None:
    """Return the names and sizes of an entry's files; None while they are unknown."""
    return entry.info


def files_of(entry: Entry, first: int, limit: int | None) -> list[FileState]:
    """Return some of the files of an entry; none while they are unknown."""
    running, info = entry.torrent, info_of(entry)
    if info is None:
        return []
    is_known = running is not None and running.info is not None
    have = running.have if running is not None and is_known else entry.have_pieces
    return file_states_of(info, have, first, limit)


def pieces_of(entry: Entry) -> Pieces:
    """Return the pieces of an entry, and those of its peers."""
    running = entry.torrent
    found = None if running is None else running.piece_map(peers=MAX_PEERS_MAPPED)
    info = info_of(entry)
    if found is None or info is None:
        return Pieces(count=0, piece_length=0, states="", holders="", have="", peers=[])
    return Pieces(
        count=info.piece_count,
        piece_length=info.piece_length,
        states=found.states.hex(),
        holders=found.holders.hex(),
        have=found.have.hex(),
        peers=[
            PiecesOfPeer(address=each.address, pieces=each.pieces.hex()) for each in found.peers
        ],
    )


def decisions_of(told: ToldDecision) -> Iterator[Decision]:
    """Yield what a plan asked of whom, and why."""
    for request in told.requests:
        yield Decision(
            number=told.number,
            time=told.at,
            by=told.by,
            scheduler=told.scheduler,
            piece=request.piece,
            peer=request.address,
            blocks=request.blocks,
            text=request.text,
            reasons=list(request.reasons),
        )


def _amounts(entry: Entry, progress: Progress | None) -> tuple[int, int]:
    """Return the size of an entry, and how much of it is here."""
    if progress is not None and progress.size:
        return progress.size, progress.have
    return entry.size, entry.have


def _pieces_have(entry: Entry, progress: Progress | None) -> int:
    if progress is not None and progress.size:
        return progress.pieces_have
    return entry.have_pieces.bit_count()


def _scheduler(
    entry: Entry, running: RunningTorrent | None, node: NodeSettings
) -> SchedulerChoice | None:
    settings = entry.settings
    if not isinstance(settings, FetchSettings):
        return None
    if running is not None:
        state = running.scheduler_state()
        return SchedulerChoice(name=state.name, options=dict(state.options))
    if settings.scheduler is not None:
        return SchedulerChoice(name=settings.scheduler, options=dict(settings.scheduler_options))
    return SchedulerChoice(name=node.scheduler, options=dict(node.scheduler_options))
