"""Which metadata piece to request from which peer, until the whole has the right hash (BEP 9)."""

import hashlib
import math
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct, field

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.identities import InfoHash
from trio_swarm.protocol.extensions.metadata import (
    MAX_METADATA_SIZE,
    MetadataData,
    metadata_piece_count,
    metadata_piece_length,
)

REQUEST_TIMEOUT = 10.0
"""Seconds a peer has for a piece of 16 KiB before another peer is asked."""

_REQUESTS_PER_PEER = 8
"""Most requests in flight to a peer: 128 KiB in a round trip, below the limit at which clients
begin to reject."""

_RETRY_FIRST, _RETRY_MOST = 2.0, 60.0
"""Seconds for which a peer that rejected or was late is not asked; doubled each time in a row. It
may not have the metadata yet, or protect itself against floods (BEP 9, "reject")."""

PROBE_FIRST, PROBE_MOST = 5.0, 60.0
"""Seconds until a peer that told no size of the metadata is asked for its first piece anyway,
doubled each time: it may have learnt the metadata since, and need not say so. libtorrent 2.1 asks
such peers, too."""

_MEMORY = 4 * MAX_METADATA_SIZE
"""Most bytes of unverified metadata in memory, over all claimed sizes."""


class MetadataAsk(NamedTuple):
    """A request to send: this metadata piece, from this peer."""

    peer: int
    piece: int


class _MetadataPeer(Struct):
    size: int
    waiting: dict[int, float] = field(default_factory=dict)
    """Pieces requested and not answered → when the answer is too late, seconds."""
    asked: set[int] = field(default_factory=set)
    """All pieces ever requested: an answer may still arrive late."""
    failures: int = 0
    resting_until: float = -math.inf


class _Probe(Struct):
    """A peer that has the extension (BEP 9) and told no size."""

    due_at: float
    pause: float = PROBE_FIRST
    is_asked: bool = False


class _Claim(Struct):
    """The metadata received so far if it has this size; peers that disagree are kept apart."""

    size: int
    peers: list[int] = field(default_factory=list)
    pieces: dict[int, bytes] = field(default_factory=dict)
    givers: dict[int, int] = field(default_factory=dict)
    """Piece → key of the peer that sent it."""
    only_one_source: bool = False
    """Pieces of several peers did not fit together. From now on all pieces come from one peer at a
    time, so that the next failure shows which peer sends wrong data."""
    source: int | None = None

    def forget(self) -> None:
        self.pieces.clear()
        self.givers.clear()
        self.source = None


