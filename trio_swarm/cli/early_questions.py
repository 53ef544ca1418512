"""Questions to trackers that are on their way while the rest of the program is imported.

A node takes as long to import as all that a question to a tracker needs, and trackers take a round
trip or two. So `get` and `seed` ask first.
"""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import trio

from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.settings import NodeSettings

if TYPE_CHECKING:
    from trio_swarm.service.service import Service

_TURNS = 2
"""Turns of the event loop after which questions to numeric addresses are on their way. A thread
that imports leaves the loop a turn every 5 ms or so."""


@asynccontextmanager
async def service_with_questions(
    settings: NodeSettings, *, greets: bool = True, name: str | None = None
) -> AsyncIterator["Service"]:
    """Import and open a service, see `open_service`; its trackers are asked meanwhile.

    They are asked for `name`, or only greeted, or left alone if not `greets`.
    """
    async with AsyncExitStack() as stack:
        clients: TrackerClients | None = None
        # Where it is to listen at one address it asks from there, which is known later.
        if greets and not settings.listen_host:
            clients = await stack.enter_async_context(open_tracker_clients())
            for url in dict.fromkeys(settings.trackers):
                clients.ask_ahead(url, name)
            for _ in range(_TURNS):
                await trio.lowlevel.checkpoint()
        open_service = await trio.to_thread.run_sync(_import_service)
        yield await stack.enter_async_context(open_service(settings, clients=clients))


def _import_service() -> Callable[..., AbstractAsyncContextManager["Service"]]:
    """Import what a node needs, without looking for garbage: see `trio_swarm.cli`."""
    gc.disable()
    try:
        from trio_swarm.service.service import open_service  # noqa: PLC0415 - the reason of it all
    finally:
        gc.freeze()
        gc.enable()
    return open_service
