"""Plays a download with the peers of a recording, and with any strategy, on a virtual clock."""

import hashlib
import math
import random
from collections import deque
from collections.abc import Callable
from struct import Struct as Layout

from msgspec import Struct

from trio_swarm.engine.download.ledger import BlockOutcome, Ledger
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.engine.lengths import BlockRun
from trio_swarm.lab.replaying.measuring import Measured, Source
from trio_swarm.lab.simulator.timeline import Timeline
from trio_swarm.recording import Record
from trio_swarm.recording import records as ev
from trio_swarm.schedulers.api import Scheduler
from trio_swarm.schedulers.decision_count import DecisionCount
from trio_swarm.schedulers.rarest_first import RarestFirst

STALLED = 150.0
"""Seconds without anything that arrives, after all that peers did by themselves, after which a
replay is given up: what is missing is had by nobody that is left."""

IDLE_PLANS = 1_000_000
"""Plans one after the other of which nothing comes after which it is given up, too: near the end
there are ten a second, and a file may tell of a pause of years."""

LEAST_WAIT = 1e-4
"""Seconds until a peer plans again at least, if only time has passed."""

_RECORD = Layout("<dIIII")


class ReplayResult(Struct, frozen=True, kw_only=True):
    """One replay; `digest` is the same if and only if the same happened."""

    seconds: float | None
    """Until everything was verified; None if that never was."""
    received: dict[int, int]
    """Bytes from each peer of the recording, of use."""
    duplicate: int
    """Bytes in vain."""
    decisions: int
    decision_seconds: float
    faults: int
    blocks: int
    """Times that something arrived."""
    digest: str


def _no_timer() -> float:
    """Return 0.0: how long a decision takes must not decide anything here."""
    return 0.0


def replay(
    measured: Measured,
    scheduler: Scheduler,
    name: str,
    *,
    seed: int = 1,
    timer: Callable[[], float] = _no_timer,
) -> ReplayResult:
    """Play the download to its end. `timer` returns seconds, to time decisions with."""
    return _Replay(measured, scheduler, name, seed, timer).run()


class _Peer:
    """Sends what it is asked for, in order, as fast as it did."""

    def __init__(self, source: Source, timeline: Timeline, arrive: "_Arrive") -> None:
        self._source = source
        self._timeline = timeline
        self._arrive = arrive
        self._queue: deque[tuple[float, BlockRun]] = deque()
        self._sending = 0  # number of the run on its way, 0 for none
        self._serial = 0

    def ask(self, run: BlockRun) -> None:
        """Queue a run of blocks: what is asked for now begins to come a latency later."""
        at = self._timeline.now + self._source.latency
        chunk = self._source.chunk
        piece, begin, length = run
        for start in range(begin, begin + length, chunk):
            size = min(chunk, begin + length - start)
            self._queue.append((at, BlockRun(piece, start, size)))
        if not self._sending:
            self._send()

    def cancel(self, run: BlockRun) -> None:
        """Drop what is queued of a run; what is on its way arrives."""
        end = run.begin + run.length
        self._queue = deque(
            each
            for each in self._queue
            if each[1].piece != run.piece
            or not run.begin <= each[1].begin
            or each[1].begin + each[1].length > end
        )

    def drop(self) -> None:
        """Forget everything that was asked for."""
        self._queue.clear()
        self._sending = 0

    def _send(self) -> None:
        if not self._queue:
            self._sending = 0
            return
        at, run = self._queue.popleft()
        self._serial += 1
        self._sending = self._serial
        start = max(at, self._timeline.now)
        finish = self._source.curve.finish(start, run.length)
        if finish < math.inf:
            self._timeline.at(finish, self._sent, self._serial, run)

    def _sent(self, serial: int, run: BlockRun) -> None:
        if serial == self._sending:
            self._arrive(self._source.key, run)
            self._send()


_Arrive = Callable[[int, BlockRun], None]


