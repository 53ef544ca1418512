"""The shares and fetches of one node: begun and ended at run time, each by itself."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import trio

from trio_swarm import events
from trio_swarm.node import Node, open_node
from trio_swarm.peer.torrent import Torrent
from trio_swarm.protocol.addresses import Address
from trio_swarm.service.fetches import Choose, Fetch
from trio_swarm.service.shares import Share
from trio_swarm.service.supervised import Supervised
from trio_swarm.settings import DEFAULT_TRACKER, FetchSettings, NodeSettings, ShareSettings

_One = TypeVar("_One", bound=Supervised)


class Service:
    """Keeps shares and fetches running; made by `open_service`.

    Each is a task with a cancel scope and a state of its own; its failure or removal ends no
    other. `share` and `fetch` return at once.
    """

    def __init__(self, node: Node, nursery: trio.Nursery, settings: NodeSettings) -> None:
        self._node = node
        self._nursery = nursery
        self._settings = settings
        self._supervised: list[Supervised] = []
        self._ended = trio.Event()

    @property
    def node(self) -> Node:
        """The node that runs its torrents."""
        return self._node

    @property
    def trackers(self) -> tuple[str, ...]:
        """The trackers that were named for all of them; perhaps none."""
        return self._settings.trackers

    @property
    def addresses(self) -> list[Address]:
        """The addresses at which the node accepts peers."""
        return self._node.addresses

    @property
    def torrents(self) -> list[Torrent]:
        """The torrents that run now, in the order they were begun."""
        return self._node.torrents

    @property
    def shares(self) -> list[Share]:
        """All shares that were not removed, ended ones included."""
        return [each for each in self._supervised if isinstance(each, Share)]

    @property
    def fetches(self) -> list[Fetch]:
        """All fetches that were not removed, ended ones included."""
        return [each for each in self._supervised if isinstance(each, Fetch)]

    @property
    def has_failed(self) -> bool:
        """Whether one of them has failed."""
        return any(each.state == "failed" for each in self._supervised)

    def share(
        self, settings: ShareSettings, *, on_progress: Callable[[int, int], None] | None = None
    ) -> Share:
        """Begin to offer a file or folder.

        `on_progress(done, total)` is called while it is hashed, from threads, in bytes.
        """
        emit = self._settings.on_event
        return self._begin(Share(settings, self._node, emit=emit, on_progress=on_progress))

    def fetch(self, settings: FetchSettings, *, choose: Choose | None = None) -> Fetch:
        """Begin to fetch something.

        `choose` is awaited where a name stands for several torrents; without it that is a failure.
        """
        emit = self._settings.on_event
        return self._begin(
            Fetch(settings, self._node, trackers=self.trackers, emit=emit, choose=choose)
        )

    async def remove(self, one: Supervised) -> None:
        """End a share or fetch, and forget it; the data stays where it is."""
        await one.remove()
        if one in self._supervised:
            self._supervised.remove(one)

    async def wait_idle(self) -> None:
        """Wait until each of them has ended; at once if there is none."""
        while not all(each.is_over for each in self._supervised):
            await self._ended.wait()

    def _begin(self, one: _One) -> _One:
        self._supervised.append(one)
        self._nursery.start_soon(self._supervise, one, name=f"supervise {one.name}")
        return one

    async def _supervise(self, one: Supervised) -> None:
        await one.run()
        self._ended.set()
        self._ended = trio.Event()


@asynccontextmanager
async def open_service(settings: NodeSettings) -> AsyncIterator[Service]:
    """Run a node and a service for as long as the context is open; see `open_node`.

    `settings.trackers` are the trackers that somebody named. Where there are none, shares go to
    `DEFAULT_TRACKER`, and fetches as well unless they know another way. `settings.on_event` gets
    one `TorrentFailed` for each share or fetch that fails, with or without a torrent of it.
    """
    node_settings = replace(
        settings,
        trackers=settings.trackers or (DEFAULT_TRACKER,),
        on_event=_without_failures(settings.on_event),
    )
    body_error: Exception | None = None
    async with open_node(node_settings) as node:
        async with trio.open_nursery() as nursery:
            try:
                yield Service(node, nursery, settings)
            except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery
                # A nursery would wrap it in a group, and the program's `except` would miss it.
                body_error = error
            finally:
                nursery.cancel_scope.cancel()
        if body_error is not None:
            raise body_error


def _without_failures(on_event: Callable[[events.Event], None]) -> Callable[[events.Event], None]:
    """Return a function that tells every event but failures of torrents.

    A full disk may be waited out; a failure that ends a share or fetch is told by itself.
    """

    def tell(event: events.Event) -> None:
        if not isinstance(event, events.TorrentFailed):
            on_event(event)

    return tell
