"""The progress of a torrent and of its peers, as values for people and programs."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from trio_swarm.errors import ConfigError

State = Literal["metadata", "checking", "downloading", "finishing", "seeding", "failed", "removed"]


class Verified(Struct, frozen=True, kw_only=True):
    """What came of checking all that a torrent has; numbers of pieces."""

    checked: int
    bad: int
    """Pieces that were taken for right and are not, or not any more."""
    is_fetched_again: bool
    """They are fetched again. Finished data is left as it is: they are only offered no longer."""


class TorrentLimits(Struct, frozen=True, kw_only=True):
    """What one torrent is to keep to beside its node; None: nothing but the node's limits."""

    upload_rate: float | None = None
    """Bytes/s."""
    download_rate: float | None = None
    """Bytes/s."""
    upload_slots: int | None = None
    """Most peers that are served at once."""


class SchedulerState(Struct, frozen=True, kw_only=True):
    """The download strategy of a torrent, and what its decisions cost since it was chosen."""

    name: str
    options: Mapping[str, object]
    decisions: int
    """How often it was asked."""
    seconds: float
    """Seconds that its answers took together."""
    faults: int
    """Answers that broke its contract."""
    is_replaced: bool
    """It had too many faults, and the fallback decides in its place."""


class TrackerState(Struct, frozen=True, kw_only=True):
    """One tracker of a torrent at one moment; times are seconds since 1970."""

    url: str
    tier: int
    """From 0. Within a tier one tracker is told, and the others step in when it fails."""
    last_announce: float | None = None
    """When it answered or failed last; None: it was not heard of yet."""
    next_announce: float | None = None
    """When it is due next; None: when another one fails, or never."""
    is_working: bool = False
    """It answered the last time."""
    result: str = ""
    """What came of it last, in one line for people; empty until there is something."""
    seeders: int | None = None
    leechers: int | None = None
    """What it lists, ourselves included; None: it never told."""
    peers: int = 0
    """Addresses that its latest answer named."""


class FileState(Struct, frozen=True, kw_only=True):
    """One file of a torrent at one moment; sizes are bytes."""

    index: int
    """Its number, as `Torrent.read_at` takes it; padding has numbers, too, and is left out."""
    path: str
    """Below the torrent's folder, with slashes; the name of a torrent that is one file."""
    length: int
    have: int
    """Bytes of it in verified pieces."""
    first_piece: int
    end_piece: int
    """Its bytes are in the pieces from `first_piece` up to but not including this one."""


PIECE_WANTED, PIECE_BEGUN, PIECE_HAD, PIECE_NOWHERE = range(4)
"""States of a piece in a map: missing; some of it is asked for or here; verified; missing, and no
connected peer has it."""


class PeerPieces(Struct, frozen=True, kw_only=True):
    """The pieces of one connected peer."""

    address: str
    pieces: bytes
    """A bitfield: piece 0 is the high bit of the first byte (BEP 3, "bitfield")."""


class PieceMap(Struct, frozen=True, kw_only=True):
    """All pieces of a torrent at one moment: a byte for each, at most 838,860."""

    states: bytes
    """PIECE_WANTED, PIECE_BEGUN, PIECE_HAD or PIECE_NOWHERE."""
    holders: bytes
    """How many connected peers have the piece; 255 stands for as many and more."""
    have: bytes
    """The verified pieces as a bitfield, see `PeerPieces.pieces`."""
    peers: Sequence[PeerPieces] = ()
    """Who holds what, of as many peers as were asked for, in the order they joined."""


class Progress(Struct, frozen=True, kw_only=True):
    """One torrent at one moment; sizes are bytes, rates bytes per second."""

    state: State
    size: int
    """Bytes of all pieces that are wanted; 0 until the metadata is known."""
    have: int
    """Bytes of them that are verified; in the state `checking`, bytes checked so far."""
    pieces: int
    """Pieces that are wanted: all, but for files that are left out."""
    pieces_have: int
    download_rate: float
    upload_rate: float
    eta: float | None
    """Seconds until complete at the present rate; None if they cannot be estimated."""
    downloaded: int
    """Bytes of blocks received in this run, duplicates included."""
    uploaded: int
    """Bytes of blocks sent in this run."""
    duplicate: int
    """Bytes of blocks received more than once."""
    peers: int
    """Connected peers."""
    seeders: int
    """Connected peers that have every piece, or say that they only upload (BEP 21)."""
    ratio: float
    """uploaded / max(downloaded, size): a seeder that gave one copy has ratio 1."""


class PeerProgress(Struct, frozen=True, kw_only=True):
    """One connected peer at one moment; sizes are bytes, rates bytes per second."""

    address: str
    client: str
    outgoing: bool
    download_rate: float
    upload_rate: float
    downloaded: int
    uploaded: int
    share: float
    """The part of the torrent that the peer has, 0 to 1."""
    is_seeder: bool
    """It has every piece, or says that it only uploads (BEP 21) and may hide some of its pieces."""
    choking_us: bool
    interested: bool
    """It is interested in our pieces (BEP 3, "interested")."""
    unchoked: bool
    """We have unchoked it: it may request blocks."""
    in_flight: int
    """Blocks requested from it and not yet received."""
    snubbed: bool
    """It has sent none of the blocks that it owes for a while, so it is asked for one at a time."""


def require_limits(**limits: float | None) -> None:
    """Raise ConfigError for a limit that is not above 0 (and finite); None is no limit."""
    for name, limit in limits.items():
        if limit is not None and not 0 < limit < math.inf:
            raise ConfigError(f"{name}: must be above 0, or none at all, not {limit}")