class _Replay:
    def __init__(
        self,
        measured: Measured,
        scheduler: Scheduler,
        name: str,
        seed: int,
        timer: Callable[[], float],
    ) -> None:
        self._measured = measured
        self._timeline = Timeline()
        self._count = DecisionCount(timer)
        counted = self._count.of(scheduler)
        self._guard = GuardedScheduler(counted, name, RarestFirst, timer=_no_timer)
        self._ledger = Ledger(
            measured.lengths,
            scheduler=self._guard,
            rng=random.Random(f"{seed}/replay"),
            have=measured.have,
            open_piece_limit=measured.open_pieces,
        )
        self._peers: dict[int, _Peer] = {}
        self._received = dict.fromkeys(measured.sources, 0)
        self._hash = hashlib.sha256()
        self._blocks = 0
        self._finished: float | None = None
        self._plans_at = math.inf
        self._is_to_plan = False
        self._idle = 0

    def run(self) -> ReplayResult:
        timeline = self._timeline
        for event in self._measured.script:
            timeline.at(event.at / 1e6, self._act, event)
        if self._ledger.is_complete:
            self._finished = 0.0
        else:
            self._look_for_life(0)
            timeline.run(self._settle, until=math.inf)
        return ReplayResult(
            seconds=self._finished,
            received=self._received,
            duplicate=self._ledger.duplicate_bytes,
            decisions=self._count.calls,
            decision_seconds=self._count.seconds,
            faults=self._guard.faults,
            blocks=self._blocks,
            digest=self._hash.hexdigest(),
        )

    def _look_for_life(self, blocks: int) -> None:
        """End it if no more than `blocks` arrivals have been seen by now, and peers do nothing."""
        timeline = self._timeline
        script = self._measured.script
        last = script[-1].at / 1e6 if script else 0.0
        if timeline.now > last and self._blocks == blocks:
            timeline.stop()
        else:
            next_look = max(timeline.now, last) + STALLED
            timeline.at(next_look, self._look_for_life, self._blocks)

    # What peers do by themselves

    def _act(self, event: Record) -> None:
        ledger = self._ledger
        now = self._timeline.now
        self._is_to_plan = True
        match event:
            case ev.Joined():
                source = self._measured.sources[event.peer]
                self._peers[event.peer] = _Peer(source, self._timeline, self._arrived)
                ledger.add_peer(event.peer, now, identity=source.address, labels=source.labels)
            case ev.Left() if event.peer in self._peers:
                self._peers.pop(event.peer).drop()
                ledger.remove_peer(event.peer)
            case (
                ev.Held()
                | ev.Gained()
                | ev.Choked()
                | ev.Unchoked()
                | ev.Allowed()
                | ev.Suggested()
                | ev.Limited()
            ) if event.peer in self._peers:
                self._hear(event)
            case _:
                pass  # of one that left before, in a file that is not ours

    def _hear(self, event: Record) -> None:
        ledger = self._ledger
        match event:
            case ev.Held():
                pieces = ev.unpack(event.pieces, self._measured.lengths.piece_count)
                ledger.set_pieces(event.peer, pieces)
            case ev.Gained():
                ledger.add_piece(event.peer, event.piece)
            case ev.Choked():
                # With Fast each request is refused, one by one: that comes to the same.
                self._peers[event.peer].drop()
                ledger.set_choked(event.peer, choked=True, fast=False)
            case ev.Unchoked():
                ledger.set_choked(event.peer, choked=False, fast=False)
            case ev.Allowed():
                ledger.allow_fast(event.peer, event.piece)
            case ev.Suggested():
                ledger.suggest(event.peer, event.piece)
            case ev.Limited():
                ledger.set_queue_limit(event.peer, event.blocks)
            case _:
                pass

    # What comes of what we ask

    def _arrived(self, key: int, run: BlockRun) -> None:
        ledger = self._ledger
        now = self._timeline.now
        before = ledger.received_bytes
        outcome = ledger.received(key, *run, now)
        self._blocks += 1
        self._idle = 0
        self._received[key] += ledger.received_bytes - before
        self._hash.update(_RECORD.pack(now, key & 0xFFFFFFFF, *run))
        if outcome is BlockOutcome.COMPLETED:
            self._timeline.at(now + self._measured.verify_seconds, self._verified, run.piece)
        self._is_to_plan = True

    def _verified(self, piece: int) -> None:
        self._ledger.verified(piece)
        self._is_to_plan = True
        if self._ledger.is_complete:
            self._finished = self._timeline.now
            self._timeline.stop()

    def _time_passed(self, due: float) -> None:
        if due == self._plans_at:
            self._plans_at = math.inf
            self._is_to_plan = True

    def _settle(self) -> None:
        """Plan after what happened at one moment, as the planning task of a real peer does."""
        if not self._is_to_plan:
            return
        self._is_to_plan = False
        ledger = self._ledger
        now = self._timeline.now
        if ledger.is_complete:
            return
        ledger.expire(now)
        self._idle += 1
        if self._idle > IDLE_PLANS:
            self._timeline.stop()
        for key, run in ledger.plan(now):
            self._idle = 0
            self._peers[key].ask(run)
        for key, run in ledger.take_cancels():
            if key in self._peers:
                self._peers[key].cancel(run)
        ledger.take_abandoned()
        due = max(ledger.next_deadline(), now + LEAST_WAIT)
        if due < self._plans_at:
            self._plans_at = due
            self._timeline.at(due, self._time_passed, due)
