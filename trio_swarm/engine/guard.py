"""The host's guard around strategies: whatever a plugin does, downloads and uploads go on.

Good decisions are kept, nonsense is dropped, a fault is reported once for each kind and counted,
and a strategy with too many faults is replaced. Nothing here can interrupt a function that blocks;
it is counted afterwards.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar, cast

from trio_swarm.engine.faults import FaultCount, FaultSink
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
"""Seconds a plan may take for a small swarm."""

_BUDGET_PER_PEER: Final = 0.0005
_BUDGET_PER_PIECE: Final = 1e-6

_SPARE_ASSIGNMENTS: Final = 1000
"""Assignments beyond one a block of room (to peers or of pieces that are used up, say) that are
read before a strategy counts as endless."""


class GuardedScheduler:
    """A `Scheduler` that cannot do harm.

    `fallback` makes the strategy that takes over after `MAX_FAULTS`; it is also what the host uses
    when the strategy declines for too long. `timer` returns seconds (CPU time of the thread is
    fairer than wall time on a busy machine); `budget` is what one call may take, plus a little for
    each peer and piece. `on_fault(name, reason, faults, replaced)` is told.
    """

    def __init__(  # noqa: PLR0917  all six are what a guard is
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
        """Of the strategy's latest answer: kind of fault → description."""
        self._strategy = strategy
        self._fallback = fallback
        self._substitute: Scheduler | None = None
        self._timer = timer
        self._budget = budget
        self._count = FaultCount(name, on_fault)

    @property
    def faults(self) -> int:
        """Calls that broke the contract so far."""
        return self._count.faults

    @property
    def is_replaced(self) -> bool:
        """Whether the fallback decides now."""
        return self._count.replaced

    def assign(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
        """Return the strategy's assignments, checked; `blocks` is filled in, at least 1.

        A peer's assignments together stay within its room, and a piece's within its free blocks.
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
        if took > allowed and not reading.faults:
            reading.faults["slow"] = f"took {took * 1e3:.0f} ms of {allowed * 1e3:.0f} ms"
        self._settle(reading)
        return reading.accepted

    def assign_by_fallback(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
        """Return what the fallback would assign, checked the same way but for time."""
        substitute = self._substitute
        if substitute is None:
            substitute = self._substitute = self._fallback()
        reading = _Reading(view)
        reading.read(iter(substitute.assign(view, rng)), lambda: 0.0, 1.0)
        return reading.accepted

    def _settle(self, reading: "_Reading") -> None:
        """Count the call: however much of it is nonsense, it is one faulty call."""
        self.wrong = reading.faults
        if not reading.faults:
            self._count.clean()
            return
        kind, reason = next(iter(reading.faults.items()))
        self._count.fault(kind, reason)


class _Reading:
    """One pass over what a strategy returned: what is good of it, and what was wrong."""

    __slots__ = ("_limit", "_peers", "_rooms", "_view", "accepted", "faults")

    def __init__(self, view: SwarmView) -> None:
        self.accepted: list[Assignment] = []
        self.faults: dict[str, str] = {}
        """Kind → description."""
        self._view = view
        self._peers: dict[int, PeerView] = {peer.key: peer for peer in view.peers}
        self._rooms = {peer.key: peer.room for peer in view.peers}
        self._limit = sum(self._rooms.values()) + _SPARE_ASSIGNMENTS

    def read(self, assignments: Iterator[object], timer: Callable[[], float], until: float) -> None:
        """Take assignments until they end, all room is used, or a limit is reached."""
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
            # The usual case first; whatever is not of it is looked at closely.
            if not isinstance(item, Assignment):
                self._refuse(item)
                continue
            # As they are, and not as they were announced: compiled, True would be the number 1.
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

    def _fault_of(self, item: object) -> tuple[str, str]:  # noqa: PLR0911  one a fault
        """Return (kind, description) of what is wrong with one assignment."""
        if not isinstance(item, Assignment):
            return "type", f"returned {type(item).__name__} instead of Assignment"
        key, piece, blocks = cast("tuple[object, object, object]", item)
        # type() is exact on purpose: True is no key.
        if type(key) is not int or type(piece) is not int:
            return "type", f"returned an Assignment of {key!r:.50} and {piece!r:.50}"
        if blocks is not None and (type(blocks) is not int or blocks < 1):
            return "blocks", f"assigned {blocks!r:.50} blocks of piece {piece}"
        peer = self._peers.get(key)
        if peer is None:
            return "peer", f"assigned piece {piece} to {key}, which is no peer with room"
        view = self._view
        if not 0 <= piece < view.piece_count:
            return "piece", f"assigned piece {piece} of {view.piece_count} to peer {key}"
        if not view.wanted >> piece & 1:
            return "unwanted", f"assigned piece {piece}, which has no block to give out"
        return "lacking", f"assigned piece {piece} to peer {key}, which cannot be asked for it"


class _Guarded:
    """A strategy that is asked by one timed call after the other, and the count of its faults."""

    def __init__(
        self,
        name: str,
        timer: Callable[[], float],
        budget: float,
        on_fault: FaultSink | None,
    ) -> None:
        self.name = name
        self._call = _TimedCall(timer, budget, FaultCount(name, on_fault))

    @property
    def faults(self) -> int:
        """Calls that broke the contract so far."""
        return self._call.count.faults

    @property
    def is_replaced(self) -> bool:
        """Whether the strategy is not asked any more."""
        return self._call.count.replaced


class GuardedUploader(_Guarded):
    """An `Uploader` that cannot do harm: what is wrong falls back to "show all, first come first".

    Arguments as for `GuardedScheduler`.
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

    def steers(self, view: UploadView) -> bool:
        """Whether it may keep anything from anybody now, or suggest anything.

        If not, `offer` and `suggest` need not be called with this view.
        """
        ask = self._steers
        if ask is None or self.is_replaced:
            return not self.is_replaced
        return self._call.run(lambda: bool(ask(view)), otherwise=False, peers=len(view.peers))

    @property
    def suggests(self) -> bool:
        """Whether the strategy makes suggestions."""
        return self._suggest is not None and not self.is_replaced

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return the pieces to reveal, a subset of what we have; None for all."""
        if self.is_replaced:
            return None

        def decide() -> PieceSet | None:
            answer: object = self._strategy.offer(view, peer)
            return None if answer is None else self._check(answer, "offer", "offered", view)

        return self._call.run(decide, None, peers=len(view.peers))

    def suggest(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        """Return pieces to suggest to a peer, a subset of what we have and it may know of.

        None: nothing, and nothing later either while we have what we have.
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

    @staticmethod
    def _check(pieces: object, kind: str, did: str, view: UploadView) -> PieceSet:
        """Return an answer that is a set of pieces that we have, and refuse all others."""
        if type(pieces) is not int or pieces < 0:
            raise _BreachError(kind, f"{did} {pieces!r:.50}, which is no piece set")
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
                raise _BreachError("order", f"returned {type(ordered).__name__} as an order")
            if not _is_permutation(ordered, requests):
                raise _BreachError("order", "returned other requests than it was given")
            return ordered

        return self._call.run(decide, requests)


def _is_permutation(ordered: Sequence[object], requests: Sequence[UploadRequest]) -> bool:
    try:
        return sorted(ordered) == sorted(requests)  # type: ignore[type-var]
    except TypeError:  # among them is something that is no request
        return False


def steers_of(strategy: Uploader) -> Callable[[UploadView], bool] | None:
    """Return its `steers`, unless it is inherited by a class that decides otherwise than its base.

    Whoever overrides `offer` or `suggest` need not know of `steers`.
    """
    for each in type(strategy).__mro__:
        if "steers" in vars(each):
            found: Callable[[UploadView], bool] | None = getattr(strategy, "steers", None)
            return found
        if "offer" in vars(each) or "suggest" in vars(each):
            return None
    return None


class GuardedChoker(_Guarded):
    """A `Choker` that cannot do harm; `fallback` makes what decides when it cannot.

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
        """Return keys of peers to have unchoked: each known, none twice, at most `view.slots`."""
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
                raise _BreachError("peer", f"unchoked {key!r:.50}, which is no connected peer")
            if key in chosen or len(chosen) == view.slots:
                raise _BreachError("slots", f"unchoked more than {view.slots} peers, or one twice")
            chosen[key] = None
        return list(chosen)


class _BreachError(Exception):
    """A strategy returned what its contract forbids; `args` are kind and description."""


class _TimedCall:
    """Around a strategy's function: exception or overrun is a fault, and costs only this call."""

    __slots__ = ("budget", "count", "timer")

    def __init__(self, timer: Callable[[], float], budget: float, count: FaultCount) -> None:
        self.count = count
        self.timer = timer
        self.budget = budget

    def run(self, function: Callable[[], T], otherwise: T, *, peers: int = 0) -> T:
        """Return what `function` returns, or `otherwise` if it is at fault.

        It may take the longer the more `peers` it looks at: strangers decide how many there are.
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
        """Count a call that raised, or broke its contract."""
        if isinstance(error, _BreachError):
            self.count.fault(*error.args)
        else:
            kind = type(error).__name__
            self.count.fault(kind, f"raised {error_text(error)}")
