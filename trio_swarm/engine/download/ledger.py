"""The ledger of a download: which blocks are received, in flight from which peer, or wanted.

Each block of each missing piece is in exactly one state: WANTED (requested from no peer), IN_FLIGHT
(from one peer, or from two near the end), or RECEIVED. A piece whose blocks are all received is
VERIFYING until the caller reports the result of its hash. Then it is HAVE, or all its blocks are
WANTED again. Only the methods of `Ledger` change states. They are plain functions: each event goes
in with its time, grants and cancels come out.

The cost of a method grows with pieces or wake-ups, not with blocks: `received` touches one peer and
one piece, and `plan` returns at once unless a peer has room and a piece that can be requested.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from trio_swarm.engine.download.availability import Availability
from trio_swarm.engine.download.in_flight import InFlight
from trio_swarm.engine.download.open_piece import OpenPiece
from trio_swarm.engine.download.outcomes import Asked, BlockOutcome, Grant, PeerStats, PlanWatcher
from trio_swarm.engine.download.parole import Parole
from trio_swarm.engine.download.piece_states import NO_PIECES, PieceStates
from trio_swarm.engine.download.planner import Planner
from trio_swarm.engine.download.source import MAX_QUEUE_LIMIT, NO_LABELS, Source
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.engine.lengths import BLOCK_SHIFT, BlockRun, BlockSet, Lengths
from trio_swarm.errors import LocalProtocolError
from trio_swarm.piece_sets import PieceSet, from_pieces, iterate
from trio_swarm.schedulers.rarity import Rarity

__all__ = ["BlockOutcome", "BlockRun", "Grant", "Ledger", "PeerStats"]

_NOBODY: Final[frozenset[str]] = frozenset()

_COMPLETED: Final = BlockOutcome.COMPLETED
_ACCEPTED: Final = BlockOutcome.ACCEPTED
"""Looked up once here, because looking it up for each block costs time."""


class Ledger:
    """The ledger of one torrent; see the module for the states of blocks.

    `key` is the caller's number of a connected peer; times are seconds. At most `open_piece_limit`
    pieces are started and not yet verified, because each needs a buffer. `chosen` are the pieces
    that are fetched at all; None: every piece.
    """

    def __init__(
        self,
        lengths: Lengths,
        *,
        scheduler: GuardedScheduler,
        rng: random.Random,
        have: PieceSet = 0,
        open_piece_limit: int,
        chosen: PieceSet | None = None,
    ) -> None:
        self.lengths = lengths
        self.received_bytes = 0
        """Bytes of blocks that were accepted."""
        self.duplicate_bytes = 0
        """Bytes of blocks that arrived although we did not need them."""
        self._states = PieceStates(lengths, have=have, open_limit=open_piece_limit, chosen=chosen)
        self._open = self._states.open
        self._availability = Availability(lengths.piece_count)
        self._sources: dict[int, Source] = {}
        self._joined = 0
        self._fast_pieces: PieceSet = 0  # the largest set that a peer allowed
        self._planner = Planner(
            self._states, self._sources, self._availability, scheduler=scheduler, rng=rng
        )
        self._in_flight = InFlight(self._states, self._sources, self._planner)
        self._paroles = self._planner.paroles
        self._banned: frozenset[str] = _NOBODY
        self.watcher: PlanWatcher | None = None
        """Who is told why something is asked of whom; None: nobody looks."""
        self._now = 0.0  # the latest time seen

    # The state

    @property
    def have(self) -> PieceSet:
        """The verified pieces; bit i = piece i."""
        return self._states.have

    @property
    def wanted(self) -> PieceSet:
        """The set of chosen pieces that are missing, started ones included."""
        return self._states.wanted

    @property
    def chosen(self) -> PieceSet:
        """The pieces that are fetched: all, but for files that nobody wants."""
        return self._states.chosen

    @property
    def is_complete(self) -> bool:
        """Whether we have verified every piece that was chosen."""
        return not self._states.wanted

    @property
    def remaining(self) -> int:
        """Bytes of chosen pieces that are not received yet."""
        return self._states.remaining

    @property
    def failed_bytes(self) -> int:
        """Bytes that were accepted and then dropped, because their piece failed or was closed."""
        return self._states.failed_bytes

    @property
    def rarity(self) -> Rarity:
        """rarity[n] = pieces that exactly n connected peers have now."""
        return self._availability.rarity

    @property
    def open_pieces(self) -> int:
        """Number of pieces that are started and not yet verified."""
        return len(self._open)

    @property
    def begun(self) -> PieceSet:
        """The pieces that are started and not yet verified."""
        return from_pieces(self._open)

    @property
    def sources(self) -> Mapping[int, Source]:
        """All connected peers by their keys, read-only, in the order they joined."""
        return self._sources

    def failures(self, piece: int) -> int:
        """Return how often a missing piece has failed its hash."""
        parole = self._paroles.get(piece)
        return 0 if parole is None else parole.failures

    def is_doubled(self, run: BlockRun) -> bool:
        """Whether some of these blocks, which are in flight, are asked of two peers."""
        state = self._open.get(run.piece)
        return state is not None and bool(state.doubled & self.lengths.blocks_between(*run))

    def source(self, key: int) -> Source:
        """Return the state of a peer, read-only, valid as long as the peer is connected.

        A caller that reads it very often keeps it instead of looking it up by key each time.
        """
        return self._sources[key]

    def pieces_of(self, key: int) -> PieceSet:
        """Return the pieces that a peer has."""
        return self._sources[key].pieces

    def is_interesting(self, key: int) -> bool:
        """Whether a peer has a piece that we lack (BEP 3, "interested")."""
        return bool(self._sources[key].pieces & self._states.wanted)

    def may_show_more(self, source: Source) -> bool:
        """Whether all that a peer reveals and we lack is requested, and it may reveal more."""
        states = self._states
        pieces = source.pieces
        return pieces != states.every and not pieces & (states.started | states.untouched)

    def snubbed(self, key: int, now: float) -> bool:
        """Whether a peer missed the deadline of a block and has sent no block since."""
        source = self._sources[key]
        return source.snubbed or bool(source.asks and source.asks[0].deadline <= now)

    def stats(self, key: int, now: float | None = None) -> PeerStats:
        """Return the statistics of a peer, as of the latest plan if `now` is None."""
        source = self._sources[key]
        rate = source.measure(self._now if now is None else now)
        return PeerStats(rate, source.rtt, source.in_flight, source.received, source.duplicate)

    def rate_of(self, source: Source) -> float:
        """Return the download rate from a peer, bytes/s, as of the latest plan."""
        return source.measure(self._now)

    def as_giver(self, key: int, now: float) -> tuple[float, bool, bool]:
        """Return what a choker needs: (`rate_of`, `snubbed`, `is_interesting`)."""
        source = self._sources[key]
        asks = source.asks
        return (
            source.measure(self._now),
            source.snubbed or bool(asks and asks[0].deadline <= now),
            bool(source.pieces & self._states.wanted),
        )

    def needs_digests(self, piece: int) -> bool:
        """Whether `verified` needs the digests of this piece's blocks, because it failed before."""
        return piece in self._paroles

    # Peers

    def add_peer(
        self, key: int, now: float, *, identity: str, labels: Mapping[str, str] = NO_LABELS
    ) -> None:
        """Add a connected peer that has no pieces and chokes us.

        A ban names its `identity` (its address), which several peers may share. `labels` are facts
        for strategies.
        """
        if key in self._sources:
            raise LocalProtocolError(f"peer {key} is in the ledger already")
        source = Source(key, identity=identity, order=self._joined, now=now, labels=labels)
        source.banned = identity in self._banned
        self._sources[key] = source
        self._joined += 1
        self._availability.add_peer()

    def remove_peer(self, key: int) -> None:
        """Forget a peer; blocks in flight from it are wanted again."""
        source = self._sources[key]
        self._in_flight.drop_all(source, self._now)
        del self._sources[key]
        self._availability.remove_peer(source.pieces)
        self._planner.forget(key)
        for parole in self._paroles.values():
            if parole.owner == key:
                parole.owner = None
        if self._paroles or self._states.is_full:
            # Other peers may have had to wait because of this one.
            self._planner.reconsider_all()

    def set_pieces(self, key: int, pieces: PieceSet) -> None:
        """Set the pieces that a peer has: its bitfield."""
        source = self._sources[key]
        if pieces < 0 or pieces & ~self._states.every:
            raise LocalProtocolError("a peer was said to have pieces beyond the last")
        gone = source.pieces & ~pieces
        self._availability.add(pieces & ~source.pieces)
        source.pieces = pieces
        if gone:
            self._lost_by(source, gone)
        self._planner.reconsider(source)

    def add_piece(self, key: int, piece: int) -> None:
        """Note that a peer has one more piece: a HAVE."""
        source = self._sources[key]
        if not 0 <= piece < self.lengths.piece_count:
            raise LocalProtocolError(f"a peer was said to have piece {piece}, beyond the last")
        bit = 1 << piece
        if not source.pieces & bit:
            source.pieces |= bit
            self._availability.add(bit)
            self._planner.gained_pieces(source, bit)

    def take_back(self, key: int, pieces: PieceSet) -> None:
        """Note that a peer has some pieces no longer (BEP 54): others are asked for them."""
        source = self._sources[key]
        gone = source.pieces & pieces
        if gone:
            source.pieces ^= gone
            self._lost_by(source, gone)
            self._planner.reconsider(source)

    def _lost_by(self, source: Source, pieces: PieceSet) -> None:
        """Expect nothing of pieces that a peer had, and has no longer."""
        self._availability.remove(pieces)
        source.suggested &= ~pieces
        for piece, parole in self._paroles.items():
            if parole.owner == source.key and pieces >> piece & 1:
                parole.owner = None
        self._in_flight.drop_pieces(source, pieces, self._now)
        if self._paroles:
            self._planner.reconsider_all()

    def add_have(self, source: Source, pieces: PieceSet) -> bool:
        """Note that a peer has more pieces, all of which exist: one HAVE or several.

        Returns whether the peer was idle and can be asked for a block now.
        """
        before = source.pieces
        after = before | pieces
        if after == before:
            return False
        new = after ^ before
        every = self._states.every
        source.pieces = every if after == every else after  # one int for all that are complete
        self._availability.add(new)
        # The cheapest test that is usually decisive comes first: most peers choke us, or have work.
        return (
            (not source.choked or source.fast_pieces & new != 0)
            and source.in_flight <= source.low_water
            and self._planner.gained_pieces(source, new)
        )

    def set_choked(self, key: int, choked: bool, *, fast: bool) -> None:  # noqa: FBT001  the fact
        """Note that a peer chokes us, or has unchoked us.

        Without the Fast Extension a choke drops our requests (BEP 3). With it (`fast`), the peer
        still answers each request, by a block or a reject (BEP 6).
        """
        source = self._sources[key]
        source.choked = choked
        source.review()
        if choked and not fast:
            self._in_flight.drop_all(source, self._now)
        self._planner.reconsider(source)

    def allow_fast(self, key: int, piece: int) -> None:
        """Note that a peer would send `piece` even while it chokes us (BEP 6, "Allowed Fast")."""
        if 0 <= piece < self.lengths.piece_count:
            source = self._sources[key]
            source.fast_pieces |= 1 << piece
            # Nearly all peers allow the same pieces, one after the other: they share one int.
            most = self._fast_pieces
            if source.fast_pieces == most:
                source.fast_pieces = most
            elif source.fast_pieces & most == most:
                self._fast_pieces = source.fast_pieces
            self._planner.reconsider(source)

    def suggest(self, key: int, piece: int) -> None:
        """Note that a peer suggests that we fetch `piece` from it (BEP 6, "Suggest Piece")."""
        if 0 <= piece < self.lengths.piece_count:
            self._sources[key].suggested |= 1 << piece

    def set_queue_limit(self, key: int, blocks: int) -> None:
        """Set how many blocks a peer lets us have in flight (BEP 10, "reqq")."""
        source = self._sources[key]
        source.queue_limit = max(1, min(blocks, MAX_QUEUE_LIMIT))
        source.resize(source.window)
        self._planner.reconsider(source)

    # Requests

    def choose(self, chosen: PieceSet, now: float) -> None:
        """Fetch these pieces from now on, and no others.

        What was asked of others is cancelled, and blocks of theirs that came are dropped; a piece
        that is being verified may still become one that we have.
        """
        self._now = now
        dropped = self._states.choose(chosen)
        if dropped:
            for source in self._sources.values():
                self._in_flight.call_back(source, dropped, now)
            for piece in iterate(dropped):
                state = self._open.get(piece)
                if state is not None:
                    self._states.close(state)
                self._paroles.pop(piece, None)
        for source in self._sources.values():
            self._planner.reconsider(source)

    def set_scheduler(self, scheduler: GuardedScheduler) -> None:
        """Let another strategy decide from now on. What is in flight stays asked of its peers."""
        self._planner.set_scheduler(scheduler)

    def set_deadlines(self, deadlines: Mapping[int, float]) -> None:
        """Set which pieces readers want, and when: see `SwarmView.deadlines`."""
        self._planner.deadlines = deadlines
        self._planner.ask_again()

    def plan(self, now: float) -> list[Grant]:
        """Return the blocks to request now and from which peer, by one decision for the swarm."""
        self._now = now
        watcher = self.watcher
        if watcher is None or not watcher.wants(now):
            return self._planner.plan(now)
        asked: list[Asked] = []
        self._planner.asked = asked
        grants = self._planner.plan(now)
        self._planner.asked = None
        if grants:
            watcher.planned(asked, grants, now)
        return grants

    def take_cancels(self) -> list[Grant]:
        """Return the requests to cancel since the last call."""
        cancels = self._planner.cancels
        if cancels:
            self._planner.cancels = []
        return cancels

    def take_abandoned(self) -> list[int]:
        """Return the pieces that were closed without being verified since the last call.

        Their buffers are free.
        """
        abandoned = self._states.abandoned
        if not abandoned:
            return []
        self._states.abandoned = NO_PIECES
        return [piece for piece in abandoned if piece not in self._open]

    def is_due(self, now: float) -> bool:
        """Whether `expire`, `plan` or one of the `take` methods would do anything at `now`."""
        planner = self._planner
        return bool(
            planner.cancels
            or self._states.abandoned
            or now >= planner.expiry_at
            or planner.is_due(now)
        )

    def next_deadline(self) -> float:
        """Return when `expire` and `plan` are due if nothing happens before; inf if never."""
        return min(self._planner.expiry_at, self._planner.next_deadline())

    # Blocks

    def received(self, key: int, piece: int, begin: int, length: int, now: float) -> BlockOutcome:
        """Note that a run of one or more whole blocks arrived; return what to do with its bytes."""
        source = self._sources[key]
        asks = source.asks
        if asks and (ask := asks[0]).piece == piece and begin & 16383 == 0 and length > 0:
            # The usual case: blocks of the oldest ask, which no other peer was asked for.
            count = (length + 16383) >> BLOCK_SHIFT
            blocks = ((1 << count) - 1) << (begin >> BLOCK_SHIFT)
            state = self._open[piece]
            if (
                ask.blocks & blocks == blocks
                and not state.contested & blocks
                and (length & 16383 == 0 or begin + length == self.lengths.piece_size(piece))
            ):
                ask.blocks ^= blocks
                if not ask.blocks:
                    source.take_first_ask()
                in_flight = source.in_flight = source.in_flight - count
                source.delivered(ask, count, length, now)
                if in_flight <= source.low_water:
                    self._planner.ready[key] = source
                    if not in_flight:
                        source.stop_clock(now)
                if source.joined:
                    source.forget_requests(piece, blocks)
                state.receive(source.identity, blocks)
                return self._accept(state, length)
        blocks = self.lengths.blocks_between(piece, begin, length)
        return self._received_otherwise(source, piece, blocks, length, now)

    def awaits(self, key: int, piece: int, begin: int, length: int) -> bool:
        """Whether all of this run is requested from this peer only, and none of it is received."""
        state = self._open.get(piece)
        if state is None or begin & 16383 or length < 1:
            return False
        count = (length + 16383) >> BLOCK_SHIFT
        blocks = ((1 << count) - 1) << (begin >> BLOCK_SHIFT)
        if blocks & (state.received | state.contested | state.free):
            return False
        return any(
            ask.piece == piece and ask.blocks & blocks == blocks for ask in self._sources[key].asks
        )

    def was_asked(self, source: Source, piece: int, begin: int, length: int) -> bool:
        """Whether all of this was asked of a peer and has not come yet, needed still or not."""
        blocks = self.lengths.blocks_between(piece, begin, length)
        asks = source.asks
        if asks and asks[0].piece == piece and asks[0].blocks & blocks == blocks != 0:
            return True
        return blocks != 0 and not blocks & ~source.all_asked(piece)

    def _accept(self, state: OpenPiece, nbytes: int) -> BlockOutcome:
        self.received_bytes += nbytes
        self._states.remaining -= nbytes
        if state.received == state.full:
            state.verifying = True
            return _COMPLETED
        return _ACCEPTED

    def _received_otherwise(
        self, source: Source, piece: int, blocks: BlockSet, nbytes: int, now: float
    ) -> BlockOutcome:
        """Do the work of `received` for blocks that are late, out of order, twice or unasked."""
        ask = source.find_ask(piece, blocks)
        asked = source.take_asked(piece, blocks)
        source.forget_requests(piece, blocks)
        late = source.take_late(piece, blocks)
        known = asked | late | source.take_excused(piece, blocks)
        if not blocks or known != blocks:
            if asked:
                self._in_flight.release(piece, asked)
            self._in_flight.settle(source, now)
            return BlockOutcome.UNREQUESTED
        if ask is not None:
            source.delivered(ask, asked.bit_count(), nbytes, now)
        else:
            source.delivered_late(nbytes, now)
        self._in_flight.settle(source, now)
        new = self._needed(source, piece, blocks)
        again = nbytes - self.lengths.size_of(piece, new)
        self.duplicate_bytes += again
        source.duplicate += again
        source.received -= again
        if not new:
            return BlockOutcome.DUPLICATE
        state = self._open[piece]
        self._in_flight.call_off(source, piece, blocks, now)
        if state.free & blocks:
            self._states.take(state, state.free & blocks)
        state.doubled &= ~blocks
        state.contested &= ~blocks
        state.receive(source.identity, blocks)
        return self._accept(state, nbytes - again)

    def _needed(self, source: Source, piece: int, blocks: BlockSet) -> BlockSet:
        """Return which of the unexpected `blocks` are needed; starts their piece if necessary."""
        states = self._states
        parole = self._paroles.get(piece)
        if parole is not None and parole.owner != source.key:
            return 0
        state = self._open.get(piece)
        if state is not None:
            return blocks & ~state.received
        if states.untouched >> piece & 1 and not states.is_full and not source.banned:
            states.begin(piece)
            return blocks
        return 0

    def rejected(self, key: int, piece: int, begin: int, length: int, now: float) -> bool:
        """Note that a peer rejects a request (BEP 6); returns False if it was never asked."""
        blocks = self.lengths.blocks_between(piece, begin, length)
        known = self._in_flight.reject(self._sources[key], piece, blocks, now)
        return bool(blocks) and known == blocks

    def withdraw(self, key: int, run: BlockRun, now: float) -> None:
        """Take back a grant that was never sent as a request; the peer is not at fault."""
        blocks = self.lengths.blocks_between(run.piece, run.begin, run.length)
        self._in_flight.withdraw(self._sources[key], run.piece, blocks, now)

    # Pieces

    def contributors(self, piece: int) -> list[str]:
        """Return the identities that sent blocks of an open piece, while it is being verified."""
        return list(self._open[piece].senders())

    def verified(self, piece: int, digests: Sequence[bytes] | None = None) -> list[str]:
        """Note that a piece passed its hash; return the identities to ban for earlier failures.

        `digests` are the SHA-1 digests of its 16 KiB blocks, in order; required if `needs_digests`.
        """
        was_full = self._states.is_full
        self._states.end_verification(piece, passed=True)
        if self._paroles or was_full != self._states.is_full:
            self._planner.reconsider_all()
        else:
            self._planner.ask_again()
        parole = self._paroles.pop(piece, None)
        if parole is None or digests is None:
            return []
        return self._ban(parole.convict(digests))

    def failed(self, piece: int, digests: Sequence[bytes]) -> list[str]:
        """Note that a piece failed its hash; return the identities to ban.

        All its blocks are wanted again. `digests` are the SHA-1 digests of the received 16 KiB
        blocks, in order.
        """
        state = self._states.end_verification(piece, passed=False)
        self._planner.reconsider_all()
        senders = state.senders()
        parole = self._paroles.get(piece)
        if parole is None:
            parole = self._paroles[piece] = Parole()
        parole.owner = None
        parole.failures += 1
        if len(senders) == 1:
            parole.suspects.discard(*senders)
            return self._ban(list(senders))
        parole.record(senders, digests)
        return []

    def failed_blocks(self, piece: int, wrong: BlockSet) -> list[str]:
        """Note that a piece failed because of some blocks; return the identities to ban.

        Only those blocks are wanted again: the hash of each block is known (BEP 52).
        """
        culprits = self.senders_of(piece, wrong)
        state = self._states.end_in_part(piece, wrong)
        if not self._states.wanted >> piece & 1:
            self._states.close(state)  # meanwhile nobody wants it any more
        self._planner.reconsider_all()
        return self._ban(culprits)

    def senders_of(self, piece: int, blocks: BlockSet) -> list[str]:
        """Return the identities that sent some of these blocks of a piece being verified."""
        senders = self._open[piece].senders()
        return [identity for identity, sent in senders.items() if sent & blocks]

    def lose(self, pieces: PieceSet) -> None:
        """Note that verified pieces are no longer correct: they are wanted again."""
        self._states.lose(pieces)
        for source in self._sources.values():
            self._planner.reconsider(source)

    def regain(self, pieces: PieceSet) -> None:
        """Note that missing pieces are on disk and correct, although no peer sent them."""
        self._states.regain(pieces)

    def _ban(self, identities: list[str]) -> list[str]:
        """Ban the peers of these identities; return the identities that were not banned before."""
        new = [identity for identity in identities if identity not in self._banned]
        self._banned |= frozenset(new)
        for source in self._sources.values():
            if source.identity in identities:
                source.banned = True
                source.review()
                self._in_flight.drop_all(source, self._now)
                self._planner.reconsider(source)
        return new

    # Time

    def expire(self, now: float) -> None:
        """Return overdue blocks to WANTED, and end pauses that are over."""
        self._now = now
        self._in_flight.expire(now)
