"""What to ask of whom: the strategy's choice, and what the host does when it does not choose.

The host steps in for liveness (room and wanted blocks, but nothing assigned), for the tail (a
second requester for what a slow peer holds) and for pieces nobody can finish (they are given up
when they keep others from being begun).
"""

import math
import random
from collections.abc import Iterable
from operator import itemgetter
from types import MappingProxyType
from typing import Final

from trio_swarm.engine.download.availability import Availability
from trio_swarm.engine.download.buffer_shares import BufferShares
from trio_swarm.engine.download.busy_peers import BusyPeers, view_of
from trio_swarm.engine.download.endgame import STALL_GAIN, TAIL_GAIN, find_duplicates
from trio_swarm.engine.download.outcomes import Grant
from trio_swarm.engine.download.parole import Trials
from trio_swarm.engine.download.piece_states import PieceStates
from trio_swarm.engine.download.source import Source
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.engine.lengths import BLOCK_LENGTH, BlockSet, lowest_blocks
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import Assignment, PeerView, SwarmView

DECLINE_PAUSE: Final = 0.05
"""Seconds after which a strategy that declined room is asked again, if nothing else happens."""

DECLINE_LIMIT: Final = 1.0
"""Seconds a strategy may assign nothing at all while it could; then the host assigns."""

TAIL_INTERVAL: Final = 0.1
"""Seconds between two looks for blocks worth a second requester."""

_MAX_ROUNDS: Final = 3
"""Times a strategy is asked in one plan, when it began more pieces than may be open."""


