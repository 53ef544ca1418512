"""The state of a download at each moment of a recording, by applying its events in order."""

from collections.abc import Mapping

from trio_swarm.engine.download.availability import Availability
from trio_swarm.engine.lengths import BlockRun, BlockSet, Lengths
from trio_swarm.piece_sets import PieceSet
from trio_swarm.recording import records
from trio_swarm.recording.records import Record, unpack


class PeerHistory:
    """The state of one connection; only `History` changes it. Times are microseconds."""

    __slots__ = (
        "address",
        "allowed",
        "banned",
        "choked",
        "client",
        "duplicate",
        "fetched",
        "in_flight",
        "joined_at",
        "key",
        "labels",
        "left_at",
        "pieces",
        "queue_limit",
        "received",
        "sent",
        "snubbed",
        "suggested",
    )

    def __init__(self, key: int, address: str, labels: Mapping[str, str], at: int) -> None:
        self.key = key
        self.address = address
        self.labels = labels
        self.client = ""
        self.joined_at = at
        self.left_at: int | None = None
        self.pieces: PieceSet = 0
        self.allowed: PieceSet = 0
        """Pieces that may be requested even while it chokes us."""
        self.suggested: PieceSet = 0
        self.choked = True
        self.snubbed = False
        self.banned = False
        self.queue_limit: int | None = None
        self.in_flight: dict[int, BlockSet] = {}
        """Blocks in flight from it, by piece."""
        self.received = 0
        """Bytes that arrived and were needed."""
        self.duplicate = 0
        """Bytes that arrived and were not needed."""
        self.fetched: PieceSet = 0
        """Pieces of which it sent a block."""
        self.sent = 0
        """Bytes sent to it."""

    @property
    def blocks_in_flight(self) -> int:
        """Number of blocks in flight from it."""
        return sum(map(int.bit_count, self.in_flight.values()))

    @property
    def serves(self) -> bool:
        """Whether it would answer a request, as far as is known."""
        return not (self.choked or self.snubbed or self.banned or self.left_at is not None)

    def askable(self, piece: int) -> bool:
        """Whether it has a piece and may be asked for it."""
        pieces = self.pieces & self.allowed if self.choked else self.pieces
        return bool(pieces >> piece & 1)


