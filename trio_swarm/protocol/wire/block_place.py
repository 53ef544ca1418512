"""Memory that a block is received into, so that it need not be copied there."""

from trio_swarm.identities import PieceIndex


class BlockPlace:
    """Memory for one block, lent by its owner, that the rest of the block is received into.

    `view` is as long as the block. The owner takes the memory back by `take_back`, in whatever
    state it is; the block then goes on in memory of its own.
    """

    __slots__ = ("begin", "is_lent", "piece", "view")

    def __init__(self, piece: PieceIndex, begin: int, view: memoryview) -> None:
        self.piece = piece
        self.begin = begin
        self.view = view
        self.is_lent = True
        """The owner has not taken the memory back."""

    def overlaps(self, begin: int, end: int) -> bool:
        """Whether it holds some of these bytes of its piece."""
        return self.begin < end and begin < self.begin + len(self.view)

    def take_back(self) -> None:
        """Let go of the memory; what has arrived is copied out of it."""
        if self.is_lent:
            self.view = memoryview(bytearray(self.view))
            self.is_lent = False
