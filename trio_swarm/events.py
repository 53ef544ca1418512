"""The events of a node, as values: one frozen `msgspec.Struct` for each kind.

A program that embeds a node receives them through `NodeSettings.on_event`; `--json` prints each one
as a line. Field names are stable: a field may be added, but none is renamed. Info-hashes are 40 hex
digits, sizes are bytes, rates bytes per second, times seconds. Free words for an operator, such as
why something is tried again, are not events but log lines: see `trio_swarm.logs`.
"""

import re
from functools import cache
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import asdict


class Event(Struct, frozen=True, kw_only=True):
    """The root of all events, with the name and the level that each kind has."""

    level: ClassVar[str] = "info"
    """A `debug` event is shown with --verbose only, a `warning` event even with --quiet."""

    @property
    def name(self) -> str:
        """The name of this kind of event in JSON: the class name in snake case."""
        return name_of(type(self))

    def as_dict(self) -> dict[str, object]:
        """Return `{"event": name, **fields}`, ready to be encoded as JSON."""
        return {"event": self.name, **asdict(self)}


@cache
def name_of(kind: type[Event]) -> str:
    """Return the name of a kind of event in JSON; a fast download has thousands of events."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


class Listening(Event, frozen=True, kw_only=True):
    """The node accepts connections from peers at this address."""

    host: str
    port: int


class Sharing(Event, frozen=True, kw_only=True):
    """A share was hashed (or found unchanged) and is announced from now on."""

    info_hash: str
    share_name: str
    path: str
    size: int
    pieces: int
    magnet: str


class FilesLeftOut(Event, frozen=True, kw_only=True):
    """Part of a folder is not shared: its symbolic links and special files."""

    level: ClassVar[str] = "warning"
    path: str
    links: int
    """Number of symbolic links."""
    special: int
    """Number of sockets, pipes and devices."""
    padding: int
    """Number of files that every client would take for padding files because of their names."""


class Resolved(Event, frozen=True, kw_only=True):
    """A tracker resolved a name to this info-hash."""

    share_name: str
    info_hash: str
    size: int
    seeders: int
    leechers: int
    tracker: str


class Waiting(Event, frozen=True, kw_only=True):
    """A download cannot go on for now: it has no peer to fetch from, or for another `reason`."""

    info_hash: str
    share_name: str
    reason: str


class MetadataReceived(Event, frozen=True, kw_only=True):
    """The info dictionary is known: read from a file, or fetched from peers (BEP 9)."""

    info_hash: str
    share_name: str
    size: int
    pieces: int
    files: int


class FilesRenamed(Event, frozen=True, kw_only=True):
    """Some files have other names on this disk than in the torrent, which the disk cannot store."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    count: int
    """Number of renamed files; the torrent's own name counts as one."""
    renamed: list[dict[str, str]]
    """The first of them: `name` is the name in the torrent, `here` the name on the disk."""


class Checked(Event, frozen=True, kw_only=True):
    """The files that the folder already held were verified, or are known to be unchanged."""

    info_hash: str
    share_name: str
    have: int
    """Bytes of verified pieces."""
    size: int
    hashed: int
    """Bytes that had to be hashed (0 if the resume state vouched for all of them)."""


class Completed(Event, frozen=True, kw_only=True):
    """A download is complete: every piece is verified and synced, every file has its final name."""

    info_hash: str
    share_name: str
    path: str
    size: int
    downloaded: int
    """Bytes of blocks received in this run."""
    duplicate: int
    """Bytes of blocks received more than once."""
    seconds: float
    sources: dict[str, int]
    """Bytes of blocks received from each peer: `host:port` → bytes."""


class PeerConnected(Event, frozen=True, kw_only=True):
    """The handshake with a peer is complete."""

    level: ClassVar[str] = "debug"
    info_hash: str
    address: str
    client: str
    outgoing: bool


class PeerLost(Event, frozen=True, kw_only=True):
    """The connection to a peer ended, for this `reason`."""

    level: ClassVar[str] = "debug"
    info_hash: str
    address: str
    reason: str


class PeerBanned(Event, frozen=True, kw_only=True):
    """A peer sent wrong data; it is disconnected and not connected to again."""

    level: ClassVar[str] = "warning"
    info_hash: str
    address: str
    client: str
    reason: str


class PieceFailed(Event, frozen=True, kw_only=True):
    """A piece did not match its hash and is fetched again."""

    level: ClassVar[str] = "warning"
    info_hash: str
    piece: int
    peers: list[str]


class PieceVerified(Event, frozen=True, kw_only=True):
    """A piece matched its hash and is on disk."""

    level: ClassVar[str] = "debug"
    info_hash: str
    piece: int


class Announced(Event, frozen=True, kw_only=True):
    """A tracker accepted our announce and returned `peers` addresses."""

    level: ClassVar[str] = "debug"
    info_hash: str
    tracker: str
    seeders: int
    leechers: int
    peers: int
    interval: float


class TrackerSilent(Event, frozen=True, kw_only=True):
    """A tracker has not answered yet.

    We still wait for it, or the answers of other trackers were enough.
    """

    level: ClassVar[str] = "warning"
    info_hash: str
    """Empty if a name was being resolved."""
    tracker: str
    seconds: float
    """Time since the request."""


class TrackerWarning(Event, frozen=True, kw_only=True):
    """A tracker sent a warning for the user (BEP 3, "warning message"); reported once."""

    level: ClassVar[str] = "warning"
    info_hash: str
    tracker: str
    text: str


class PrivateTorrent(Event, frozen=True, kw_only=True):
    """A private torrent (BEP 27) is announced to its own trackers only.

    `left_out` holds the URLs of our other trackers, which are not told of it.
    """

    info_hash: str
    share_name: str
    left_out: list[str]