class History:
    """The download and its peers after the latest applied event."""

    def __init__(self, lengths: Lengths) -> None:
        self.lengths = lengths
        self.at = 0
        """Time of the latest event, microseconds."""
        self.have: PieceSet = 0
        self.wanted: PieceSet = 0
        """Pieces with free blocks at the latest decision."""
        self.open_pieces = 0
        self.begun: PieceSet = 0
        """Pieces of which a block was requested since they last failed."""
        self.failed: dict[int, int] = {}
        """Piece → how many times it failed its hash; without pieces verified since."""
        self.peers: dict[int, PeerHistory] = {}
        """Connected peers, in the order they joined."""
        self.known: dict[int, PeerHistory] = {}
        """All peers that were ever connected."""
        self._availability = Availability(lengths.piece_count)

    def holders(self, piece: int) -> int:
        """Return how many connected peers have a piece."""
        rarity = self._availability.rarity
        return next(count for count, held in enumerate(rarity) if held >> piece & 1)

    def rarer(self, piece: int) -> tuple[int, int, int]:
        """Compare a piece with the other wanted pieces.

        Returns how many of them no peer has, how many fewer peers have, and how many as many have.
        """
        count = self.holders(piece)
        rarity = self._availability.rarity
        others = self.wanted & ~(1 << piece)
        nobody = (rarity[0] & others).bit_count()
        fewer = sum((held & others).bit_count() for held in rarity[1:count])
        return nobody, fewer, (rarity[count] & others).bit_count() if count else 0

    def apply(self, event: Record) -> None:
        """Update the state by the next event."""
        self.at = event.at
        match event:
            case records.Arrived():
                self._arrived(event)
            case records.Gained():
                self._gained(event.peer, event.piece)
            case records.Granted():
                for peer, run in event.grants:
                    self._ask(self.known[peer], run)
                    self.begun |= 1 << run.piece
            case records.Decided():
                self.wanted ^= unpack(event.wanted, self.lengths.piece_count)
            case records.Verified():
                self.have |= 1 << event.piece
                self.failed.pop(event.piece, None)
            case records.Sent():
                self.known[event.peer].sent += event.length
            case records.Cancelled():
                for grant in event.grants:
                    self._unask(*grant)
            case records.Rejected() | records.Withdrawn():
                self._unask(event.peer, BlockRun(event.piece, event.begin, event.length))
            case _:
                self._apply_rare(event)

    def _apply_rare(self, event: Record) -> None:
        count = self.lengths.piece_count
        match event:
            case records.Began():
                self.have = unpack(event.have, count)
                self.open_pieces = event.open_pieces
            case records.Joined():
                peer = PeerHistory(event.peer, event.address, event.labels, event.at)
                self.peers[event.peer] = self.known[event.peer] = peer
                self._availability.add_peer()
            case records.Named() if event.client:
                self.known[event.peer].client = event.client
            case records.Left():
                self._left(event)
            case records.Held():
                self._held(event.peer, unpack(event.pieces, count))
            case records.Failed():
                self.failed[event.piece] = self.failed.get(event.piece, 0) + 1
                self.begun &= ~(1 << event.piece)
            case records.Banned():
                for peer in self.known.values():
                    if peer.address in event.addresses:
                        peer.banned = True
                        peer.in_flight.clear()
            case _:
                self._apply_word(event)

    def _apply_word(self, event: Record) -> None:
        """Update the state of a peer by an event about a message of that peer."""
        match event:
            case records.Choked():
                peer = self.known[event.peer]
                peer.choked = True
                if not event.fast:
                    peer.in_flight.clear()
            case records.Unchoked():
                self.known[event.peer].choked = False
            case records.Allowed():
                self.known[event.peer].allowed |= 1 << event.piece
            case records.Suggested():
                self.known[event.peer].suggested |= 1 << event.piece
            case records.Limited():
                self.known[event.peer].queue_limit = event.blocks
            case records.Snubbed():
                peer = self.known[event.peer]
                peer.snubbed = True
                peer.in_flight.clear()
            case _:
                pass  # the end, or bytes that were never requested

    def _arrived(self, event: records.Arrived) -> None:
        peer = self.known[event.peer]
        self._unask(event.peer, BlockRun(event.piece, event.begin, event.length))
        again = min(event.again, event.length)
        peer.received += event.length - again
        peer.duplicate += again
        peer.snubbed = False
        peer.fetched |= 1 << event.piece

    def _ask(self, peer: PeerHistory, run: BlockRun) -> None:
        if peer.left_at is None:
            blocks = self.lengths.blocks_between(*run)
            peer.in_flight[run.piece] = peer.in_flight.get(run.piece, 0) | blocks

    def _unask(self, key: int, run: BlockRun) -> None:
        peer = self.known[key]
        held = peer.in_flight.get(run.piece, 0)
        rest = held & ~self.lengths.blocks_between(*run)
        if rest:
            peer.in_flight[run.piece] = rest
        elif held:
            del peer.in_flight[run.piece]

    def _gained(self, key: int, piece: int) -> None:
        peer = self.peers.get(key)
        if peer is not None and not peer.pieces >> piece & 1:
            peer.pieces |= 1 << piece
            self._availability.add(1 << piece)

    def _held(self, key: int, pieces: PieceSet) -> None:
        peer = self.peers.get(key)
        if peer is not None:
            self._availability.remove(peer.pieces & ~pieces)
            self._availability.add(pieces & ~peer.pieces)
            peer.pieces = pieces

    def _left(self, event: records.Left) -> None:
        peer = self.peers.pop(event.peer, None)
        if peer is not None:
            peer.left_at = event.at
            peer.in_flight.clear()
            self._availability.remove_peer(peer.pieces)
