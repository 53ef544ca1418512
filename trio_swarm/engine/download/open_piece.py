"""One piece that is started and not yet verified."""

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.lengths import BlockSet


@mypyc_attr(acyclic=True)
class OpenPiece:
    """The blocks of one piece, each in exactly one state.

    A block is WANTED if it is in `free`, RECEIVED if it is in `received`, otherwise IN_FLIGHT: from
    one peer, or from two if it is in `doubled`.
    """

    __slots__ = (
        "_sender",
        "_senders",
        "contested",
        "doubled",
        "free",
        "full",
        "index",
        "received",
        "verifying",
    )

    def __init__(self, index: int, full: BlockSet) -> None:
        self.index = index
        self.full = full
        """The set of all its blocks."""
        self.free = full
        self.received: BlockSet = 0
        self.doubled: BlockSet = 0
        self.contested: BlockSet = 0
        """Blocks that a second peer may still send: a superset of `doubled` and of the late blocks
        of any peer. If one of them arrives, the other peers must be searched for it."""
        # Nearly always one peer sends all blocks, and a dict takes more memory than all the rest.
        self._sender = ""
        self._senders: dict[str, BlockSet] | None = None  # if several; see `senders`
        self.verifying = False
        """Every block is received, and the caller is checking the hash."""

    def is_idle(self) -> bool:
        """Whether no block of it is received or in flight."""
        return self.free == self.full

    def senders(self) -> dict[str, BlockSet]:
        """Return which blocks each identity sent; at least one must be received."""
        senders = self._senders
        if senders is None:
            return {self._sender: self.received} if self.received else {}
        return {identity: blocks for identity, blocks in senders.items() if blocks}

    def receive(self, identity: str, blocks: BlockSet) -> None:
        """Note that `identity` sent `blocks`, which replace blocks received before."""
        before = self.received & ~blocks
        senders = self._senders
        if senders is None:
            if not before:
                self._sender = identity
            elif self._sender != identity:
                self._senders = {self._sender: before, identity: blocks}
        else:
            for other, sent in senders.items():
                senders[other] = sent & ~blocks
            senders[identity] = senders.get(identity, 0) | blocks
        self.received |= blocks

    def drop(self, blocks: BlockSet) -> None:
        """Note that some received blocks are wrong: they are wanted again, from anybody."""
        senders = self._senders
        if senders is not None:
            for identity, sent in senders.items():
                senders[identity] = sent & ~blocks
        self.received &= ~blocks
        self.free |= blocks

    def forget_received(self) -> None:
        """Forget which blocks were received and who sent them."""
        self.received = 0
        self._senders = None
