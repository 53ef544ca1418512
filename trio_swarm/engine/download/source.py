"""One connected peer as a source of blocks: what was asked of it, and how much it may be asked.

How much is a window of blocks in flight, steered by the *response time* (from the grant of a block
to its arrival, the wait in the peer's queue included): it doubles while responses come sooner than
the horizon, and falls to rate times horizon when they come later. So a fast link fills, and a slow
one never sits on blocks that others would have delivered sooner.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.lengths import BLOCK_LENGTH, BLOCK_SHIFT, BlockRun, BlockSet
from trio_swarm.engine.rates import RateEstimate
from trio_swarm.piece_sets import PieceSet

HORIZON: Final = 0.75
"""Seconds of work a peer is given ahead: short enough that the tail of a download does not wait for
slow peers (half a second costs 2 %, three seconds 14 %), long enough for links that stutter."""

HORIZON_RTTS: Final = 1.5
"""Round trips of work a peer is given ahead at least, or the link would run dry."""

MAX_HORIZON: Final = 3.0
"""Seconds; a longer round trip is not a network's but a busy or slow peer's."""

FIRST_WINDOW: Final = 16
"""Blocks (256 KiB) asked of a peer of which nothing is known."""

MIN_WINDOW: Final = 2
"""Blocks asked of the slowest peer, so that it need not wait for our next request."""

DEFAULT_QUEUE_LIMIT: Final = 250
"""Blocks a peer is assumed to queue until it says (BEP 10, "reqq"): the lowest usual limit."""

MAX_QUEUE_LIMIT: Final = 65536
"""Blocks (1 GiB) in flight at most, whatever a peer says it can queue."""

FIRST_PATIENCE: Final = 5.0
"""Seconds a peer that has never delivered may take for its first block."""

PATIENCE: Final = 4.0
"""Seconds beyond three times the expected after which a block is late."""

MAX_PATIENCE: Final = 60.0
"""Seconds after which a block is late, however slow the peer is known to be."""

LONGEST_WAIT: Final = 30.0
"""Seconds after which a block is late even if other blocks come from its peer."""

ALIVE: Final = 2.0
"""Seconds since its last block for which a peer counts as delivering."""

DEBT: Final = 20.0
"""Seconds a peer that owes late blocks is asked for nothing; then they are cancelled."""

MAX_PAUSE: Final = 15.0
"""Seconds a peer that was late or rejects our requests is left alone, at most."""

HAND_OUT: Final = 64
"""Blocks (1 MiB) from which on a hand-out is as large as one decision need be."""

_EARLY: Final = 0.7
_LATE: Final = 1.3
"""Response times as parts of the horizon between which the window is left alone."""

_UNKNOWN_RESPONSE: Final = 0.5
"""Seconds guessed for the response of a peer that has never delivered."""

_MAX_EXCUSED: Final = 4096
"""Pieces of which blocks are remembered that were asked once and are not expected any more."""


@mypyc_attr(acyclic=True)
class Ask:
    """Blocks of one piece asked of one peer at one time; `blocks` shrinks as they arrive."""

    __slots__ = ("at", "blocks", "deadline", "idle", "piece")

    def __init__(
        self, piece: int, blocks: BlockSet, *, at: float, deadline: float, idle: bool
    ) -> None:
        self.piece = piece
        self.blocks = blocks
        self.at = at
        self.deadline = deadline
        self.idle = idle
        """Nothing else was in flight: its response time is a round trip."""


NO_ASKS: Final[list[Ask]] = []
"""What nearly all peers have: one list for all of them, which is never written to."""

_NO_BLOCKS: Final[dict[int, BlockSet]] = {}
"""What nearly all peers owe: one dict for all of them, which is never written to."""

NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})
"""What most peers have."""


@mypyc_attr(acyclic=True)
class Source:
    """A peer. Only the ledger changes it."""

    __slots__ = (
        "asks",
        "banned",
        "choked",
        "duplicate",
        "excused",
        "fast_pieces",
        "hand_out",
        "horizon",
        "identity",
        "idle_seconds",
        "idle_since",
        "in_flight",
        "joined",
        "key",
        "labels",
        "last_delivery",
        "late",
        "late_since",
        "late_until",
        "limit",
        "low_water",
        "measured_at",
        "order",
        "paused",
        "paused_until",
        "pauses",
        "pieces",
        "queue_limit",
        "rate",
        "received",
        "response",
        "rtt",
        "serves",
        "share",
        "share_low_water",
        "snubbed",
        "speed",
        "suggested",
        "window",
    )

    def __init__(  # noqa: PLR0915  one fact a line and no logic
        self,
        key: int,
        *,
        identity: str,
        order: int,
        now: float,
        labels: Mapping[str, str] = NO_LABELS,
    ) -> None:
        # Fields are in memory in this order: first what every HAVE and every plan looks at.
        self.pieces: PieceSet = 0
        self.fast_pieces: PieceSet = 0
        """May be asked even while it chokes us (BEP 6, "Allowed Fast")."""
        self.suggested: PieceSet = 0
        """It would like us to fetch these (BEP 6, "Suggest Piece")."""
        self.choked = True
        """It chokes us."""
        self.banned = False
        self.snubbed = False
        """It owed us blocks beyond their deadline and has delivered none since."""
        self.serves = False
        """It would serve us now, as far as is known: neither choked, snubbed, banned nor paused."""
        self.paused = False
        """It is left alone until `paused_until`."""
        self.in_flight = 0
        """Blocks, the sum over `asks`."""
        self.low_water = 0
        """With this many blocks in flight or fewer it is given more; see `resize`."""
        self.limit = 0
        """Blocks that may be in flight, but 1 while it is snubbed; see `resize`."""
        self.key = key
        self.order = order
        """Number in the order of joining."""
        self.identity = identity
        self.labels = labels
        """Facts for strategies, from the configuration."""
        self.asks = NO_ASKS
        """Oldest first."""
        self.late = _NO_BLOCKS
        """Blocks that went back to the pool and may still come: piece → blocks."""
        self.late_since = 0.0
        """When the first of them was asked."""
        self.late_until = 0.0
        """When they are written off."""
        self.excused = _NO_BLOCKS
        """Blocks it was asked and released from: their arrival is no fault."""
        self.joined = _NO_BLOCKS
        """Blocks that were asked in one request with the block before, piece → blocks: so it is
        known which requests are out. There are some only where requests are longer than a block."""
        self.paused_until = 0.0
        self.pauses = 0
        self.rate = RateEstimate()
        """Over the time that something was in flight: an idle peer has not become slow."""
        self.idle_since = now
        """inf while something is expected of it."""
        self.idle_seconds = 0.0
        """In all, before `idle_since`."""
        self.speed = 0.0
        """`rate` when it was last measured, bytes/s."""
        self.measured_at = now
        self.rtt = 0.0
        self.response = 0.0
        """Of the latest block, seconds; 0.0 before the first."""
        self.last_delivery = -math.inf
        self.received = 0
        """Bytes of blocks it sent that we took."""
        self.duplicate = 0
        """Bytes of blocks it sent that we had already."""
        self.queue_limit = DEFAULT_QUEUE_LIMIT
        self.window = 0
        """Blocks in flight that suit its link."""
        self.horizon = HORIZON
        """Seconds of work it is given ahead, if round trips are not long."""
        self.share = MAX_QUEUE_LIMIT
        """Blocks of the buffers it may take; see `set_share`."""
        self.share_low_water = 0
        self.hand_out = 1
        """Blocks to give to it at a time while buffers are short."""
        self.resize(FIRST_WINDOW)

    @property
    def room(self) -> int:
        """How many more blocks it may be asked now; choking is looked at by the piece."""
        if self.banned or self.late or self.paused:
            return 0
        return self.limit - self.in_flight

    def resize(self, window: int) -> None:
        """Set the blocks that may be in flight, within limits.

        Room is handed out when at least a quarter of the window is free, so that a fast peer is
        given few big chunks instead of many single blocks.
        """
        window = max(1, min(window, self.queue_limit))
        self.window = window
        if self.snubbed:
            self.limit = 1
            self.low_water = 0
        elif window <= self.share:
            self.limit = window
            self.low_water = window - (window >> 2 or 1)
        else:
            self.limit = self.share
            self.low_water = self.share_low_water

    def set_share(self, share: int, hand_out: int, *, is_far: bool) -> None:
        """Let it take at most `share` blocks of the buffers, which are short, `hand_out` a time.

        While the end is far it waits until it can take so much, but keeps what arrives while the
        next blocks are asked for. Near the end small hand-outs let all peers finish together.
        """
        self.share = share
        self.hand_out = hand_out
        if is_far:
            low = share - hand_out
            if share < 4 * HAND_OUT:
                low >>= 1  # lower than it need be, so that one plan is for several peers
            self.share_low_water = min(max(low, 2 * self.blocks_a_round_trip()), share - hand_out)
        else:
            self.share_low_water = share - (share >> 3 or 1)
        self.resize(self.window)

    def set_horizon(self, horizon: float) -> None:
        """Give it so many seconds of work ahead from now on."""
        if horizon < self.horizon and self.speed > 0.0:
            soon = self.speed * max(horizon, HORIZON_RTTS * self.rtt)
            self.resize(min(self.window, max(MIN_WINDOW, int(soon) // BLOCK_LENGTH)))
        self.horizon = horizon

    def blocks_a_round_trip(self) -> int:
        """Return how many blocks arrive between a request and its first byte."""
        return int(min(self.rtt, MAX_HORIZON) * self.speed) // BLOCK_LENGTH

    def askable(self) -> PieceSet:
        """Return the pieces it has and would give us now."""
        return self.pieces & self.fast_pieces if self.choked else self.pieces

    def delivered(self, ask: Ask, count: int, nbytes: int, now: float) -> None:
        """Note that `count` blocks of `ask` arrived; steers the window."""
        self.rate.add(nbytes, now - self.idle_seconds)
        self.last_delivery = now
        self.received += nbytes
        self.response = response = now - ask.at
        if ask.idle:
            ask.idle = False
            rtt = self.rtt
            self.rtt = rtt + (response - rtt) / 4 if 0.0 < rtt < response else response
        if self.pauses:
            self.trust_again()
        horizon = self.horizon
        if self.rtt * HORIZON_RTTS > horizon:
            horizon = min(MAX_HORIZON, self.rtt * HORIZON_RTTS)
        window = self.window
        if response < _EARLY * horizon:
            # A window that is not used says nothing about the link, so it does not grow.
            if window < self.queue_limit and (self.in_flight + count) * 2 >= window:
                self.resize(window + count)
        elif response > _LATE * horizon and window > MIN_WINDOW and now != self.measured_at:
            target = max(MIN_WINDOW, int(self.measure(now) * horizon) // BLOCK_LENGTH)
            if target < window:
                self.resize(target)

    def delivered_late(self, nbytes: int, now: float) -> None:
        """Note that blocks arrived which were given up already."""
        self.rate.add(nbytes, now - self.idle_seconds)
        self.last_delivery = now
        self.received += nbytes
        self.response = now - self.late_since
        self.late_until = now + max(DEBT, 2.0 * self.response)
        self.trust_again()

    def snub(self, now: float) -> None:
        """Ask one block of it at a time, after a while, until it delivers: it keeps us waiting."""
        self.snubbed = True
        self.pause(now)
        self.review()
        self.resize(min(self.window, FIRST_WINDOW))

    def measure(self, now: float) -> float:
        """Return its rate, bytes/s, and keep it as `speed`."""
        until = now if self.idle_since == math.inf else self.idle_since
        self.measured_at = now
        self.speed = speed = self.rate.rate(until - self.idle_seconds)
        return speed

    def ask(self, piece: int, blocks: BlockSet, now: float) -> float:
        """Note that `blocks` are asked of it; return when they will be late."""
        idle = not self.in_flight
        if self.idle_since < math.inf:
            self.idle_seconds += now - self.idle_since
            self.idle_since = math.inf
        self.in_flight = in_flight = self.in_flight + blocks.bit_count()
        if self.last_delivery == -math.inf:
            deadline = now + FIRST_PATIENCE
        else:
            expected = self.response
            if self.speed > 0.0:
                expected = max(expected, in_flight * BLOCK_LENGTH / self.speed)
            deadline = now + min(MAX_PATIENCE, PATIENCE + 3.0 * expected)
        ask = Ask(piece, blocks, at=now, deadline=deadline, idle=idle)
        if self.asks:
            self.asks.append(ask)
        else:
            self.asks = [ask]
        return deadline

    def take_first_ask(self) -> Ask:
        """Return the oldest ask, and forget it."""
        asks = self.asks
        first = asks[0]
        if len(asks) == 1:
            self.asks = NO_ASKS
        else:
            del asks[0]
        return first

    def stop_clock(self, now: float) -> None:
        """Stop its clock if nothing is expected of it."""
        if not self.in_flight and not self.late and self.idle_since == math.inf:
            self.idle_since = now

    def trust_again(self) -> None:
        """Treat it as a new peer: it delivers again."""
        self.snubbed = False
        self.pauses = 0
        self.paused = False
        self.review()
        self.resize(self.window)

    def pause(self, now: float) -> None:
        """Ask nothing of it for a while, longer each time until it delivers."""
        if not self.paused:
            self.paused = True
            self.paused_until = now + min(MAX_PAUSE, 0.25 * 2**self.pauses)
            self.pauses = min(self.pauses + 1, 8)
            self.review()

    def review(self) -> None:
        """Work out `serves` after a change of what it depends on."""
        self.serves = not (self.choked or self.snubbed or self.banned or self.paused)

    def delivers(self, now: float) -> bool:
        """Whether blocks have come from it lately."""
        return now - self.last_delivery < ALIVE

    def seconds_for(self, blocks: int) -> float:
        """Return the estimated seconds until the last of `blocks` more blocks would arrive."""
        if self.speed <= 0.0:
            return max(_UNKNOWN_RESPONSE, self.rtt)
        return min(self.rtt, MAX_HORIZON) + (self.in_flight + blocks) * BLOCK_LENGTH / self.speed

    def seconds_left(self, ask: Ask, ahead: int, now: float) -> float:
        """Return the estimated seconds until all of `ask` is here, `ahead` blocks included.

        One that is overdue is expected to take as long again as it took so far.
        """
        age = now - ask.at
        if self.speed <= 0.0:
            return _UNKNOWN_RESPONSE + age
        left = ahead * BLOCK_LENGTH / self.speed
        return max(left, age) if age > 1.0 + 2.0 * self.response else left

    def excuse(self, piece: int, blocks: BlockSet) -> None:
        """Remember that `blocks` may arrive although nobody waits for them."""
        excused = self.excused
        if excused is _NO_BLOCKS:
            self.excused = excused = {}
        excused[piece] = excused.get(piece, 0) | blocks
        if len(excused) > _MAX_EXCUSED:
            del excused[next(iter(excused))]

    def mark_overdue(self, piece: int, blocks: BlockSet) -> None:
        """Note that `blocks` went back to the pool, and may still come."""
        late = self.late
        if late is _NO_BLOCKS:
            self.late = late = {}
        late[piece] = late.get(piece, 0) | blocks

    def write_off(self) -> dict[int, BlockSet]:
        """Return what may still come (piece → blocks), and forget it."""
        late, self.late = self.late, _NO_BLOCKS
        return late

    def take_excused(self, piece: int, blocks: BlockSet) -> BlockSet:
        """Return which of `blocks` were excused, and forget them."""
        taken = _take_blocks(self.excused, piece, blocks)
        if not self.excused:
            self.excused = _NO_BLOCKS
        return taken

    def take_late(self, piece: int, blocks: BlockSet) -> BlockSet:
        """Return which of `blocks` it owes beyond their deadline, and forget them."""
        taken = _take_blocks(self.late, piece, blocks)
        if not self.late:
            self.late = _NO_BLOCKS
        return taken

    def take_asked(self, piece: int, blocks: BlockSet) -> BlockSet:
        """Return which of `blocks` are in flight from it, and take them out of flight."""
        found = 0
        emptied = False
        for ask in self.asks:
            if ask.piece == piece:
                hit = ask.blocks & blocks
                if hit:
                    ask.blocks ^= hit
                    found |= hit
                    emptied |= not ask.blocks
                    if hit == blocks:
                        break
                    blocks ^= hit
        if emptied:
            self.asks = [ask for ask in self.asks if ask.blocks] or NO_ASKS
        self.in_flight -= found.bit_count()
        return found

    def join_requests(self, piece: int, begin: int, length: int, each: int) -> None:
        """Note that bytes `begin` … were asked in requests of `each` bytes, the last shorter."""
        joined = self.joined
        if joined is _NO_BLOCKS:
            self.joined = joined = {}
        first = begin >> BLOCK_SHIFT
        count = (length + BLOCK_LENGTH - 1) >> BLOCK_SHIFT
        together = (1 << count) - 1
        joins = together
        for at in range(0, count, each >> BLOCK_SHIFT):
            joins ^= 1 << at
        joined[piece] = joined.get(piece, 0) & ~(together << first) | joins << first

    def forget_requests(self, piece: int, blocks: BlockSet) -> None:
        """Note that requests were answered, or are no longer to be."""
        if _take_blocks(self.joined, piece, blocks) and not self.joined:
            self.joined = _NO_BLOCKS

    def forget_all_requests(self) -> None:
        """Note that no request is to be answered."""
        self.joined = _NO_BLOCKS

    def requests_within(self, run: BlockRun) -> list[tuple[int, int]]:
        """Return the begin and length of each request for nothing but blocks of `run`."""
        begin, end = run.begin, run.begin + run.length
        joins = self.joined.get(run.piece, 0) >> (begin >> BLOCK_SHIFT)
        found = []
        while begin < end:
            blocks = 1
            while joins >> blocks & 1:
                blocks += 1
            after = begin + (blocks << BLOCK_SHIFT)
            size = min(after, end) - begin
            # Not those that begin before it, or go on after it.
            if not joins & 1 and (after <= end or after - end < BLOCK_LENGTH):
                found.append((begin, size))
            joins >>= blocks
            begin = after
        return found

    def all_asked(self, piece: int) -> BlockSet:
        """Return which blocks of a piece it may still send, needed or not."""
        blocks = self.late.get(piece, 0) | self.excused.get(piece, 0)
        for ask in self.asks:
            if ask.piece == piece:
                blocks |= ask.blocks
        return blocks

    def find_ask(self, piece: int, blocks: BlockSet) -> Ask | None:
        """Return the oldest ask that holds some of `blocks`."""
        for ask in self.asks:
            if ask.piece == piece and ask.blocks & blocks:
                return ask
        return None


def _take_blocks(held: dict[int, BlockSet], piece: int, blocks: BlockSet) -> BlockSet:
    """Return which of `blocks` are in `held` (piece → blocks), and take them out of it."""
    present = held.get(piece, 0)
    found = present & blocks
    if found:
        if found == present:
            del held[piece]
        else:
            held[piece] = present ^ found
    return found
