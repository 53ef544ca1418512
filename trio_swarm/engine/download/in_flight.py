"""Blocks in flight that do not arrive, and their return to WANTED.

A block that was requested from a peer does not arrive from it if the peer rejects the request,
leaves, or drops the request with a choke; if the block is late and others may be asked for it; if
it arrived from another peer; or if the request was never sent.
"""

import math

from trio_swarm.engine.download.piece_states import PieceStates
from trio_swarm.engine.download.planner import Planner
from trio_swarm.engine.download.source import DEBT, LONGEST_WAIT, NO_ASKS, PATIENCE, Source
from trio_swarm.engine.lengths import BlockSet
from trio_swarm.piece_sets import PieceSet


class InFlight:
    """Ends blocks in flight; it shares the ledger's state, as the planner does."""

    def __init__(self, states: PieceStates, sources: dict[int, Source], planner: Planner) -> None:
        self._states = states
        self._sources = sources
        self._planner = planner

    # After a change

    def settle(self, source: Source, now: float) -> None:
        """Update the waiting state and the clock of a peer whose asks changed."""
        source.stop_clock(now)
        self._planner.reconsider(source)

    def release(self, piece: int, blocks: BlockSet) -> None:
        """Note that blocks are in flight from one peer less."""
        if self._states.release(piece, blocks):
            self._planner.reconsider_all()
            self.close_if_idle(piece)

    def close_if_idle(self, piece: int) -> None:
        """Close an open piece of which no block is received or in flight."""
        state = self._states.open.get(piece)
        if (
            state is not None
            and state.is_idle()
            and not any(piece in source.late for source in self._sources.values())
        ):
            self._states.close(state)
            self._planner.reconsider_all()

    # Ends without an arrival

    def drop_all(self, source: Source, now: float) -> None:
        """Expect no further block from a peer."""
        asks = source.asks
        late = source.write_off()
        source.asks = NO_ASKS
        source.in_flight = 0
        source.forget_all_requests()
        source.stop_clock(now)
        for ask in asks:
            source.excuse(ask.piece, ask.blocks)
            self.release(ask.piece, ask.blocks)
        for piece, blocks in late.items():
            source.excuse(piece, blocks)
            self.close_if_idle(piece)

    def drop_pieces(self, source: Source, pieces: PieceSet, now: float) -> None:
        """Expect nothing more of some pieces from a peer; what is on its way is no fault."""
        expected = dict.fromkeys(ask.piece for ask in source.asks)
        expected.update(dict.fromkeys(source.late))
        for piece in expected:
            if not pieces >> piece & 1:
                continue
            every = self._states.lengths.all_blocks(piece)
            asked, late = source.take_asked(piece, every), source.take_late(piece, every)
            source.excuse(piece, asked | late)
            if asked:
                self.release(piece, asked)
            if late:
                self.close_if_idle(piece)
        self.settle(source, now)

    def call_back(self, source: Source, pieces: PieceSet, now: float) -> None:
        """Cancel all that a peer was asked for of some pieces, which are wanted no longer."""
        expected = dict.fromkeys(ask.piece for ask in source.asks)
        expected.update(dict.fromkeys(source.late))
        for piece in expected:
            if not pieces >> piece & 1:
                continue
            every = self._states.lengths.all_blocks(piece)
            asked, late = source.take_asked(piece, every), source.take_late(piece, every)
            self._planner.cancel(source, piece, asked | late)
            if asked:
                self.release(piece, asked)
            if late:
                self.close_if_idle(piece)
        self.settle(source, now)

    def withdraw(self, source: Source, piece: int, blocks: BlockSet, now: float) -> None:
        """Take back blocks whose request was never sent."""
        asked = source.take_asked(piece, blocks)
        if asked:
            self.release(piece, asked)
        self.settle(source, now)

    def reject(self, source: Source, piece: int, blocks: BlockSet, now: float) -> BlockSet:
        """Expect rejected blocks no longer; return which of them were ever requested."""
        asked = source.take_asked(piece, blocks)
        late = source.take_late(piece, blocks)
        excused = source.take_excused(piece, blocks)
        source.forget_requests(piece, blocks)
        if asked:
            if not source.choked:
                # It rejects although it could serve: requesting at once again would never end.
                source.pause(now)
                source.resize(source.window // 2)
                self._planner.expiry_at = min(self._planner.expiry_at, source.paused_until)
            self.release(piece, asked)
        if late:
            self.close_if_idle(piece)
        self.settle(source, now)
        return asked | late | excused

    def call_off(self, deliverer: Source, piece: int, blocks: BlockSet, now: float) -> None:
        """Cancel `blocks`, which arrived, with all other peers that were asked for them."""
        for source in self._sources.values():
            if source is not deliverer:
                unneeded = source.take_asked(piece, blocks) | source.take_late(piece, blocks)
                if unneeded:
                    self._planner.cancel(source, piece, unneeded)
                    self.settle(source, now)

    # Time

    def expire(self, now: float) -> None:
        """Return overdue blocks to WANTED, and end pauses that are over."""
        if now < self._planner.expiry_at:
            return
        earliest = math.inf
        for source in self._sources.values():
            self._give_up_late(source, now)
            if source.late and source.late_until <= now:
                self._forget_late(source, now)
            if source.paused:
                if source.paused_until <= now:
                    source.paused = False
                    source.review()
                    self._planner.reconsider(source)
                else:
                    earliest = min(earliest, source.paused_until)
            if source.asks:
                earliest = min(earliest, source.asks[0].deadline)
            if source.late:
                earliest = min(earliest, source.late_until)
        self._planner.expiry_at = earliest

    def _give_up_late(self, source: Source, now: float) -> None:
        """Let other peers be asked for blocks that a peer should have sent by now."""
        while source.asks and source.asks[0].deadline <= now:
            ask = source.asks[0]
            if not source.delivers(now):
                source.snub(now)
                self._move_to_late(source, len(source.asks), now)
            elif now - ask.at < LONGEST_WAIT:
                ask.deadline = now + PATIENCE
            else:
                self._move_to_late(source, 1, now)

    def _move_to_late(self, source: Source, count: int, now: float) -> None:
        source.late_until = now + DEBT
        if not source.late:
            source.late_since = source.asks[0].at
        for _ in range(count):
            ask = source.take_first_ask()
            source.in_flight -= ask.blocks.bit_count()
            source.mark_overdue(ask.piece, ask.blocks)
            self._states.open[ask.piece].contested |= ask.blocks
            self.release(ask.piece, ask.blocks)
        self.settle(source, now)

    def _forget_late(self, source: Source, now: float) -> None:
        """Write off the late blocks of a peer: it may be asked again."""
        late = source.write_off()
        for piece, blocks in late.items():
            self._planner.cancel(source, piece, blocks)
            self.close_if_idle(piece)
        self.settle(source, now)
