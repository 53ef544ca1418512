"""Finding the peer that sent the wrong block of a piece which failed its hash.

A piece can have blocks of many peers, and its hash tells only that some block is wrong. So for each
failed attempt the sender and the digest of every block are remembered, and the piece is on parole:
it is fetched again from one peer at a time. When it passes, every remembered block that differs
from the correct one names its sender. If all blocks of a failed piece came from one peer, that peer
is at fault. (libtorrent's "smart ban" and "parole" do the same.)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from trio_swarm.engine.download.piece_states import PieceStates
from trio_swarm.engine.download.source import Source
from trio_swarm.engine.lengths import BlockSet
from trio_swarm.piece_sets import PieceSet

_ATTEMPTS: Final = 8
"""Failed attempts remembered for each piece, the newest: each takes 20 bytes of memory a block."""


class _Attempt(NamedTuple):
    senders: dict[str, BlockSet]  # identity → blocks it sent
    digests: tuple[bytes, ...]  # SHA-1 digest of each block


class Parole:
    """A piece that failed its hash: which peer fetches it now, and who sent which blocks before."""

    __slots__ = ("_attempts", "failures", "owner", "suspects")

    def __init__(self) -> None:
        self.failures = 0
        """How often the piece has failed its hash."""
        self.owner: int | None = None
        """Key of the only peer that may fetch the piece now; None if there is none."""
        self.suspects: set[str] = set()
        """Identities that sent blocks of a failed attempt and are not convicted yet."""
        self._attempts: list[_Attempt] = []

    def record(self, senders: Mapping[str, BlockSet], digests: Sequence[bytes]) -> None:
        """Remember the senders and digests of the blocks of a failed attempt."""
        self.suspects.update(senders)
        self._attempts.append(_Attempt(dict(senders), tuple(digests)))
        del self._attempts[:-_ATTEMPTS]

    def convict(self, good: Sequence[bytes]) -> list[str]:
        """Return the identities that ever sent a block that differs from the verified one."""
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
    """Which peer may fetch a piece on parole: one peer at a time, suspects last.

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
        """Pieces that failed their hash and are not verified yet, by index."""
        self._states = states
        self._sources = sources
        self._take_back = take_back

    def permitted(self, pieces: PieceSet, source: Source) -> PieceSet:
        """Return the pieces of `pieces` that parole lets a peer be asked for."""
        for piece in self.paroles:
            if pieces >> piece & 1 and not self._may_try(piece, source):
                pieces ^= 1 << piece
        return pieces

    def claim(self, piece: int, source: Source) -> bool:
        """Make a peer the only one asked for a piece on parole; return False if it may not be."""
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
            # A suspect must send every block itself: otherwise another failure would tell nothing.
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

    A peer that serves all pieces but this one would otherwise stop the download for ever.
    """
    return source.serves and piece not in source.late


def _is_asked(source: Source, piece: int) -> bool:
    """Whether a peer may still send blocks of a piece that were requested from it.

    Otherwise two peers that keep us waiting would take the piece from each other without end.
    """
    return bool(source.askable() >> piece & 1) and any(ask.piece == piece for ask in source.asks)
