"""What was asked of peers and is still awaited, so that one can tell how long each took."""

from collections.abc import Callable
from typing import Generic, TypeVar

from trio_swarm.engine.lengths import BlockRun, BlockSet, Lengths
from trio_swarm.recording import records as ev
from trio_swarm.recording.records import Record

T = TypeVar("T")


class Ask(Generic[T]):
    """Blocks of a piece asked of a peer at one time; `blocks` shrinks as they come."""

    __slots__ = ("at", "blocks", "peer", "piece", "what")

    def __init__(self, peer: int, piece: int, blocks: BlockSet, at: int, what: T) -> None:
        self.peer = peer
        self.piece = piece
        self.blocks = blocks
        self.at = at
        """Microseconds."""
        self.what = what
        """The caller's own."""


class Waiting(Generic[T]):
    """Tells `over(ask, at)` of each ask of which nothing is awaited any more, however it ended."""

    def __init__(self, lengths: Lengths, over: Callable[[Ask[T], int], None]) -> None:
        self._lengths = lengths
        self._over = over
        self._asks: dict[int, dict[int, list[Ask[T]]]] = {}  # peer → piece → oldest first

    def ask(self, peer: int, run: BlockRun, at: int, what: T) -> None:
        """Await what was granted."""
        blocks = self._lengths.blocks_between(*run)
        of_piece = self._asks.setdefault(peer, {}).setdefault(run.piece, [])
        of_piece.append(Ask(peer, run.piece, blocks, at, what))

    def others(self, peer: int, run: BlockRun) -> list[Ask[T]]:
        """Return what other peers were asked for of the same blocks."""
        blocks = self._lengths.blocks_between(*run)
        return [
            ask
            for key, pieces in self._asks.items()
            if key != peer
            for ask in pieces.get(run.piece, ())
            if ask.blocks & blocks
        ]

    def of(self, peer: int) -> list[Ask[T]]:
        """Return what a peer was asked for."""
        return [ask for asks in self._asks.get(peer, {}).values() for ask in asks]

    def apply(self, event: Record) -> None:
        """Await what the event ends no longer."""
        match event:
            case ev.Arrived() | ev.Rejected() | ev.Withdrawn():
                self._end(event.peer, BlockRun(event.piece, event.begin, event.length), event.at)
            case ev.Cancelled():
                for peer, run in event.grants:
                    self._end(peer, run, event.at)
            case ev.Choked() if not event.fast:
                self._drop(event.peer, event.at)
            case ev.Left() | ev.Snubbed():
                self._drop(event.peer, event.at)
            case _:
                pass

    def _end(self, peer: int, run: BlockRun, at: int) -> None:
        pieces = self._asks.get(peer)
        if pieces is None or run.piece not in pieces:
            return
        blocks = self._lengths.blocks_between(*run)
        rest: list[Ask[T]] = []
        for ask in pieces[run.piece]:
            ask.blocks &= ~blocks
            if ask.blocks:
                rest.append(ask)
            else:
                self._over(ask, at)
        if rest:
            pieces[run.piece] = rest
        else:
            del pieces[run.piece]

    def _drop(self, peer: int, at: int) -> None:
        for asks in self._asks.pop(peer, {}).values():
            for ask in asks:
                self._over(ask, at)
