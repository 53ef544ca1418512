"""What to ask of whom: the strategy's choice, and what the host does when it does not choose.

The host steps in for liveness (room and wanted blocks, but nothing assigned), for the tail (a
second requester for what a slow peer holds) and for pieces nobody can finish (they are given up
when they keep others from being begun).
"""

import math
import random
from collections.abc import Iterable
from types import MappingProxyType
from typing import NamedTuple

from trio_swarm.piece_sets import PieceSet, iterate
from trio_swarm.schedulers.api import Assignment, PeerView, SwarmView
from trio_swarm.swarm.availability import Availability
from trio_swarm.swarm.busy_peers import BusyPeers
from trio_swarm.swarm.endgame import STALL_GAIN, TAIL_GAIN, find_duplicates
from trio_swarm.swarm.guard import GuardedScheduler
from trio_swarm.swarm.lengths import BLOCK_LENGTH, BlockRun, BlockSet, lowest_blocks
from trio_swarm.swarm.open_piece import OpenPiece
from trio_swarm.swarm.piece_states import PieceStates
from trio_swarm.swarm.smart_ban import Parole
from trio_swarm.swarm.source import MIN_WINDOW, Source

DECLINE_PAUSE = 0.05
"""Seconds after which a strategy that declined room is asked again, if nothing else happens."""

DECLINE_LIMIT = 1.0
"""Seconds a strategy may assign nothing at all while it could; then the host assigns."""

TAIL_INTERVAL = 0.1
"""Seconds between two looks for blocks worth a second requester."""

_MAX_ROUNDS = 3
"""Times a strategy is asked in one plan, when it began more pieces than may be open."""


