"""What the API says, as structs: of answers and of request bodies.

JSON by msgspec: bytes are hex, sizes are bytes, rates bytes/s, times Unix seconds, durations
seconds. Fields may be added and are never renamed. The OpenAPI document is made from these structs.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from trio_swarm.config.changes import Change
from trio_swarm.progress import FileState, PeerProgress, TrackerState
from trio_swarm.service.entries.entry import EntryState
from trio_swarm.service.entries.limits import Count, EntryLimits, LimitChanges, Rate
from trio_swarm.service.entries.records import Labels

API_VERSION = 1
"""In the path of every request: `/api/v1/…`."""

MAX_NAMED = 1000
"""Trackers or peers of one torrent that is added."""

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
LongText = Annotated[str, Meta(min_length=1, max_length=65_536)]
"""A path or a link: magnet links with many trackers have some thousand characters."""


class Problem(Struct, frozen=True, kw_only=True):
    """What is wrong, for programs and for people."""

    code: str
    """A word that does not change, such as `unknown-torrent`."""
    message: str
    """One line for people."""


class ProblemAnswer(Struct, frozen=True, kw_only=True):
    """The body of every answer that says no."""

    error: Problem


class SchedulerChoice(Struct, frozen=True, kw_only=True):
    """A download strategy and its options."""

    name: Name
    options: dict[str, Any] = field(default_factory=dict)


class Torrent(Struct, frozen=True, kw_only=True):
    """One torrent in the node's list, running or not."""

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
    waits_for: str
    """Why nothing comes of a fetch, such as that nobody shares it; empty while something does."""
    labels: tuple[str, ...]
    limits: EntryLimits
    queue_position: int
    added_at: float
    completed_at: float | None
    active_at: float
    """When a byte of it moved last; 0: never."""
    folder: str
    """Where its data goes."""
    path: str | None
    """Where its data is now: what is not complete may be elsewhere."""
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
    """Since it runs, as the two below."""
    uploaded: int
    duplicate: int
    downloaded_ever: int
    """Over all restarts."""
    uploaded_ever: int
    ratio: float
    """Over all restarts."""
    peers: int
    seeders: int
    private: bool
    scheduler: SchedulerChoice | None
    """Null for a share, which fetches nothing."""
    comment: str
    created_at: int | None
    created_by: str


class TorrentList(Struct, frozen=True, kw_only=True):
    """The torrents that were asked for, by id."""

    torrents: list[Torrent]


class PresentAnswer(Struct, frozen=True, kw_only=True):
    """The body of a 409 for what is in the list already: `torrent` is the one."""

    error: Problem
    torrent: Torrent | None = None


class TorrentChanges(Struct, frozen=True, kw_only=True):
    """What changed in the last second: the event `torrents`."""

    torrents: list[Torrent]
    removed: list[int]
    """Their ids."""
    download_rate: float
    upload_rate: float


class Addition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to add: one of `what`, `metainfo` and `path`."""

    what: LongText | None = None
    """A name, a magnet link or an info-hash, to fetch."""
    metainfo: bytes | None = None
    """A .torrent file in base64, to fetch."""
    path: LongText | None = None
    """A file or folder on the node's machine, to share."""
    folder: LongText | None = None
    """Where to put what is fetched; by default the node's folder."""
    name: Name | None = None
    """What a share is found by."""
    paused: bool = False
    labels: Labels = ()
    limits: EntryLimits = EntryLimits()
    trackers: Annotated[list[LongText], Meta(max_length=MAX_NAMED)] | None = None
    """By default the node's."""
    peers: Annotated[list[LongText], Meta(max_length=MAX_NAMED)] = []
    """`HOST:PORT`, to connect to at once."""
    scheduler: SchedulerChoice | None = None
    seed: bool = True
    """Go on as a seeder when everything is there."""


class TorrentChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a torrent, all of it or nothing; what is left out stays."""

    limits: LimitChanges | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    queue_position: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET
    scheduler: SchedulerChoice | UnsetType = UNSET


class Move(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to."""

    folder: LongText
    move_data: bool = True
    """False: the data is there already."""


