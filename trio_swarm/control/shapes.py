"""What the API says, as structs: of answers and of request bodies. It imports msgspec only.

JSON by msgspec: bytes are hex, sizes are bytes, rates bytes/s, times Unix seconds, durations
seconds. Fields may be added and are never renamed. The OpenAPI document is made from these structs.
"""

from typing import Literal

from msgspec import Struct

API_VERSION = 1
"""In the path of every request: `/api/v1/…`."""

EntryState = Literal[
    "hashing",
    "waiting",
    "queued",
    "metadata",
    "checking",
    "downloading",
    "seeding",
    "paused",
    "done",
    "failed",
]


class Problem(Struct, frozen=True, kw_only=True):
    """What is wrong, for programs and for people."""

    code: str
    """A word that does not change, such as `unknown-torrent`."""
    message: str
    """One line for people."""


class ProblemAnswer(Struct, frozen=True, kw_only=True):
    """The body of every answer that says no."""

    error: Problem


class Session(Struct, frozen=True, kw_only=True):
    """The node itself."""

    version: str
    peer_id: str
    """Hex."""
    port: int
    """Where peers reach it."""
    addresses: list[str]
    started_at: float
    state_folder: str
    download_folder: str
    config_file: str
    access: Literal["full", "read"]
    """What whoever asks may do."""
    trackers: list[str]
    download_rate: float
    upload_rate: float
    downloaded: int
    """Since the start."""
    uploaded: int
    torrents: dict[str, int]
    """How many, by state."""
    tracker: bool
    """Whether a tracker runs here."""


class Torrent(Struct, frozen=True, kw_only=True):
    """One torrent in the node's list."""

    id: int
    name: str
    info_hash: str | None
    """Hex; null until it is known."""
    magnet: str | None
    kind: Literal["share", "fetch"]
    origin: Literal["file", "added"]
    """Whether the configuration file names it, or somebody added it."""
    state: EntryState
    error: str
    """Why it failed; empty if it did not."""
    path: str | None
    size: int
    """0 until it is known."""
    have: int
    pieces: int
    pieces_have: int
    piece_length: int
    progress: float
    """0 to 1."""
    download_rate: float
    upload_rate: float
    eta: float | None
    downloaded: int
    """In this run, as the two below."""
    uploaded: int
    duplicate: int
    ratio: float
    peers: int
    seeders: int
    private: bool


class TorrentList(Struct, frozen=True, kw_only=True):
    """The torrents that were asked for, by id."""

    torrents: list[Torrent]
