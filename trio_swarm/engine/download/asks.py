"""Blocks that are expected of one peer."""

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.lengths import BlockSet


@mypyc_attr(acyclic=True)
class Ask:
    """Blocks of one piece asked of one peer at one time; `blocks` shrinks as they arrive."""

    __slots__ = ("at", "blocks", "deadline", "idle", "piece")

    def __init__(
        self, piece: int, blocks: BlockSet, *, at: float, deadline: float, idle: bool
    ) -> None:
        self.piece = piece
        self.blocks = blocks
        self.at = at
        self.deadline = deadline
        self.idle = idle
        """Nothing else was in flight: its response time is a round trip."""


def take_blocks(held: dict[int, BlockSet], piece: int, blocks: BlockSet) -> BlockSet:
    """Return which of `blocks` are in `held` (piece → blocks), and take them out of it."""
    present = held.get(piece, 0)
    found = present & blocks
    if found:
        if found == present:
            del held[piece]
        else:
            held[piece] = present ^ found
    return found
