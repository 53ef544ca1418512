"""What happens in a node, as values: one frozen `msgspec.Struct` per event.

A program that embeds a node gets them through `NodeSettings.on_event`; `--json` prints each as one
line. Field names are stable: fields may be added, never renamed. Info-hashes are 40 hex digits,
sizes bytes, rates bytes/s, times seconds. Free words for an operator, such as why something is
tried again, are no events but log lines: see `trio_swarm.logs`.
"""

import re
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import asdict


class Event(Struct, frozen=True, kw_only=True):
    """The root of all events."""

    level: ClassVar[str] = "info"
    """`debug` events are shown with --verbose only; `warning` ones even with --quiet."""

    @property
    def name(self) -> str:
        """The event's name in JSON: the class name in snake case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def as_dict(self) -> dict[str, object]:
        """Return `{"event": name, **fields}`, ready for JSON."""
        return {"event": self.name, **asdict(self)}


class Listening(Event, frozen=True, kw_only=True):
    """The node accepts peers at this address."""

    host: str
    port: int


class Sharing(Event, frozen=True, kw_only=True):
    """A share is hashed (or recognised) and is offered from now on."""

    info_hash: str
    share_name: str
    path: str
    size: int
    pieces: int
    magnet: str


class FilesLeftOut(Event, frozen=True, kw_only=True):
    """Some of a folder is not shared: its links and special files."""

    level: ClassVar[str] = "warning"
    path: str
    links: int
    """Symbolic links."""
    special: int
    """Sockets, pipes and devices."""
    padding: int
    """Files that every client takes for padding by their name."""


class Resolved(Event, frozen=True, kw_only=True):
    """A tracker knew the name."""

    share_name: str
    info_hash: str
    size: int
    seeders: int
    leechers: int
    tracker: str


class Waiting(Event, frozen=True, kw_only=True):
    """A download has nobody to fetch from, or cannot go on for another reason that may pass."""

    info_hash: str
    share_name: str
    reason: str


class MetadataReceived(Event, frozen=True, kw_only=True):
    """The info dictionary is known (from a file, or from peers by BEP 9)."""

    info_hash: str
    share_name: str
    size: int
    pieces: int
    files: int


class FilesRenamed(Event, frozen=True, kw_only=True):
    """Files have other names on this disk than in the torrent: it cannot hold those."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    count: int
    """Of files and the torrent's own name."""
    renamed: list[dict[str, str]]
    """Some of them: `name` in the torrent, `here` on the disk."""


class Checked(Event, frozen=True, kw_only=True):
    """What the folder already held was recognised or verified."""

    info_hash: str
    share_name: str
    have: int
    """Bytes of verified pieces."""
    size: int
    hashed: int
    """Bytes that had to be hashed for it (0: the resume state vouched for all)."""


class Completed(Event, frozen=True, kw_only=True):
    """Every piece is verified, synced, and the data has its final name."""

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
    """Bytes of blocks by peer, `host:port` → bytes."""


class PeerConnected(Event, frozen=True, kw_only=True):
    """A handshake with a peer is done."""

    level: ClassVar[str] = "debug"
    info_hash: str
    address: str
    client: str
    outgoing: bool


class PeerLost(Event, frozen=True, kw_only=True):
    """A peer's connection ended."""

    level: ClassVar[str] = "debug"
    info_hash: str
    address: str
    reason: str


class PeerBanned(Event, frozen=True, kw_only=True):
    """A peer sent wrong bytes; it is not talked to any more."""

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
    """A tracker took our announce."""

    level: ClassVar[str] = "debug"
    info_hash: str
    tracker: str
    seeders: int
    leechers: int
    peers: int
    interval: float


class TrackerSilent(Event, frozen=True, kw_only=True):
    """A tracker has not answered yet; it is still waited for, or the others were enough."""

    level: ClassVar[str] = "warning"
    info_hash: str
    """Empty where a name was asked for."""
    tracker: str
    seconds: float
    """Since it was asked."""


class TrackerWarning(Event, frozen=True, kw_only=True):
    """A tracker has a word for the person (BEP 3, "warning message"); told once."""

    level: ClassVar[str] = "warning"
    info_hash: str
    tracker: str
    text: str


class PrivateTorrent(Event, frozen=True, kw_only=True):
    """A private torrent (BEP 27) is told to its own trackers only, and not to those left out."""

    info_hash: str
    share_name: str
    left_out: list[str]


class PrivacyOverruled(Event, frozen=True, kw_only=True):
    """A private torrent is told to trackers that are not its own, because a person wants that."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    trackers: list[str]


class TrackerFailed(Event, frozen=True, kw_only=True):
    """A tracker did not answer or refused; it is tried again."""

    level: ClassVar[str] = "warning"
    info_hash: str
    tracker: str
    reason: str
    retry_in: float | None
    """None: never, the URL is of no use."""


class NameRefused(Event, frozen=True, kw_only=True):
    """A tracker lists us without our name, so nobody finds the torrent by it there."""

    level: ClassVar[str] = "warning"
    info_hash: str
    tracker: str
    share_name: str
    reason: str


class StrategyFault(Event, frozen=True, kw_only=True):
    """A strategy plugin broke its contract; the host did its work instead."""

    level: ClassVar[str] = "warning"
    plugin: str
    reason: str
    faults: int
    replaced_by: str | None


class FilesChanged(Event, frozen=True, kw_only=True):
    """Files are not as they were verified; they were hashed again, and what is right goes on."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    files: list[str]
    """The first of them, below the torrent's folder."""
    count: int
    """How many they are."""
    lost: int
    """Pieces that are right no longer."""
    have: int
    """Pieces that are right."""
    pieces: int
    fetched_again: bool
    """What was lost is downloaded; otherwise it is just not offered any more."""
    reason: str
    """Why nothing of the first file can be used, if so; else empty."""


class StateNotKept(Event, frozen=True, kw_only=True):
    """The state folder cannot be used: what was verified is hashed again at the next start."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    path: str
    reason: str


class RecordingStopped(Event, frozen=True, kw_only=True):
    """A download is recorded no longer, since the file cannot be written; it goes on."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    path: str
    reason: str


class TorrentFailed(Event, frozen=True, kw_only=True):
    """A share or download ended with an error."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    reason: str


class TrackerChange(Event, frozen=True, kw_only=True):
    """Something changed in a tracker; told one by one up to a bound, see TrackerSummary."""

    level: ClassVar[str] = "debug"
    change: str
    """`registered`, `completed`, `stopped`, `expired`, `refused` (an announce), `name_taken`,
    `name_refused` (its peer is listed without it), `name_dropped` (it made room for another)."""
    info_hash: str
    address: str
    """Of the peer that announced; `name_dropped`: of the one that got the room."""
    share_name: str
    """Empty where no name was given."""
    reason: str
    """Of a refusal."""


class TrackerSummary(Event, frozen=True, kw_only=True):
    """How much happened in a tracker since the summary before, and what it holds now."""

    level: ClassVar[str] = "debug"
    announces: int
    renewed: int
    """Heartbeats that changed nothing."""
    registered: int
    completed: int
    stopped: int
    expired: int
    refused: int
    names_taken: int
    names_refused: int
    names_dropped: int
    untold: int
    """Changes of these that were not told one by one."""
    swarms: int
    peers: int
    names: int


class TrackerListening(Event, frozen=True, kw_only=True):
    """A tracker serves at this address."""

    host: str
    port: int
    interval: float
    lease: float
