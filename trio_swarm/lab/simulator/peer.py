"""One simulated peer: what a real one is, on a virtual clock.

What the tasks of a real peer do when they are woken happens here when the swarm says so.
"""

import math
import random
from typing import TYPE_CHECKING, Final, cast

from trio_swarm.engine.conversation import REQUEST_QUEUE, Conversation
from trio_swarm.engine.download.ledger import BlockOutcome, Ledger
from trio_swarm.engine.exchange import Exchange, open_piece_limit
from trio_swarm.engine.guard import GuardedChoker, GuardedScheduler, GuardedUploader
from trio_swarm.engine.lengths import Lengths
from trio_swarm.engine.messages import HAVE
from trio_swarm.lab.simulator.first_come import FirstComeUplink
from trio_swarm.lab.simulator.messages import CLOSED, HeardHaves
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
from trio_swarm.lab.simulator.scenario import Network, PeerSpec, StrategySet, address_of
from trio_swarm.lab.simulator.sharing_out import SharingOut
from trio_swarm.lab.simulator.timeline import Timeline
from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.schedulers.api import UploadRequest
from trio_swarm.schedulers.rarest_first import RarestFirst

if TYPE_CHECKING:
    from trio_swarm.lab.simulator.swarm import SimulatedSwarm

LONG_CHOKE_PAUSE: Final = 1.0
"""`CHOKE_PAUSE` in swarms of more than `MANY` peers: 100 x 256 ended after 16.45 ± 0.17 s with it,
and after 16.18 ± 0.21 s with the other (8 seeds)."""

LEAST_WAIT: Final = 1e-4
"""Seconds until a peer plans again at least, if only time has passed."""

_COMPLETED: Final = BlockOutcome.COMPLETED
"""Looked up once, and not for every block."""

_no_timer = float
"""Returns 0.0: how long a decision takes must not decide anything here."""


