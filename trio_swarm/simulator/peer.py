"""One simulated peer: the real ledger and the real strategies, driven as the real peer drives them.

What `peer/leeching.py` does in a task happens here when the swarm says that the peer is to plan.
"""

import math
import random
from typing import TYPE_CHECKING

from trio_swarm.piece_sets import PieceSet, full_set, iterate
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.simulator.neighbour import CLOSED, Neighbour
from trio_swarm.simulator.pipes import Downlink, Uplink
from trio_swarm.simulator.racks import labels_seen
from trio_swarm.simulator.scenario import StrategySet
from trio_swarm.simulator.upload_side import UploadSide
from trio_swarm.swarm.guard import GuardedChoker, GuardedScheduler, GuardedUploader
from trio_swarm.swarm.ledger import BlockOutcome, Ledger
from trio_swarm.swarm.lengths import Lengths
from trio_swarm.swarm.serving import CHOKE_ROUND

if TYPE_CHECKING:
    from trio_swarm.simulator.swarm import Swarm

LAZY_HAVES = 64
"""New pieces after which those are told, too, that have them already."""

MIN_OPEN_PIECES = 4
MAX_OPEN_PIECES = 4096

REQUESTS_ANNOUNCED = 1024
"""How many requests a peer says it queues (BEP 10, "reqq")."""

LEAST_WAIT = 1e-4
"""Seconds until a peer plans again at least, if only time has passed."""


def _no_timer() -> float:
    """Return 0.0: how long a decision takes must not decide anything here."""
    return 0.0


