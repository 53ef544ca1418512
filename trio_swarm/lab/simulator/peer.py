"""One simulated peer: the real ledger and the real strategies, driven as the real peer drives them.

What `peer/download.py` does in a task happens here when the swarm says that the peer is to plan.
"""

import math
import random
from typing import TYPE_CHECKING, Final

from trio_swarm.engine.download.ledger import BlockOutcome, Ledger
from trio_swarm.engine.guard import GuardedChoker, GuardedScheduler, GuardedUploader
from trio_swarm.engine.lazy_haves import LazyHaves
from trio_swarm.engine.lengths import Lengths
from trio_swarm.engine.upload.serving import CHOKE_ROUND
from trio_swarm.engine.upload.uploads import Uploads
from trio_swarm.lab.simulator.messages import CLOSED, HAVE, HeardHaves
from trio_swarm.lab.simulator.neighbour import Neighbour
from trio_swarm.lab.simulator.peer_events import (
    ChokeAlarm,
    HavesAlarm,
    PlanAlarm,
    RevealAlarm,
    Verification,
)
from trio_swarm.lab.simulator.pipes import Downlink, Uplink
from trio_swarm.lab.simulator.racks import labels_seen
from trio_swarm.lab.simulator.scenario import StrategySet, address_of
from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.schedulers.rarest_first import RarestFirst

if TYPE_CHECKING:
    from trio_swarm.lab.simulator.swarm import SimulatedSwarm

MIN_OPEN_PIECES: Final = 4
MAX_OPEN_PIECES: Final = 4096

REQUESTS_ANNOUNCED: Final = 1024
"""How many requests a peer says it queues (BEP 10, "reqq")."""

CHOKE_PAUSE: Final = 0.5
LONG_CHOKE_PAUSE: Final = 1.0
"""Seconds between two decisions whom to unchoke, unless a peer can have a free slot: that is not
kept waiting. Real peers decide at each change of interest; here it was a quarter of the work. The
longer one is for swarms of more than `MANY` peers: 100 x 256 ended after 16.45 ± 0.17 s with it,
and after 16.18 ± 0.21 s with the other (8 seeds)."""

LEAST_WAIT: Final = 1e-4
"""Seconds until a peer plans again at least, if only time has passed."""

_COMPLETED: Final = BlockOutcome.COMPLETED
"""Looked up once, and not for every block."""

_no_timer = float
"""Returns 0.0: how long a decision takes must not decide anything here."""


