"""What the author of a strategy imports: the views it is given and the decisions it returns.

Three axes, one mechanism: what to **fetch** from whom (`Scheduler`), what to **offer** and in which
order to serve (`Uploader`), whom to **unchoke** (`Choker`). A strategy is a plain function of a
read-only snapshot: no I/O, no clock, no randomness but the `rng` it is handed. The same object runs
in the peer, in tests and in simulations. Whatever it returns, the host checks it; see the README.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct, field

from trio_swarm.identities import PieceIndex
from trio_swarm.piece_sets import PieceSet


class PeerView(Struct, frozen=True):
    """One peer that may be asked for blocks now."""

    key: int
    """Opaque, stable while the peer is connected."""
    pieces: PieceSet
    """Pieces it can be asked for: it has them, and they are not forbidden (choke, parole)."""
    room: int
    """Most further blocks it may be given now, > 0: an upper bound a strategy may decline."""
    in_flight: int
    """Blocks asked of it and not yet received."""
    rate: float
    """Estimated download rate from it, bytes/s; 0.0 while nothing is known."""
    rtt: float
    """Estimated time from a request to its first byte, seconds; 0.0 while nothing is known."""
    is_seeder: bool
    """It has every piece."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Facts from the configuration (rack, zone, cost); empty unless set."""
    suggested: PieceSet = 0
    """Pieces it would like us to fetch of it (BEP 6, "Suggest Piece"): a hint, followed or not.

    A seeder that suggests other pieces to each of its peers has every piece sooner in the swarm.
    """


