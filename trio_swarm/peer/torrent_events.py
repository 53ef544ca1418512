"""What is told of one torrent as it goes on: its events, made of what it knows."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from trio_swarm import events
from trio_swarm.identities import InfoHash
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.content import CheckResult

NAME_TOLD = 500
"""Characters of a changed name in the event: a torrent may hold names of megabytes."""

RENAMED_TOLD = 20
"""Changed names that are told one by one; of others only how many there are."""


class NamedTorrent(Protocol):
    """A torrent as people know it."""

    @property
    def info_hash(self) -> InfoHash:
        """The info-hash people know it by."""

    @property
    def name(self) -> str:
        """The torrent's name, for people."""

    @property
    def downloaded(self) -> int:
        """Bytes of blocks received so far, from anybody, without the duplicates."""

    @property
    def duplicate(self) -> int:
        """Bytes of blocks that came though they were here."""


def metadata_received(torrent: NamedTorrent, info: Info) -> events.MetadataReceived:
    """Return the event of a torrent whose info dictionary is known now."""
    return events.MetadataReceived(
        info_hash=torrent.info_hash.hex(),
        share_name=torrent.name,
        size=info.size,
        pieces=info.piece_count,
        files=sum(not entry.padding for entry in info.files),
    )


def files_renamed(torrent: NamedTorrent, renamed: Sequence[tuple[str, str]]) -> events.FilesRenamed:
    """Return the event of files whose names this disk cannot hold: (name, name here)."""
    return events.FilesRenamed(
        info_hash=torrent.info_hash.hex(),
        share_name=torrent.name,
        count=len(renamed),
        renamed=[
            {"name": name[:NAME_TOLD], "here": here[:NAME_TOLD]}
            for name, here in renamed[:RENAMED_TOLD]
        ],
    )


def checked(
    torrent: NamedTorrent, size: int, info: Info, result: CheckResult, *, have: int
) -> events.Checked:
    """Return the event of a download whose files were checked.

    `have` bytes are there of the `size` that are wanted.
    """
    return events.Checked(
        info_hash=torrent.info_hash.hex(),
        share_name=torrent.name,
        have=have,
        size=size,
        hashed=min(info.size, result.hashed * info.piece_length),
    )


def completed(
    torrent: NamedTorrent, path: Path, size: int, *, seconds: float, sources: Mapping[str, int]
) -> events.Completed:
    """Return the event of a download that took `seconds`, and got bytes of these `sources`."""
    return events.Completed(
        info_hash=torrent.info_hash.hex(),
        share_name=torrent.name,
        path=str(path),
        size=size,
        downloaded=torrent.downloaded,
        duplicate=torrent.duplicate,
        seconds=seconds,
        sources=dict(sources),
    )


def failed(torrent: NamedTorrent, error: Exception) -> events.TorrentFailed:
    """Return the event of a torrent that an error ended."""
    return events.TorrentFailed(
        info_hash=torrent.info_hash.hex(), share_name=torrent.name, reason=str(error)
    )


def waiting(torrent: NamedTorrent, reason: str) -> events.Waiting:
    """Return the event of a download that stands still."""
    return events.Waiting(info_hash=torrent.info_hash.hex(), share_name=torrent.name, reason=reason)


def piece_verified(torrent: NamedTorrent, piece: int) -> events.PieceVerified:
    """Return the event of a piece that is here now."""
    return events.PieceVerified(info_hash=torrent.info_hash.hex(), piece=piece)


def piece_failed(
    torrent: NamedTorrent, piece: int, contributors: Iterable[str]
) -> events.PieceFailed:
    """Return the event of a piece whose bytes were wrong, with the peers that sent any."""
    return events.PieceFailed(
        info_hash=torrent.info_hash.hex(), piece=piece, peers=sorted(contributors)
    )
