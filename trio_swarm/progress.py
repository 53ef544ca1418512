"""How far a torrent is, as values for people and programs."""

from typing import Literal

from msgspec import Struct

State = Literal["metadata", "checking", "downloading", "finishing", "seeding", "failed", "removed"]


class Progress(Struct, frozen=True, kw_only=True):
    """One torrent at one moment; sizes in bytes, rates in bytes/s."""

    state: State
    size: int
    """Bytes of all pieces; 0 until the metadata is known."""
    have: int
    """Bytes of verified pieces; while checking: bytes looked at so far."""
    pieces: int
    pieces_have: int
    download_rate: float
    upload_rate: float
    eta: float | None
    """Seconds until complete at the present rate; None when there is no telling."""
    downloaded: int
    """Bytes of blocks received in this run, duplicates included."""
    uploaded: int
    """Bytes of blocks sent in this run."""
    duplicate: int
    """Bytes of blocks received more than once."""
    peers: int
    """Connected peers."""
    seeders: int
    """Connected peers that have everything, or say that they only upload (BEP 21)."""
    ratio: float
    """uploaded / max(downloaded, size): a seeder that gave one copy has ratio 1."""


class PeerProgress(Struct, frozen=True, kw_only=True):
    """One connected peer at one moment."""

    address: str
    client: str
    outgoing: bool
    download_rate: float
    upload_rate: float
    downloaded: int
    uploaded: int
    share: float
    """How much of the torrent it has, 0 to 1."""
    is_seeder: bool
    """It has everything, or says that it only uploads (BEP 21): it may not show all it has."""
    choking_us: bool
    interested: bool
    """It wants pieces of us."""
    unchoked: bool
    """We serve it."""
    in_flight: int
    """Blocks asked of it."""
    snubbed: bool
