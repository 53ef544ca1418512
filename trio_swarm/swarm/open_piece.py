"""One piece that is begun and not yet verified."""

from trio_swarm.swarm.lengths import BlockSet


class OpenPiece:
    """The blocks of one piece, each in exactly one state.

    WANTED if in `free`, RECEIVED if in `received`, otherwise IN_FLIGHT, from one peer, or from two
    if in `doubled`.
    """

    __slots__ = (
        "contested",
        "doubled",
        "free",
        "full",
        "index",
        "received",
        "senders",
        "verifying",
    )

    def __init__(self, index: int, full: BlockSet) -> None:
        self.index = index
        self.full = full
        """All its blocks."""
        self.free = full
        self.received: BlockSet = 0
        self.doubled: BlockSet = 0
        self.contested: BlockSet = 0
        """A superset of `doubled` and of what some peer owes beyond its deadline: if a block of it
        arrives, others must be looked through."""
        self.senders: dict[str, BlockSet] = {}
        """Identity → the blocks received from it."""
        self.verifying = False
        """Every block is received and the caller is checking the hash."""

    def is_idle(self) -> bool:
        """Whether nothing of it is received or in flight."""
        return self.free == self.full

    def credit(self, identity: str, blocks: BlockSet) -> None:
        """Note that the bytes held for `blocks` are those that `identity` sent."""
        senders = self.senders
        for other, sent in senders.items():
            if sent & blocks:
                senders[other] = sent & ~blocks
        senders[identity] = senders.get(identity, 0) | blocks
