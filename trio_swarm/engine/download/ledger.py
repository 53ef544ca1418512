"""The one owner of what a download has, what is in flight from whom, and what may be asked.

Each block of each missing piece is in exactly one state: WANTED (nobody fetches it), IN_FLIGHT
(from one peer, or two near the end), or RECEIVED; a piece with all blocks received is VERIFYING
until the caller reports its hash, then HAVE or all WANTED again. Only the methods of `Ledger`
change states. They are plain functions: events go in with their time, grants and cancels come out.

Work is done by the piece or by the wake-up, not by the block: `received` touches one peer and one
piece, and `plan` returns at once unless some peer has room and something it could be asked for.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from trio_swarm.engine.download.availability import Availability
from trio_swarm.engine.download.in_flight import InFlight
from trio_swarm.engine.download.open_piece import OpenPiece
from trio_swarm.engine.download.outcomes import BlockOutcome, Grant, PeerStats
from trio_swarm.engine.download.parole import Parole
from trio_swarm.engine.download.piece_states import NO_PIECES, PieceStates
from trio_swarm.engine.download.planner import Planner
from trio_swarm.engine.download.source import MAX_QUEUE_LIMIT, NO_LABELS, Source
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.engine.lengths import BLOCK_SHIFT, BlockRun, BlockSet, Lengths
from trio_swarm.errors import LocalProtocolError
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.rarity import Rarity

__all__ = ["BlockOutcome", "BlockRun", "Grant", "Ledger", "PeerStats"]

_NOBODY: Final[frozenset[str]] = frozenset()

_COMPLETED: Final = BlockOutcome.COMPLETED
_ACCEPTED: Final = BlockOutcome.ACCEPTED
"""Looked up once, and not for every block."""


class Ledger:
    """See the module. `key` is the caller's name of a connected peer; times are in seconds.

    At most `open_piece_limit` pieces are begun and not yet verified: each needs a buffer.
    """

    def __init__(
        self,
        lengths: Lengths,
        *,
        scheduler: GuardedScheduler,
        rng: random.Random,
        have: PieceSet = 0,
        open_piece_limit: int,
    ) -> None:
        self.lengths = lengths
        self.received_bytes = 0
        """Bytes of blocks accepted."""
        self.duplicate_bytes = 0
        """Bytes of blocks that arrived in vain."""
        self._states = PieceStates(lengths, have=have, open_limit=open_piece_limit)
        self._open = self._states.open
        self._availability = Availability(lengths.piece_count)
        self._sources: dict[int, Source] = {}
        self._joined = 0
        self._fast_pieces: PieceSet = 0  # the most that a peer allowed
        self._planner = Planner(
            self._states, self._sources, self._availability, scheduler=scheduler, rng=rng
        )
        self._in_flight = InFlight(self._states, self._sources, self._planner)
        self._paroles = self._planner.paroles
        self._banned: frozenset[str] = _NOBODY
        self._now = 0.0  # the latest time seen

    # What is known

    @property
    def have(self) -> PieceSet:
        """Pieces verified."""
        return self._states.have

    @property
    def wanted(self) -> PieceSet:
        """Pieces missing."""
        return self._states.wanted

    @property
    def is_complete(self) -> bool:
        """Whether every piece is verified."""
        return not self._states.wanted

    @property
    def remaining(self) -> int:
        """Bytes not yet received."""
        return self._states.remaining

    @property
    def failed_bytes(self) -> int:
        """Bytes accepted and dropped again, because their piece failed or was abandoned."""
        return self._states.failed_bytes

    @property
    def rarity(self) -> Rarity:
        """rarity[n] = pieces held by exactly n connected peers now."""
        return self._availability.rarity

    @property
    def open_pieces(self) -> int:
        """How many pieces are begun and not yet verified."""
        return len(self._open)

    def source(self, key: int) -> Source:
        """Return what is known of a peer, to be read only, for as long as it is connected.

        It is for those who need it a thousand times, and need not find it by its key each time.
        """
        return self._sources[key]

    def pieces_of(self, key: int) -> PieceSet:
        """Return the pieces a peer has."""
        return self._sources[key].pieces

    def is_interesting(self, key: int) -> bool:
        """Whether a peer has a piece that is missing here."""
        return bool(self._sources[key].pieces & self._states.wanted)

    def may_show_more(self, source: Source) -> bool:
        """Whether a peer was asked for all that it shows and we lack, and may have more to show."""
        states = self._states
        pieces = source.pieces
        return pieces != states.every and not pieces & (states.started | states.untouched)

    def snubbed(self, key: int, now: float) -> bool:
        """Whether a peer owes us blocks past their deadline and has sent none since."""
        source = self._sources[key]
        return source.snubbed or bool(source.asks and source.asks[0].deadline <= now)

    def stats(self, key: int, now: float | None = None) -> PeerStats:
        """Return numbers about a peer, as of the latest plan if no time is given."""
        source = self._sources[key]
        rate = source.measure(self._now if now is None else now)
        return PeerStats(rate, source.rtt, source.in_flight, source.received, source.duplicate)

    def rate_of(self, source: Source) -> float:
        """Return how fast a peer gives, bytes/s, as of the latest plan."""
        return source.measure(self._now)

    def as_giver(self, key: int, now: float) -> tuple[float, bool, bool]:
        """Return what a choker asks: rate as of the latest plan, `snubbed`, `is_interesting`."""
        source = self._sources[key]
        asks = source.asks
        return (
            source.measure(self._now),
            source.snubbed or bool(asks and asks[0].deadline <= now),
            bool(source.pieces & self._states.wanted),
        )

    def needs_digests(self, piece: int) -> bool:
        """Whether `verified` needs the digests of this piece's blocks, since it failed before."""
        return piece in self._paroles

    # Peers

    def add_peer(
        self, key: int, now: float, *, identity: str, labels: Mapping[str, str] = NO_LABELS
    ) -> None:
        """Add a connected peer that has nothing and chokes us.

        `identity` is what a ban would name (its address); several peers may share one. `labels`
        are facts for strategies.
        """
        if key in self._sources:
            raise LocalProtocolError(f"peer {key} is in the ledger already")
        source = Source(key, identity=identity, order=self._joined, now=now, labels=labels)
        source.banned = identity in self._banned
        self._sources[key] = source
        self._joined += 1
        self._availability.add_peer()

    def remove_peer(self, key: int) -> None:
        """Forget a peer; what was in flight from it is wanted again."""
        source = self._sources[key]
        self._in_flight.drop_all(source, self._now)
        del self._sources[key]
        self._availability.remove_peer(source.pieces)
        self._planner.forget(key)
        for parole in self._paroles.values():
            if parole.owner == key:
                parole.owner = None
        if self._paroles or self._states.is_full:
            # It may have been what others had to wait for.
            self._planner.reconsider_all()

    def set_pieces(self, key: int, pieces: PieceSet) -> None:
        """Set what a peer has: its bitfield."""
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
        """Note that a peer has more pieces, which exist: one HAVE or several.

        Returns whether that is what it waited for to be asked for something.
        """
        before = source.pieces
        after = before | pieces
        if after == before:
            return False
        new = after ^ before
        every = self._states.every
        source.pieces = every if after == every else after  # one int for all that have everything
        self._availability.add(new)
        # In the order of what is known soonest: most peers choke us, or have work.
        return (
            (not source.choked or source.fast_pieces & new != 0)
            and source.in_flight <= source.low_water
            and self._planner.gained_pieces(source, new)
        )

    def set_choked(self, key: int, choked: bool, *, fast: bool) -> None:  # noqa: FBT001  the fact itself
        """Note that a peer chokes us, or not.

        Without the Fast Extension a choke drops what we asked (BEP 3); with it (`fast`), each
        request is still answered by a block or a reject (BEP 6).
        """
        source = self._sources[key]
        source.choked = choked
        source.review()
        if choked and not fast:
            self._in_flight.drop_all(source, self._now)
        self._planner.reconsider(source)

    def allow_fast(self, key: int, piece: int) -> None:
        """Note that a peer would send `piece` even while it chokes us (BEP 6)."""
        if 0 <= piece < self.lengths.piece_count:
            source = self._sources[key]
            source.fast_pieces |= 1 << piece
            # Nearly all peers allow us the same ones, one after the other: one int for all of them.
            most = self._fast_pieces
            if source.fast_pieces == most:
                source.fast_pieces = most
            elif source.fast_pieces & most == most:
                self._fast_pieces = source.fast_pieces
            self._planner.reconsider(source)

    def suggest(self, key: int, piece: int) -> None:
        """Note that a peer would like us to fetch `piece` of it (BEP 6)."""
        if 0 <= piece < self.lengths.piece_count:
            self._sources[key].suggested |= 1 << piece

    def set_queue_limit(self, key: int, blocks: int) -> None:
        """Set how many blocks a peer lets us have in flight (BEP 10, "reqq")."""
        source = self._sources[key]
        source.queue_limit = max(1, min(blocks, MAX_QUEUE_LIMIT))
        source.resize(source.window)
        self._planner.reconsider(source)

    # Asking

    def plan(self, now: float) -> list[Grant]:
        """Return what to ask of whom now: one question to the strategy for the whole swarm."""
        self._now = now
        return self._planner.plan(now)

    def take_cancels(self) -> list[Grant]:
        """Return, once, what peers were asked and need no longer send."""
        cancels = self._planner.cancels
        if cancels:
            self._planner.cancels = []
        return cancels

    def take_abandoned(self) -> list[int]:
        """Return, once, the pieces that are open no longer though not verified: free buffers."""
        abandoned = self._states.abandoned
        if not abandoned:
            return []
        self._states.abandoned = NO_PIECES
        return [piece for piece in abandoned if piece not in self._open]

    def is_due(self, now: float) -> bool:
        """Whether `expire`, `plan` or what is to be taken after it would bring anything now."""
        planner = self._planner
        return bool(
            planner.cancels
            or self._states.abandoned
            or now >= planner.expiry_at
            or planner.is_due(now)
        )

    def next_deadline(self) -> float:
        """Return when `expire` and `plan` are due though nothing happens; inf if never."""
        return min(self._planner.expiry_at, self._planner.next_deadline())

    # Blocks

    def received(self, key: int, piece: int, begin: int, length: int, now: float) -> BlockOutcome:
        """Note that a run of one or more whole blocks arrived; says what to do with the bytes."""
        source = self._sources[key]
        asks = source.asks
        if asks and (ask := asks[0]).piece == piece and begin & 16383 == 0 and length > 0:
            # The usual case: blocks of the oldest ask, which nobody else was asked for.
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
        """Whether all of this was asked of this peer and of nobody else, and none of it is here."""
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
        """Do what `received` does for blocks that come late, out of order, twice or unasked."""
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
        """Return which blocks that arrived unexpectedly are of use; may open their piece."""
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
        """Note that a peer will not send blocks we asked (BEP 6); False if we never asked them."""
        blocks = self.lengths.blocks_between(piece, begin, length)
        known = self._in_flight.reject(self._sources[key], piece, blocks, now)
        return bool(blocks) and known == blocks

    def withdraw(self, key: int, run: BlockRun, now: float) -> None:
        """Take a grant back that was never put out; the peer is not at fault."""
        blocks = self.lengths.blocks_between(run.piece, run.begin, run.length)
        self._in_flight.withdraw(self._sources[key], run.piece, blocks, now)

    # Pieces

    def contributors(self, piece: int) -> list[str]:
        """Return the identities whose blocks an open piece holds, while it is being verified."""
        return list(self._open[piece].senders())

    def verified(self, piece: int, digests: Sequence[bytes] | None = None) -> list[str]:
        """Note that a piece passed its hash; returns identities to ban for earlier attempts.

        `digests` are the SHA-1 of its 16 KiB blocks, in order, wanted if `needs_digests`.
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
        """Note that a piece failed its hash: all its blocks are wanted again.

        `digests` are the SHA-1 of what its 16 KiB blocks held. Returns identities to ban.
        """
        state = self._states.end_verification(piece, passed=False)
        self._planner.reconsider_all()
        senders = state.senders()
        parole = self._paroles.get(piece)
        if parole is None:
            parole = self._paroles[piece] = Parole()
        parole.owner = None
        if len(senders) == 1:
            parole.suspects.discard(*senders)
            return self._ban(list(senders))
        parole.record(senders, digests)
        return []

    def lose(self, pieces: PieceSet) -> None:
        """Note that verified pieces are right no longer: they are wanted again."""
        self._states.lose(pieces)
        for source in self._sources.values():
            self._planner.reconsider(source)

    def regain(self, pieces: PieceSet) -> None:
        """Note that missing pieces are here after all, though nobody sent them."""
        self._states.regain(pieces)

    def _ban(self, identities: list[str]) -> list[str]:
        """Ask nothing more of the peers of those identities; returns those not banned before."""
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
        """Give late blocks back to the pool, and end pauses, where due."""
        self._now = now
        self._in_flight.expire(now)