class SwarmView(Struct, frozen=True):
    """One snapshot of a whole download, read-only."""

    wanted: PieceSet
    """Pieces with at least one block nobody fetches yet, and which may be given out now."""
    started: PieceSet
    """The subset of `wanted` of which some block is had or in flight."""
    free_blocks: Mapping[int, int]
    """Blocks still to give out, for each piece in `started`."""
    rarity: Sequence[PieceSet]
    """rarity[n] = pieces held by exactly n connected peers; together they partition all pieces."""
    peers: Sequence[PeerView]
    """Peers that may be asked now, in the order they joined."""
    piece_length: int
    """Bytes of every piece but the last."""
    block_length: int
    """Bytes of a block: 16384."""
    piece_count: int
    remaining: int
    """Bytes not yet received."""
    now: float
    """Seconds on a monotonic clock."""
    busy: Sequence[PeerView] = ()
    """Peers that would serve us but have no room now (`room` 0), in the order they joined.

    While buffers are short some that wait for their turn are among them.

    Nothing can be given to them in this call; they tell what the others need not do (a block left
    to a busy fast peer may arrive sooner than one given to an idle slow peer).
    """

    def blocks_of(self, piece: int) -> int:
        """Return how many blocks of `piece` are still to give out.

        For pieces not started this is the block count of a full piece (the last piece may have
        fewer: the host gives out what there is).
        """
        free = self.free_blocks.get(piece)
        return -(-self.piece_length // self.block_length) if free is None else free


class Assignment(NamedTuple):
    """Give the next free blocks of `piece` to `peer`: one chunk."""

    peer: int
    piece: int
    blocks: int | None = None
    """None: all that the peer's room and the piece allow."""


class Scheduler(Protocol):
    """A download strategy: which chunks to ask of which peers."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Return assignments, best first, covering the free room of the whole swarm."""
        ...


class UploadPeerView(Struct, frozen=True):
    """One connected peer, as the uploading side sees it."""

    key: int
    pieces: PieceSet
    """Pieces it has."""
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
    """Pieces it was told that we have."""
    queued: int = 0
    """Bytes it asked for that were not put out yet."""
    joined_at: float = 0.0
    """Seconds, on the clock of `UploadView.now`."""
    address: str = ""
    """`host:port` where it listens, else where it came from: the same to every seeder that dialled
    it or was told its port."""
    takes_suggestions: bool = False
    """It speaks the Fast Extension (BEP 6), so that it may be told suggestions."""
    suggested: PieceSet = 0
    """Pieces suggested to it so far."""


class UploadRequest(NamedTuple):
    """One block a peer asked of us."""

    piece: PieceIndex
    begin: int
    length: int


class UploadView(Struct, frozen=True):
    """What the uploading side knows, read-only."""

    have: PieceSet
    """Pieces we have, verified."""
    sent: Mapping[int, int]
    """Bytes of each piece sent so far, to anybody; absent means 0."""
    rarity: Sequence[PieceSet]
    """rarity[n] = pieces held by exactly n connected peers."""
    peers: Sequence[UploadPeerView]
    piece_length: int
    piece_count: int
    is_seeder: bool
    """We have every piece."""
    now: float
    rate: float = 0.0
    """Upload rate to all peers together, bytes/s."""
    uploaded: int = 0
    """Bytes of blocks sent so far, to anybody."""
    length: int = 0
    """Bytes of all pieces; 0 if the last is as long as the others."""
    own_number: int = 0
    """Another for each node, and always the same: so that seeders need not all do the same."""

    def size_of(self, piece: int) -> int:
        """Return the bytes of `piece`."""
        if piece == self.piece_count - 1 and self.length:
            return self.length - piece * self.piece_length
        return self.piece_length


class Uploader(Protocol):
    """A seeding-order strategy: what to reveal to a peer and in which order to serve it.

    It may also have a method `suggest` (see `Suggester`), and one that saves work, `steers`: see
    `Steerer`.
    """

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return the pieces to reveal to `peer` (BEP 16); None reveals all we have.

        What was revealed is never taken back. Called when the peer joins and when we have new
        pieces. While something is kept from somebody it is called again soon after blocks went out
        and after peers got pieces, joined, left or changed their interest: once for each peer, with
        one and the same view, so that what is decided for all need be worked out only once.
        """
        ...

    def order(
        self, view: UploadView, peer: UploadPeerView, requests: Sequence[UploadRequest]
    ) -> Sequence[UploadRequest]:
        """Return `requests` of `peer` in the order to serve them: a permutation."""
        ...


class Suggester(Uploader, Protocol):
    """An uploader that also tells peers what they had better fetch of us (BEP 6, "Suggest Piece").

    A suggestion is a hint: a trio-swarm peer prefers what is suggested, libtorrent takes it before
    anything else, others may ignore it.
    """

    def suggest(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return pieces we have that `peer` should fetch of us, those suggested before included.

        Called whenever `offer` is, after it, for peers with `takes_suggestions`. None: nothing,
        and it need not be asked again before we have new pieces.
        """
        ...


class Steerer(Uploader, Protocol):
    """An uploader that often leaves everybody alone, and says so once instead of to each peer."""

    def steers(self, view: UploadView) -> bool:
        """Return False if `offer` and `suggest` would return None for everybody now.

        Then they are not called with this view. It must be in the same class as those, or in one
        made of it: a class that overrides those only is asked for each peer.
        """
        ...


class ChokePeerView(Struct, frozen=True):
    """One peer that could be unchoked."""

    key: int
    interested: bool
    unchoked: bool
    unchoked_at: float | None
    """When it was last unchoked, seconds; None while choked."""
    waiting_since: float | None
    """Since when it is interested and choked, seconds; None if it is not."""
    download_rate: float
    """What it gives us, bytes/s."""
    upload_rate: float
    """What we give it, bytes/s."""
    uploaded: int
    """Bytes we gave it since it was last unchoked."""
    snubbed: bool
    """It owes us blocks and has sent none for a while."""
    joined_at: float
    is_interesting: bool = False
    """It has pieces that we want."""
    choking_us: bool = False
    gave_at: float | None = None
    """When it last gave us a block, seconds; None if it never did."""

    def waits_since(self, now: float) -> float:
        """Return `waiting_since`; of a peer that does not wait, `now`."""
        return now if self.waiting_since is None else self.waiting_since


class ChokeView(Struct, frozen=True):
    """What a choker decides on, read-only."""

    peers: Sequence[ChokePeerView]
    """All connected peers, in the order they joined."""
    slots: int
    """Most peers to have unchoked at once, ≥ 1."""
    is_seeder: bool
    now: float


class Choker(Protocol):
    """An unchoking strategy. Called every round (10 s) and at once when a slot may be free."""

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        """Return the keys of the peers to have unchoked from now on, at most `slots`."""
        ...


SchedulerFactory = Callable[..., Scheduler]
"""Called with `[scheduler.options]` as keywords; a dataclass is one."""
UploaderFactory = Callable[..., Uploader]
ChokerFactory = Callable[..., Choker]
