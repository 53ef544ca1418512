"""What happens in a node, as values: one frozen dataclass per event.

A program that embeds a node gets them through `NodeSettings.on_event`; `--json` prints each as one
line. Field names are stable: fields may be added, never renamed. Info-hashes are 40 hex digits,
sizes bytes, rates bytes/s, times seconds.
"""

import dataclasses
import re
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The root of all events."""

    level: ClassVar[str] = "info"
    """`debug` events are shown with --verbose only; `warning` ones even with --quiet."""

    @property
    def name(self) -> str:
        """The event's name in JSON: the class name in snake case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def as_dict(self) -> dict[str, object]:
        """Return `{"event": name, **fields}`, ready for JSON."""
        return {"event": self.name, **dataclasses.asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening(Event):
    """The node accepts peers at this address."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing(Event):
    """A share is hashed (or recognised) and is offered from now on."""

    info_hash: str
    share_name: str
    path: str
    size: int
    pieces: int
    magnet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved(Event):
    """A tracker knew the name."""

    share_name: str
    info_hash: str
    size: int
    seeders: int
    leechers: int
    tracker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Event):
    """A download has nobody to fetch from, or cannot go on for another reason that may pass."""

    info_hash: str
    share_name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataReceived(Event):
    """The info dictionary is known (from a file, or from peers by BEP 9)."""

    info_hash: str
    share_name: str
    size: int
    pieces: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Event):
    """What the folder already held was recognised or verified."""

    info_hash: str
    share_name: str
    have: int
    """Bytes of verified pieces."""
    size: int
    hashed: int
    """Bytes that had to be hashed for it (0: the resume state vouched for all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(Event):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConnected(Event):
    """A handshake with a peer is done."""

    level: ClassVar[str] = "debug"
    info_hash: str
    address: str
    client: str
    outgoing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLost(Event):
    """A peer's connection ended."""

    level: ClassVar[str] = "debug"
    info_hash: str
    address: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerBanned(Event):
    """A peer sent wrong bytes; it is not talked to any more."""

    level: ClassVar[str] = "warning"
    info_hash: str
    address: str
    client: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceFailed(Event):
    """A piece did not match its hash and is fetched again."""

    level: ClassVar[str] = "warning"
    info_hash: str
    piece: int
    peers: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceVerified(Event):
    """A piece matched its hash and is on disk."""

    level: ClassVar[str] = "debug"
    info_hash: str
    piece: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced(Event):
    """A tracker took our announce."""

    level: ClassVar[str] = "debug"
    info_hash: str
    tracker: str
    seeders: int
    leechers: int
    peers: int
    interval: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerFailed(Event):
    """A tracker did not answer or refused; it is tried again."""

    level: ClassVar[str] = "warning"
    info_hash: str
    tracker: str
    reason: str
    retry_in: float | None
    """None: never, the URL is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyFault(Event):
    """A strategy plugin broke its contract; the host did its work instead."""

    level: ClassVar[str] = "warning"
    plugin: str
    reason: str
    faults: int
    replaced_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentFailed(Event):
    """A share or download ended with an error."""

    level: ClassVar[str] = "warning"
    info_hash: str
    share_name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerListening(Event):
    """A tracker serves at this address."""

    host: str
    port: int
    interval: float
    lease: float