class Planner:
    """Turns free room into grants. It shares the ledger's state and changes it only by asking."""

    def __init__(
        self,
        states: PieceStates,
        sources: dict[int, Source],
        availability: Availability,
        *,
        scheduler: GuardedScheduler,
        rng: random.Random,
    ) -> None:
        self.cancels: list[Grant] = []
        """What peers were asked and need no longer send."""
        self.expiry_at = math.inf
        """Not later than the first deadline of any peer."""
        # Each peer with room is in one of these (or in two, until the next plan sorts it):
        self.ready: dict[int, Source] = {}
        """Those the next plan is about."""
        self._declined: dict[int, Source] = {}  # the strategy gave it nothing
        self.idle: dict[int, Source] = {}
        """Those that have nothing that may be given out."""
        self._states = states
        self._sources = sources
        self._availability = availability
        self._scheduler = scheduler
        self._rng = rng
        self._free_view = MappingProxyType(states.free_counts)
        self._ask_again_at = math.inf
        self._declining_since: float | None = None
        self._tail_at = -math.inf
        self._shares = BufferShares(states.open_limit, states.lengths.blocks_per_piece)
        self._trials = Trials(states, sources, self._take_back)
        self.paroles = self._trials.paroles
        """Pieces that failed and are not verified yet."""

    # Who waits

    def reconsider(self, source: Source) -> None:
        """Look again at a peer whose room or pieces changed."""
        key = source.key
        self._declined.pop(key, None)
        self.idle.pop(key, None)
        if source.in_flight <= source.low_water and source.room > 0:
            self.ready[key] = source
        else:
            self.ready.pop(key, None)
        self._shares.due_at = -math.inf

    def forget(self, key: int) -> None:
        """Drop a peer that left."""
        for waiting in (self.ready, self._declined, self.idle):
            waiting.pop(key, None)
        self._shares.due_at = -math.inf

    def ask_again(self) -> None:
        """Ask about those peers to which the strategy gave nothing: something has changed."""
        if self._declined and self._states.can_give:
            self.ready.update(self._declined)
            self._declined.clear()

    def reconsider_all(self) -> None:
        """Look again at everyone with room: more may be given out than before."""
        if self._states.can_give:
            self.ask_again()
            if self.idle:
                assignable = self._states.assignable()
                found = [s for s in self.idle.values() if s.askable() & assignable]
                for source in found:
                    self.ready[source.key] = self.idle.pop(source.key)

    def gained_pieces(self, source: Source, pieces: PieceSet) -> bool:
        """Look again at a peer that has more pieces; returns whether it waited for them."""
        key = source.key
        if not pieces & self._states.assignable() & source.askable() or key not in self.idle:
            return False
        self.ready[key] = self.idle.pop(key)
        return True

    def is_due(self, now: float) -> bool:
        """Whether `plan` would have something to do now."""
        if self.ready and now < self._ask_again_at:
            # Where nothing can be given out, a peer with room can only help others, now and then.
            return self._states.can_give or not self.idle or now >= self._tail_at
        return now >= self.next_deadline()

    def next_deadline(self) -> float:
        """Return when `plan` is due though nothing happens; inf if never."""
        if self.idle and self._is_tail():
            return min(self._ask_again_at, self._tail_at)
        return self._ask_again_at

    # Planning

    def plan(self, now: float) -> list[Grant]:
        """Return what to ask now."""
        grants: list[Grant] = []
        if not self.is_due(now):
            return grants
        if self.ready or now >= self._ask_again_at:
            self._ask_strategy(grants, now)
        if self.idle and self._states.is_full and self._give_up_a_piece():
            self._ask_strategy(grants, now)
        if self.idle and now >= self._tail_at and self._is_tail():
            self._help_the_slow(grants, now)
            self._tail_at = now + TAIL_INTERVAL
        return grants

    def _ask_strategy(self, grants: list[Grant], now: float) -> None:
        """Give room to the strategy until it declines or nothing is left to give."""
        states = self._states
        ready = self.ready
        if self._declined:
            ready.update(self._declined)
            self._declined.clear()
        if len(ready) == 1:
            # The usual case in a swarm: what the one that sent something has besides, others send.
            (source,) = ready.values()
            if not self._askable(source, states.assignable()):
                self.idle[source.key] = source
                ready.clear()
        before = len(grants)
        rounds = 0
        while ready and states.can_give:
            if now >= self._shares.due_at or states.is_far != self._shares.is_far:
                self._share_buffers(now)
            view = self._view(now)
            if view is None:
                break
            rounds += 1
            refused = self._apply(self._scheduler.assign(view, self._rng), grants, now)
            if refused and rounds < _MAX_ROUNDS:
                continue
            if len(grants) > before:
                self._declining_since = None
            else:
                self._keep_alive(view, grants, now)
            self._put_off(view)
        if ready and not states.can_give:
            self.idle.update(ready)
            ready.clear()
        self._ask_again_at = now + DECLINE_PAUSE if self._declined else math.inf

    def _put_off(self, view: SwarmView) -> None:
        """Let peers that were asked about, and still have room, wait for a change, or a while."""
        ready = self.ready
        assignable = self._states.assignable()
        for peer in view.peers:
            key = peer.key
            source = ready.pop(key, None)
            if source is not None and source.in_flight <= source.low_water and source.room > 0:
                if source.in_flight == peer.in_flight + peer.room:
                    ready[key] = source  # it was offered less than it could take
                elif self._askable(source, assignable):
                    self._declined[key] = source
                else:
                    self.idle[key] = source

    def _keep_alive(self, view: SwarmView, grants: list[Grant], now: float) -> None:
        """Assign in the place of a strategy that assigns nothing for too long."""
        if self._declining_since is None:
            self._declining_since = now
        if now - self._declining_since >= DECLINE_LIMIT or not any(
            source.in_flight for source in self._sources.values()
        ):
            self._apply(self._scheduler.assign_by_fallback(view, self._rng), grants, now)

    def _share_buffers(self, now: float) -> None:
        """Say how much of the buffers each peer may take; some may have room thereby."""
        sources = self._sources.values()
        are_other = self._shares.divide(
            sources,
            self.ready,
            now,
            is_far=self._states.is_far,
            remaining=self._states.remaining,
        )
        if not are_other:
            return
        for source in sources:
            key = source.key
            if (
                source.in_flight <= source.low_water
                and source.room > 0
                and key not in self.idle
                and key not in self._declined
            ):
                self.ready[key] = source

    def _view(self, now: float) -> SwarmView | None:
        """Return the snapshot for the strategy, or None if nothing can be assigned."""
        states = self._states
        lengths = states.lengths
        ready = self.ready
        assignable = states.assignable()
        capacity = states.capacity()
        is_far = states.is_far
        is_short = self._shares.is_short
        asked: list[tuple[int, PeerView]] = []
        waiting = self._in_turn(capacity)
        # If buffers are short, then whoever got all its room would keep the others from theirs.
        is_shared = is_short and len(waiting) > 1
        for source in waiting:
            key = source.key
            room = min(source.room, source.hand_out) if is_shared else source.room
            self.idle.pop(key, None)
            if room <= 0:
                ready.pop(key, None)
                continue
            askable = self._askable(source, assignable)
            if not askable:
                if ready.pop(key, None) is not None:
                    self.idle[key] = source
                continue
            asked.append((source.order, view_of(source, askable, room, states.every, now)))
            if is_far or is_short:
                capacity -= room
                if capacity <= 0:
                    break
        if not asked:
            return None
        asked.sort(key=itemgetter(0))
        peers = tuple([view for _, view in asked])
        return SwarmView(
            wanted=assignable,
            started=states.started,
            free_blocks=self._free_view,
            rarity=self._availability.rarity,
            peers=peers,
            piece_length=lengths.piece_length,
            block_length=BLOCK_LENGTH,
            piece_count=lengths.piece_count,
            remaining=states.remaining,
            now=now,
            busy=BusyPeers(self._sources, peers, ready, states.every, now),
        )

    def _in_turn(self, capacity: int) -> list[Source]:
        """Return the peers to ask about: all that are ready, those first that run dry first.

        If buffers are short, then those with less appetite: shares are small, so that a decision
        for each that is ready would be one for a few blocks.
        """
        waiting = list(self.ready.values())
        if len(waiting) > 1 and capacity < sum(source.limit for source in waiting):
            waiting.sort(key=_seconds_in_flight)
        if self._shares.is_short:
            partly_idle = [
                source
                for key, source in self._sources.items()
                if source.limit - source.in_flight >= source.hand_out
                and source.serves
                and key not in self.ready
                and key not in self.idle
            ]
            partly_idle.sort(key=_seconds_in_flight)
            waiting += partly_idle
        return waiting

    def _askable(self, source: Source, assignable: PieceSet) -> PieceSet:
        """Return the pieces of `assignable` that a peer may be asked for."""
        pieces = source.askable() if source.choked else source.pieces
        # The same object if it has all, so that nobody need compare them.
        askable = assignable if pieces == self._states.every else assignable & pieces
        return self._trials.permitted(askable, source) if self.paroles else askable

    def _apply(self, assignments: Iterable[Assignment], grants: list[Grant], now: float) -> bool:
        """Carry out assignments; returns whether some failed only for the limit of open pieces."""
        states = self._states
        opened = states.open
        paroles = self.paroles
        refused = False
        for key, piece, blocks in assignments:
            source = self._sources[key]
            state = opened.get(piece)
            if paroles and piece in paroles and not self._trials.claim(piece, source):
                continue
            if state is None:
                if states.is_full:
                    refused = True
                    continue
                state = states.begin(piece)
            room = source.room
            chosen = lowest_blocks(state.free, room if blocks is None or blocks > room else blocks)
            if chosen:
                states.take(state, chosen)
                self._ask(source, piece, chosen, grants, now)
        return refused

    def _ask(
        self, source: Source, piece: int, blocks: BlockSet, grants: list[Grant], now: float
    ) -> None:
        deadline = source.ask(piece, blocks, now)
        self.expiry_at = min(self.expiry_at, deadline)
        for run in self._states.lengths.runs(piece, blocks):
            grants.append(Grant(source.key, run))  # noqa: PERF401  it is one run nearly always

    def cancel(self, source: Source, piece: int, blocks: BlockSet) -> None:
        """Tell a peer that it need not send `blocks`, which are out of flight already."""
        source.excuse(piece, blocks)
        key = source.key
        self.cancels.extend(Grant(key, run) for run in self._states.lengths.runs(piece, blocks))

    def _take_back(self, source: Source, piece: int, blocks: BlockSet) -> None:
        self.cancel(source, piece, blocks)
        self.reconsider(source)

    # The tail

    def _is_tail(self) -> bool:
        """Whether idle peers can only help those that are slow."""
        states = self._states
        return (states.is_full or not states.can_give) and not self._declined

    def _help_the_slow(self, grants: list[Grant], now: float) -> None:
        helpers = [source for source in self.idle.values() if source.room > 0]
        duplicates = list(
            find_duplicates(
                helpers,
                self._sources.values(),
                self._doublable,
                min_gain=STALL_GAIN if self._states.untouched else TAIL_GAIN,
                now=now,
            )
        )
        for helper, piece, blocks in duplicates:
            state = self._states.open[piece]
            state.doubled |= blocks
            state.contested |= blocks
            self._ask(helper, piece, blocks, grants, now)

    def _doublable(self, piece: int) -> BlockSet:
        """Return the blocks of an open piece that have one requester and may get a second."""
        if piece in self.paroles:
            return 0
        state = self._states.open[piece]
        return state.full & ~state.doubled

    def _give_up_a_piece(self) -> bool:
        """Abandon an open piece that nobody can finish and that keeps others from being begun."""
        states = self._states
        orphans = 0
        if states.free_total and len(states.open) >= states.open_limit:
            orphans = states.started & self._availability.rarity[0]
        if not orphans:
            # Held only by peers that do not serve us: wait for them as long as anything moves.
            if any(source.in_flight for source in self._sources.values()):
                return False
            if any(state.verifying for state in states.open.values()):
                return False
        untouched = states.untouched
        if not any(untouched & source.askable() for source in self.idle.values()):
            return False
        if orphans or not states.reopen():
            victim = states.least_of(orphans or states.started)
            if victim is None:
                return False
            if victim.index in self.paroles:
                self.paroles[victim.index].owner = None
            states.close(victim)
        self.reconsider_all()
        return True


def _seconds_in_flight(source: Source) -> float:
    """Return for how long a peer has work, in proportion; unknown is long."""
    in_flight = source.in_flight
    if source.speed > 0.0:
        return in_flight / source.speed
    return math.inf if in_flight else 0.0
