"""What the author of a strategy imports: the views it is given and the decisions it returns.

There are three kinds of strategy. A `Scheduler` decides which blocks to **fetch** from which peer,
an `Uploader` which pieces to **reveal** to a peer and in which order to serve its requests, a
`Choker` which peers to **unchoke**. A strategy is a plain function of a read-only view: no I/O, no
clock, no randomness but the `rng` it is given. The same object runs in the peer, in tests and in
simulations. The host checks everything that a strategy returns; see docs/strategies.md.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct, field

from trio_swarm.identities import PieceIndex
from trio_swarm.piece_sets import PieceSet


class PeerView(Struct, frozen=True):
    """One peer that can be asked for blocks now."""

    key: int
    """Names the peer in decisions; the same as long as it is connected, otherwise without
    meaning."""
    pieces: PieceSet
    """Pieces it can be asked for: it has them, and neither a choke nor parole forbids them."""
    room: int
    """How many more blocks it may be given now, > 0. A strategy may give it fewer, or none."""
    in_flight: int
    """Blocks requested from it and not yet received."""
    rate: float
    """Estimated download rate from it, bytes/s; 0.0 while it is unknown."""
    rtt: float
    """Estimated time from a request to the first byte of the answer, seconds; 0.0 while unknown."""
    is_seeder: bool
    """It has every piece."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Facts about the peer from the configuration (rack, zone, cost); empty if none are
    configured."""
    suggested: PieceSet = 0
    """Pieces it suggests that we fetch from it (BEP 6, "Suggest Piece"). A strategy need not
    follow.

    If a seeder suggests different pieces to each peer, the swarm has a whole copy sooner."""


class SwarmView(Struct, frozen=True):
    """One snapshot of a whole download, read-only."""

    wanted: PieceSet
    """Pieces with at least one free block: missing, not requested from any peer, and allowed to be
    assigned now."""
    started: PieceSet
    """The pieces of `wanted` with at least one block that is received or in flight."""
    free_blocks: Mapping[int, int]
    """Number of free blocks for each piece in `started`."""
    rarity: Sequence[PieceSet]
    """rarity[n] = pieces that exactly n connected peers have; together they partition all
    pieces."""
    peers: Sequence[PeerView]
    """Peers that can be asked for blocks now, in the order they joined."""
    piece_length: int
    """Bytes of every piece but the last."""
    block_length: int
    """Bytes of a block: 16,384."""
    piece_count: int
    remaining: int
    """Bytes not yet received."""
    now: float
    """Seconds on a monotonic clock."""
    busy: Sequence[PeerView] = ()
    """Peers that would serve us but have no room now (`room` is 0), in the order they joined.

    While memory for buffers is short, peers that wait for their turn are among them. A call cannot
    assign blocks to them. They show which blocks the other peers need not fetch: a block left to a
    fast busy peer can arrive sooner than one assigned to a slow idle peer."""
    deadlines: Mapping[int, float] = {}
    """Piece → when somebody who reads the files wants it, in seconds on the clock of `now`; the
    most urgent first. Empty while nobody reads. A reader waits for the first pieces, and is
    expected to go on with the others; some may be in flight already, and so not in `wanted`."""

    def blocks_of(self, piece: int) -> int:
        """Return the number of free blocks of `piece`.

        For a piece that is not started this is the number of blocks of a full piece. The last piece
        may have fewer; the host then assigns all that it has.
        """
        free = self.free_blocks.get(piece)
        return -(-self.piece_length // self.block_length) if free is None else free


class Assignment(NamedTuple):
    """Assign the next free blocks of `piece` to `peer` (a `PeerView.key`): one chunk."""

    peer: int
    piece: int
    blocks: int | None = None
    """Most blocks to assign; None: as many as the peer's room and the piece allow."""


class Scheduler(Protocol):
    """A download strategy: it decides which chunks to fetch from which peers."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Return assignments for the free room of all peers in `view`, the most important first."""
        ...


class UploadPeerView(Struct, frozen=True):
    """One connected peer, as an uploader sees it."""

    key: int
    pieces: PieceSet
    """Pieces the peer has."""
    is_seeder: bool
    """It has every piece, or says that it only uploads (BEP 21)."""
    interested: bool
    unchoked: bool
    """We have unchoked it."""
    uploaded: int
    """Bytes of blocks sent to it."""
    rate: float
    """Upload rate to it, bytes/s."""
    revealed: PieceSet = 0
    """Pieces it was told that we have, by HAVE or bitfield."""
    queued: int = 0
    """Bytes it requested that we have not sent yet."""
    joined_at: float = 0.0
    """When it connected, in seconds on the clock of `UploadView.now`."""
    address: str = ""
    """`host:port` where it accepts connections if that is known, else where it connected from.

    Every seeder that connected to the peer, or was told its port, sees the same address."""
    takes_suggestions: bool = False
    """It speaks the Fast Extension (BEP 6), so suggestions can be sent to it."""
    suggested: PieceSet = 0
    """Pieces suggested to it so far."""


class UploadRequest(NamedTuple):
    """A peer's request for one block: `length` bytes from byte `begin` of `piece`."""

    piece: PieceIndex
    begin: int
    length: int


