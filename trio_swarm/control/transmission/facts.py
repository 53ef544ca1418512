"""What a node tells about its torrents and itself, for clients of Transmission's RPC.

Sizes are bytes, rates bytes per second, times seconds since 1970, and -1 is "not known" for counts
of peers. Names come from strangers.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

State = Literal[
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
"""The states of a torrent in a node's list."""


class FileFacts(NamedTuple):
    """One file of a torrent; `name` begins with the torrent's name, parts divided by `/`."""

    name: str
    length: int
    have: int
    first_piece: int
    end_piece: int
    """Its bytes are in the pieces from `first_piece` up to but not including this one."""


class PeerFacts(NamedTuple):
    """One connected peer."""

    address: str
    port: int
    client: str
    progress: float
    """The part of the torrent that it has, 0 to 1."""
    download_rate: float
    upload_rate: float
    downloaded: int
    uploaded: int
    is_incoming: bool
    chokes_us: bool
    is_choked: bool
    is_interested: bool
    we_are_interested: bool


class TrackerFacts(NamedTuple):
    """One tracker of a torrent, and its last answer."""

    url: str
    tier: int
    is_announcing: bool = False
    announced_at: float | None = None
    has_succeeded: bool = False
    result: str = ""
    """What went wrong at the last announce; empty if nothing did."""
    peers: int = 0
    """Addresses in the last answer."""
    next_announce_at: float | None = None
    seeders: int = -1
    leechers: int = -1


class TorrentFacts(Protocol):
    """One torrent at this moment. What is a method costs more, and is asked for where needed."""

    @property
    def id(self) -> int:
        """A small number, the same after a restart."""

    @property
    def info_hash(self) -> str:
        """40 hex digits; empty while it is not known."""

    @property
    def name(self) -> str:
        """The torrent's name, or how it was asked for."""

    @property
    def state(self) -> State:
        """What it does."""

    @property
    def error(self) -> str:
        """Why it failed; empty if it did not."""

    @property
    def labels(self) -> Sequence[str]:
        """Words that a person gave it."""

    @property
    def upload_limit(self) -> int | None:
        """Bytes per second of its own; None: without."""

    @property
    def download_limit(self) -> int | None:
        """Bytes per second of its own; None: without."""

    @property
    def seed_ratio(self) -> float | None:
        """Ratio at which its seeding ends; None: the node's."""

    @property
    def max_peers(self) -> int:
        """Most peers it may be connected to."""

    @property
    def queue_position(self) -> int:
        """Its place among those that wait, from 0."""

    @property
    def added_at(self) -> float:
        """When it was added."""

    @property
    def completed_at(self) -> float | None:
        """When it was complete; None if it never was."""

    @property
    def active_at(self) -> float:
        """When a byte of it was last given or taken."""

    @property
    def downloaded_ever(self) -> int:
        """Bytes taken, over restarts."""

    @property
    def uploaded_ever(self) -> int:
        """Bytes given, over restarts."""

    @property
    def downloaded_now(self) -> int:
        """Bytes taken since the node began."""

    @property
    def uploaded_now(self) -> int:
        """Bytes given since the node began."""

    @property
    def seconds_downloading(self) -> float:
        """Over restarts."""

    @property
    def seconds_seeding(self) -> float:
        """Over restarts."""

    @property
    def folder(self) -> str:
        """The folder in which its file or folder lies."""

    @property
    def has_metadata(self) -> bool:
        """Whether its files and pieces are known."""

    @property
    def size(self) -> int:
        """All of its content; 0 while it is not known."""

    @property
    def have(self) -> int:
        """Verified content."""

    @property
    def checked(self) -> float:
        """The part of its content that a check in progress has looked at, 0 to 1."""

    @property
    def piece_count(self) -> int:
        """0 while it is not known."""

    @property
    def piece_length(self) -> int:
        """0 while it is not known."""

    @property
    def is_private(self) -> bool:
        """As BEP 27 has it."""

    @property
    def comment(self) -> str:
        """Its author's comment."""

    @property
    def creator(self) -> str:
        """The program that made its .torrent."""

    @property
    def created_at(self) -> int | None:
        """When its .torrent was made."""

    @property
    def magnet(self) -> str:
        """Its magnet link; empty while its info-hash is not known."""

    @property
    def download_rate(self) -> float:
        """Now."""

    @property
    def upload_rate(self) -> float:
        """Now."""

    @property
    def eta(self) -> float | None:
        """Seconds until it is complete; None if nobody can tell."""

    def files(self) -> Sequence[FileFacts]:
        """Return its files in the torrent's order, without padding."""

    def peers(self) -> Sequence[PeerFacts]:
        """Return its connected peers."""

    def trackers(self) -> Sequence[TrackerFacts]:
        """Return its trackers, tier by tier."""

    def bitfield(self) -> bytes:
        """Return which pieces are verified, high bit first."""

    def availability(self) -> Sequence[int]:
        """Return how many connected peers have each piece."""


class SpeedSchedule(Struct, frozen=True):
    """When the alternative limits hold by themselves."""

    begin: int
    """Minutes after midnight."""
    end: int
    days: int
    """Bits: Sunday 1, Monday 2 … Saturday 64."""


class SessionFacts(Struct, frozen=True, kw_only=True):
    """A node at one moment."""

    version: str
    """Of this program."""
    state_folder: str
    download_folder: str
    incomplete_folder: str | None
    """Where fetches begin; None: where they go."""
    peer_port: int
    max_peers: int
    upload_limit: int | None
    download_limit: int | None
    alternative_upload_limit: int | None
    alternative_download_limit: int | None
    is_alternative: bool
    """Whether the alternative limits hold now."""
    speed_schedule: SpeedSchedule | None
    seed_ratio: float | None
    max_active_downloads: int | None
    max_active_seeds: int | None
    trackers: Sequence[str]
    seconds_active: float
    """Since the node began."""
