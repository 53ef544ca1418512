"""One connected peer as a source of blocks: what was requested from it, and how much may be.

The limit is a window of blocks in flight, controlled by the *response time*: the time from the
grant of a block to its arrival, including the wait in the peer's queue. The window doubles while
responses arrive sooner than the horizon, and falls to rate times horizon when they arrive later. So
the link of a fast peer fills, and a slow peer never holds blocks that other peers would have
delivered sooner. A far peer that has just begun is in the slow start of TCP, and doubles what it
sends in each round trip. Its window triples: requests for twice as much must be there before that.
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
"""Seconds of work a peer is given ahead. Short enough that the end of a download does not wait for
slow peers (0.5 s costs 2 %, 3 s cost 14 %), long enough for links with short interruptions."""

HORIZON_RTTS: Final = 1.5
"""Round trips of work a peer is given ahead at least; with less its link would idle."""

START_RTTS: Final = 4.0
"""The same for a peer that has just begun, as long as it answers in less than a part of them. TCP
begins with 14 KiB and doubles that in each round trip, so that the last of the first blocks takes
some five of them: no sign of a slow peer."""

MAX_HORIZON: Final = 3.0
"""Seconds of work a peer is given ahead at most. A longer round trip is the delay of a busy or slow
peer, not of a network."""

FIRST_WINDOW: Final = 16
"""Blocks (256 KiB) requested from a peer whose rate is unknown."""

MIN_WINDOW: Final = 2
"""Blocks in flight from the slowest peer, so that it need not wait for our next request."""

DEFAULT_QUEUE_LIMIT: Final = 250
"""Blocks that a peer is assumed to queue if it does not tell (BEP 10, "reqq"): the lowest limit in
common use."""

MAX_QUEUE_LIMIT: Final = 65536
"""Most blocks (1 GiB) in flight, however many a peer says it can queue."""

FIRST_PATIENCE: Final = 5.0
"""Seconds that a peer may take for its very first block."""

PATIENCE: Final = 4.0
"""Seconds added to three times the expected time; after that a block is late."""

MAX_PATIENCE: Final = 60.0
"""Seconds after which a block is late, however slow the peer is known to be."""

LONGEST_WAIT: Final = 30.0
"""Seconds after which a block is late even if other blocks arrive from its peer."""

ALIVE: Final = 2.0
"""Seconds since its last block for which a peer counts as delivering."""

DEBT: Final = 20.0
"""Seconds for which a peer with late blocks is asked for nothing; then those blocks are
cancelled."""

MAX_PAUSE: Final = 15.0
"""Longest time in seconds for which a peer that was late, or that rejects requests, is asked for
nothing."""

HAND_OUT: Final = 64
"""Blocks (1 MiB) assigned to a peer at a time while buffers are short; more would not make
decisions cheaper."""

_EARLY: Final = 0.7
_LATE: Final = 1.3
"""Response times, as parts of the horizon, between which the window stays the same."""

_UNKNOWN_RESPONSE: Final = 0.5
"""Seconds assumed for the response of a peer that has never delivered a block."""

_MAX_EXCUSED: Final = 4096
"""Most pieces of which excused blocks are remembered: blocks that were requested, and are no longer
expected."""


@mypyc_attr(acyclic=True)
class Ask:
    """Blocks of one piece requested from one peer at one time; `blocks` shrinks as they arrive."""

    __slots__ = ("at", "blocks", "deadline", "idle", "piece")

    def __init__(
        self, piece: int, blocks: BlockSet, *, at: float, deadline: float, idle: bool
    ) -> None:
        self.piece = piece
        self.blocks = blocks
        self.at = at
        self.deadline = deadline
        self.idle = idle
        """Nothing else was in flight at that time, so the response time is a round trip."""


NO_ASKS: Final[list[Ask]] = []
"""The empty list that all peers without asks share, to save memory; it is never written to."""

_NO_BLOCKS: Final[dict[int, BlockSet]] = {}
"""The empty dict that all peers without late blocks share, to save memory; it is never written
to."""

NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})
"""The labels of a peer for which none are configured."""


@mypyc_attr(acyclic=True)
class Source:
    """A connected peer; the ledger and its planner change it, and who puts requests out."""

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
        "is_starting",
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
        # Fields are in memory in this order: the fields that every HAVE and every plan reads come
        # first.
        self.pieces: PieceSet = 0
        self.fast_pieces: PieceSet = 0
        """Pieces that may be requested even while it chokes us (BEP 6, "Allowed Fast")."""
        self.suggested: PieceSet = 0
        """Pieces it suggests that we fetch (BEP 6, "Suggest Piece")."""
        self.choked = True
        """It chokes us."""
        self.banned = False
        self.snubbed = False
        """It missed the deadline of a block and has delivered no block since."""
        self.serves = False
        """It would serve a request now, as far as is known: neither choking, snubbed, banned nor
        paused."""
        self.paused = False
        """Nothing is requested from it before `paused_until`."""
        self.in_flight = 0
        """Number of blocks in flight: the sum over `asks`."""
        self.low_water = 0
        """With this many blocks in flight or fewer it is assigned more; see `resize`."""
        self.limit = 0
        """Most blocks in flight (1 while it is snubbed); see `resize`."""
        self.key = key
        self.order = order
        """Number in the order of joining."""
        self.identity = identity
        self.labels = labels
        """Facts about the peer for strategies, from the configuration."""
        self.asks = NO_ASKS
        """Outstanding requests, oldest first."""
        self.late = _NO_BLOCKS
        """Late blocks, which other peers may deliver, but may still arrive: piece → blocks."""
        self.late_since = 0.0
        """When the first of the late blocks was requested, seconds."""
        self.late_until = 0.0
        """When the late blocks are written off, seconds."""
        self.excused = _NO_BLOCKS
        """Blocks it was asked for and released from, piece → blocks: their arrival is not a
        fault."""
        self.joined = _NO_BLOCKS
        """Blocks that were asked in one request with the block before, piece → blocks: so it is
        known which requests are out. There are some only where requests are longer than a block."""
        self.paused_until = 0.0
        self.pauses = 0
        self.rate = RateEstimate()
        """Measured only while something is in flight: an idle peer has not become slow."""
        self.idle_since = now
        """Since when nothing is expected of it, seconds; inf while something is."""
        self.idle_seconds = 0.0
        """Idle time in all before `idle_since`."""
        self.speed = 0.0
        """The value of `rate` when it was last measured, bytes/s."""
        self.measured_at = now
        self.rtt = 0.0
        self.response = 0.0
        """Response time of the latest block, seconds; 0.0 before the first."""
        self.last_delivery = -math.inf
        self.received = 0
        """Bytes of blocks from it that we accepted."""
        self.duplicate = 0
        """Bytes of blocks from it that we had already."""
        self.queue_limit = DEFAULT_QUEUE_LIMIT
        self.window = 0
        """Blocks in flight that suit its link."""
        self.horizon = HORIZON
        """Seconds of work it is given ahead, unless its round trips are long."""
        self.is_starting = True
        """No block took long yet."""
        self.share = MAX_QUEUE_LIMIT
        """Most blocks of the buffers that it may use; see `set_share`."""
        self.share_low_water = 0
        self.hand_out = 1
        """Blocks to assign to it at a time while buffers are short."""
        self.resize(FIRST_WINDOW)

    @property
    def room(self) -> int:
        """How many more blocks may be requested from it now; a choke is checked piece by piece."""
        if self.banned or self.late or self.paused:
            return 0
        return self.limit - self.in_flight

    def resize(self, window: int) -> None:
        """Set the window: the blocks that may be in flight, within all limits.

        Room is assigned when at least a quarter of the window is free, so that a fast peer gets few
        large chunks instead of many single blocks.
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
        """Limit it to `share` blocks of the buffers, which are short, `hand_out` at a time.

        While the end is far, it waits until it can take `hand_out` blocks, but early enough that
        data still arrives while the next blocks are requested. Near the end small chunks let all
        peers finish together.
        """
        self.share = share
        self.hand_out = hand_out
        if is_far:
            low = share - hand_out
            if share < 4 * HAND_OUT:
                low >>= 1  # lower than necessary, so that one plan is for several peers
            self.share_low_water = min(max(low, 2 * self.blocks_a_round_trip()), share - hand_out)
        else:
            self.share_low_water = share - (share >> 3 or 1)
        self.resize(self.window)

    def set_horizon(self, horizon: float) -> None:
        """Give it `horizon` seconds of work ahead from now on."""
        if horizon < self.horizon and self.speed > 0.0:
            soon = self.speed * max(horizon, HORIZON_RTTS * self.rtt)
            self.resize(min(self.window, max(MIN_WINDOW, int(soon) // BLOCK_LENGTH)))
        self.horizon = horizon

    def blocks_a_round_trip(self) -> int:
        """Return how many blocks arrive between a request and its first byte."""
        return int(min(self.rtt, MAX_HORIZON) * self.speed) // BLOCK_LENGTH

    def askable(self) -> PieceSet:
        """Return the pieces it has and may be asked for now, as far as chokes are concerned."""
        return self.pieces & self.fast_pieces if self.choked else self.pieces

    def delivered(self, ask: Ask, count: int, nbytes: int, now: float) -> None:
        """Note that `count` blocks of `ask` arrived, and adjust the window."""
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
        round_trips = self.rtt * (START_RTTS if self.is_starting else HORIZON_RTTS)
        is_far = round_trips > horizon
        if is_far:
            horizon = min(MAX_HORIZON, round_trips)
        window = self.window
        if response < _EARLY * horizon:
            # A window that is not used says nothing about the link, so it does not grow.
            if window < self.queue_limit and (self.in_flight + count) * 2 >= window:
                self.resize(window + (2 * count if is_far and self.is_starting else count))
        elif self.is_starting:
            self.is_starting = False
        elif response > _LATE * horizon and window > MIN_WINDOW and now != self.measured_at:
            target = max(MIN_WINDOW, int(self.measure(now) * horizon) // BLOCK_LENGTH)
            if target < window:
                self.resize(target)

    def delivered_late(self, nbytes: int, now: float) -> None:
        """Note that late blocks arrived."""
        self.rate.add(nbytes, now - self.idle_seconds)
        self.last_delivery = now
        self.received += nbytes
        self.response = now - self.late_since
        self.late_until = now + max(DEBT, 2.0 * self.response)
        self.trust_again()

    def snub(self, now: float) -> None:
        """Note that it keeps us waiting: after a pause it is asked for one block at a time.

        That ends when it delivers.
        """
        self.snubbed = True
        self.pause(now)
        self.review()
        self.resize(min(self.window, FIRST_WINDOW))

    def measure(self, now: float) -> float:
        """Measure its rate, set `speed` to it and return it, bytes/s."""
        until = now if self.idle_since == math.inf else self.idle_since
        self.measured_at = now
        self.speed = speed = self.rate.rate(until - self.idle_seconds)
        return speed

    def ask(self, piece: int, blocks: BlockSet, now: float) -> float:
        """Note that `blocks` are requested from it; return their deadline."""
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
        """Remove the oldest ask and return it."""
        asks = self.asks
        first = asks[0]
        if len(asks) == 1:
            self.asks = NO_ASKS
        else:
            del asks[0]
        return first

    def stop_clock(self, now: float) -> None:
        """Stop measuring its rate if nothing is expected of it."""
        if not self.in_flight and not self.late and self.idle_since == math.inf:
            self.idle_since = now

    def trust_again(self) -> None:
        """End its snub and its pauses, because it delivers again."""
        self.snubbed = False
        self.pauses = 0
        self.paused = False
        self.review()
        self.resize(self.window)

    def pause(self, now: float) -> None:
        """Request nothing from it for a while; each pause is longer until it delivers."""
        if not self.paused:
            self.paused = True
            self.paused_until = now + min(MAX_PAUSE, 0.25 * 2**self.pauses)
            self.pauses = min(self.pauses + 1, 8)
            self.review()

    def review(self) -> None:
        """Update `serves` after a change of the fields that it depends on."""
        self.serves = not (self.choked or self.snubbed or self.banned or self.paused)

    def delivers(self, now: float) -> bool:
        """Whether a block arrived from it in the last seconds."""
        return now - self.last_delivery < ALIVE

    def seconds_for(self, blocks: int) -> float:
        """Return the estimated seconds until the last of `blocks` further blocks would arrive."""
        if self.speed <= 0.0:
            return max(_UNKNOWN_RESPONSE, self.rtt)
        return min(self.rtt, MAX_HORIZON) + (self.in_flight + blocks) * BLOCK_LENGTH / self.speed

    def seconds_left(self, ask: Ask, ahead: int, now: float) -> float:
        """Return the estimated seconds until all blocks of `ask` are here.

        `ahead` is the number of its blocks in flight up to the last of them. An overdue ask is
        expected to take as long again as it took so far.
        """
        age = now - ask.at
        if self.speed <= 0.0:
            return _UNKNOWN_RESPONSE + age
        left = ahead * BLOCK_LENGTH / self.speed
        return max(left, age) if age > 1.0 + 2.0 * self.response else left

    def excuse(self, piece: int, blocks: BlockSet) -> None:
        """Note that `blocks` are not expected any more, but may still arrive."""
        excused = self.excused
        if excused is _NO_BLOCKS:
            self.excused = excused = {}
        excused[piece] = excused.get(piece, 0) | blocks
        if len(excused) > _MAX_EXCUSED:
            del excused[next(iter(excused))]

    def mark_overdue(self, piece: int, blocks: BlockSet) -> None:
        """Note that `blocks` are late: they may be requested elsewhere, and may still arrive."""
        late = self.late
        if late is _NO_BLOCKS:
            self.late = late = {}
        late[piece] = late.get(piece, 0) | blocks

    def write_off(self) -> dict[int, BlockSet]:
        """Forget all late blocks and return them (piece → blocks)."""
        late, self.late = self.late, _NO_BLOCKS
        return late

    def take_excused(self, piece: int, blocks: BlockSet) -> BlockSet:
        """Return which of `blocks` were excused, and forget them."""
        taken = _take_blocks(self.excused, piece, blocks)
        if not self.excused:
            self.excused = _NO_BLOCKS
        return taken

    def take_late(self, piece: int, blocks: BlockSet) -> BlockSet:
        """Return which of `blocks` are late, and forget them."""
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
        first = begin >> BLOCK_SHIFT
        count = (length + BLOCK_LENGTH - 1) >> BLOCK_SHIFT
        together = (1 << count) - 1
        joins = together
        for at in range(0, count, each >> BLOCK_SHIFT):
            joins ^= 1 << at
        joins = self.joined.get(piece, 0) & ~(together << first) | joins << first
        if not joins:
            self.forget_requests(piece, together << first)
        elif self.joined is _NO_BLOCKS:
            self.joined = {piece: joins}
        else:
            self.joined[piece] = joins

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
        """Return the oldest ask that includes some of `blocks`; None if there is none."""
        for ask in self.asks:
            if ask.piece == piece and ask.blocks & blocks:
                return ask
        return None


def _take_blocks(held: dict[int, BlockSet], piece: int, blocks: BlockSet) -> BlockSet:
    """Remove `blocks` from `held` (piece → blocks) and return which of them it held."""
    present = held.get(piece, 0)
    found = present & blocks
    if found:
        if found == present:
            del held[piece]
        else:
            held[piece] = present ^ found
    return found