class Rename(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to give another name."""

    name: Name
    """The name of a file or folder, without the folder that it is in."""
    path: LongText | None = None
    """A file or folder as `files` tells it; null: the file or folder that all of it is in."""


class Peers(Struct, frozen=True, kw_only=True):
    """The connected peers, in the order they joined."""

    peers: list[PeerProgress]


class Trackers(Struct, frozen=True, kw_only=True):
    """The trackers, tier by tier."""

    trackers: list[TrackerState]


class Files(Struct, frozen=True, kw_only=True):
    """The files, in the order of the torrent; none until they are known."""

    files: list[FileState]


class PiecesOfPeer(Struct, frozen=True, kw_only=True):
    """The pieces of one connected peer."""

    address: str
    pieces: str
    """A bitfield (BEP 3) in hex."""


class Pieces(Struct, frozen=True, kw_only=True):
    """All pieces at one moment; all empty until the files are open."""

    count: int
    piece_length: int
    states: str
    """A byte for each, in hex: 0 missing, 1 begun, 2 here, 3 missing and held by no peer."""
    holders: str
    """How many connected peers have each: a byte for each, in hex; 255 is as many and more."""
    have: str
    """The verified ones as a bitfield (BEP 3) in hex."""
    peers: list[PiecesOfPeer]


class Decision(Struct, frozen=True, kw_only=True):
    """Why blocks of a piece were asked of a peer, in sentences."""

    number: int
    """Of the plan that led to it; several may have the same."""
    time: float
    by: str
    """`strategy`, or the host in its place."""
    scheduler: str
    piece: int
    peer: str
    """Its address."""
    blocks: int
    text: str
    reasons: list[str]


class Decisions(Struct, frozen=True, kw_only=True):
    """The latest decisions of a download, oldest first."""

    decisions: list[Decision]
    recording: bool
    """Whether decisions are kept: while somebody asks for them, and half a minute longer."""


class Limits(Struct, frozen=True, kw_only=True):
    """The limits of the node; null: unlimited."""

    upload_rate: int | None
    download_rate: int | None
    max_active_downloads: int | None
    max_active_seeds: int | None


class Alternative(Struct, frozen=True, kw_only=True):
    """The limits of the schedule."""

    active: bool
    upload_rate: int | None
    download_rate: int | None


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
    incomplete_folder: str | None
    """Where new fetches are until they are complete; null: where they go."""
    config_file: str
    access: Literal["full", "read"]
    """What whoever asks may do."""
    limits: Limits
    alternative_limits: bool
    """Whether the limits of the schedule hold now."""
    alternative: Alternative | None
    """Null: there are none to switch to."""
    trackers: list[str]
    schedulers: list[str]
    """The download strategies that the node knows."""
    download_rate: float
    upload_rate: float
    downloaded: int
    """Of all torrents that run, since they run."""
    uploaded: int
    torrents: dict[str, int]
    """How many, by state."""
    tracker: bool
    """Whether a tracker runs here."""


class SessionChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of the node; what is left out stays, null is unlimited."""

    upload_rate: Rate | UnsetType | None = UNSET
    download_rate: Rate | UnsetType | None = UNSET
    alternative_limits: bool | UnsetType = UNSET
    """Whether the limits of the schedule hold, until it changes them."""
    max_active_downloads: Count | UnsetType | None = UNSET
    max_active_seeds: Count | UnsetType | None = UNSET
    incomplete_folder: LongText | UnsetType | None = UNSET
    """Where new fetches are until they are complete; null: where they go."""


class TrackedName(Struct, frozen=True, kw_only=True):
    """A name that the tracker here knows."""

    name: str
    info_hash: str
    size: int
    """0 if nobody said."""
    seeders: int
    leechers: int


class Names(Struct, frozen=True, kw_only=True):
    """What the tracker here holds."""

    names: list[TrackedName]
    total: int
    """Names that fit; `names` may be some of them."""
    swarms: int
    peers: int


class FileProblem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong in the configuration file."""

    key: str | None
    message: str


class Reloaded(Struct, frozen=True, kw_only=True):
    """What differs in the configuration file; with errors nothing is changed."""

    changes: list[Change]
    errors: list[FileProblem]


class Stopping(Struct, frozen=True, kw_only=True):
    """The node ends."""


class LogLine(Struct, frozen=True, kw_only=True):
    """A line for operators: the event `logged`."""

    time: float
    severity: str
    """`debug`, `info`, `warning`."""
    logger: str
    message: str
