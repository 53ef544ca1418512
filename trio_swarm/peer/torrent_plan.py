"""What a torrent is to become."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from trio_swarm.identities import InfoHash
from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.metainfo.selection import EVERYTHING, Selection
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.storage.content import TorrentFiles

Tiers = Sequence[Sequence[str]]
"""URLs of trackers; of each tier one at a time is announced to (BEP 12)."""


class TorrentPlan(Struct, frozen=True, kw_only=True):
    """Made by the node from a share or a fetch."""

    info_hash: InfoHash
    name: str
    """The name it is registered and asked for by; empty until the metadata tells one."""
    size: int | None
    metainfo: Metainfo | None
    """None: fetched from peers (BEP 9)."""
    open_files: Callable[[Info], TorrentFiles]
    """Blocking; run in a thread."""
    files: TorrentFiles | None = None
    """The same, where they are open and verified already: all of them are right."""
    tiers: Tiers
    """Tiers of trackers: the torrent's own, then those a person named."""
    own_tiers: Tiers | None = None
    """Those to keep to if the metadata turns out to be private (BEP 27); None: all of `tiers`."""
    linked_peers: Sequence[Address] = ()
    """Peers that a magnet link names beside those trackers."""
    is_share: bool = False
    """It was whole from the start: its completion is no news."""
    peers: Sequence[Address] = ()
    scheduler: str | None = None
    scheduler_options: dict[str, object] | None = None
    v2_hash: bytes | None = None
    """All 32 bytes of a version 2 info-hash, of which `info_hash` is the beginning (BEP 52)."""
    selection: Selection = EVERYTHING
    """Which of its files are wanted."""
    metadata_only: bool = False
    """Its files are not even opened."""
    record: Path | None = None
    """The file to record the download to."""


def merge_tiers(first: Tiers, second: Tiers) -> tuple[tuple[str, ...], ...]:
    """Return the tiers of both without repeating a tracker."""
    seen: set[str] = set()
    result: list[tuple[str, ...]] = []
    for tier in (*first, *second):
        fresh = tuple(url for url in tier if url not in seen)
        seen.update(fresh)
        if fresh:
            result.append(fresh)
    return tuple(result)
