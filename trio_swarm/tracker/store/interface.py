"""What a tracker asks its store, whatever carries the questions (UDP, HTTP) and holds the state."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

from trio_swarm.errors import TrioSwarmError
from trio_swarm.protocol.trackers.announces import NameMatch, ScrapeCounts
from trio_swarm.protocol.trackers.urls import UrlShare


class AnnounceRefusedError(TrioSwarmError):
    """The store does not take this announce; the text goes to the peer. Nothing changed."""


class NoRoomError(AnnounceRefusedError):
    """It has no room for the peer now, and may have when the peer comes back."""


Announce: TypeAlias = tuple[bytes, bytes, int, int, int, UrlShare | None, bytes, int]
"""Info-hash, the peer's compact address (6 or 18 bytes), bytes left, number of the event (BEP 15,
"Announce request"; unknown ones are none), peers wanted (-1: as many as usual), the name the peer
gives, peer id, key. A plain tuple, for one is made of every announce there is."""

SwarmAnswer: TypeAlias = tuple[int, int, bytes | bytearray]
"""What an announce gets: the swarm's seeders and leechers, and others' compact addresses."""


class NameQuestion(NamedTuple):
    """A question for matches of a name or pattern: `most` of them, after the first `offset`."""

    name: str
    offset: int
    most: int


class Claim(NamedTuple):
    """A question whether `info_hash` holds `name`, or would if a peer at `host` announced it."""

    name: str
    info_hash: bytes
    host: bytes
    """Packed IP address."""
    token: bytes = b""
    """As UrlShare."""

    def __repr__(self) -> str:
        return f"Claim(name={self.name!r})"  # secrets are not shown


class ClaimAnswer(NamedTuple):
    """Why a claim would be refused, None if it would not, and the counts of the swarm."""

    refusal: str | None
    counts: ScrapeCounts


class MatchPage(NamedTuple):
    """Some of the `total` matches of a name or a search."""

    total: int
    matches: Sequence[NameMatch]
    marks: Sequence[int] = ()
    """Of each match, for workers alone: two of one name have the same mark if the same peers
    announce it for both, as libtorrent does for the info-hashes of a hybrid torrent."""


class StoreCounts(NamedTuple):
    """How much a store holds now."""

    swarms: int
    peers: int
    names: int


class BigSwarm(NamedTuple):
    """A swarm with many peers, and one of its names; empty: it has none."""

    info_hash: bytes
    name: str
    counts: ScrapeCounts


class Change(NamedTuple):
    """Something that changed, or was refused; see `events.TrackerChange`."""

    kind: str
    info_hash: bytes
    address: bytes
    """Compact, of the peer."""
    name: str = ""
    reason: str = ""


class Admission(Protocol):
    """Says what a tracker does not take, and why; None: it takes it. No method raises."""

    def hash_refusal(self, info_hash: bytes) -> str | None:
        """Return why a torrent is not tracked."""

    def name_refusal(self, name: str) -> str | None:
        """Return why nobody may register a name."""

    def share_refusal(self, share: UrlShare, host: bytes) -> str | None:
        """Return why a peer at a packed IP address may not register a name."""


class TrackerStore(Protocol):
    """The swarms, peers and names of a tracker: of this process, or of several.

    Questions of one kind come together, as many as there are in a batch of datagrams, and the
    answers are in their order. So answers from memory cost one `await` a batch, which never
    suspends, and a question to another process costs one exchange a batch. The asker waits, and
    takes no further datagrams of the same socket meanwhile: a store that asks other processes must
    set itself a deadline far below the seconds after which clients ask again, and then answer from
    its own memory. Times (`now`) are monotonic, in seconds. No method raises.
    """

    @property
    def loopback_peers(self) -> int:
        """Peers listed under an address of this machine only (127.0.0.0/8, ::1)."""

    def counts(self) -> StoreCounts:
        """Return how much is held here, without asking others."""

    async def announce(
        self, announces: Sequence[Announce], now: float
    ) -> Sequence[SwarmAnswer | AnnounceRefusedError]:
        """Take announces in their order; answer each, or say why it is refused."""

    async def scrape(self, info_hashes: Sequence[bytes]) -> Sequence[ScrapeCounts]:
        """Return the counts of swarms, zeros for one that is unknown."""

    async def resolve(self, questions: Sequence[NameQuestion]) -> Sequence[MatchPage]:
        """Return the holders of exactly each name: most seeders first, then oldest."""

    async def claim(self, claims: Sequence[Claim]) -> Sequence[ClaimAnswer]:
        """Say of each claim whether it would be refused. Nothing changes."""

    async def search(self, question: NameQuestion, now: float) -> MatchPage:
        """Return the matches of a glob pattern that `check_glob` found no fault with.

        They are sorted by name, then most seeders first, then oldest. This may take long: a task of
        its own asks.
        """

    async def end_leases(self, now: float, limit: int) -> float | None:
        """Take out up to `limit` peers whose lease ended; return when to call it again.

        None: when a new lease can have ended. If there is more to do, the time returned has passed.
        """
