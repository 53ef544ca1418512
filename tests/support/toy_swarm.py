"""One download from several sources on a virtual clock: what the scenarios of strategies run on.

Discrete events, no threads, no sleep. The strategy is the real one and sees real `SwarmView`s; the
host around it is the least that works: queues of `horizon` seconds, blocks given out once, blocks
of a source that leaves given back, and (if asked for) an endgame of at most two requesters.
"""

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field

from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.schedulers.api import Assignment, PeerView, Scheduler, SwarmView

BLOCK = 16384


@dataclass
class Source:
    rate: float
    """Bytes/s."""
    pieces: PieceSet | None = None
    """None: all."""
    rtt: float = 0.02
    leaves_at: float = math.inf


@dataclass
class Outcome:
    finished_at: float | None
    """Seconds; None if the download got stuck for want of pieces."""
    received: list[int]
    """Bytes by source, duplicates included."""
    last_block_at: list[float]
    """When the last block of each source came, seconds."""
    duplicate: int
    have: PieceSet
    broken_rules: list[str]
    """What the strategy did that the contract forbids; a test expects none."""


@dataclass
class _Peer:
    key: int
    source: Source
    pieces: PieceSet
    queue: deque[tuple[int, int, float]] = field(default_factory=deque)
    sending: tuple[int, int] | None = None
    owed: set[tuple[int, int]] = field(default_factory=set)
    received: int = 0
    first_request: float = 0.0
    last_block: float = 0.0
    gone: bool = False

    def rate(self, now: float) -> float:
        """Return what a downloader can know: bytes over the time since the first could come."""
        if self.received < 2 * BLOCK:
            return 0.0
        return self.received / max(1e-9, self.last_block - self.first_request - self.source.rtt)


