"""Who sent the bad block of a piece that failed its hash.

A piece may hold blocks of many peers, and the hash says only that some block is wrong. So what each
peer sent is remembered as one digest a block, and the piece goes on parole: it is fetched again
from one peer at a time. When it passes, every remembered block that differs from the good one names
its sender. A piece that one peer sent alone convicts that peer at once. (libtorrent's "smart ban"
and "parole" do the same.)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from trio_swarm.engine.download.piece_states import PieceStates
from trio_swarm.engine.download.source import Source
from trio_swarm.engine.lengths import BlockSet
from trio_swarm.piece_sets import PieceSet

_ATTEMPTS: Final = 8
"""Failed attempts remembered for each piece, newest kept: the memory is 20 bytes a block each."""


class _Attempt(NamedTuple):
    senders: dict[str, BlockSet]  # identity → the blocks it sent
    digests: tuple[bytes, ...]  # by block


class Parole:
    """One piece that failed at least once; who may try it next, and what it was sent before."""

    __slots__ = ("_attempts", "owner", "suspects")

    def __init__(self) -> None:
        self.owner: int | None = None
        """Key of the peer that fetches the piece now, alone."""
        self.suspects: set[str] = set()
        """Identities that contributed to a failed attempt and are not convicted."""
        self._attempts: list[_Attempt] = []

    def record(self, senders: Mapping[str, BlockSet], digests: Sequence[bytes]) -> None:
        """Remember a failed attempt."""
        self.suspects.update(senders)
        self._attempts.append(_Attempt(dict(senders), tuple(digests)))
        del self._attempts[:-_ATTEMPTS]

    def convict(self, good: Sequence[bytes]) -> list[str]:
        """Return the identities that ever sent a block which differs from the verified ones."""
        culprits: dict[str, None] = {}
        for attempt in self._attempts:
            for block, (was, should) in enumerate(zip(attempt.digests, good, strict=False)):
                if was != should:
                    bit = 1 << block
                    for identity, blocks in attempt.senders.items():
                        if blocks & bit:
                            culprits[identity] = None
        return list(culprits)


class Trials:
    """Who may be asked for pieces on parole: one peer at a time, suspects last.

    It shares the planner's state. `take_back` is called with a peer, a piece and those blocks of it
    that the peer need not send any more; they are out of flight then.
    """

    def __init__(
        self,
        states: PieceStates,
        sources: dict[int, Source],
        take_back: Callable[[Source, int, BlockSet], None],
    ) -> None:
        self.paroles: dict[int, Parole] = {}
        """Pieces that failed and are not verified yet."""
        self._states = states
        self._sources = sources
        self._take_back = take_back

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
                    self._take_back(other, piece, asked | late)
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
