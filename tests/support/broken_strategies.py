"""Strategies that break their contract, one class per way: what the host's guard is tested with.

`BROKEN`, `EXCESSIVE` and `HARMLESS` map a name to a factory of a fresh object. Each misbehaves on
every call in which somebody has room, unless its docstring says otherwise. `Sleeps` takes the
function that passes the time, so that a test with a fake timer need not wait. What no in-process
guard can stop (a plain endless loop that never yields) is not among them.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from trio_swarm.piece_sets import full_set, lowest
from trio_swarm.schedulers.api import Assignment, Scheduler, SwarmView


def first_good(view: SwarmView) -> Iterator[Assignment]:
    """Yield correct one-block assignments, one per peer that can take one."""
    for peer in view.peers:
        pieces = view.wanted & peer.pieces
        if peer.room and pieces:
            yield Assignment(peer.key, lowest(pieces), 1)


class RaisesAtOnce:
    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        raise RuntimeError("a bug in somebody's plugin")


class RaisesMidway:
    """Its first assignments are good; then it raises."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterator[Assignment]:
        yield from first_good(view)
        raise KeyError("no such thing")


class ReturnsNone:
    def assign(self, view: SwarmView, rng: random.Random) -> Any:
        return None


class ReturnsANumber:
    def assign(self, view: SwarmView, rng: random.Random) -> Any:
        return 42


class ReturnsText:
    def assign(self, view: SwarmView, rng: random.Random) -> Any:
        return "rarest please"


class YieldsNones:
    def assign(self, view: SwarmView, rng: random.Random) -> Any:
        return [None for _ in view.peers]


class YieldsBarePieces:
    def assign(self, view: SwarmView, rng: random.Random) -> Any:
        return [lowest(view.wanted)] if view.wanted else [0]


class YieldsTextFields:
    def assign(self, view: SwarmView, rng: random.Random) -> Any:
        return [Assignment("peer", "piece", "blocks")]  # type: ignore[arg-type]


class YieldsFloats:
    def assign(self, view: SwarmView, rng: random.Random) -> Any:
        return [
            Assignment(each.peer, float(each.piece), 1.5)  # type: ignore[arg-type]
            for each in first_good(view)
        ]


class NamesUnknownPeers:
    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        stranger = max((peer.key for peer in view.peers), default=0) + 1_000_000
        return [Assignment(stranger, each.piece, 1) for each in first_good(view)]


class PicksPiecesNobodyWants:
    """Faulty only while some piece is not wanted."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        unwanted = full_set(view.piece_count) & ~view.wanted
        return [Assignment(peer.key, lowest(unwanted)) for peer in view.peers if unwanted]


class PicksPiecesThePeerLacks:
    """Faulty only while some peer lacks a wanted piece."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        for peer in view.peers:
            missing = view.wanted & ~peer.pieces
            if missing:
                yield Assignment(peer.key, lowest(missing))


class PicksPiecesOutOfRange:
    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        return [Assignment(peer.key, view.piece_count + 7) for peer in view.peers]


class PicksAnAstronomicalPiece:
    """`1 << piece` of it would not fit into any memory."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        return [Assignment(peer.key, 1 << 62) for peer in view.peers]


class PicksNegativePieces:
    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        return [Assignment(peer.key, -1) for peer in view.peers]


class GivesNegativeBlocks:
    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        return [each._replace(blocks=-3) for each in first_good(view)]


class GivesNoBlocks:
    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        return [each._replace(blocks=0) for each in first_good(view)]


class IgnoresRoom:
    """Gives every peer every piece it has, far beyond its room."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        for peer in view.peers:
            pieces = view.wanted & peer.pieces
            while pieces:
                piece = lowest(pieces)
                pieces &= pieces - 1
                yield Assignment(peer.key, piece, 1_000_000)


class GivesOneBlockToAll:
    """Gives the same piece to every peer again and again, more often than it has blocks."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        everywhere = view.wanted
        for peer in view.peers:
            everywhere &= peer.pieces
        if everywhere:
            piece = lowest(everywhere)
            for _ in range(view.blocks_of(piece) + 1):
                for peer in view.peers:
                    yield Assignment(peer.key, piece)


class NeverEnds:
    """An infinite generator of assignments that are good one by one."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterator[Assignment]:
        while True:
            yield from first_good(view)
            yield Assignment(view.peers[0].key if view.peers else 0, 0, 1)


class Sleeps:
    """Passes `seconds` before it returns good assignments."""

    def __init__(self, sleep: Callable[[float], object], seconds: float = 1.0) -> None:
        self.sleep = sleep
        self.seconds = seconds

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        self.sleep(self.seconds)
        return list(first_good(view))


class SleepsWhileYielding:
    """Passes `seconds` before each of its good assignments."""

    def __init__(self, sleep: Callable[[float], object], seconds: float = 1.0) -> None:
        self.sleep = sleep
        self.seconds = seconds

    def assign(self, view: SwarmView, rng: random.Random) -> Iterator[Assignment]:
        for each in first_good(view):
            self.sleep(self.seconds)
            yield each


class DoesNothing:
    """Never assigns anything: no fault by itself, but the host must stay live."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        return ()


class MeddlesWithTheView:
    """Tries to change what it was given, then does good work; the host must be unharmed."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        good = list(first_good(view))
        for collection in (view.free_blocks, view.rarity, view.peers):
            clear = getattr(collection, "clear", None)
            if clear is not None:
                clear()
        return good


BROKEN: dict[str, Callable[[], Scheduler]] = {
    cls.__name__: cls
    for cls in (
        RaisesAtOnce,
        RaisesMidway,
        ReturnsNone,
        ReturnsANumber,
        ReturnsText,
        YieldsNones,
        YieldsBarePieces,
        YieldsTextFields,
        YieldsFloats,
        NamesUnknownPeers,
        PicksPiecesNobodyWants,
        PicksPiecesThePeerLacks,
        PicksPiecesOutOfRange,
        PicksAnAstronomicalPiece,
        PicksNegativePieces,
        GivesNegativeBlocks,
        GivesNoBlocks,
        NeverEnds,
    )
}
"""Each of these commits a fault that a guard can see, and needs no argument."""

EXCESSIVE: dict[str, Callable[[], Scheduler]] = {
    cls.__name__: cls for cls in (IgnoresRoom, GivesOneBlockToAll)
}
"""These ask for more than there is: a guard may just give them what there is."""

HARMLESS: dict[str, Callable[[], Scheduler]] = {
    cls.__name__: cls for cls in (DoesNothing, MeddlesWithTheView)
}
"""These commit no fault, yet the download must come to its end with them too."""
