"""Recording a download: a ledger and a scheduler guard that record every event and decision.

They are subclasses that behave exactly like their base classes. A download that is not recorded
uses the base classes, so it has no extra cost.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trio_swarm.engine.download.ledger import BlockOutcome, Grant, Ledger
from trio_swarm.engine.download.source import NO_LABELS, Source
from trio_swarm.engine.faults import FaultSink
from trio_swarm.engine.guard import GuardedScheduler
from trio_swarm.engine.lengths import BlockRun, BlockSet, Lengths
from trio_swarm.piece_sets import PieceSet, full_set, iterate
from trio_swarm.recording.format import MAX_EVENTS, MAX_TOTAL, encode_events
from trio_swarm.recording.records import (
    Allowed,
    Arrived,
    Banned,
    Began,
    Cancelled,
    Candidate,
    Choked,
    Completed,
    Decided,
    Decider,
    Ended,
    Failed,
    Gained,
    Granted,
    Held,
    Joined,
    Left,
    Limited,
    Named,
    Record,
    Rejected,
    Sent,
    Snubbed,
    Suggested,
    Unasked,
    Unchoked,
    Verified,
    Withdrawn,
    pack,
)
from trio_swarm.schedulers.api import Assignment, Scheduler, SwarmView

BATCH: Final = 2048
"""Events after which a batch is encoded: it takes less than a millisecond, during which nothing
else runs."""

_FILLED: Final = 0.9
"""Part of the size limit after which a recording ends, so that the last batch still fits."""


class Recorder:
    """Collects events in memory; `take` returns them encoded.

    `clock` returns seconds; `wall_clock` returns seconds since 1970 or since a simulation began (0:
    unknown). `wake` is called when a batch is full. `called` returns the address under which a peer
    is recorded. After `MAX_EVENTS` events or `MAX_TOTAL` bytes it records nothing more but the end.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        wake: Callable[[], None],
        *,
        wall_clock: Callable[[], float] = float,
        called: Callable[[str], str] = str,
    ) -> None:
        self.clock = clock
        self.called = called
        self.is_full = False
        """Whether the size limit is reached, so that nothing more is recorded."""
        self._wake = wake
        self._wall_clock = wall_clock
        self._events: list[Record] = []
        self._started = 0.0
        self._at = 0
        self._wanted: PieceSet = 0
        self._names: dict[int, tuple[str, str, bool | None]] = {}
        self._count = 0
        self._bytes = 0
        self._is_ended = False

    def at(self, now: float) -> int:
        """Return the time of an event in microseconds: never before the event before it."""
        # Two tasks may have read the clock at different times in one turn of the event loop.
        at = int((now - self._started) * 1e6)
        if at > self._at:
            self._at = at
            return at
        return self._at

    def add(self, event: Record) -> None:
        """Record one event; encode the batch if it is full."""
        if self.is_full:
            return
        events = self._events
        events.append(event)
        if len(events) >= BATCH:
            self._wake()

    def begin(self, have: PieceSet, open_pieces: int) -> None:
        """Record that the download begins with the pieces in `have`; time counts from here."""
        self._started = self.clock()
        self.add(Began(0, pack(have), open_pieces, int(self._wall_clock() * 1e6)))

    def name(
        self, peer: int, client: str, peer_id: str = "", *, uploads_only: bool | None = None
    ) -> None:
        """Record a peer's client, its peer id and whether it only uploads, if any is new."""
        names = (client, peer_id, uploads_only)
        if any(names) and self._names.get(peer) != names:
            self._names[peer] = names
            self.add(Named(self.at(self.clock()), peer, *names))

    def sent(self, peer: int, piece: int, begin: int, length: int) -> None:
        """Record that a block was sent to a peer."""
        self.add(Sent(self.at(self.clock()), peer, piece, begin, length))

    def decided(
        self,
        view: SwarmView,
        assigned: list[Assignment],
        *,
        by: Decider,
        took: float,
        faults: Sequence[str] = (),
    ) -> None:
        """Record a question to a strategy, and the part of its answer that the guard kept."""
        wanted = view.wanted
        changed = wanted ^ self._wanted
        self._wanted = wanted
        self.add(
            Decided(
                self.at(view.now),
                by,
                pack(changed),
                [
                    Candidate(
                        peer.key, peer.room, peer.in_flight, int(peer.rate), int(peer.rtt * 1e6)
                    )
                    for peer in view.peers
                ],
                assigned,
                list(faults),
                int(took * 1e6),
            )
        )

    def take(self) -> list[bytes]:
        """Return the events since the last call, encoded: bodies of frames."""
        events = self._events
        if not events:
            return []
        self._events = []
        bodies = encode_events(events)
        self._count += len(events)
        self._bytes += sum(map(len, bodies))
        if not self.is_full and (
            self._count > MAX_EVENTS * _FILLED or self._bytes > MAX_TOTAL * _FILLED
        ):
            self.end("it is as long as a recording may be")
            bodies += self.take()
        return bodies

    def end(self, reason: str) -> None:
        """Record the end with its reason; nothing is recorded after it."""
        if not self._is_ended:
            self._is_ended = True
            self.is_full = False
            self.add(Ended(self.at(self.clock()), reason))
            self.is_full = True


