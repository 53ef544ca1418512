"""An announcer at work, as a node keeps it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from trio_swarm.announcing.announcer import Announcer
from trio_swarm.announcing.heartbeats import Heartbeats


@asynccontextmanager
async def announcing(announcer: Announcer) -> AsyncIterator[None]:
    """Have an announcer keep its trackers told within the context."""
    hearts = Heartbeats()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hearts.run)
        announcer.begin(hearts)
        try:
            yield
        finally:
            announcer.end()
            nursery.cancel_scope.cancel()
