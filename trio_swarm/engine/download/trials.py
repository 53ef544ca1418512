"""Who may be asked for pieces on parole (see `smart_ban`): one peer at a time, suspects last."""

from typing import TYPE_CHECKING

from trio_swarm.engine.download.piece_states import PieceStates
from trio_swarm.engine.download.smart_ban import Parole
from trio_swarm.engine.download.source import Source
from trio_swarm.piece_sets import PieceSet

if TYPE_CHECKING:
    from trio_swarm.engine.download.planner import Planner


class Trials:
    """Shares the planner's state."""

    def __init__(
        self,
        states: PieceStates,
        sources: dict[int, Source],
        planner: "Planner",
    ) -> None:
        self.paroles: dict[int, Parole] = {}
        """Pieces that failed and are not verified yet."""
        self._states = states
        self._sources = sources
        self._planner = planner

    def permitted(self, pieces: PieceSet, source: Source) -> PieceSet:
        """Return those of `pieces` that a peer may be asked for."""
        for piece in self.paroles:
            if pieces >> piece & 1 and not self._may_try(piece, source):
                pieces ^= 1 << piece
        return pieces

    def claim(self, piece: int, source: Source) -> bool:
        """Make a peer the only one that is asked for a piece on parole; False if it may not be."""
        if not self._may_try(piece, source):
            return False
        parole = self.paroles[piece]
        if parole.owner == source.key:
            return True
        parole.owner = source.key
        state = self._states.open.get(piece)
        if state is None:
            return True
        for other in self._sources.values():
            if other is not source:
                asked = other.take_asked(piece, state.full)
                if asked:
                    self._states.release(piece, asked)
                late = other.take_late(piece, state.full)
                if asked | late:
                    self._planner.cancel(other, piece, asked | late)
                    self._planner.feed(other)
        tainted = source.identity in parole.suspects or not parole.suspects.isdisjoint(
            state.senders()
        )
        if tainted:
            # A suspect is tried alone, or the next failure would tell nothing.
            self._states.restart(state)
        return True

    def _may_try(self, piece: int, source: Source) -> bool:
        parole = self.paroles[piece]
        if parole.owner == source.key:
            return True
        if parole.owner is not None:
            owner = self._sources[parole.owner]
            if _would_give(owner, piece) or _is_asked(owner, piece):
                return False
        if source.identity not in parole.suspects:
            return True
        return not any(
            other.identity not in parole.suspects
            and other.pieces >> piece & 1
            and _would_give(other, piece)
            for other in self._sources.values()
        )


def _would_give(source: Source, piece: int) -> bool:
    """Whether a peer serves us, and is not late with blocks of this very piece.

    One that sends all others and keeps back this piece would hold up the download for ever.
    """
    return source.serves and piece not in source.late


def _is_asked(source: Source, piece: int) -> bool:
    """Whether a peer may still send what it was asked of a piece.

    Else two that keep us waiting would take it from each other without end, in one moment.
    """
    return bool(source.askable() >> piece & 1) and any(ask.piece == piece for ask in source.asks)
