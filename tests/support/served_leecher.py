"""A leecher as `Uploads` sees it."""

from trio_swarm.engine.upload.served import Served


class Leecher(Served):
    """One that is served, and interested from the start."""

    def __init__(self, key: int, *, joined_at: float = 0.0, address: str = "10.0.0.1:1") -> None:
        super().__init__(key, joined_at, address=address)
        self.peer_interested = True
        self.link_holds = 0
        """Bytes put out to it that its link has not delivered."""
        self.link_looks = 0
        """How often its link was asked."""

    def undelivered(self) -> int:
        self.link_looks += 1
        return self.link_holds
