"""The host's guard around strategies: whatever a plugin does, downloads and uploads go on.

Correct decisions are kept and wrong ones dropped. Faults are counted, and the first of each kind is
reported. A strategy with too many faults is replaced. The guard cannot interrupt a function that
blocks; it counts the fault afterwards.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar, cast

from trio_swarm.engine.decision_times import DecisionTimes
from trio_swarm.engine.faults import FaultCount, FaultSink, FaultTally
from trio_swarm.errors import SchedulerError
from trio_swarm.foreign_text import error_text
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import (
    Assignment,
    Choker,
    ChokeView,
    PeerView,
    Scheduler,
    SwarmView,
    Uploader,
    UploadPeerView,
    UploadRequest,
    UploadView,
)
from trio_swarm.schedulers.choking.tit_for_tat import TitForTat

__all__ = ["FaultSink", "GuardedChoker", "GuardedScheduler", "GuardedUploader"]

T = TypeVar("T")

PLAN_BUDGET: Final = 0.020
"""Seconds that one decision may take in a small swarm."""

_BUDGET_PER_PEER: Final = 0.0005
_BUDGET_PER_PIECE: Final = 1e-6

_SPARE_ASSIGNMENTS: Final = 1000
"""Assignments, beyond one for each block of room, that are read before a strategy counts as
endless. (A correct strategy may return some that have no effect, for instance to a peer without
room.)"""


class GuardedScheduler:
    """A `Scheduler` whose decisions are checked, and which is replaced after too many faults.

    `fallback` makes the strategy that takes over after `MAX_FAULTS`; the host also uses it if the
    strategy assigns nothing for too long. `timer` returns seconds (the CPU time of the thread is
    fairer than wall time on a busy machine). `budget` is the time for one call, plus a little for
    each peer and piece. `on_fault(name, reason, faults, replaced)` is called for each fault to
    report.
    """

    def __init__(  # noqa: PLR0917  a guard needs all six
        self,
        strategy: Scheduler,
        name: str,
        fallback: Callable[[], Scheduler],
        timer: Callable[[], float],
        budget: float = PLAN_BUDGET,
        on_fault: FaultSink | None = None,
    ) -> None:
        self.name = name
        self.wrong: Mapping[str, str] = {}
        """Faults in the strategy's latest answer: kind of fault → description."""
        self.decisions = 0
        """How often the strategy was asked."""
        self.seconds = 0.0
        """Seconds that its answers took together, by `timer`."""
        self._strategy = strategy
        self._fallback = fallback
        self._substitute: Scheduler | None = None
        self._timer = timer
        self._budget = budget
        self._times: DecisionTimes | None = None
        self._count = FaultCount(name, on_fault)

    def count_in(self, times: DecisionTimes, faults: FaultTally) -> None:
        """Count what its decisions take, and its faults, with those of others from now on."""
        self._times = times
        self._count.tally = faults

    @property
    def faults(self) -> int:
        """Number of calls that broke the contract so far."""
        return self._count.faults

    @property
    def is_replaced(self) -> bool:
        """Whether the fallback has replaced the strategy."""
        return self._count.replaced

    def assign(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
        """Return the strategy's assignments, checked; `blocks` is always a number, at least 1.

        The assignments of a peer together stay within its room, those of a piece within its free
        blocks.
        """
        if self._count.replaced:
            return self.assign_by_fallback(view, rng)
        start = self._timer()
        allowed = (
            self._budget + _BUDGET_PER_PEER * len(view.peers) + _BUDGET_PER_PIECE * view.piece_count
        )
        reading = _Reading(view)
        try:
            result = iter(self._strategy.assign(view, rng))
            reading.read(result, self._timer, start + allowed)
        except SchedulerError as error:
            reading.faults.setdefault(str(error), str(error))
        except Exception as error:  # noqa: BLE001  a plugin may raise anything, the download goes on
            kind = type(error).__name__
            reading.faults.setdefault(kind, f"raised {error_text(error)}")
        took = self._timer() - start
        self.decisions += 1
        self.seconds += took
        if self._times is not None:
            self._times.note(took)
        if took > allowed and not reading.faults:
            reading.faults["slow"] = f"took {took * 1e3:.0f} ms of {allowed * 1e3:.0f} ms"
        self._settle(reading)
        return reading.accepted

    def assign_by_fallback(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
        """Return the fallback's assignments, checked in the same way, but not for time."""
        substitute = self._substitute
        if substitute is None:
            substitute = self._substitute = self._fallback()
        reading = _Reading(view)
        reading.read(iter(substitute.assign(view, rng)), lambda: 0.0, 1.0)
        return reading.accepted

    def _settle(self, reading: "_Reading") -> None:
        """Count the call as correct, or as one fault, however many assignments are wrong."""
        self.wrong = reading.faults
        if not reading.faults:
            self._count.clean()
            return
        kind, reason = next(iter(reading.faults.items()))
        self._count.fault(kind, reason)


class _Reading:
    """One pass over a strategy's answer: its correct assignments, and the faults in it."""

    __slots__ = ("_limit", "_peers", "_rooms", "_view", "accepted", "faults")

    def __init__(self, view: SwarmView) -> None:
        self.accepted: list[Assignment] = []
        self.faults: dict[str, str] = {}
        """Kind of fault → description."""
        self._view = view
        self._peers: dict[int, PeerView] = {peer.key: peer for peer in view.peers}
        self._rooms = {peer.key: peer.room for peer in view.peers}
        self._limit = sum(self._rooms.values()) + _SPARE_ASSIGNMENTS

    def read(self, assignments: Iterator[object], timer: Callable[[], float], until: float) -> None:
        """Read assignments until they end, all room is used, or a limit is reached."""
        view = self._view
        accepted = self.accepted
        rooms = self._rooms
        frees: dict[int, int] = {}
        total_room = sum(rooms.values())
        wanted = view.wanted
        piece_count = view.piece_count
        peers = self._peers
        count = 0
        for item in assignments:
            if timer() > until:
                self.faults.setdefault("slow", f"was cut off after {count} assignments: too slow")
                return
            count += 1
            if count > self._limit:
                self.faults["endless"] = f"was cut off after {count - 1} assignments"
                return
            # The usual case first; any other item is checked in detail.
            if not isinstance(item, Assignment):
                self._refuse(item)
                continue
            # Read the fields without their declared types: compiled, True would become the number
            # 1.
            key, piece, most = cast("tuple[object, object, object]", item)
            if not (
                type(key) is int
                and type(piece) is int
                and (most is None or (type(most) is int and most > 0))
                and (peer := peers.get(key)) is not None
                and 0 <= piece < piece_count
                and peer.pieces >> piece & 1
                and (peer.pieces is wanted or wanted >> piece & 1)
            ):
                self._refuse(item)
                continue
            room = rooms[key]
            if room <= 0:
                continue
            free = frees.get(piece)
            if free is None:
                free = view.blocks_of(piece)
            blocks = min(room, free)
            if most is not None and most < blocks:
                blocks = most
            if blocks <= 0:
                continue
            frees[piece] = free - blocks
            rooms[key] = room - blocks
            accepted.append(Assignment(key, piece, blocks))
            total_room -= blocks
            if total_room <= 0:
                return

    def _refuse(self, item: object) -> None:
        self.faults.setdefault(*self._fault_of(item))

    def _fault_of(self, item: object) -> tuple[str, str]:  # noqa: PLR0911  one for each fault
        """Return (kind, description) of the fault in one assignment."""
        if not isinstance(item, Assignment):
            return "type", f"returned {type(item).__name__} instead of Assignment"
        key, piece, blocks = cast("tuple[object, object, object]", item)
        # `type()` instead of `isinstance()`: True is not a key.
        if type(key) is not int or type(piece) is not int:
            return "type", f"returned an Assignment of {key!r:.50} and {piece!r:.50}"
        if blocks is not None and (type(blocks) is not int or blocks < 1):
            return "blocks", f"assigned {blocks!r:.50} blocks of piece {piece}"
        peer = self._peers.get(key)
        if peer is None:
            return "peer", f"assigned piece {piece} to {key}, which is not a peer with room"
        view = self._view
        if not 0 <= piece < view.piece_count:
            return "piece", f"assigned piece {piece} of {view.piece_count} to peer {key}"
        if not view.wanted >> piece & 1:
            return "unwanted", f"assigned piece {piece}, which has no free block"
        return "lacking", f"assigned piece {piece} to peer {key}, which cannot be asked for it"


class _Guarded:
    """A strategy whose calls are timed, and the count of its faults."""

    def __init__(
        self,
        name: str,
        timer: Callable[[], float],
        budget: float,
        on_fault: FaultSink | None,
    ) -> None:
        self.name = name
        self._call = _TimedCall(timer, budget, FaultCount(name, on_fault))

    def count_in(self, faults: FaultTally) -> None:
        """Count its faults with those of others from now on."""
        self._call.count.tally = faults

    @property
    def faults(self) -> int:
        """Number of calls that broke the contract so far."""
        return self._call.count.faults

    @property
    def is_replaced(self) -> bool:
        """Whether the strategy has too many faults and is not called any more."""
        return self._call.count.replaced


class GuardedUploader(_Guarded):
    """An `Uploader` whose decisions are checked.

    A wrong decision is replaced: all pieces are revealed, or requests are served in their order of
    arrival. Arguments as for `GuardedScheduler`.
    """

    def __init__(
        self,
        strategy: Uploader,
        name: str,
        timer: Callable[[], float],
        budget: float = PLAN_BUDGET,
        on_fault: FaultSink | None = None,
    ) -> None:
        super().__init__(name, timer, budget, on_fault)
        self._strategy = strategy
        self._suggest: Callable[[UploadView, UploadPeerView], PieceSet | None] | None = getattr(
            strategy, "suggest", None
        )
        self._steers: Callable[[UploadView], bool] | None = steers_of(strategy)
        self._weigh: Callable[[UploadView, UploadPeerView], object] | None = getattr(
            strategy, "weight", None
        )

    def steers(self, view: UploadView) -> bool:
        """Whether the strategy may now hide a piece from any peer, or suggest any.

        If not, `offer` and `suggest` need not be called with this view.
        """
        ask = self._steers
        if ask is None or self.is_replaced:
            return not self.is_replaced
        return self._call.run(lambda: bool(ask(view)), otherwise=False, peers=len(view.peers))

    @property
    def suggests(self) -> bool:
        """Whether the strategy has the method `suggest`."""
        return self._suggest is not None and not self.is_replaced

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return the pieces to reveal to `peer`, a subset of the pieces we have; None for all."""
        if self.is_replaced:
            return None

        def decide() -> PieceSet | None:
            answer: object = self._strategy.offer(view, peer)
            return None if answer is None else self._check(answer, "offer", "offered", view)

        return self._call.run(decide, None, peers=len(view.peers))

    def suggest(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return pieces to suggest to a peer: pieces that we have and it may know of.

        None means that there is nothing to suggest before we have new pieces.
        """
        ask = self._suggest
        if ask is None or self.is_replaced:
            return None

        def decide() -> PieceSet | None:
            answer: object = ask(view, peer)
            if answer is None:
                return None
            return self._check(answer, "suggest", "suggested", view) & peer.revealed

        return self._call.run(decide, None, peers=len(view.peers))

    @property
    def weighs(self) -> bool:
        """Whether the strategy has the method `weight`."""
        return self._weigh is not None and not self.is_replaced

    def weight(self, view: UploadView, peer: UploadPeerView) -> float:
        """Return the share of the uplink that `peer` is to have beside the others, 0 or more."""
        ask = self._weigh
        if ask is None or self.is_replaced:
            return 1.0

        def decide() -> float:
            answer: object = ask(view, peer)
            weight = weight_from(answer)
            if weight is None:
                raise _BreachError("weight", f"gave the weight {answer!r:.50}")
            return weight

        return self._call.run(decide, 1.0, peers=len(view.peers))

    @staticmethod
    def _check(pieces: object, kind: str, did: str, view: UploadView) -> PieceSet:
        """Return an answer of the strategy if it is a set of pieces that we have, else raise."""
        if type(pieces) is not int or pieces < 0:
            raise _BreachError(kind, f"{did} {pieces!r:.50}, which is not a piece set")
        if pieces & ~view.have:
            raise _BreachError(kind, f"{did} pieces that we do not have")
        return pieces

    def order(
        self, view: UploadView, peer: UploadPeerView, requests: Sequence[UploadRequest]
    ) -> Sequence[UploadRequest]:
        """Return the requests in the order to serve them: a permutation of `requests`."""
        if self.is_replaced or len(requests) < 2:
            return requests

        def decide() -> Sequence[UploadRequest]:
            ordered = self._strategy.order(view, peer, tuple(requests))
            if not isinstance(ordered, (list, tuple)):
                raise _BreachError("order", f"returned a {type(ordered).__name__}, not a sequence")
            if not _is_permutation(ordered, requests):
                raise _BreachError("order", "returned other requests than it got")
            return ordered

        return self._call.run(decide, requests)


def _is_permutation(ordered: Sequence[object], requests: Sequence[UploadRequest]) -> bool:
    try:
        return sorted(ordered) == sorted(requests)  # type: ignore[type-var]
    except TypeError:  # some item is not a request
        return False


def steers_of(strategy: Uploader) -> Callable[[UploadView], bool] | None:
    """Return the strategy's `steers`; None if it has none, or if a subclass decides otherwise.

    A subclass that overrides `offer` or `suggest`, but not `steers`, need not know of `steers`: the
    inherited method would be wrong.
    """
    for each in type(strategy).__mro__:
        if "steers" in vars(each):
            found: Callable[[UploadView], bool] | None = getattr(strategy, "steers", None)
            return found
        if "offer" in vars(each) or "suggest" in vars(each):
            return None
    return None


def weight_from(answer: object) -> float | None:
    """Return a strategy's answer as a weight; None if it is no finite number of 0 or more."""
    # `type()` instead of `isinstance()`: True is not a number.
    if type(answer) is not int and type(answer) is not float:
        return None
    try:
        weight = float(answer)
    except OverflowError:  # of 310 digits and more
        return None
    return weight if 0.0 <= weight < math.inf else None


class GuardedChoker(_Guarded):
    """A `Choker` whose decisions are checked; `fallback` makes the one that decides after a fault.

    Arguments as for `GuardedScheduler`.
    """

    def __init__(  # noqa: PLR0917  as GuardedScheduler
        self,
        strategy: Choker,
        name: str,
        fallback: Callable[[], Choker] = TitForTat,
        timer: Callable[[], float] = lambda: 0.0,
        budget: float = PLAN_BUDGET,
        on_fault: FaultSink | None = None,
    ) -> None:
        super().__init__(name, timer, budget, on_fault)
        self._strategy = strategy
        self._fallback = fallback
        self._substitute: Choker | None = None

    def unchoke(self, view: ChokeView, rng: random.Random) -> list[int]:
        """Return the keys to have unchoked: connected peers, none twice, at most `view.slots`."""
        chosen = None
        if not self.is_replaced:
            chosen = self._call.run(lambda: self._ask(view, rng), None, peers=len(view.peers))
        if chosen is None:
            if self._substitute is None:
                self._substitute = self._fallback()
            chosen = list(self._substitute.unchoke(view, rng))
        return chosen

    def _ask(self, view: ChokeView, rng: random.Random) -> list[int]:
        known = {peer.key for peer in view.peers}
        chosen: dict[int, None] = {}
        answer: Iterable[object] = self._strategy.unchoke(view, rng)
        for key in answer:
            if type(key) is not int or key not in known:
                raise _BreachError("peer", f"unchoked {key!r:.50}, which is not a connected peer")
            if key in chosen or len(chosen) == view.slots:
                raise _BreachError("slots", f"unchoked more than {view.slots} peers, or one twice")
            chosen[key] = None
        return list(chosen)


class _BreachError(Exception):
    """A strategy's answer broke its contract; `args` are the kind and the description."""


class _TimedCall:
    """A call of a strategy: an exception, an overrun or a breach is a fault of this call only."""

    __slots__ = ("budget", "count", "timer")

    def __init__(self, timer: Callable[[], float], budget: float, count: FaultCount) -> None:
        self.count = count
        self.timer = timer
        self.budget = budget

    def run(self, function: Callable[[], T], otherwise: T, *, peers: int = 0) -> T:
        """Return the result of `function`, or `otherwise` if it is at fault.

        The time limit grows with `peers`, the number of peers it looks at, which strangers decide.
        """
        start = self.timer()
        try:
            result = function()
        except Exception as error:  # noqa: BLE001  a plugin may raise anything, uploads go on
            self.fail(error)
            return otherwise
        took = self.timer() - start
        allowed = self.budget + _BUDGET_PER_PEER * peers
        if took > allowed:
            self.count.fault("slow", f"took {took * 1e3:.0f} ms of {allowed * 1e3:.0f} ms")
        elif self.count.is_slow:
            self.count.clean()
        return result

    def fail(self, error: Exception) -> None:
        """Count a call that raised an exception or broke its contract."""
        if isinstance(error, _BreachError):
            self.count.fault(*error.args)
        else:
            kind = type(error).__name__
            self.count.fault(kind, f"raised {error_text(error)}")
