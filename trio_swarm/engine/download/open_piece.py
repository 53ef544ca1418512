"""One piece that is begun and not yet verified."""

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.lengths import BlockSet


@mypyc_attr(acyclic=True)
class OpenPiece:
    """The blocks of one piece, each in exactly one state.

    WANTED if in `free`, RECEIVED if in `received`, otherwise IN_FLIGHT, from one peer, or from two
    if in `doubled`.
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
        """All its blocks."""
        self.free = full
        self.received: BlockSet = 0
        self.doubled: BlockSet = 0
        self.contested: BlockSet = 0
        """A superset of `doubled` and of what some peer owes beyond its deadline: if a block of it
        arrives, others must be looked through."""
        # Nearly always all comes from one peer, and a dict takes more than all the rest.
        self._sender = ""
        self._senders: dict[str, BlockSet] | None = None  # if there are several: see `senders`
        self.verifying = False
        """Every block is received and the caller is checking the hash."""

    def is_idle(self) -> bool:
        """Whether nothing of it is received or in flight."""
        return self.free == self.full

    def senders(self) -> dict[str, BlockSet]:
        """Return from whom blocks were received: identity → which, at least one."""
        senders = self._senders
        if senders is None:
            return {self._sender: self.received} if self.received else {}
        return {identity: blocks for identity, blocks in senders.items() if blocks}

    def receive(self, identity: str, blocks: BlockSet) -> None:
        """Note who sent blocks, and that their bytes are held in the place of any held before."""
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

    def forget_received(self) -> None:
        """Forget which blocks were received, and from whom."""
        self.received = 0
        self._senders = None
