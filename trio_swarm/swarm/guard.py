"""The host's guard around a download strategy: whatever a plugin does, the download goes on.

Good decisions are kept, nonsense is dropped, a fault is reported once for each kind and counted,
and a strategy with too many faults is replaced. Nothing here can interrupt a function that blocks;
it is counted afterwards.
"""

import random
from collections.abc import Callable, Iterator
from typing import Protocol

from trio_swarm.errors import SchedulerError
from trio_swarm.schedulers.api import Assignment, PeerView, Scheduler, SwarmView

MAX_FAULTS = 5
"""Calls with a fault after which a strategy is replaced."""

FORGIVEN = 200
"""Clean calls that make up for one that was only slow: a busy machine is not the plugin's fault."""

PLAN_BUDGET = 0.020
"""Seconds a plan may take for a small swarm."""

_BUDGET_PER_PEER = 0.0005
_BUDGET_PER_PIECE = 1e-6

_SPARE_ASSIGNMENTS = 1000
"""Assignments beyond one a block of room (to peers or of pieces that are used up, say) that are
read before a strategy counts as endless."""


class FaultSink(Protocol):
    """Told of the first fault of each kind, and of the replacement."""

    def __call__(self, name: str, reason: str, faults: int, replaced: bool) -> None:  # noqa: FBT001  called by position, as the record it is
        """`faults` is how many calls of strategy `name` were faulty so far."""
        ...


class FaultCount:
    """How often one strategy broke its contract, and whether that is too often."""

    __slots__ = ("_kinds", "_name", "_on_fault", "_slow", "_strict", "faults", "replaced")

    def __init__(self, name: str, on_fault: FaultSink | None) -> None:
        self.faults = 0
        """Faulty calls so far, slow ones included."""
        self.replaced = False
        self._name = name
        self._on_fault = on_fault
        self._kinds: set[str] = set()
        self._strict = 0
        self._slow = 0.0

    def clean(self) -> None:
        """Count a call without fault."""
        if self._slow > 0.0:
            self._slow = max(0.0, self._slow - 1 / FORGIVEN)

    def fault(self, kind: str, reason: str) -> None:
        """Count a call with a fault; `kind` is what makes two faults the same."""
        self.faults += 1
        if kind == "slow":
            self._slow += 1.0
        else:
            self._strict += 1
        was_replaced = self.replaced
        self.replaced = was_replaced or self._strict + self._slow >= MAX_FAULTS
        if kind not in self._kinds or self.replaced != was_replaced:
            self._kinds.add(kind)
            if self._on_fault is not None:
                self._on_fault(self._name, reason, self.faults, self.replaced)


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
            reading.faults.setdefault(kind, f"raised {kind}: {error}")
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
        if not reading.faults:
            self._count.clean()
            return
        kind, reason = next(iter(reading.faults.items()))
        self._count.fault(kind, reason)


class _Reading:
    """One pass over what a strategy returned: what is good of it, and what was wrong."""

    __slots__ = ("_free", "_limit", "_peers", "_rooms", "_view", "accepted", "faults")

    def __init__(self, view: SwarmView) -> None:
        self.accepted: list[Assignment] = []
        self.faults: dict[str, str] = {}
        """Kind → description."""
        self._view = view
        self._peers: dict[int, PeerView] = {peer.key: peer for peer in view.peers}
        self._rooms = {peer.key: peer.room for peer in view.peers}
        self._free: dict[int, int] = {}
        self._limit = sum(self._rooms.values()) + _SPARE_ASSIGNMENTS

    def read(self, assignments: Iterator[object], timer: Callable[[], float], until: float) -> None:
        """Take assignments until they end, all room is used, or a limit is reached."""
        view = self._view
        accepted = self.accepted
        rooms = self._rooms
        total_room = sum(rooms.values())
        count = 0
        for item in assignments:
            if timer() > until:
                self.faults.setdefault("slow", f"was cut off after {count} assignments: too slow")
                return
            count += 1
            if count > self._limit:
                self.faults["endless"] = f"was cut off after {count - 1} assignments"
                return
            wrong = self._fault_of(item)
            if wrong is not None:
                self.faults.setdefault(*wrong)
                continue
            assert isinstance(item, Assignment)
            room = rooms[item.peer]
            if room <= 0:
                continue
            piece = item.piece
            free = self._free.get(piece)
            if free is None:
                free = view.blocks_of(piece)
            blocks = min(room, free)
            if item.blocks is not None and item.blocks < blocks:
                blocks = item.blocks
            if blocks <= 0:
                continue
            self._free[piece] = free - blocks
            rooms[item.peer] = room - blocks
            accepted.append(Assignment(item.peer, piece, blocks))
            total_room -= blocks
            if total_room <= 0:
                return

    def _fault_of(self, item: object) -> tuple[str, str] | None:  # noqa: PLR0911  one a fault
        """Return (kind, description) of what is wrong with one assignment, or None."""
        if not isinstance(item, Assignment):
            return "type", f"returned {type(item).__name__} instead of Assignment"
        key, piece, blocks = item
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
        if not peer.pieces >> piece & 1:
            return "lacking", f"assigned piece {piece} to peer {key}, which cannot be asked for it"
        return None
