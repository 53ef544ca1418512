"""What a node's API answers (`/api/v1`), as its clients read it.

Info-hashes are hex, sizes bytes, rates bytes/s, times seconds since 1970. Each field but the ones
that name something has a default, and unknown fields are left out: the node may be of another
version than the client.
"""

from typing import Any

from msgspec import Struct, field


class Limits(Struct, frozen=True, kw_only=True):
    """The limits of one torrent; None: those of the node."""

    upload_rate: int | None = None
    download_rate: int | None = None
    upload_slots: int | None = None
    seed_ratio: float | None = None
    seed_for: float | None = None


class ChosenStrategy(Struct, frozen=True, kw_only=True):
    """A scheduler and the options it was given."""

    name: str = ""
    options: dict[str, Any] = field(default_factory=dict)


class Torrent(Struct, frozen=True, kw_only=True):
    """One torrent of the node's list, running or not."""

    id: int
    name: str
    state: str
    info_hash: str | None = None
    magnet: str | None = None
    kind: str = ""
    """`share` or `fetch`."""
    origin: str = ""
    """`file`: the configuration file names it. `added`: somebody added it to the running node."""
    error: str = ""
    waits_for: str = ""
    labels: list[str] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    queue_position: int = 0
    added_at: float | None = None
    completed_at: float | None = None
    active_at: float | None = None
    folder: str | None = None
    path: str | None = None
    size: int = 0
    have: int = 0
    pieces: int = 0
    pieces_have: int = 0
    piece_length: int = 0
    progress: float = 0.0
    """0 to 1."""
    download_rate: float = 0.0
    upload_rate: float = 0.0
    eta: float | None = None
    downloaded: int = 0
    """In this run; `downloaded_ever` in all runs."""
    uploaded: int = 0
    downloaded_ever: int = 0
    uploaded_ever: int = 0
    duplicate: int = 0
    ratio: float = 0.0
    peers: int = 0
    seeders: int = 0
    private: bool | None = None
    scheduler: ChosenStrategy | None = None
    comment: str | None = None
    created_at: float | None = None
    created_by: str | None = None


class Torrents(Struct, frozen=True, kw_only=True):
    """All torrents that were asked for."""

    torrents: list[Torrent]


class TorrentChanges(Struct, frozen=True, kw_only=True):
    """What changed in the last second (`torrents` in the stream of events)."""

    torrents: list[Torrent] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    """Their ids."""


class NodeLimits(Struct, frozen=True, kw_only=True):
    """The limits of a whole node; None: there is none."""

    upload_rate: int | None = None
    download_rate: int | None = None
    max_active_downloads: int | None = None
    max_active_seeds: int | None = None


class Alternative(Struct, frozen=True, kw_only=True):
    """The limits that hold by schedule, or because somebody switched to them."""

    active: bool = False
    upload_rate: int | None = None
    download_rate: int | None = None


class Session(Struct, frozen=True, kw_only=True):
    """The node itself."""

    version: str
    access: str = "full"
    """`read`: nothing can be changed with this token."""
    started_at: float | None = None
    state_folder: str | None = None
    download_folder: str | None = None
    incomplete_folder: str | None = None
    config_file: str | None = None
    limits: NodeLimits = field(default_factory=NodeLimits)
    alternative_limits: bool = False
    """Whether the alternative limits hold now."""
    alternative: Alternative | None = None
    """The alternative limits; None: there are none."""
    schedulers: list[str] = field(default_factory=list)
    download_rate: float = 0.0
    upload_rate: float = 0.0
    torrents: dict[str, int] = field(default_factory=dict)
    """How many, by state."""


class File(Struct, frozen=True, kw_only=True):
    """One file of a torrent."""

    path: str
    length: int
    have: int = 0
    """Verified bytes."""
    index: int = 0


class Files(Struct, frozen=True, kw_only=True):
    """The files of a torrent, in its order."""

    files: list[File]


class Peer(Struct, frozen=True, kw_only=True):
    """One connected peer, see `trio_swarm.PeerProgress`."""

    address: str
    client: str = ""
    outgoing: bool = False
    download_rate: float = 0.0
    upload_rate: float = 0.0
    downloaded: int = 0
    uploaded: int = 0
    share: float = 0.0
    is_seeder: bool = False
    choking_us: bool = False
    interested: bool = False
    unchoked: bool = False
    in_flight: int = 0
    snubbed: bool = False


class Peers(Struct, frozen=True, kw_only=True):
    """The connected peers of a torrent."""

    peers: list[Peer]


class TrackerState(Struct, frozen=True, kw_only=True):
    """What became of the announces of a torrent to one tracker."""

    url: str
    tier: int = 0
    last_announce: float | None = None
    result: str = ""
    """Empty if the last announce was answered, else why not."""
    next_announce: float | None = None
    seeders: int | None = None
    leechers: int | None = None


class Trackers(Struct, frozen=True, kw_only=True):
    """The trackers of a torrent, tier after tier."""

    trackers: list[TrackerState]


class Decision(Struct, frozen=True, kw_only=True):
    """Why blocks of a piece were asked of a peer, in sentences."""

    number: int
    """Counts the decisions of the download."""
    text: str
    reasons: list[str] = field(default_factory=list)
    time: float = 0.0
    by: str = ""
    """Who decided: the strategy, or the host in its place."""
    scheduler: str = ""
    piece: int | None = None
    peer: str | None = None
    """Its address."""
    blocks: int = 0


class Decisions(Struct, frozen=True, kw_only=True):
    """The latest decisions of a download, oldest first."""

    decisions: list[Decision]


class Change(Struct, frozen=True, kw_only=True):
    """One difference between what the node runs by and its configuration file."""

    key: str
    was: str | None = None
    will_be: str | None = None
    how: str = ""
    """Whether it is applied while the node runs."""


class Problem(Struct, frozen=True, kw_only=True):
    """One thing wrong with a configuration file."""

    message: str
    key: str | None = None


class Reload(Struct, frozen=True, kw_only=True):
    """What a new reading of the configuration file changes; nothing if it has errors."""

    changes: list[Change] = field(default_factory=list)
    errors: list[Problem | str] = field(default_factory=list)


class LogLine(Struct, frozen=True, kw_only=True):
    """A line for operators."""

    message: str
    time: float = 0.0
    severity: str = "info"
    logger: str = ""


class ErrorText(Struct, frozen=True, kw_only=True):
    """Why the node did not do something."""

    code: str
    message: str


class Refusal(Struct, frozen=True, kw_only=True):
    """The body of an answer that is none."""

    error: ErrorText
    torrent: Torrent | None = None
    """The one that is there already, if that is why (code `present`)."""
