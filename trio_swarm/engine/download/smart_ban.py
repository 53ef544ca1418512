"""Who sent the bad block of a piece that failed its hash.

A piece may hold blocks of many peers, and the hash says only that some block is wrong. So what each
peer sent is remembered as one digest a block, and the piece goes on parole: it is fetched again
from one peer at a time. When it passes, every remembered block that differs from the good one names
its sender. A piece that one peer sent alone convicts that peer at once. (libtorrent's "smart ban"
and "parole" do the same.)
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from trio_swarm.engine.lengths import BlockSet

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
