"""What a download asks for blocks: a BitTorrent peer, or anything else that has them."""

from typing import Protocol

from trio_swarm.engine.lengths import BlockRun


class BlockSource(Protocol):
    """Something that the ledger knows by `key` and hands blocks out to.

    Its owner tells the ledger what it has and whether it serves (`add_peer`, `set_pieces`,
    `set_choked`, `set_queue_limit`), and what came of it: blocks (`received`), refusals
    (`rejected`), and grants that were never asked after all (`withdraw`).
    """

    @property
    def key(self) -> int:
        """The source's number in the ledger."""

    @property
    def address(self) -> str:
        """The source's address, for people: `host:port` or a URL."""

    def grant(self, run: BlockRun) -> None:
        """Ask the source for these blocks, as soon as it can be told."""

    def cancel(self, run: BlockRun) -> None:
        """Ask for these blocks no longer, or take the request back: they were granted before."""