class MetadataAssembler:
    """Fetches the metadata of one info-hash from several peers at once; `raw` is the result.

    `v2_hash`: all 32 bytes of the version 2 info-hash, where it is known.

    Pure: peers are keys, and time is the parameter `now` (seconds). After every event, and at
    `next_deadline()`, call `plan` and send the requests it returns.
    """

    def __init__(self, info_hash: InfoHash, *, v2_hash: bytes | None = None) -> None:
        self._info_hash = info_hash
        self._v2_hash = v2_hash
        self._peers: dict[int, _MetadataPeer] = {}
        self._claims: dict[int, _Claim] = {}
        self._liars: set[int] = set()
        self._probes: dict[int, _Probe] = {}
        self._planned = -math.inf
        self.raw: bytes | None = None
        """The bytes of the info dictionary, once they match the info-hash."""

    @property
    def progress(self) -> tuple[int, int]:
        """Return (bytes received, bytes in all) of the claim that is furthest; (0, 0) if none."""
        return max(
            ((sum(map(len, claim.pieces.values())), claim.size) for claim in self._claims.values()),
            default=(0, 0),
        )

    def add_peer(self, key: int, size: int | None) -> None:
        """Note the metadata's size as a peer tells it (bytes; None: it has no metadata).

        Call it for each of the peer's handshakes; a peer may learn the metadata later.
        """
        known = self._peers.get(key)
        if known is not None and known.size == size:
            return
        probe = self._probes.get(key)
        self.remove_peer(key)
        if size is None and probe is not None:
            self._probes[key] = probe
        if size is None or not 0 < size <= MAX_METADATA_SIZE or key in self._liars:
            return
        # Pieces that were requested meanwhile may still arrive.
        is_asked = probe is not None and probe.is_asked
        self._peers[key] = _MetadataPeer(size, asked={0} if is_asked else set())
        self._claims.setdefault(size, _Claim(size)).peers.append(key)

    def add_silent_peer(self, key: int, now: float) -> None:
        """Note a peer that may have the metadata but told no size: it is asked at intervals."""
        if key not in self._peers and key not in self._liars and key not in self._probes:
            self._probes[key] = _Probe(now + PROBE_FIRST)

    def remove_peer(self, key: int) -> None:
        """Forget a peer that left. The pieces it sent are kept, and so is its blame for them."""
        self._probes.pop(key, None)
        peer = self._peers.pop(key, None)
        if peer is None:
            return
        claim = self._claims[peer.size]
        claim.peers.remove(key)
        if claim.source == key:
            claim.forget()
        if not claim.peers:
            del self._claims[peer.size]

    def plan(self, now: float) -> list[MetadataAsk]:
        """Return the requests to send now; late pieces are requested from other peers."""
        if self.raw is not None:
            return []
        self._planned = now
        self._expire(now)
        asks = list(self._probe(now))
        memory = 0
        # The claims with the fewest failures first, then those of most peers, then the smallest; a
        # claim beyond the memory limit waits.
        for claim in sorted(self._claims.values(), key=self._merit):
            memory += claim.size
            if memory > _MEMORY:
                claim.forget()
            else:
                asks += self._plan_claim(claim, now)
        return asks

    def _probe(self, now: float) -> Iterator[MetadataAsk]:
        """Yield requests to peers that told no size, each after a pause."""
        for key, probe in self._probes.items():
            if probe.due_at <= now:
                probe.is_asked = True
                probe.due_at = now + probe.pause
                probe.pause = min(2.0 * probe.pause, PROBE_MOST)
                yield MetadataAsk(key, 0)

    def _learn_size(self, key: int, message: MetadataData) -> bool:
        """Take the size from the answer of a peer that told none; return whether it was new."""
        probe = self._probes[key]
        if not probe.is_asked or message.piece != 0:
            raise RemoteProtocolError(f"metadata piece {message.piece} that nobody asked for")
        self.add_peer(key, message.total_size)
        return key in self._peers

    def _merit(self, claim: _Claim) -> tuple[int, int, int]:
        """Return a sort key for claims: the lowest is tried first.

        A claim whose peers all were late or rejected comes later: otherwise many silent peers would
        keep the memory from a peer that would answer.
        """
        failures = min(self._peers[key].failures for key in claim.peers)
        return failures, -len(claim.peers), claim.size

    def received(self, key: int, message: MetadataData, now: float) -> list[int]:
        """Take a piece from a peer; return the peers that are proven to lie (mostly none).

        Read `raw` afterwards. Raises RemoteProtocolError for a piece that was never requested, or
        that contradicts the peer's earlier messages.
        """
        if self.raw is not None:
            return []
        if key in self._probes and not self._learn_size(key, message):
            return []
        peer = self._peers.get(key)
        if peer is None or message.piece not in peer.asked:
            raise RemoteProtocolError(f"metadata piece {message.piece} that nobody asked for")
        if message.total_size not in (None, peer.size):
            raise RemoteProtocolError(
                f"it said metadata of {peer.size} bytes, then of {message.total_size}"
            )
        expected = metadata_piece_length(peer.size, message.piece)
        if len(message.data) != expected:
            raise RemoteProtocolError(
                f"metadata piece {message.piece} of {len(message.data)} bytes, not {expected}"
            )
        in_time = peer.waiting.pop(message.piece, None) is not None
        if in_time:
            peer.failures = 0
            peer.resting_until = now
        claim = self._claims[peer.size]
        if message.piece in claim.pieces:
            return []
        if claim.only_one_source and claim.source != key:
            return []
        claim.pieces[message.piece] = message.data
        claim.givers[message.piece] = key
        return self._check(claim)

    def rejected(self, key: int, piece: int, now: float) -> None:
        """Note that a peer rejects a piece; it is not asked for a while.

        Raises RemoteProtocolError if the piece was never requested.
        """
        probe = self._probes.get(key)
        if self.raw is not None or (probe is not None and probe.is_asked):
            return
        peer = self._peers.get(key)
        if peer is None or piece not in peer.asked:
            raise RemoteProtocolError(f"it rejects metadata piece {piece}, never asked for")
        if peer.waiting.pop(piece, None) is not None:
            self._rest(key, peer, now)

    def next_deadline(self) -> float:
        """Return when `plan` has something to do if no event happens before; inf for never."""
        if self.raw is not None:
            return math.inf
        return min(self._deadlines(), default=math.inf)

    def _deadlines(self) -> Iterator[float]:
        for probe in self._probes.values():
            yield probe.due_at
        for peer in self._peers.values():
            yield from peer.waiting.values()
            if peer.resting_until > self._planned:
                yield peer.resting_until

    def _expire(self, now: float) -> None:
        for key, peer in self._peers.items():
            late = [piece for piece, deadline in peer.waiting.items() if deadline <= now]
            for piece in late:
                del peer.waiting[piece]
            if late:
                self._rest(key, peer, now)

    def _rest(self, key: int, peer: _MetadataPeer, now: float) -> None:
        if peer.resting_until <= now:  # one failure, however many requests it ends
            peer.failures += 1
            pause = min(_RETRY_FIRST * 2.0 ** min(peer.failures - 1, 10), _RETRY_MOST)
            peer.resting_until = now + pause
        claim = self._claims[peer.size]
        if claim.source == key:
            claim.forget()

    def _plan_claim(self, claim: _Claim, now: float) -> list[MetadataAsk]:
        ready = [key for key in claim.peers if self._peers[key].resting_until <= now]
        if claim.only_one_source:
            if claim.source is None and ready:
                claim.source = min(ready, key=lambda key: self._peers[key].failures)
            ready = [key for key in ready if key == claim.source]
        asks: list[MetadataAsk] = []
        in_flight = {piece for key in claim.peers for piece in self._peers[key].waiting}
        missing = [
            piece for piece in range(metadata_piece_count(claim.size)) if piece not in claim.pieces
        ]
        free = [piece for piece in missing if piece not in in_flight]
        free.reverse()
        # One request each in turn, so that several peers share the work from the start.
        asking = True
        while free and asking:
            asking = False
            for key in ready:
                if free and len(self._peers[key].waiting) < _REQUESTS_PER_PEER:
                    asks.append(self._ask(key, free.pop(), now))
                    asking = True
        if not free:
            asks += self._double(claim, ready, missing, now)
        return asks

    def _double(
        self, claim: _Claim, ready: list[int], missing: list[int], now: float
    ) -> Iterator[MetadataAsk]:
        """Yield requests to idle peers for pieces in flight, so that a stalled peer stops nothing.

        The longest outstanding first, and no piece from more than two peers.
        """
        deadlines = {
            piece: [
                self._peers[key].waiting[piece]
                for key in claim.peers
                if piece in self._peers[key].waiting
            ]
            for piece in missing
        }
        single = sorted(
            (piece for piece in missing if len(deadlines[piece]) == 1),
            key=lambda piece: deadlines[piece],
            reverse=True,
        )
        for key in ready:
            if single and not self._peers[key].waiting:
                yield self._ask(key, single.pop(), now)

    def _ask(self, key: int, piece: int, now: float) -> MetadataAsk:
        peer = self._peers[key]
        peer.waiting[piece] = now + REQUEST_TIMEOUT
        peer.asked.add(piece)
        return MetadataAsk(key, piece)

    def _is_right(self, raw: bytes) -> bool:
        """Whether the info-hash is the hash of these bytes.

        On the wire a version 2 info-hash is cut to 20 bytes (BEP 52, "infohash"), so it looks like
        one of version 1.
        """
        digest = hashlib.sha256(raw).digest()
        if self._v2_hash is not None and digest != self._v2_hash:
            return False
        return self._info_hash in (hashlib.sha1(raw).digest(), digest[:20])

    def _check(self, claim: _Claim) -> list[int]:
        count = metadata_piece_count(claim.size)
        if len(claim.pieces) < count:
            return []
        raw = b"".join(claim.pieces[piece] for piece in range(count))
        if self._is_right(raw):
            self.raw = raw
            self._claims.clear()
            self._peers.clear()
            self._probes.clear()
            return []
        givers = set(claim.givers.values())
        claim.forget()
        if len(givers) > 1:
            claim.only_one_source = True
            return []
        self._liars |= givers
        for key in givers:
            self.remove_peer(key)
        return sorted(givers)
