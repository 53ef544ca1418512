"""Replays a download with the peers of a recording and any strategy, on a virtual clock."""

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
from trio_swarm.lab.replaying.measuring import Measured, RecordedSource
from trio_swarm.lab.simulator.timeline import Timeline
from trio_swarm.recording import Record, records
from trio_swarm.schedulers.api import Scheduler
from trio_swarm.schedulers.decision_count import DecisionCount
from trio_swarm.schedulers.rarest_first import RarestFirst

STALLED = 150.0
"""Seconds without an arrival, after the last event that peers caused themselves, after which a
replay is given up: no remaining peer has the missing pieces."""

IDLE_PLANS = 1_000_000
"""Plans without any result, one after the other, after which a replay is given up: near the end
there are ten a second, and a file may contain a pause of years."""

LEAST_WAIT = 1e-4
"""Least seconds until a peer plans again if only time has passed."""

_RECORD = Layout("<dIIII")


class ReplayResult(Struct, frozen=True, kw_only=True):
    """The result of one replay; two replays with the same events have the same `digest`."""

    seconds: float | None
    """Seconds until every piece was verified; None if that never happened."""
    received: dict[int, int]
    """Bytes from each peer of the recording that were needed."""
    duplicate: int
    """Bytes that were not needed."""
    decisions: int
    decision_seconds: float
    faults: int
    blocks: int
    """Number of arrivals."""
    digest: str


def _no_timer() -> float:
    """Return 0.0, so that the time of a decision cannot influence the replay."""
    return 0.0


def replay(
    measured: Measured,
    scheduler: Scheduler,
    name: str,
    *,
    seed: int = 1,
    timer: Callable[[], float] = _no_timer,
) -> ReplayResult:
    """Replay the download to its end; `timer` returns seconds, and measures decisions."""
    return _Replay(measured, scheduler, name, seed, timer).run()


class _ReplayedPeer:
    """A peer that answers requests in order, at the rates it had in the recording."""

    def __init__(self, source: RecordedSource, timeline: Timeline, arrive: "_Arrive") -> None:
        self._source = source
        self._timeline = timeline
        self._arrive = arrive
        self._queue: deque[tuple[float, BlockRun]] = deque()
        self._sending = 0  # number of the run being sent, 0 for none
        self._serial = 0

    def ask(self, run: BlockRun) -> None:
        """Queue a request for a run; its answer begins to arrive one latency later."""
        at = self._timeline.now + self._source.latency
        chunk = self._source.chunk
        piece, begin, length = run
        for start in range(begin, begin + length, chunk):
            size = min(chunk, begin + length - start)
            self._queue.append((at, BlockRun(piece, start, size)))
        if not self._sending:
            self._send()

    def cancel(self, run: BlockRun) -> None:
        """Remove a run from the queue; a run being sent still arrives."""
        end = run.begin + run.length
        self._queue = deque(
            each
            for each in self._queue
            if each[1].piece != run.piece
            or not run.begin <= each[1].begin
            or each[1].begin + each[1].length > end
        )

    def drop(self) -> None:
        """Forget all requests: the recorded connection ended."""
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
        self._peers: dict[int, _ReplayedPeer] = {}
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
        """End the replay if no block has arrived since `blocks` arrivals, and peers do nothing."""
        timeline = self._timeline
        script = self._measured.script
        last = script[-1].at / 1e6 if script else 0.0
        if timeline.now > last and self._blocks == blocks:
            timeline.stop()
        else:
            next_look = max(timeline.now, last) + STALLED
            timeline.at(next_look, self._look_for_life, self._blocks)

    # Events that peers cause themselves

    def _act(self, event: Record) -> None:
        ledger = self._ledger
        now = self._timeline.now
        self._is_to_plan = True
        match event:
            case records.Joined():
                source = self._measured.sources[event.peer]
                self._peers[event.peer] = _ReplayedPeer(source, self._timeline, self._arrived)
                ledger.add_peer(event.peer, now, identity=source.address, labels=source.labels)
            case records.Left() if event.peer in self._peers:
                self._peers.pop(event.peer).drop()
                ledger.remove_peer(event.peer)
            case (
                records.Held()
                | records.Gained()
                | records.Choked()
                | records.Unchoked()
                | records.Allowed()
                | records.Suggested()
                | records.Limited()
            ) if event.peer in self._peers:
                self._hear(event)
            case _:
                pass  # a peer that left before, in a damaged file

    def _hear(self, event: Record) -> None:
        ledger = self._ledger
        match event:
            case records.Held():
                pieces = records.unpack(event.pieces, self._measured.lengths.piece_count)
                ledger.set_pieces(event.peer, pieces)
            case records.Gained():
                ledger.add_piece(event.peer, event.piece)
            case records.Choked():
                # With the Fast Extension the peer rejects each request, which has the same effect.
                self._peers[event.peer].drop()
                ledger.set_choked(event.peer, choked=True, fast=False)
            case records.Unchoked():
                ledger.set_choked(event.peer, choked=False, fast=False)
            case records.Allowed():
                ledger.allow_fast(event.peer, event.piece)
            case records.Suggested():
                ledger.suggest(event.peer, event.piece)
            case records.Limited():
                ledger.set_queue_limit(event.peer, event.blocks)
            case _:
                pass

    # Answers to our requests

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
        """Plan after the events of one moment, as the planning task of a real peer does."""
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