class RecordedScheduler(GuardedScheduler):
    """A guard that records each decision."""

    def __init__(
        self,
        strategy: Scheduler,
        name: str,
        fallback: Callable[[], Scheduler],
        timer: Callable[[], float],
        on_fault: FaultSink | None = None,
        *,
        recorder: Recorder,
    ) -> None:
        super().__init__(strategy, name, fallback=fallback, timer=timer, on_fault=on_fault)
        self._recorder = recorder
        self._clock = timer
        self._is_asked = False

    def assign(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
        """Return the checked assignments of the base class, and record them."""
        is_replaced = self.is_replaced
        self._is_asked = True
        started = self._clock()
        assigned = super().assign(view, rng)
        took = self._clock() - started
        self._is_asked = False
        if is_replaced:
            self._recorder.decided(view, assigned, by="fallback", took=took)
        else:
            faults = list(self.wrong.values()) if self.wrong else []
            self._recorder.decided(view, assigned, by="strategy", took=took, faults=faults)
        return assigned

    def assign_by_fallback(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
        """Return the fallback's assignments, and record them if the host asked for them."""
        if self._is_asked:
            return super().assign_by_fallback(view, rng)
        started = self._clock()
        assigned = super().assign_by_fallback(view, rng)
        took = self._clock() - started
        self._recorder.decided(view, assigned, by="host", took=took)
        return assigned


class RecordedLedger(Ledger):
    """A ledger that records all events of the download, and all blocks it requests."""

    def __init__(
        self,
        lengths: Lengths,
        *,
        scheduler: GuardedScheduler,
        rng: random.Random,
        have: PieceSet = 0,
        open_piece_limit: int,
        chosen: PieceSet | None = None,
        recorder: Recorder,
    ) -> None:
        super().__init__(
            lengths,
            scheduler=scheduler,
            rng=rng,
            have=have,
            open_piece_limit=open_piece_limit,
            chosen=chosen,
        )
        self._recorder = recorder
        # What nobody wants is as good as here: a replay fetches it no more than this download.
        recorder.begin(full_set(lengths.piece_count) & ~self.wanted, open_piece_limit)

    def _at(self) -> int:
        recorder = self._recorder
        return recorder.at(recorder.clock())

    # Peers

    def add_peer(
        self, key: int, now: float, *, identity: str, labels: Mapping[str, str] = NO_LABELS
    ) -> None:
        """Add a peer and record it; see `Ledger`, as for all methods below."""
        super().add_peer(key, now, identity=identity, labels=labels)
        recorder = self._recorder
        recorder.add(Joined(recorder.at(now), key, recorder.called(identity), dict(labels)))

    def remove_peer(self, key: int) -> None:
        """Remove a peer and record that it left."""
        super().remove_peer(key)
        self._recorder.add(Left(self._at(), key))

    def set_pieces(self, key: int, pieces: PieceSet) -> None:
        """Set the pieces of a peer and record them."""
        super().set_pieces(key, pieces)
        self._recorder.add(Held(self._at(), key, pack(pieces)))

    def take_back(self, key: int, pieces: PieceSet) -> None:
        """Note what a peer has no longer, and tell what is left."""
        before = self.pieces_of(key)
        super().take_back(key, pieces)
        left = self.pieces_of(key)
        if left != before:
            self._recorder.add(Held(self._at(), key, pack(left)))

    def add_piece(self, key: int, piece: int) -> None:
        """Note one more piece of a peer and record it."""
        before = self.pieces_of(key)
        super().add_piece(key, piece)
        if self.pieces_of(key) != before:
            self._recorder.add(Gained(self._at(), key, piece))

    def add_have(self, source: Source, pieces: PieceSet) -> bool:
        """Note more pieces of a peer and record them."""
        new = pieces & ~source.pieces
        is_awaited = super().add_have(source, pieces)
        if new:
            at = self._at()
            for piece in iterate(new):
                self._recorder.add(Gained(at, source.key, piece))
        return is_awaited

    def set_choked(self, key: int, choked: bool, *, fast: bool) -> None:  # noqa: FBT001  as the ledger
        """Note a choke or an unchoke and record it."""
        super().set_choked(key, choked, fast=fast)
        at = self._at()
        self._recorder.add(Choked(at, key, fast) if choked else Unchoked(at, key))

    def allow_fast(self, key: int, piece: int) -> None:
        """Note a piece that a peer sends even while it chokes us, and record it."""
        before = self._sources[key].fast_pieces
        super().allow_fast(key, piece)
        if self._sources[key].fast_pieces != before:
            self._recorder.add(Allowed(self._at(), key, piece))

    def suggest(self, key: int, piece: int) -> None:
        """Note a piece that a peer suggests, and record it."""
        before = self._sources[key].suggested
        super().suggest(key, piece)
        if self._sources[key].suggested != before:
            self._recorder.add(Suggested(self._at(), key, piece))

    def set_queue_limit(self, key: int, blocks: int) -> None:
        """Set how many requests a peer queues, and record it."""
        super().set_queue_limit(key, blocks)
        self._recorder.add(Limited(self._at(), key, max(1, blocks)))

    # Requests

    def set_scheduler(self, scheduler: GuardedScheduler) -> None:
        """Change the strategy and end the recording, whose header names the one before."""
        super().set_scheduler(scheduler)
        self._recorder.end("another strategy took over")

    def plan(self, now: float) -> list[Grant]:
        """Plan and record the requested blocks; the decisions are recorded by their guard."""
        grants = super().plan(now)
        if grants:
            opened = self._open
            seconds = []
            for index, (_, run) in enumerate(grants):
                doubled = opened[run.piece].doubled
                if doubled and doubled & self.lengths.blocks_between(*run):
                    seconds.append(index)
            self._recorder.add(Granted(self._recorder.at(now), grants, seconds))
        return grants

    def take_cancels(self) -> list[Grant]:
        """Return the requests to cancel, and record them."""
        cancels = super().take_cancels()
        if cancels:
            self._recorder.add(Cancelled(self._at(), cancels))
        return cancels

    def expire(self, now: float) -> None:
        """Return overdue blocks to WANTED, and record the snubbed peers."""
        if now < self._planner.expiry_at:
            super().expire(now)
            return
        before = {key for key, source in self._sources.items() if source.snubbed}
        super().expire(now)
        for key, source in self._sources.items():
            if source.snubbed and key not in before:
                self._recorder.add(Snubbed(self._recorder.at(now), key))

    # Blocks

    def received(self, key: int, piece: int, begin: int, length: int, now: float) -> BlockOutcome:
        """Note received blocks and record them."""
        before = self.duplicate_bytes
        outcome = super().received(key, piece, begin, length, now)
        recorder = self._recorder
        if outcome is BlockOutcome.UNREQUESTED:
            recorder.add(Unasked(recorder.at(now), key, piece, begin, length))
        else:
            again = self.duplicate_bytes - before
            recorder.add(Arrived(recorder.at(now), key, piece, begin, length, again))
        return outcome

    def rejected(self, key: int, piece: int, begin: int, length: int, now: float) -> bool:
        """Note a rejected request and record it."""
        is_known = super().rejected(key, piece, begin, length, now)
        if is_known:
            self._recorder.add(Rejected(self._recorder.at(now), key, piece, begin, length))
        return is_known

    def withdraw(self, key: int, run: BlockRun, now: float) -> None:
        """Take back a grant and record that."""
        super().withdraw(key, run, now)
        self._recorder.add(Withdrawn(self._recorder.at(now), key, *run))

    # Pieces

    def verified(self, piece: int, digests: Sequence[bytes] | None = None) -> list[str]:
        """Note a piece that passed its hash, and record it."""
        banned = super().verified(piece, digests)
        at = self._at()
        self._recorder.add(Verified(at, piece))
        self._tell_banned(at, banned)
        if self.is_complete:
            self._recorder.add(Completed(at))
        return banned

    def failed(self, piece: int, digests: Sequence[bytes]) -> list[str]:
        """Note a piece that failed its hash, and record it."""
        senders = self.contributors(piece)
        banned = super().failed(piece, digests)
        at = self._at()
        self._recorder.add(Failed(at, piece, list(map(self._recorder.called, senders))))
        self._tell_banned(at, banned)
        return banned

    def choose(self, chosen: PieceSet, now: float) -> None:
        """Want other pieces and end the recording: no event can record that."""
        if chosen != self.chosen:
            self._recorder.end("other files were chosen")
        super().choose(chosen, now)

    def failed_blocks(self, piece: int, wrong: BlockSet) -> list[str]:
        """Note a piece of which some blocks are wrong, and record who sent them."""
        culprits = self.senders_of(piece, wrong)
        banned = super().failed_blocks(piece, wrong)
        at = self._at()
        self._recorder.add(Failed(at, piece, list(map(self._recorder.called, culprits))))
        self._tell_banned(at, banned)
        return banned

    def lose(self, pieces: PieceSet) -> None:
        """Note lost pieces and end the recording: no event can record a lost piece."""
        super().lose(pieces)
        self._recorder.end("a file was changed by another program")

    def _tell_banned(self, at: int, banned: Sequence[str]) -> None:
        if banned:
            self._recorder.add(Banned(at, list(map(self._recorder.called, banned))))