class ToySwarm:
    def __init__(
        self,
        strategy: Scheduler,
        sources: list[Source],
        *,
        piece_count: int,
        blocks_per_piece: int = 16,
        horizon: float = 1.0,
        least_queue: int = 8,
        endgame: bool = False,
        begun_limit: int = 64,
        jitter: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.strategy = strategy
        self.rng = random.Random(seed)
        self.jitter = jitter
        """Each block takes up to this fraction more or less than the source's rate says."""
        self.noise = random.Random(seed + 1)
        self.piece_count = piece_count
        self.per_piece = blocks_per_piece
        self.horizon = horizon
        self.least_queue = least_queue
        self.endgame = endgame
        self.begun_limit = begun_limit
        self.now = 0.0
        everything = full_set(piece_count)
        self.peers = [
            _Peer(key, source, everything if source.pieces is None else source.pieces)
            for key, source in enumerate(sources)
        ]
        self.free = {piece: set(range(blocks_per_piece)) for piece in range(piece_count)}
        self.left = dict.fromkeys(range(piece_count), blocks_per_piece)
        self.got: set[tuple[int, int]] = set()
        self.have: PieceSet = 0
        self.duplicate = 0
        self.events: list[tuple[float, int, str, _Peer]] = []
        self.serial = 0
        self.broken_rules: list[str] = []
        self.rarity: list[PieceSet] = []
        self._count_holders()

    def run(self) -> Outcome:
        for peer in self.peers:
            if peer.source.leaves_at < math.inf:
                self._at(peer.source.leaves_at, "leaves", peer)
        self._plan()
        total = self.piece_count * self.per_piece
        while len(self.got) < total and self.events:
            self.now, _, what, peer = heapq.heappop(self.events)
            if what == "leaves":
                self._leave(peer)
            elif not peer.gone:
                self._arrive(peer)
            # Wake-ups at one moment coalesce, as in the real host.
            if not self.events or self.events[0][0] > self.now:
                self._plan()
        done = len(self.got) == total
        return Outcome(
            finished_at=self.now if done else None,
            received=[peer.received for peer in self.peers],
            last_block_at=[peer.last_block for peer in self.peers],
            duplicate=self.duplicate,
            have=self.have,
            broken_rules=self.broken_rules,
        )

    def view(self) -> SwarmView:
        here = [peer for peer in self.peers if not peer.gone]
        begun = wanted = 0
        free_blocks = {}
        begun_count = 0
        for piece, left in self.left.items():
            free = len(self.free[piece])
            if free < self.per_piece and left:
                begun_count += 1
            if free:
                wanted |= 1 << piece
                if free < self.per_piece:
                    begun |= 1 << piece
                    free_blocks[piece] = free
        if begun_count >= self.begun_limit:
            wanted &= begun
        views = [self._peer_view(peer) for peer in here]
        return SwarmView(
            wanted=wanted,
            started=begun,
            free_blocks=free_blocks,
            rarity=self.rarity,
            peers=[view for view in views if view.room],
            busy=[view for view in views if not view.room],
            piece_length=self.per_piece * BLOCK,
            block_length=BLOCK,
            piece_count=self.piece_count,
            remaining=(self.piece_count * self.per_piece - len(self.got)) * BLOCK,
            now=self.now,
        )

    def _count_holders(self) -> None:
        here = [peer for peer in self.peers if not peer.gone]
        self.rarity = [0] * (len(here) + 1)
        for piece in range(self.piece_count):
            self.rarity[sum(peer.pieces >> piece & 1 for peer in here)] |= 1 << piece

    def _peer_view(self, peer: _Peer) -> PeerView:
        rate = peer.rate(self.now)
        limit = max(self.least_queue, math.ceil(self.horizon * rate / BLOCK))
        return PeerView(
            key=peer.key,
            pieces=peer.pieces,
            room=max(0, limit - len(peer.owed)),
            in_flight=len(peer.owed),
            rate=rate,
            rtt=peer.source.rtt,
            is_seeder=peer.pieces == full_set(self.piece_count),
        )

    def _plan(self) -> None:
        view = self.view()
        room = {peer.key: peer.room for peer in view.peers}
        if room and view.wanted:
            for assignment in self.strategy.assign(view, self.rng):
                self._grant(assignment, view.wanted, room)
        if self.endgame and not any(self.free.values()):
            self._help_the_slow()

    def _grant(self, assignment: Assignment, wanted: PieceSet, room: dict[int, int]) -> None:
        key, piece, blocks = assignment
        peer = self.peers[key]
        if key not in room or not wanted >> piece & 1 or not peer.pieces >> piece & 1:
            self.broken_rules.append(f"{assignment} at {self.now}")
            return
        count = min(room[key], len(self.free[piece]))
        if blocks is not None:
            if not 0 < blocks <= count:
                self.broken_rules.append(f"{assignment} of {count} at {self.now}")
            count = min(count, blocks)
        elif count == 0:
            self.broken_rules.append(f"{assignment} of nothing at {self.now}")
        room[key] -= count
        for block in sorted(self.free[piece])[:count]:
            self.free[piece].remove(block)
            self._request(peer, (piece, block))

    def _request(self, peer: _Peer, block: tuple[int, int]) -> None:
        if not peer.owed and not peer.received:
            peer.first_request = self.now
        peer.owed.add(block)
        peer.queue.append((*block, self.now + peer.source.rtt))
        self._send_next(peer)

    def _send_next(self, peer: _Peer) -> None:
        if peer.sending is None and peer.queue:
            piece, block, earliest = peer.queue.popleft()
            peer.sending = (piece, block)
            seconds = BLOCK / peer.source.rate * (1 + self.jitter * self.noise.uniform(-1, 1))
            self._at(max(self.now, earliest) + seconds, "arrives", peer)

    def _arrive(self, peer: _Peer) -> None:
        block = peer.sending
        assert block is not None
        peer.sending = None
        peer.owed.discard(block)
        peer.received += BLOCK
        peer.last_block = self.now
        if block in self.got:
            self.duplicate += BLOCK
        else:
            self.got.add(block)
            piece = block[0]
            self.left[piece] -= 1
            if not self.left[piece]:
                self.have |= 1 << piece
            for other in self.peers:
                if block in other.owed and other.sending != block:
                    other.owed.discard(block)
                    other.queue = deque(each for each in other.queue if each[:2] != block)
        self._send_next(peer)

    def _leave(self, peer: _Peer) -> None:
        peer.gone = True
        self._count_holders()
        elsewhere = [other.owed for other in self.peers if not other.gone]
        for piece, block in peer.owed - self.got:
            if not any((piece, block) in owed for owed in elsewhere):
                self.free[piece].add(block)
        peer.owed.clear()

    def _help_the_slow(self) -> None:
        """Let peers with nothing to do ask for what a much slower one owes: at most two ask."""
        here = [peer for peer in self.peers if not peer.gone]
        for helper in here:
            if helper.owed or not helper.rate(self.now):
                continue
            for slow in sorted(here, key=lambda each: -len(each.owed) / max(1, each.rate(0))):
                waiting = [each[:2] for each in reversed(slow.queue)]
                for block in waiting:
                    requesters = sum(block in each.owed for each in here)
                    mine = helper.source.rtt + (len(helper.owed) + 1) * BLOCK / helper.rate(0)
                    theirs = len(slow.owed) * BLOCK / max(1.0, slow.rate(0))
                    if (
                        requesters == 1
                        and helper.pieces >> block[0] & 1
                        and len(helper.owed) < self.least_queue
                        and mine < 0.7 * theirs
                    ):
                        self._request(helper, block)

    def _at(self, when: float, what: str, peer: _Peer) -> None:
        self.serial += 1
        heapq.heappush(self.events, (when, self.serial, what, peer))