class Grant(NamedTuple):
    """Ask `run` of `peer` (or, as a cancel, ask it no longer)."""

    peer: int
    run: BlockRun


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
        self.paroles: dict[int, Parole] = {}
        """Pieces that failed and are not verified yet."""
        self.cancels: list[Grant] = []
        """What peers were asked and need no longer send."""
        self.expiry_at = math.inf
        """Not later than the first deadline of any peer."""
        # Each peer with room is in one of these (or in two, until the next plan sorts it):
        self.hungry: dict[int, Source] = {}
        """Those the next plan is about."""
        self._declined: dict[int, Source] = {}  # the strategy gave it nothing
        self._barren: dict[int, Source] = {}  # it has nothing that may be given out
        self._states = states
        self._sources = sources
        self._availability = availability
        self._scheduler = scheduler
        self._rng = rng
        self._free_view = MappingProxyType(states.free_counts)
        self._ask_again_at = math.inf
        self._declining_since: float | None = None
        self._tail_at = -math.inf

    # Who waits

    def feed(self, source: Source) -> None:
        """Look again at a peer whose room or pieces changed."""
        key = source.key
        self._declined.pop(key, None)
        self._barren.pop(key, None)
        if source.in_flight <= source.low_water and source.room > 0:
            self.hungry[key] = source
        else:
            self.hungry.pop(key, None)

    def forget(self, key: int) -> None:
        """Drop a peer that left."""
        for waiting in (self.hungry, self._declined, self._barren):
            waiting.pop(key, None)

    def stir(self) -> None:
        """Look again at everyone with room: more may be given out than before."""
        for waiting in (self._declined, self._barren):
            if waiting:
                self.hungry.update(waiting)
                waiting.clear()

    def nourish(self, key: int) -> None:
        """Look again at a peer that has one more piece, if that is what it waited for."""
        source = self._barren.pop(key, None)
        if source is not None:
            self.hungry[key] = source

    def next_deadline(self) -> float:
        """Return when `plan` is due though nothing happens; inf if never."""
        if self._barren and self._is_tail():
            return min(self._ask_again_at, self._tail_at)
        return self._ask_again_at

    # Planning

    def plan(self, now: float) -> list[Grant]:
        """Return what to ask now."""
        grants: list[Grant] = []
        if self.hungry or now >= self._ask_again_at:
            self._ask_strategy(grants, now)
        if self._barren and self._states.is_full and self._give_up_a_piece():
            self._ask_strategy(grants, now)
        if self._barren and now >= self._tail_at and self._is_tail():
            self._help_the_slow(grants, now)
            self._tail_at = now + TAIL_INTERVAL
        return grants

    def _ask_strategy(self, grants: list[Grant], now: float) -> None:
        """Give room to the strategy until it declines or nothing is left to give."""
        before = len(grants)
        for _ in range(_MAX_ROUNDS):
            view = self._view(now)
            if view is None:
                break
            assignments = self._scheduler.assign(view, self._rng)
            if not self._apply(assignments, grants, now):
                break
        if len(grants) > before:
            self._declining_since = None
        elif view is not None:
            self._keep_alive(view, grants, now)
        # What had room and was given nothing waits for a change, or for a while.
        waiting = self.hungry
        self.hungry = {}
        assignable = self._states.assignable()
        for key, source in waiting.items():
            if source.in_flight <= source.low_water and source.room > 0:
                if self._askable(source, assignable):
                    self._declined[key] = source
                else:
                    self._barren[key] = source
        self._ask_again_at = now + DECLINE_PAUSE if self._declined else math.inf

    def _keep_alive(self, view: SwarmView, grants: list[Grant], now: float) -> None:
        """Assign in the place of a strategy that assigns nothing for too long."""
        if self._declining_since is None:
            self._declining_since = now
        if now - self._declining_since >= DECLINE_LIMIT or not any(
            source.in_flight for source in self._sources.values()
        ):
            self._apply(self._scheduler.assign_by_fallback(view, self._rng), grants, now)

    def _view(self, now: float) -> SwarmView | None:
        """Return the snapshot for the strategy, or None if nothing can be assigned."""
        hungry = self.hungry
        if self._declined:
            hungry.update(self._declined)
            self._declined.clear()
        if not hungry:
            return None
        states = self._states
        assignable = states.assignable()
        lengths = states.lengths
        fair_share = self._fair_share(hungry)
        every = states.every
        peers: list[PeerView] = []
        for source in (
            sorted(hungry.values(), key=_join_order) if len(hungry) > 1 else list(hungry.values())
        ):
            room = source.room
            self._barren.pop(source.key, None)
            if room <= 0:
                del hungry[source.key]
                continue
            askable = self._askable(source, assignable)
            if not askable:
                del hungry[source.key]
                self._barren[source.key] = source
                continue
            if fair_share is not None:
                room = min(room, fair_share - source.in_flight)
                if room <= 0:
                    continue
            peers.append(
                PeerView(
                    key=source.key,
                    pieces=askable,
                    room=room,
                    in_flight=source.in_flight,
                    rate=source.measure(now),
                    rtt=source.rtt,
                    is_seeder=source.pieces == every,
                    labels=source.labels,
                )
            )
        if not peers:
            return None
        return SwarmView(
            wanted=assignable,
            started=states.started,
            free_blocks=self._free_view,
            rarity=tuple(self._availability.rarity),
            peers=tuple(peers),
            piece_length=lengths.piece_length,
            block_length=BLOCK_LENGTH,
            piece_count=lengths.piece_count,
            remaining=states.remaining,
            now=now,
            busy=BusyPeers(self._sources, hungry, every, now),
        )

    def _fair_share(self, hungry: dict[int, Source]) -> int | None:
        """Return the most blocks each peer may have in flight; None where buffers are not short.

        Else the first to be asked would take all buffers, and leave the others idle.
        """
        states = self._states
        capacity = states.capacity()
        if capacity >= sum(source.room for source in hungry.values()):
            return None
        sharers = sum(
            1 for source in self._sources.values() if source.in_flight or source.key in hungry
        )
        return max(MIN_WINDOW, states.open_limit * states.lengths.blocks_per_piece // sharers)

    def _askable(self, source: Source, assignable: PieceSet) -> PieceSet:
        """Return the pieces of `assignable` that a peer may be asked for."""
        askable = assignable & source.askable()
        if self.paroles and askable:
            for piece, parole in self.paroles.items():
                if askable >> piece & 1 and not self._may_try(parole, piece, source):
                    askable ^= 1 << piece
        return askable

    def _apply(self, assignments: Iterable[Assignment], grants: list[Grant], now: float) -> bool:
        """Carry out assignments; returns whether some failed only for the limit of open pieces."""
        states = self._states
        refused = False
        for key, piece, blocks in assignments:
            source = self._sources[key]
            state = states.open.get(piece)
            parole = self.paroles.get(piece)
            if parole is not None and not self._claim(parole, piece, source):
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
        key = source.key
        grants.extend(Grant(key, run) for run in self._states.lengths.runs(piece, blocks))

    def cancel(self, source: Source, piece: int, blocks: BlockSet) -> None:
        """Tell a peer that it need not send `blocks`, which are out of flight already."""
        source.pardon(piece, blocks)
        key = source.key
        self.cancels.extend(Grant(key, run) for run in self._states.lengths.runs(piece, blocks))

    # The tail

    def _is_tail(self) -> bool:
        """Whether idle peers can only help those that are slow."""
        states = self._states
        return (states.is_full or not states.started | states.untouched) and not self._declined

    def _help_the_slow(self, grants: list[Grant], now: float) -> None:
        helpers = [source for source in self._barren.values() if source.room > 0]
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
        untouched = states.untouched
        if not any(untouched & source.askable() for source in self._barren.values()):
            return False
        orphans = 0
        if len(states.open) >= states.open_limit:
            orphans = states.started & self._availability.rarity[0]
        if not orphans:
            # Held only by peers that do not serve us: wait for them as long as anything moves.
            if any(source.in_flight for source in self._sources.values()):
                return False
            if any(state.verifying for state in states.open.values()):
                return False
            if states.reopen():
                self.stir()
                return True
            orphans = states.started
        victims = [
            state
            for state in map(states.open.__getitem__, iterate(orphans))
            if state.free | state.received == state.full
        ]
        if not victims:
            return False
        self._abandon(min(victims, key=lambda state: state.received.bit_count()))
        return True

    def _abandon(self, state: OpenPiece) -> None:
        parole = self.paroles.get(state.index)
        if parole is not None:
            parole.owner = None
        self._states.close(state)
        self.stir()

    # Parole

    def _may_try(self, parole: Parole, piece: int, source: Source) -> bool:
        """Whether a peer may be asked for a piece on parole."""
        if parole.owner == source.key:
            return True
        if parole.owner is not None and self._sources[parole.owner].serves:
            return False
        if source.identity not in parole.suspects:
            return True
        return not any(
            other.identity not in parole.suspects and other.serves and other.pieces >> piece & 1
            for other in self._sources.values()
        )

    def _claim(self, parole: Parole, piece: int, source: Source) -> bool:
        """Make a peer the only one that is asked for a piece on parole; False if it may not be."""
        if not self._may_try(parole, piece, source):
            return False
        if parole.owner == source.key:
            return True
        parole.owner = source.key
        state = self._states.open.get(piece)
        if state is None:
            return True
        for other in self._sources.values():
            if other is not source:
                asked = other.take_asked(piece, state.full)
                if asked:
                    self._states.release(piece, asked)
                late = other.take_late(piece, state.full)
                if asked | late:
                    self.cancel(other, piece, asked | late)
        tainted = source.identity in parole.suspects or not parole.suspects.isdisjoint(
            state.senders
        )
        if tainted:
            # A suspect is tried alone, or the next failure would tell nothing.
            self._states.restart(state)
        return True


def _join_order(source: Source) -> int:
    return source.order
