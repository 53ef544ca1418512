"""The memory that a block is received into, so that it need not be copied."""

from trio_swarm.identities import PieceIndex


class BlockPlace:
    """Memory for one block, lent by its owner, into which the rest of the block is received.

    `view` is as long as the block. The owner can take the memory back at any time with `take_back`;
    the rest of the block is then received into other memory.
    """

    __slots__ = ("begin", "is_lent", "piece", "view")

    def __init__(self, piece: PieceIndex, begin: int, view: memoryview) -> None:
        self.piece = piece
        self.begin = begin
        self.view = view
        self.is_lent = True
        """Whether the owner has not taken the memory back."""

    def overlaps(self, begin: int, end: int) -> bool:
        """Whether it includes some of these bytes of its piece."""
        return self.begin < end and begin < self.begin + len(self.view)

    def take_back(self) -> None:
        """Give the memory back to its owner; the received bytes are copied out of it."""
        if self.is_lent:
            self.view = memoryview(bytearray(self.view))
            self.is_lent = False