class PrivacyOverruled(Event, frozen=True, kw_only=True):
    """A private torrent is announced to other trackers than its own, as the user asked."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    trackers: list[str]


class TrackerFailed(Event, frozen=True, kw_only=True):
    """A tracker did not answer, or refused the request; it is asked again after `retry_in`."""

    level: ClassVar[str] = "warning"
    info_hash: str
    tracker: str
    reason: str
    retry_in: float | None
    """Seconds until the next request; None if there is none because the URL cannot be used."""


class NameRefused(Event, frozen=True, kw_only=True):
    """A tracker lists us without our name, so nobody can find the torrent there by name."""

    level: ClassVar[str] = "warning"
    info_hash: str
    tracker: str
    share_name: str
    reason: str


class StrategyFault(Event, frozen=True, kw_only=True):
    """A strategy broke its contract (its `faults`-th time); the host decided in its place."""

    level: ClassVar[str] = "warning"
    plugin: str
    reason: str
    faults: int
    replaced_by: str | None


class FilesChanged(Event, frozen=True, kw_only=True):
    """Files changed after they were verified, and were hashed again; correct pieces are kept."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    files: list[str]
    """The first changed files, relative to the torrent's folder."""
    count: int
    """Number of changed files."""
    lost: int
    """Number of pieces that are no longer correct."""
    have: int
    """Number of pieces that are correct."""
    pieces: int
    fetched_again: bool
    """True if the lost pieces are downloaded again; False if they are only no longer shared."""
    reason: str
    """Why the first file cannot be used at all; empty if it can."""


class StateNotKept(Event, frozen=True, kw_only=True):
    """The state folder cannot be used, so verified files are hashed again at the next start."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    path: str
    reason: str


class RecordingStopped(Event, frozen=True, kw_only=True):
    """The recording of a download stopped: its file cannot be written; the download goes on."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    path: str
    reason: str


class TorrentFailed(Event, frozen=True, kw_only=True):
    """A share or a download ended with an error, its `reason`."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    reason: str


class EntryAdded(Event, frozen=True, kw_only=True):
    """A share or fetch was added to the node's list as number `id`."""

    level: ClassVar[str] = "debug"
    id: int
    info_hash: str
    """Empty while it is unknown."""
    share_name: str
    origin: str
    """`file` (named by the configuration file) or `added` (at run time)."""
    state: str


class EntryChanged(Event, frozen=True, kw_only=True):
    """An entry of the node's list has another state, or somebody changed what it is told."""

    level: ClassVar[str] = "debug"
    id: int
    info_hash: str
    share_name: str
    state: str
    error: str
    """Why it failed; empty if it has not."""


class EntryCompleted(Event, frozen=True, kw_only=True):
    """A fetch of the node's list is complete for the first time, and at its final place."""

    level: ClassVar[str] = "debug"
    id: int
    info_hash: str
    share_name: str
    path: str
    labels: list[str]


class EntryRemoved(Event, frozen=True, kw_only=True):
    """An entry was taken out of the node's list."""

    level: ClassVar[str] = "debug"
    id: int
    info_hash: str
    share_name: str
    deleted: int
    """Number of its files that were deleted with it."""


class EventsLost(Event, frozen=True, kw_only=True):
    """A listener was too slow: so many events before the next one were not kept for it."""

    level: ClassVar[str] = "warning"
    count: int


class TrackerChange(Event, frozen=True, kw_only=True):
    """One change in a tracker; changes beyond a limit are only counted (TrackerSummary)."""

    level: ClassVar[str] = "debug"
    change: str
    """`registered`, `completed`, `stopped`, `expired`, `refused` (an announce), `name_taken`,
    `name_refused` (the peer is listed without the name), `name_dropped` (another name took its
    place)."""
    info_hash: str
    address: str
    """Address of the peer that announced; for `name_dropped`, of the peer whose name took the
    place."""
    share_name: str
    """Empty if the peer gave no name."""
    reason: str
    """Why something was refused; empty for other changes."""


class TrackerSummary(Event, frozen=True, kw_only=True):
    """The number of changes in a tracker since the summary before, and what it holds now."""

    level: ClassVar[str] = "debug"
    announces: int
    renewed: int
    """Announces that only renewed a lease."""
    registered: int
    completed: int
    stopped: int
    expired: int
    refused: int
    names_taken: int
    names_refused: int
    names_dropped: int
    untold: int
    """Changes among these that were counted only, without a TrackerChange."""
    swarms: int
    peers: int
    names: int


class TrackerShared(Event, frozen=True, kw_only=True):
    """A tracker lists the peers of others as well, by way of the `engine`; told at each beginning.

    `trackers` and `peers` are what others had told when it began, and `complete` which part of that
    is known here.
    """

    engine: str
    trackers: int
    peers: int
    complete: float


class TrackerSharedAlone(Event, frozen=True, kw_only=True):
    """A tracker hears nothing of others, for the `reason`; it answers with what it knows."""

    level: ClassVar[str] = "warning"
    engine: str
    reason: str


class ControlListening(Event, frozen=True, kw_only=True):
    """The page, the API and Transmission's RPC of this node are at this address, by HTTP."""

    host: str
    port: int


class TrackerListening(Event, frozen=True, kw_only=True):
    """A tracker answers at this address over UDP, and `http`: over HTTP as well.

    `interval` and `lease` are seconds.
    """

    host: str
    port: int
    interval: float
    lease: float
    http: bool


KINDS: Final[tuple[type[Event], ...]] = tuple(
    each
    for each in list(vars().values())
    if isinstance(each, type) and issubclass(each, Event) and each is not Event
)
"""Every kind of event that a node has."""
