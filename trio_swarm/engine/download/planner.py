"""Which blocks to request from which peer: the strategy's decision, checked by the host.

The host also decides where the strategy does not: it assigns blocks if the strategy assigns none
for too long; near the end it requests blocks of a slow peer from a second peer, too; and it gives
up an open piece that no peer can finish, if that piece keeps others from being started.
"""

import math
import random
from collections.abc import Iterable, Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import Final

from trio_swarm.engine.download.availability import Availability
from trio_swarm.engine.download.buffer_shares import BufferShares
from trio_swarm.engine.download.busy_peers import BusyPeers, view_of
from trio_swarm.engine.download.endgame import STALL_GAIN, TAIL_GAIN, find_duplicates
from trio_swarm.engine.download.outcomes import Asked, Grant
from trio_swarm.engine.download.parole import Trials
from trio_swarm.engine.download.piece_states import PieceStates
from trio_swarm.engine.download.source import Source
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.engine.lengths import BLOCK_LENGTH, BlockSet, lowest_blocks
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import Assignment, PeerView, SwarmView

DECLINE_PAUSE: Final = 0.05
"""Seconds after which the strategy is asked again about room that it left unused, if nothing else
happens before."""

DECLINE_LIMIT: Final = 1.0
"""Seconds for which a strategy may assign nothing although it could; then the host assigns."""

TAIL_INTERVAL: Final = 0.1
"""Seconds between two searches for blocks to request from a second peer."""

NO_DEADLINES: Final[Mapping[int, float]] = MappingProxyType({})
"""What all downloads have that nobody reads from."""

_MAX_ROUNDS: Final = 3
"""Times a strategy is asked in one plan, if it starts more pieces than may be open."""