class SimulatedPeer:
    """Its end of every connection is in `neighbours`, by the other peer's index."""

    def __init__(
        self,
        swarm: "SimulatedSwarm",
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
        self.address = address_of(index)
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
        self.recording = recording = swarm.recording_of(index)
        make_scheduler = recording.make_scheduler if recording else GuardedScheduler
        make_ledger = recording.make_ledger if recording else Ledger
        scheduler = make_scheduler(
            strategies.scheduler(), "scheduler", RarestFirst, timer=_no_timer
        )
        uploader = GuardedUploader(strategies.uploader(), "uploader", timer=_no_timer)
        choker = GuardedChoker(strategies.choker(), "choker", timer=_no_timer)
        self.guards = (scheduler, uploader, choker)
        """Around its strategies; they count the faults."""
        self.ledger = make_ledger(
            lengths,
            scheduler=scheduler,
            rng=rng,
            have=self.every if spec.role == "seeder" else 0,
            open_piece_limit=open_pieces,
        )
        self.slots = strategies.slots
        self.uploads: Uploads[Neighbour] = Uploads(
            self.ledger,
            uploader=uploader,
            choker=choker,
            rng=rng,
            slots=strategies.slots,
            own_number=rng.getrandbits(64),
            changed=swarm.wake_later,
            sooner=self._reveal_sooner,
        )
        self.neighbours = self.uploads.peers
        self.to_hear: list[HeardHaves] = []
        """HAVEs that are on their way to it."""
        self._to_reveal = RevealAlarm(timeline, self)
        self._to_plan_again = PlanAlarm(timeline, self)
        self._to_choke_again = ChokeAlarm(timeline, self)
        self.serves = spec.role != "free-rider"
        self.is_to_plan = False
        self.is_to_choke = False
        self._verify_seconds = network.verify_seconds
        self._choked_at = self._chokes_at = -math.inf
        self._lazy_haves = LazyHaves()
        self._to_tell = HavesAlarm(timeline, self)

    # --- connections ------------------------------------------------------------------------------

    def meet(self, neighbour: Neighbour) -> None:
        """Join a connection that is open now."""
        now = self.swarm.timeline.now
        labels = labels_seen(self.spec, self.swarm.scenario.peers[neighbour.key])
        self.ledger.add_peer(neighbour.key, now, identity=neighbour.address, labels=labels)
        self.ledger.set_queue_limit(neighbour.key, REQUESTS_ANNOUNCED)
        neighbour.source = self.ledger.source(neighbour.key)
        self.uploads.join(neighbour)
        self.swarm.wake(neighbour)
        self.swarm.rechoke(self)

    def lose(self, neighbour: Neighbour) -> None:
        """Note that a connection ended."""
        if not neighbour.is_open:
            return
        neighbour.close()
        self.ledger.remove_peer(neighbour.key)
        self.swarm.replan(self)
        self.swarm.rechoke(self)
        self.uploads.leave(neighbour.key)

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
        if self.recording:
            self.recording.end("it left")
        self.swarm.gone(self)

    # --- what was heard ---------------------------------------------------------------------------

    def heard_haves(self, ends: list[Neighbour], pieces: list[PieceSet]) -> None:
        """Note which more pieces the peers at these ends have; some may be gone."""
        ledger = self.ledger
        swarm = self.swarm
        wanted = ledger.wanted
        every = self.every
        is_awaited = False
        complete: list[Neighbour] = []
        for index, end in enumerate(ends):
            if end.is_open:
                new = pieces[index]
                if ledger.add_have(end.source, new):
                    is_awaited = True
                if not end.am_interested and wanted & new:
                    swarm.wake(end)
                if not end.wants_nothing and end.source.pieces == every:
                    end.wants_nothing = True  # and so it is not found twice
                    complete.append(end)
        if is_awaited:
            swarm.replan(self)
        self.uploads.times.note_change()
        for end in complete:
            self._is_complete(end)

    def pieces_changed(self, neighbour: Neighbour) -> None:
        """Look again at what a peer is good for."""
        self.swarm.replan(self)
        self.swarm.wake(neighbour)
        self.uploads.times.note_change()
        if self.ledger.pieces_of(neighbour.key) == self.every:
            self._is_complete(neighbour)

    def _is_complete(self, neighbour: Neighbour) -> None:
        neighbour.wants_nothing = True
        if not self.ledger.wanted:
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
        if outcome is _COMPLETED:
            swarm.timeline.add(now + self._verify_seconds, Verification(self, piece))
        swarm.replan(self)

    def verified(self, piece: int) -> None:
        """Note that a piece has passed its hash."""
        now = self.swarm.timeline.now
        ledger = self.ledger
        ledger.verified(piece)
        self.swarm.trace.piece(now, self.index, piece)
        is_complete = ledger.is_complete
        is_due = self._lazy_haves.add(1, now)
        self._tell(piece)
        if is_due or is_complete:
            self.tell_everybody()
        else:
            self._to_tell.set(self._lazy_haves.due_at)
        if is_complete:
            self._complete(now)
        elif self.is_here:
            self.swarm.replan(self)

    def tell_if_due(self) -> None:
        """Tell everybody of the latest pieces, if it is time."""
        if self.swarm.timeline.now >= self._lazy_haves.due_at:
            self.tell_everybody()
        else:
            self._to_tell.set(self._lazy_haves.due_at)

    def tell_everybody(self) -> None:
        """Have all told of the latest pieces, those that have them, too."""
        self._lazy_haves.told()
        ledger = self.ledger
        have, wanted = ledger.have, ledger.wanted
        for neighbour in self.neighbours.values():
            is_interested = bool(neighbour.source.pieces & wanted)
            if have & ~neighbour.told or is_interested != neighbour.am_interested:
                self.swarm.wake(neighbour)

    def _tell(self, piece: int) -> None:
        """Tell peers of a new piece that lack it, as far as is known, or may show more for it.

        What is to be said besides is not looked at: no peer becomes less interesting by a piece
        that it has not got.
        """
        ledger = self.ledger
        have, wanted = ledger.have, ledger.wanted
        swarm = self.swarm
        bit = 1 << piece
        told = []
        for neighbour in self.neighbours.values():
            if neighbour.pipe.is_full:
                continue
            pieces = neighbour.source.pieces
            if pieces & bit:
                if not ledger.may_show_more(neighbour.source):
                    continue
                if neighbour.am_interested and not pieces & wanted:
                    swarm.wake(neighbour)  # it is to hear of that, too
                    continue
            if neighbour.is_to_speak or not neighbour.is_told_any:
                swarm.wake(neighbour)
            else:
                told.append(neighbour)
        self.uploads.offer_to_all(told, swarm.timeline.now)
        interval = swarm.have_interval
        for neighbour in told:
            new = neighbour.take_offered(have)
            if new:
                when = neighbour.pipe.follow((HAVE, new), interval)
                if when is not None:
                    swarm.tell(neighbour.other, new, when)

    def _complete(self, now: float) -> None:
        self.finished_at = now
        swarm = self.swarm
        swarm.finished()
        swarm.rechoke(self)
        for neighbour in list(self.neighbours.values()):
            if neighbour.wants_nothing:
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
            neighbour.grant(run)
            wake(neighbour)
        for key, run in ledger.take_cancels():
            if key in neighbours:
                neighbour = neighbours[key]
                neighbour.cancel(run)
                wake(neighbour)
        ledger.take_abandoned()
        self._plan_later(now)

    def _plan_later(self, now: float) -> None:
        """Plan again when time alone makes it due."""
        self._to_plan_again.set(max(self.ledger.next_deadline(), now + LEAST_WAIT))

    def interest_changed(self, neighbour: Neighbour, now: float) -> None:
        """Decide again whom to unchoke, but not at every change of interest.

        A peer that may have a slot at once is not kept waiting.
        """
        self.uploads.times.note_change()
        if neighbour.peer_interested and not neighbour.should_unchoke:
            others = self.neighbours.values()
            taken = sum([each.should_unchoke and each.peer_interested for each in others])
            if taken < self.slots:
                self.swarm.rechoke(self)
                return
        if self._chokes_at < now:
            self._chokes_at = max(now, self._choked_at + self.swarm.choke_pause)
            self.swarm.timeline.at(self._chokes_at, self.swarm.rechoke, self)

    def choke(self, now: float) -> None:
        """Decide whom to unchoke, now and again in a round's time."""
        self.is_to_choke = False
        self._choked_at = now
        if not self.is_here:
            return
        if self.serves:
            self.uploads.choke(now)
            self._to_choke_again.set(now + CHOKE_ROUND)

    def round_over(self) -> None:
        """Decide again whom to unchoke, if a round has passed since."""
        due = self._choked_at + CHOKE_ROUND
        if self.swarm.timeline.now >= due:
            self.swarm.rechoke(self)
        else:
            self._to_choke_again.set(due)

    # --- what to reveal ---------------------------------------------------------------------------

    def _reveal_sooner(self) -> None:
        self._to_reveal.set(self.uploads.times.due_at)

    def reveal(self) -> None:
        """Look again at what is kept from whom, if it is time."""
        if not self.is_here:
            return
        now = self.swarm.timeline.now
        times = self.uploads.times
        if now >= times.due_at:
            self.uploads.look(now)
        self._to_reveal.set(times.due_at)

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
