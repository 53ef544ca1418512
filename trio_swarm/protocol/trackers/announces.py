"""Announces, scrapes and names as values, whether UDP or HTTP carries them."""

from enum import IntEnum

from msgspec import Struct

from trio_swarm.identities import InfoHash, PeerId
from trio_swarm.protocol.addresses import Address

DEFAULT_NUM_WANT = 50
"""Peers asked for, and given to a client that leaves it to the tracker (BEP 15, `num_want` -1)."""

NO_NAMES = (
    "it knows no names, as only a tracker of trio-swarm does; use a magnet link, a .torrent file "
    "or an info-hash"
)
"""What a tracker of another kind is told to be when it is asked for names."""

NO_MESSAGE = "error without a message"
"""Stands for the message of a tracker that refuses without saying why."""


class AnnounceEvent(IntEnum):
    """Why a peer announces; the numbers are those of BEP 15, "Announce request"."""

    NONE = 0
    COMPLETED = 1
    STARTED = 2
    STOPPED = 3


class AnnounceRequest(Struct, frozen=True, kw_only=True):
    """One announce of one torrent; `uploaded`, `downloaded`, `left` and `size` are bytes.

    `share_name` and `size` register a name for the info-hash with trackers that know names
    (`trio_swarm.protocol.trackers.udp`); other trackers ignore them.
    """

    info_hash: InfoHash
    peer_id: PeerId
    port: int
    uploaded: int = 0
    downloaded: int = 0
    left: int
    event: AnnounceEvent = AnnounceEvent.NONE
    key: int
    """32 bits, the same for as long as the torrent runs (BEP 7, "Announcing")."""
    num_want: int = DEFAULT_NUM_WANT
    share_name: str | None = None
    size: int | None = None
    tracker_id: bytes | None = None
    """A text that this tracker wants to hear again (BEP 3, "tracker id"); HTTP only."""


class AnnounceAnswer(Struct, frozen=True, kw_only=True):
    """A tracker's answer: `interval` and `min_interval` in seconds, as sent (not clamped).

    Either is 0 if the tracker did not tell it.
    """

    interval: float
    seeders: int
    leechers: int
    peers: tuple[Address, ...]
    min_interval: float = 0.0
    warning: str | None = None
    tracker_id: bytes | None = None


class ScrapeCounts(Struct, frozen=True, kw_only=True):
    """A swarm's size; `completed` is how often a download was completed, ever (BEP 48)."""

    seeders: int
    completed: int
    leechers: int


class NameMatch(Struct, frozen=True):
    """One info-hash that holds a name; `size` in bytes, 0 if unknown."""

    info_hash: bytes
    size: int
    seeders: int
    leechers: int
    name: str
