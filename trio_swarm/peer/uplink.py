"""The uplink of a node, and the task that shares it out."""

from typing import Never

import trio

from trio_swarm.engine.upload.uplink_sharing import UplinkSharing
from trio_swarm.peer.wakeup import Wakeup


class Uplink(UplinkSharing):
    """The uplink of a node; see `UplinkSharing` for what connections ask and tell."""

    def __init__(self, limit: float | None = None) -> None:
        super().__init__(limit)
        self._wakeup = Wakeup()

    def share_out_soon(self) -> None:
        """Wake the task."""
        self._wakeup.set()

    async def run(self) -> Never:
        """Look at the links and give turns, until cancelled."""
        while True:
            with trio.move_on_at(self.share_out(trio.current_time())):
                await self._wakeup.wait()
