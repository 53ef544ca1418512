"""One connected peer as it is served: what was revealed to it, what it asked for, who is unchoked.

`Uploads` decides what to reveal and whom to unchoke, by the strategies. The peer's conversation
tells it, and takes in what it asks for.
"""

from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.messages import End
from trio_swarm.engine.rates import RateEstimate
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadRequest

NEVER: Final = -1
"""In the place of the pieces we had when something was decided."""

NOTHING_SENT: Final = RateEstimate()
"""The rate of all that were sent nothing yet; never added to."""

NO_REQUESTS: Final[dict[UploadRequest, None]] = {}
"""What nearly all peers ask for: one dict for all of them, which is never written to."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Served(End):
    """A peer that is served. Times are in seconds; -1.0 stands for never."""

    __slots__ = (
        "_received_at",
        "_unchoked_at",
        "_waiting_since",
        "address",
        "am_choking",
        "fast",
        "joined_at",
        "key",
        "offered",
        "offered_of",
        "peer_choking",
        "peer_interested",
        "should_unchoke",
        "suggested",
        "to_suggest",
        "told",
        "upload_queue",
        "upload_rate",
        "uploaded",
        "uploaded_since_unchoke",
        "wants_nothing",
    )

    def __init__(
        self, key: int, now: float, *, address: str, fast: bool = True, wants_nothing: bool = False
    ) -> None:
        # Fields are in memory in this order: first what every HAVE looks at.
        self.peer_interested = False
        """It wants something of us."""
        self.peer_choking = True
        """It chokes us."""
        self.am_choking = True
        """It was told that we choke it."""
        self.should_unchoke = False
        """It is to be unchoked, and told so if it was not."""
        self.fast = fast
        """It speaks the Fast Extension (BEP 6), and so takes suggestions."""
        self.wants_nothing = wants_nothing
        """It has every piece, or says that it only uploads (BEP 21)."""
        self.told: PieceSet = 0
        """Pieces it was told that we have."""
        self.offered: PieceSet | None = None
        """What it should know of; None: all we have."""
        self.offered_of: PieceSet = NEVER
        """The pieces we had when that was decided for it alone."""
        self.key = key
        """What the ledger calls it."""
        self.to_suggest: PieceSet = 0
        """What is to be suggested to it next."""
        self.suggested: PieceSet = 0
        """Pieces that were suggested to it."""
        # A dict, so that a request is found and taken back at once.
        self.upload_queue = NO_REQUESTS
        """What it asked for and was not put out yet, in the order to serve it."""
        self.uploaded = 0
        """Bytes of blocks put out to it."""
        self.uploaded_since_unchoke = 0
        self.upload_rate = NOTHING_SENT
        """How fast they were."""
        # As `float | None` each would be an object of its own.
        self._unchoked_at = -1.0
        self._waiting_since = -1.0
        self._received_at = -1.0
        self.joined_at = now
        """When it connected."""
        self.address = address
        """`host:port` where it listens if that is known, else where it came from."""

    @property
    def unchoked_at(self) -> float | None:
        """When it was last to be unchoked."""
        return None if self._unchoked_at < 0.0 else self._unchoked_at

    @property
    def waiting_since(self) -> float | None:
        """Since when it is interested and choked."""
        return None if self._waiting_since < 0.0 else self._waiting_since

    @property
    def received_at(self) -> float | None:
        """When it last gave us a block."""
        return None if self._received_at < 0.0 else self._received_at

    def undelivered(self) -> int:
        """Return how many of the bytes put out its link has not delivered; 0 if nobody knows."""
        return 0

    # --- what was decided -------------------------------------------------------------------------

    def reveal(self, pieces: PieceSet | None, of: PieceSet) -> None:
        """Reveal these pieces (None: all) of those we have now, with the next messages."""
        self.offered = pieces
        self.offered_of = of

    def decided(self, of: PieceSet) -> None:
        """Note that what it is shown was decided for the pieces we have now."""
        self.offered_of = of

    def suggest(self, pieces: PieceSet) -> bool:
        """Suggest these pieces; returns whether some of them are news to it."""
        self.to_suggest = new = pieces & ~self.suggested
        return new != 0

    def decide_choke(self, *, unchoke: bool, now: float) -> None:
        """Have it unchoked, or choked, from now on: it was the other."""
        self.should_unchoke = unchoke
        if unchoke:
            self._unchoked_at = now
            self._waiting_since = -1.0
            self.uploaded_since_unchoke = 0
        elif self.peer_interested:
            self._waiting_since = now

    # --- what became of it ------------------------------------------------------------------------

    def set_interest(self, interested: bool, now: float) -> None:  # noqa: FBT001  the fact itself
        """Note whether it wants something of us, from now on."""
        self.peer_interested = interested
        self._waiting_since = now if interested else -1.0

    def note_sent(self, nbytes: int, now: float) -> None:
        """Count bytes of blocks that were put out to it."""
        self.uploaded += nbytes
        self.uploaded_since_unchoke += nbytes
        if self.upload_rate is NOTHING_SENT:
            self.upload_rate = RateEstimate()
        self.upload_rate.add(nbytes, now)