class SimulatedPeer(Exchange):
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
        self.address = address_of(index)
        self.is_here = False
        self.finished_at: float | None = None
        self.left_at: float | None = None
        self.first_byte_at: float | None = None
        self.taken = 0
        """Bytes of blocks that arrived."""
        timeline = swarm.timeline
        self.up = _uplink(timeline, spec, network, swarm.quantum)
        self.sharing = (
            SharingOut(timeline)
            if network.shares_uplink and isinstance(self.up, FirstComeUplink)
            else None
        )
        """Whose turn it is to send; None: whoever has something to send may."""
        self.down = Downlink(timeline, spec.down) if spec.down < math.inf else None
        lengths = Lengths(length=scenario.size, piece_length=scenario.piece_length)
        every = full_set(lengths.piece_count)
        self.allowed_fast = _some(every, network.allowed_fast, rng)
        """What others let this peer have while they choke it; one set for all of them (BEP 6)."""
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
        ledger = make_ledger(
            lengths,
            scheduler=scheduler,
            rng=rng,
            have=every if spec.role == "seeder" else 0,
            open_piece_limit=open_piece_limit(strategies.piece_memory, scenario.piece_length),
        )
        super().__init__(
            ledger,
            uploader=uploader,
            choker=choker,
            rng=rng,
            slots=strategies.slots,
            own_number=rng.getrandbits(64),
            choke_pause=swarm.choke_pause,
            least_request=swarm.least_request,
            sent=None if recording is None else recording.sent,
        )
        self.neighbours = cast("dict[int, Neighbour]", self.conversations)
        self.to_hear: list[HeardHaves] = []
        """HAVEs that are on their way to it."""
        self._to_reveal = RevealAlarm(timeline, self)
        self._to_plan_again = PlanAlarm(timeline, self)
        self._to_choke_again = ChokeAlarm(timeline, self)
        self.serves = spec.role != "free-rider"
        self.is_to_plan = False
        self.is_to_choke = False
        self._verify_seconds = network.verify_seconds
        self._to_tell = HavesAlarm(timeline, self)

    # --- connections ------------------------------------------------------------------------------

    def meet(self, neighbour: Neighbour) -> None:
        """Join a connection that is open now."""
        now = self.swarm.timeline.now
        labels = labels_seen(self.spec, self.swarm.scenario.peers[neighbour.key])
        self.join(
            neighbour,
            now,
            identity=neighbour.address,
            labels=labels,
            queue_limit=REQUEST_QUEUE,
        )

    def lose(self, neighbour: Neighbour) -> None:
        """Note that a connection ended."""
        if not neighbour.is_open:
            return
        neighbour.close()
        if self.sharing is not None:
            self.sharing.leave(neighbour.key, self.swarm.timeline.now)
        self.leave(neighbour, self.swarm.timeline.now)

    def part(self, conversation: Conversation) -> None:
        """End a connection; the other end hears of it."""
        neighbour = cast("Neighbour", conversation)
        pipe = neighbour.pipe
        self.lose(neighbour)
        pipe.say([(CLOSED, None)])

    def go(self) -> None:
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

    # --- hooks ------------------------------------------------------------------------------------

    def wake(self, conversation: Conversation) -> None:
        """Have an end say what is new."""
        self.swarm.wake(cast("Neighbour", conversation))

    def replan(self) -> None:
        """Plan in this moment."""
        self.swarm.replan(self)

    def rechoke(self, when: float) -> None:
        """Decide whom to unchoke in this moment, or later."""
        timeline = self.swarm.timeline
        if when > timeline.now:
            timeline.at(when, self.swarm.rechoke, self)
        else:
            self.swarm.rechoke(self)

    def reveal_sooner(self) -> None:
        """Look sooner what else to reveal."""
        self._to_reveal.set(self.uploads.times.due_at)

    def tell(self, conversations: list[Conversation], now: float) -> None:
        """Tell these of pieces that are new here, without a word on anything else if there is none.

        No peer becomes less interesting by a piece that it has not got.
        """
        have, wanted = self.ledger.have, self.ledger.wanted
        swarm = self.swarm
        told: list[Neighbour] = []
        for conversation in conversations:
            neighbour = cast("Neighbour", conversation)
            if neighbour.pipe.is_full:
                continue
            is_more_to_say = (
                neighbour.is_to_speak
                or not neighbour.is_told_any
                or (neighbour.am_interested and not neighbour.source.pieces & wanted)
            )
            if is_more_to_say:
                swarm.wake(neighbour)
            else:
                told.append(neighbour)
        self.uploads.offer_to_all(told, now)
        interval = swarm.have_interval
        for neighbour in told:
            new = neighbour.take_offered(have)
            if new:
                when = neighbour.pipe.follow((HAVE, new), interval)
                if when is not None:
                    swarm.tell(neighbour.other, new, when)

    # --- what came --------------------------------------------------------------------------------

    def take_in(self, neighbour: Neighbour, request: UploadRequest, now: float) -> None:
        """Take a block in that arrived."""
        piece, begin, length = request
        if self.first_byte_at is None:
            self.first_byte_at = now
        self.taken += length
        swarm = self.swarm
        outcome = neighbour.heard_blocks(piece, begin, length, now)
        swarm.trace.block(now, neighbour.key, self.index, piece, begin, length)
        if outcome is _COMPLETED:
            swarm.timeline.add(now + self._verify_seconds, Verification(self, piece))

    def verified(self, piece: int) -> None:
        """Note that a piece has passed its hash."""
        now = self.swarm.timeline.now
        ledger = self.ledger
        ledger.verified(piece)
        self.swarm.trace.piece(now, self.index, piece)
        is_complete = ledger.is_complete
        self.tell_of(1 << piece, now)
        self._to_tell.set(self.tells_at)
        if is_complete:
            self._complete(now)
        elif self.is_here:
            self.swarm.replan(self)

    def tell_if_due(self) -> None:
        """Tell everybody of the latest pieces, if it is time."""
        if self.swarm.timeline.now >= self.tells_at:
            self.tell_everybody()
        else:
            self._to_tell.set(self.tells_at)

    def _complete(self, now: float) -> None:
        self.finished_at = now
        swarm = self.swarm
        swarm.finished()
        swarm.rechoke(self)
        self.part_useless()
        if self.spec.seeds_for < math.inf:
            swarm.timeline.at(now + self.spec.seeds_for, self.go)

    # --- decisions --------------------------------------------------------------------------------

    def make_plan(self, now: float) -> None:
        """Give late blocks back, ask the strategy, and hand out what it says."""
        self.is_to_plan = False
        if self.ledger.wanted and self.is_here:
            self.plan(now)
            self._to_plan_again.set(max(self.plans_at, now + LEAST_WAIT))

    def choke(self, now: float) -> None:
        """Decide whom to unchoke, now and again in a round's time."""
        self.is_to_choke = False
        self._choked_at = now
        if not self.is_here:
            return
        if self.serves:
            super().choke(now)
            self._to_choke_again.set(self.round_ends_at)

    def round_over(self) -> None:
        """Decide again whom to unchoke, if a round has passed since."""
        due = self.round_ends_at
        if self.swarm.timeline.now >= due:
            self.swarm.rechoke(self)
        else:
            self._to_choke_again.set(due)

    # --- what to reveal ---------------------------------------------------------------------------

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
            self.go()


def _uplink(timeline: Timeline, spec: PeerSpec, network: Network, quantum: int) -> Uplink:
    """Return the uplink of a peer, with the queue it is to have."""
    if (spec.sharing or network.sharing) == "fair" or spec.up == math.inf:
        return Uplink(timeline, spec.up, quantum)
    buffer = network.buffer if spec.buffer is None else spec.buffer
    return FirstComeUplink(timeline, spec.up, quantum, buffer=buffer)


def _some(every: PieceSet, count: int, rng: random.Random) -> PieceSet:
    """Return `count` pieces at random, or all if there are no more."""
    total = every.bit_count()
    pieces = 0
    for piece in rng.sample(range(total), min(count, total)):
        pieces |= 1 << piece
    return pieces