class UploadView(Struct, frozen=True):
    """What an uploader decides on, read-only."""

    have: PieceSet
    """Pieces we have and verified."""
    sent: Mapping[int, int]
    """Bytes of each piece sent so far, to all peers together; a piece that is absent has 0."""
    rarity: Sequence[PieceSet]
    """rarity[n] = pieces that exactly n connected peers have."""
    peers: Sequence[UploadPeerView]
    piece_length: int
    piece_count: int
    is_seeder: bool
    """We have every piece."""
    now: float
    rate: float = 0.0
    """Upload rate to all peers together, bytes/s."""
    uploaded: int = 0
    """Bytes of blocks sent so far, to all peers together."""
    length: int = 0
    """Bytes of all pieces; 0 if the last piece is as long as the others."""
    own_number: int = 0
    """A number that differs between nodes and never changes, so that seeders can decide
    differently."""
    delivered: Mapping[int, int] = {}
    """Peer key → bytes of its `uploaded` that its link has delivered. The host asks TCP for it when
    it is read first; of a peer that is absent nothing is known."""

    def delivered_to(self, peer: UploadPeerView) -> int:
        """Return how many bytes of blocks the link of `peer` has delivered.

        They are all that were sent to it where nothing is known.
        """
        return self.delivered.get(peer.key, peer.uploaded)

    def size_of(self, piece: int) -> int:
        """Return the length of `piece` in bytes; the last piece may be shorter than the others."""
        if piece == self.piece_count - 1 and self.length:
            return self.length - piece * self.piece_length
        return self.piece_length


class Uploader(Protocol):
    """An upload strategy: which pieces to reveal to a peer, and in which order to serve requests.

    It may also have the method `suggest` (see `Suggester`), and the method `steers`, which saves
    calls (see `Steerer`), and the method `weight` (see `Sharer`).
    """

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return the pieces to reveal to `peer` (BEP 16, "Superseeding"); None reveals all we have.

        A revealed piece is never hidden again. The host calls this when the peer joins and when we
        get new pieces. While some piece is hidden from some peer, the host also calls it soon after
        blocks were sent, and after peers got pieces, joined, left or changed their interest. It
        then calls it once for each peer, with the same view object, so a strategy can plan for all
        peers at the first of these calls.
        """
        ...

    def order(
        self, view: UploadView, peer: UploadPeerView, requests: Sequence[UploadRequest]
    ) -> Sequence[UploadRequest]:
        """Return all `requests` of `peer` in the order to serve them: a permutation."""
        ...


class Suggester(Uploader, Protocol):
    """An uploader that also suggests to peers which pieces to fetch (BEP 6, "Suggest Piece").

    A suggestion is a hint. A trio-swarm peer prefers suggested pieces, libtorrent requests them
    before all others, other clients may ignore them.
    """

    def suggest(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return pieces we have that `peer` should fetch from us, earlier suggestions included.

        The host calls this after each call of `offer`, for peers with `takes_suggestions`. None
        means that there is nothing to suggest, and that the host need not call again before we get
        new pieces.
        """
        ...


class Steerer(Uploader, Protocol):
    """An uploader that can say in one call that it has nothing to decide for any peer."""

    def steers(self, view: UploadView) -> bool:
        """Return False if `offer` and `suggest` would now return None for every peer.

        The host then calls neither of them with this view. `steers` counts only if it is defined in
        the class that defines `offer` and `suggest`, or in a subclass of it: for a subclass that
        overrides `offer` or `suggest` alone, the host calls them for each peer.
        """
        ...


class Sharer(Uploader, Protocol):
    """An uploader that says how our uplink is shared out; otherwise all peers have equal shares."""

    def weight(self, view: UploadView, peer: UploadPeerView) -> float:
        """Return the share of our uplink for `peer`, in proportion to those of the other peers.

        0 or more, and finite. The host calls this now and then for each peer that is sent blocks,
        while more could be sent than the uplink carries. What a peer does not use goes to the
        others, and a peer with the weight 0 still gets a trickle.
        """
        ...


class ChokePeerView(Struct, frozen=True):
    """One connected peer, as a choker sees it."""

    key: int
    interested: bool
    unchoked: bool
    unchoked_at: float | None
    """When it was last unchoked, seconds; None while it is choked."""
    waiting_since: float | None
    """Since when it has been both interested and choked, seconds; None if it is not."""
    download_rate: float
    """Download rate from it, bytes/s."""
    upload_rate: float
    """Upload rate to it, bytes/s."""
    uploaded: int
    """Bytes sent to it since it was last unchoked."""
    snubbed: bool
    """It has sent none of the blocks that it owes us for a while."""
    joined_at: float
    is_interesting: bool = False
    """It has pieces that we want."""
    choking_us: bool = False
    gave_at: float | None = None
    """When the latest block from it arrived, seconds; None if none did."""

    def waits_since(self, now: float) -> float:
        """Return `waiting_since`, or `now` if the peer does not wait."""
        return now if self.waiting_since is None else self.waiting_since


class ChokeView(Struct, frozen=True):
    """What a choker decides on, read-only."""

    peers: Sequence[ChokePeerView]
    """All connected peers, in the order they joined."""
    slots: int
    """Most peers that may be unchoked at once, ≥ 1."""
    is_seeder: bool
    now: float


class Choker(Protocol):
    """An unchoking strategy: it decides which peers may request blocks from us.

    The host calls it every round (10 s), and at once when a slot may be free.
    """

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        """Return the keys of at most `slots` peers to have unchoked now; all others are choked."""
        ...


SchedulerFactory = Callable[..., Scheduler]
"""Called with `[scheduler.options]` as keyword arguments; a dataclass is a factory."""
UploaderFactory = Callable[..., Uploader]
ChokerFactory = Callable[..., Choker]
