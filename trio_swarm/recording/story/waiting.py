"""The requests that are still awaited, so that the time of each can be measured."""

from collections.abc import Callable
from typing import Generic, TypeVar

from trio_swarm.engine.lengths import BlockRun, BlockSet, Lengths
from trio_swarm.recording import records
from trio_swarm.recording.records import Record

T = TypeVar("T")


class AwaitedBlocks(Generic[T]):
    """Blocks of a piece requested from a peer at one time; `blocks` shrinks as they arrive."""

    __slots__ = ("at", "blocks", "peer", "piece", "what")

    def __init__(self, peer: int, piece: int, blocks: BlockSet, at: int, what: T) -> None:
        self.peer = peer
        self.piece = piece
        self.blocks = blocks
        self.at = at
        """Time of the request, microseconds."""
        self.what = what
        """A value of the caller's, kept with the request."""


class AwaitedRequests(Generic[T]):
    """All awaited requests; calls `over(ask, at)` when no block of one is awaited any more."""

    def __init__(self, lengths: Lengths, over: Callable[[AwaitedBlocks[T], int], None]) -> None:
        self._lengths = lengths
        self._over = over
        self._asks: dict[int, dict[int, list[AwaitedBlocks[T]]]] = {}  # peer → piece → oldest first

    def ask(self, peer: int, run: BlockRun, at: int, what: T) -> None:
        """Await the blocks of `run` from a peer."""
        blocks = self._lengths.blocks_between(*run)
        of_piece = self._asks.setdefault(peer, {}).setdefault(run.piece, [])
        of_piece.append(AwaitedBlocks(peer, run.piece, blocks, at, what))

    def others(self, peer: int, run: BlockRun) -> list[AwaitedBlocks[T]]:
        """Return the requests for the same blocks to other peers."""
        blocks = self._lengths.blocks_between(*run)
        return [
            ask
            for key, pieces in self._asks.items()
            if key != peer
            for ask in pieces.get(run.piece, ())
            if ask.blocks & blocks
        ]

    def of(self, peer: int) -> list[AwaitedBlocks[T]]:
        """Return the awaited requests to a peer."""
        return [ask for asks in self._asks.get(peer, {}).values() for ask in asks]

    def apply(self, event: Record) -> None:
        """Remove the blocks that the event ends."""
        match event:
            case records.Arrived() | records.Rejected() | records.Withdrawn():
                self._end(event.peer, BlockRun(event.piece, event.begin, event.length), event.at)
            case records.Cancelled():
                for peer, run in event.grants:
                    self._end(peer, run, event.at)
            case records.Choked() if not event.fast:
                self._drop(event.peer, event.at)
            case records.Left() | records.Snubbed():
                self._drop(event.peer, event.at)
            case _:
                pass

    def _end(self, peer: int, run: BlockRun, at: int) -> None:
        pieces = self._asks.get(peer)
        if pieces is None or run.piece not in pieces:
            return
        blocks = self._lengths.blocks_between(*run)
        rest: list[AwaitedBlocks[T]] = []
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