class Planner:
    """Turns the free room of peers into grants: which blocks to request from which peer.

    It shares the ledger's `states` and changes them only through their methods.
    """

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
        """Requests that peers need not answer any more (BEP 3, "cancel")."""
        self.deadlines: Mapping[int, float] = NO_DEADLINES
        """See `SwarmView.deadlines`."""
        self.asked: list[Asked] | None = None
        """Where questions to the strategy are noted; None: nobody looks."""
        self.expiry_at = math.inf
        """A time not later than the first deadline of any peer, seconds."""
        # Each peer with room is in one of these three dicts (or in two, until the next plan sorts
        # it):
        self.ready: dict[int, Source] = {}
        """Peers to assign blocks to in the next plan."""
        self._declined: dict[int, Source] = {}  # the strategy assigned it nothing
        self.idle: dict[int, Source] = {}
        """Peers that have no piece that may be assigned now."""
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
        """Pieces that failed their hash and are not verified yet, by index."""

    def set_scheduler(self, scheduler: GuardedScheduler) -> None:
        """Ask another strategy from now on; what is in flight stays so."""
        self._scheduler = scheduler
        self._declining_since = None
        self.ask_again()

    # Which peers wait

    def reconsider(self, source: Source) -> None:
        """Update whether a peer waits for blocks, after a change of its room or pieces."""
        key = source.key
        self._declined.pop(key, None)
        self.idle.pop(key, None)
        if source.in_flight <= source.low_water and source.room > 0:
            self.ready[key] = source
        else:
            self.ready.pop(key, None)
        self._shares.due_at = -math.inf

    def forget(self, key: int) -> None:
        """Remove a peer that left from all dicts of waiting peers."""
        for waiting in (self.ready, self._declined, self.idle):
            waiting.pop(key, None)
        self._shares.due_at = -math.inf

    def ask_again(self) -> None:
        """Ask the strategy again about peers it assigned nothing to: something has changed."""
        if self._declined and self._states.can_give:
            self.ready.update(self._declined)
            self._declined.clear()

    def reconsider_all(self) -> None:
        """Update all waiting peers: more blocks may be assigned than before."""
        if self._states.can_give:
            self.ask_again()
            if self.idle:
                assignable = self._states.assignable()
                found = [s for s in self.idle.values() if s.askable() & assignable]
                for source in found:
                    self.ready[source.key] = self.idle.pop(source.key)

    def gained_pieces(self, source: Source, pieces: PieceSet) -> bool:
        """Update a peer that got `pieces`; returns whether it was idle and is ready now."""
        key = source.key
        if not pieces & self._states.assignable() & source.askable() or key not in self.idle:
            return False
        self.ready[key] = self.idle.pop(key)
        return True

    def is_due(self, now: float) -> bool:
        """Whether a call of `plan` at `now` would do anything."""
        if self.ready and now < self._ask_again_at:
            # If no block can be assigned, a peer with room can only help slow peers, at intervals.
            return self._states.can_give or not self.idle or now >= self._tail_at
        return now >= self.next_deadline()

    def next_deadline(self) -> float:
        """Return when `plan` is due if nothing happens before; inf if never."""
        if self.idle and self._is_tail():
            return min(self._ask_again_at, self._tail_at)
        return self._ask_again_at

    # Planning

    def plan(self, now: float) -> list[Grant]:
        """Return the blocks to request now, each with the peer to request them from."""
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
        """Ask the strategy until it assigns nothing more or no block is left to assign."""
        states = self._states
        ready = self.ready
        if self._declined:
            ready.update(self._declined)
            self._declined.clear()
        if len(ready) == 1:
            # In a swarm the usual case is one ready peer, which has just sent a block, and whose
            # other pieces all come from other peers already.
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
            refused = self._apply(self._assigned(view), grants, now)
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

    def _assigned(self, view: SwarmView) -> list[Assignment]:
        """Return the strategy's assignments, and note them if somebody looks."""
        scheduler = self._scheduler
        if self.asked is None:
            return scheduler.assign(view, self._rng)
        is_replaced = scheduler.is_replaced
        before = scheduler.seconds
        assigned = scheduler.assign(view, self._rng)
        faults = [] if is_replaced else list(scheduler.wrong.values())
        took = scheduler.seconds - before
        by: Final = "fallback" if is_replaced else "strategy"
        self.asked.append(Asked(view, assigned, by, scheduler.name, took, faults))
        return assigned

    def _put_off(self, view: SwarmView) -> None:
        """Let peers that still have room after this view wait for a change, or for a while."""
        ready = self.ready
        assignable = self._states.assignable()
        for peer in view.peers:
            key = peer.key
            source = ready.pop(key, None)
            if source is not None and source.in_flight <= source.low_water and source.room > 0:
                if source.in_flight == peer.in_flight + peer.room:
                    ready[key] = source  # its view showed less room than it has
                elif self._askable(source, assignable):
                    self._declined[key] = source
                else:
                    self.idle[key] = source

    def _keep_alive(self, view: SwarmView, grants: list[Grant], now: float) -> None:
        """Assign by the fallback if the strategy has assigned nothing for too long."""
        if self._declining_since is None:
            self._declining_since = now
        if now - self._declining_since >= DECLINE_LIMIT or not any(
            source.in_flight for source in self._sources.values()
        ):
            assigned = self._scheduler.assign_by_fallback(view, self._rng)
            if self.asked is not None:
                self.asked.append(Asked(view, assigned, "host", self._scheduler.name, 0.0, []))
            self._apply(assigned, grants, now)

    def _share_buffers(self, now: float) -> None:
        """Set each peer's share of the buffers; peers whose share grew may be ready now."""
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
        """Return the view for the strategy, or None if nothing can be assigned."""
        states = self._states
        lengths = states.lengths
        ready = self.ready
        assignable = states.assignable()
        capacity = states.capacity()
        is_far = states.is_far
        is_short = self._shares.is_short
        asked: list[tuple[int, PeerView]] = []
        waiting = self._in_turn(capacity)
        # If buffers are short, a peer that filled all its room would keep others from theirs.
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
            deadlines=self.deadlines,
        )

    def _in_turn(self, capacity: int) -> list[Source]:
        """Return the ready peers; if room exceeds the buffers, the peers first that run dry first.

        If buffers are short, peers with less room follow. A share is small then, so one decision
        for each ready peer would be about a few blocks only.
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
        """Return the pieces of `assignable` that a peer may be asked for now."""
        pieces = source.askable() if source.choked else source.pieces
        # If the peer has every piece this returns the same object, so that nobody compares two
        # sets.
        askable = assignable if pieces == self._states.every else assignable & pieces
        return self._trials.permitted(askable, source) if self.paroles else askable

    def _apply(self, assignments: Iterable[Assignment], grants: list[Grant], now: float) -> bool:
        """Carry out assignments; returns whether the limit of open pieces refused some."""
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
            grants.append(Grant(source.key, run))  # noqa: PERF401  nearly always one run

    def cancel(self, source: Source, piece: int, blocks: BlockSet) -> None:
        """Cancel the requests for `blocks` with a peer; they are out of flight already."""
        source.excuse(piece, blocks)
        key = source.key
        self.cancels.extend(Grant(key, run) for run in self._states.lengths.runs(piece, blocks))

    def _take_back(self, source: Source, piece: int, blocks: BlockSet) -> None:
        self.cancel(source, piece, blocks)
        self.reconsider(source)

    # The end of a download

    def _is_tail(self) -> bool:
        """Whether idle peers can do nothing but help slow peers."""
        states = self._states
        return (states.is_full or not states.can_give) and not self._declined

    def _help_the_slow(self, grants: list[Grant], now: float) -> None:
        """Request blocks that slow peers have in flight from idle peers, too."""
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
        """Return the blocks of an open piece with one requester that may get a second."""
        if piece in self.paroles:
            return 0
        state = self._states.open[piece]
        return state.full & ~state.doubled

    def _give_up_a_piece(self) -> bool:
        """Close an open piece that no peer can finish, if it keeps others from being started.

        Returns whether a further piece may be started now.
        """
        states = self._states
        orphans = 0
        if states.free_total and len(states.open) >= states.open_limit:
            orphans = states.started & self._availability.rarity[0]
        if not orphans:
            # Only peers that do not serve us have the open pieces: wait as long as anything is in
            # flight.
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
    """Return the seconds of work that a peer has, up to a factor; inf if its rate is unknown."""
    in_flight = source.in_flight
    if source.speed > 0.0:
        return in_flight / source.speed
    return math.inf if in_flight else 0.0