class Peer:
    """Its end of every connection is in `neighbours`, by the other peer's index."""

    def __init__(
        self,
        swarm: "Swarm",
        index: int,
        strategies: StrategySet,
        rng: random.Random,
    ) -> None:
        self.swarm = swarm
        self.index = index
        scenario = swarm.scenario
        self.spec = spec = scenario.peers[index]
        network = scenario.network
        self.max_request = network.max_request
        self.least_request = swarm.least_request
        self.neighbours: dict[int, Neighbour] = {}
        self.is_here = False
        self.finished_at: float | None = None
        self.left_at: float | None = None
        self.first_byte_at: float | None = None
        self.taken = 0
        """Bytes of blocks that arrived."""
        timeline = swarm.timeline
        self.up = Uplink(timeline, spec.up, swarm.quantum)
        self.down = Downlink(timeline, spec.down) if spec.down < math.inf else None
        lengths = Lengths(length=scenario.size, piece_length=scenario.piece_length)
        self.every = full_set(lengths.piece_count)
        self.allowed_fast = _some(self.every, network.allowed_fast, rng)
        """What others let this peer have while they choke it; one set for all of them (BEP 6)."""
        open_pieces = max(
            MIN_OPEN_PIECES,
            min(MAX_OPEN_PIECES, strategies.piece_memory // scenario.piece_length),
        )
        scheduler = GuardedScheduler(
            strategies.scheduler(), "scheduler", RarestFirst, timer=_no_timer
        )
        uploader = GuardedUploader(strategies.uploader(), "uploader", timer=_no_timer)
        choker = GuardedChoker(strategies.choker(), "choker", timer=_no_timer)
        self.guards = (scheduler, uploader, choker)
        """Around its strategies; they count the faults."""
        self.ledger = Ledger(
            lengths,
            scheduler=scheduler,
            rng=rng,
            have=self.every if spec.role == "seeder" else 0,
            open_piece_limit=open_pieces,
        )
        self.uploads = UploadSide(
            self.ledger,
            self.neighbours,
            timeline=timeline,
            uploader=uploader,
            choker=choker,
            rng=rng,
            slots=strategies.slots,
            changed=swarm.wake,
        )
        self.serves = spec.role != "free-rider"
        self.is_to_plan = False
        self.is_to_choke = False
        self._verify_seconds = network.verify_seconds
        self._plans_at = math.inf
        self._choke_round = 0
        self._unsaid = 0

    # --- connections ------------------------------------------------------------------------------

    def meet(self, neighbour: Neighbour) -> None:
        """Join a connection that is open now."""
        now = self.swarm.timeline.now
        self.neighbours[neighbour.key] = neighbour
        labels = labels_seen(self.spec, self.swarm.scenario.peers[neighbour.key])
        self.ledger.add_peer(neighbour.key, now, identity=neighbour.address, labels=labels)
        self.ledger.set_queue_limit(neighbour.key, REQUESTS_ANNOUNCED)
        self.swarm.wake(neighbour)
        self.swarm.rechoke(self)

    def lose(self, neighbour: Neighbour) -> None:
        """Note that a connection ended."""
        if not neighbour.is_open:
            return
        neighbour.close()
        del self.neighbours[neighbour.key]
        self.ledger.remove_peer(neighbour.key)
        self.swarm.replan(self)
        self.swarm.rechoke(self)
        self.uploads.stir()

    def part(self, neighbour: Neighbour) -> None:
        """End a connection; the other end hears of it."""
        pipe = neighbour.pipe
        self.lose(neighbour)
        pipe.say([(CLOSED, None)])

    def leave(self) -> None:
        """Go, and close all connections."""
        if self.is_here:
            for neighbour in list(self.neighbours.values()):
                self.part(neighbour)
            self._go()

    def die(self) -> None:
        """Fall silent; what is on its way arrives."""
        if self.is_here:
            for neighbour in list(self.neighbours.values()):
                self.lose(neighbour)
            self._go()

    def _go(self) -> None:
        self.is_here = False
        self.left_at = self.swarm.timeline.now
        self.swarm.gone(self)

    # --- what was heard ---------------------------------------------------------------------------

    def heard_of(self, neighbour: Neighbour, pieces: PieceSet) -> None:
        """Note that a peer has more pieces."""
        add_piece = self.ledger.add_piece
        for piece in iterate(pieces):
            add_piece(neighbour.key, piece)
        self.pieces_changed(neighbour)

    def pieces_changed(self, neighbour: Neighbour) -> None:
        """Look again at what a peer is good for."""
        ledger = self.ledger
        swarm = self.swarm
        swarm.replan(self)
        if not neighbour.am_interested or ledger.have & ~neighbour.told:
            swarm.wake(neighbour)
        self.uploads.stir()
        if ledger.pieces_of(neighbour.key) == self.every:
            neighbour.is_complete = True
            if not ledger.wanted:
                self.part(neighbour)

    def take_in(
        self, neighbour: Neighbour, piece: int, begin: int, length: int, now: float
    ) -> None:
        """Take blocks in that arrived."""
        if self.first_byte_at is None:
            self.first_byte_at = now
        self.taken += length
        swarm = self.swarm
        outcome = self.ledger.received(neighbour.key, piece, begin, length, now)
        swarm.trace.block(now, neighbour.key, self.index, piece, begin, length)
        if outcome is BlockOutcome.COMPLETED:
            swarm.timeline.at(now + self._verify_seconds, self._verified, piece)
        swarm.replan(self)

    def _verified(self, piece: int) -> None:
        now = self.swarm.timeline.now
        ledger = self.ledger
        ledger.verified(piece)
        self.swarm.trace.piece(now, self.index, piece)
        is_complete = ledger.is_complete
        self._unsaid += 1
        is_due = is_complete or self._unsaid >= LAZY_HAVES
        if is_due:
            self._unsaid = 0
        for neighbour in self.neighbours.values():
            if is_due or not ledger.pieces_of(neighbour.key) >> piece & 1:
                self.swarm.wake(neighbour)
        if is_complete:
            self._complete(now)
        elif self.is_here:
            self.swarm.replan(self)

    def _complete(self, now: float) -> None:
        self.finished_at = now
        swarm = self.swarm
        swarm.finished()
        swarm.rechoke(self)
        for neighbour in list(self.neighbours.values()):
            if neighbour.is_complete:
                self.part(neighbour)
        if self.spec.seeds_for < math.inf:
            swarm.timeline.at(now + self.spec.seeds_for, self.leave)

    # --- decisions --------------------------------------------------------------------------------

    def plan(self, now: float) -> None:
        """Give late blocks back, ask the strategy, and hand out what it says."""
        self.is_to_plan = False
        ledger = self.ledger
        if not ledger.wanted or not self.is_here:
            return
        if not ledger.is_due(now):
            self._plan_later(now)
            return
        ledger.expire(now)
        neighbours = self.neighbours
        wake = self.swarm.wake
        for key, run in ledger.plan(now):
            neighbour = neighbours[key]
            neighbour.grants.append(run)
            wake(neighbour)
        for key, run in ledger.take_cancels():
            if key in neighbours:
                neighbour = neighbours[key]
                neighbour.cancels.append(run)
                wake(neighbour)
        ledger.take_abandoned()
        self._plan_later(now)

    def _plan_later(self, now: float) -> None:
        """Plan again when time alone makes it due."""
        due = max(self.ledger.next_deadline(), now + LEAST_WAIT)
        if due < self._plans_at:
            self._plans_at = due
            self.swarm.timeline.at(due, self._time_passed, due)

    def _time_passed(self, due: float) -> None:
        if due == self._plans_at:
            self._plans_at = math.inf
            self.swarm.replan(self)

    def choke(self, now: float) -> None:
        """Decide whom to unchoke, now and again in a round's time."""
        self.is_to_choke = False
        if not self.is_here:
            return
        if self.serves:
            self.uploads.choke(now)
        self._choke_round += 1
        if self.serves:
            self.swarm.timeline.at(now + CHOKE_ROUND, self._round_over, self._choke_round)

    def _round_over(self, number: int) -> None:
        if number == self._choke_round:
            self.swarm.rechoke(self)

    def sent(self, _nbytes: int) -> None:
        """Look whether it has sent as much as it was going to."""
        if self.up.sent >= self.spec.leaves_after_copies * self.ledger.lengths.length:
            self.leave()


def _some(every: PieceSet, count: int, rng: random.Random) -> PieceSet:
    """Return `count` pieces at random, or all if there are no more."""
    total = every.bit_count()
    pieces = 0
    for piece in rng.sample(range(total), min(count, total)):
        pieces |= 1 << piece
    return pieces
