"""A leecher as `Uploads` sees it."""

from trio_swarm.engine.upload.served import Served


class Leecher(Served):
    """One that is served, and interested from the start."""

    def __init__(self, key: int, *, joined_at: float = 0.0, address: str = "10.0.0.1:1") -> None:
        super().__init__(key, joined_at, address=address)
        self.peer_interested = True
