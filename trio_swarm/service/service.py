"""The shares and fetches of one node: begun and ended at run time, each by itself."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio
from msgspec.structs import replace

from trio_swarm import events
from trio_swarm.announcing.clients import TrackerClients
from trio_swarm.errors import StorageError
from trio_swarm.logs import logger_of
from trio_swarm.node import Node, open_node
from trio_swarm.peer.torrent import Torrent
from trio_swarm.protocol.addresses import Address
from trio_swarm.service.fetches import Choose, Fetch
from trio_swarm.service.shares import Share
from trio_swarm.service.supervised import Supervised
from trio_swarm.settings import DEFAULT_TRACKER, FetchSettings, NodeSettings, ShareSettings

if TYPE_CHECKING:
    from trio_swarm.service.entries.entries import Entries
    from trio_swarm.service.entries.store import EntryStore, Kept

log = logger_of(__name__)

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
        self._supervised: dict[Supervised, None] = {}
        """In the order in which they were begun."""
        self._run_soon = self._supervise_soon  # one for all of them
        self._ended = trio.Event()
        self._is_ending = False
        self._entries: Entries | None = None

    @property
    def entries(self) -> "Entries":
        """The list of what it shares and fetches, for whoever changes it at run time.

        It is kept in the state folder if `open_service` was told so. `share` and `fetch` begin work
        that is in no list. Raises StorageError where there is no room for temporary files.
        """
        if self._entries is None:
            from trio_swarm.service.entries.store import Kept, temporary_store  # noqa: PLC0415

            self._open_entries(temporary_store(), Kept())
        assert self._entries is not None
        return self._entries

    @property
    def settings(self) -> NodeSettings:
        """What the node was told when it was opened."""
        return self._settings

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
        return self._begin(Share(settings, self._node, emit=self.tell, on_progress=on_progress))

    def fetch(self, settings: FetchSettings, *, choose: Choose | None = None) -> Fetch:
        """Begin to fetch something.

        `choose` is awaited where a name stands for several torrents; without it that is a failure.
        """
        return self._begin(
            Fetch(settings, self._node, trackers=self.trackers, emit=self.tell, choose=choose)
        )

    async def change_settings(self, settings: NodeSettings) -> None:
        """Let the node go on by other settings, as far as `Node.change_settings` takes them over.

        What is in the list must be revised afterwards. Raises ConfigError, and changes nothing, for
        a wrong strategy.
        """
        await self._node.change_settings(_with_default(settings))
        self._settings = replace(self._settings, trackers=settings.trackers)
        if self._entries is not None:
            self._entries.set_trackers(settings.trackers)

    async def remove(self, one: Supervised) -> None:
        """End a share or fetch, and forget it; the data stays where it is."""
        await one.remove()
        self._forget(one)

    async def wait_idle(self) -> None:
        """Wait until each of them has ended; at once if there is none."""
        while not all(each.is_over for each in self._supervised):
            await self._ended.wait()

    def tell(self, event: events.Event) -> None:
        """Let whoever listens have an event: the program, and who has subscribed to the list's."""
        self._settings.on_event(event)
        if self._entries is not None:
            self._entries.heard(event)

    def _open_entries(self, store: "EntryStore", kept: "Kept") -> None:
        # Commands with one share or fetch need no list, and start sooner without it.
        from trio_swarm.service.entries.entries import Entries  # noqa: PLC0415

        self._entries = Entries(
            self._node,
            self._nursery,
            begin=self._begin,
            forget=self._forget,
            emit=self.tell,
            trackers=self.trackers,
            store=store,
            kept=kept,
        )
        self._nursery.start_soon(self._entries.run, name="keep the list")

    async def open_entries(self) -> None:
        """Open the list that the state folder keeps, before `entries` is used.

        If the folder cannot be used, or another process has the list, it ends with the node.
        """
        store, kept = await trio.to_thread.run_sync(_store_of, self._node.state_folder)
        self._open_entries(store, kept)

    def end(self) -> None:
        """Take note that the node is about to end."""
        self._is_ending = True
        if self._entries is not None:
            self._entries.end()

    def leave(self) -> None:
        """Let everybody know that those are over that rest; the others have ended."""
        for each in list(self._supervised):
            each.left()

    async def close_entries(self) -> None:
        """Write what came of the entries, once the node has ended."""
        if self._entries is not None:
            await self._entries.close()

    def _forget(self, one: Supervised) -> None:
        self._supervised.pop(one, None)

    def _begin(self, one: _One) -> _One:
        self._supervised[one] = None
        one.begin(self._run_soon)
        return one

    def _supervise_soon(self, one: Supervised) -> bool:
        if self._is_ending:
            return False
        self._nursery.start_soon(self._supervise, one, name=f"supervise {one.name}")
        return True

    async def _supervise(self, one: Supervised) -> None:
        if not await one.run():
            self._ended.set()
            self._ended = trio.Event()


@asynccontextmanager
async def open_service(
    settings: NodeSettings, *, keeps_entries: bool = False, clients: TrackerClients | None = None
) -> AsyncIterator[Service]:
    """Run a node and a service for as long as the context is open; see `open_node` for `clients`.

    `settings.trackers` are the trackers that somebody named. Where there are none, shares go to
    `DEFAULT_TRACKER`, and fetches as well unless they know another way. `settings.on_event` gets
    one `TorrentFailed` for each share or fetch that fails, with or without a torrent of it.

    With `keeps_entries`, `Service.entries` is the list that the state folder keeps. Nothing of it
    runs before its `restore` is called.
    """
    told: list[Callable[[events.Event], None]] = [settings.on_event]
    node_settings = replace(
        _with_default(settings),
        on_event=_without_failures(lambda event: told[-1](event)),  # noqa: PLW0108 - it changes below
    )
    body_error: Exception | None = None
    service: Service | None = None
    try:
        async with open_node(node_settings, clients=clients) as node:
            try:
                async with trio.open_nursery() as nursery:
                    try:
                        service = Service(node, nursery, settings)
                        told.append(service.tell)
                        if keeps_entries:
                            await service.open_entries()
                        yield service
                    except Exception as error:  # noqa: BLE001 - raised below, outside the nursery
                        # A nursery would wrap it in a group, and the program's `except` would miss
                        # it.
                        body_error = error
                    finally:
                        if service is not None:
                            service.end()
                        nursery.cancel_scope.cancel()
            finally:
                if service is not None:
                    service.leave()
            if body_error is not None:
                raise body_error
    finally:
        if service is not None:
            with trio.CancelScope(shield=True):  # one file is written; its thread has no deadline
                await service.close_entries()


def _with_default(settings: NodeSettings) -> NodeSettings:
    """Return settings with a tracker to tell of shares."""
    return replace(settings, trackers=settings.trackers or (DEFAULT_TRACKER,))


def _store_of(state_folder: Path) -> "tuple[EntryStore, Kept]":
    """Return the list that a state folder keeps, or a list that ends with the node. Blocking."""
    from trio_swarm.service.entries.store import Kept, open_store, temporary_store  # noqa: PLC0415
    from trio_swarm.storage.state import StateFolder  # noqa: PLC0415

    try:
        store = open_store(state_folder)
    except StorageError as error:
        log.warning("%s; what is added at run time ends with this node", error)
        return temporary_store(), Kept()
    StateFolder(state_folder).remove_leftovers()
    return store, store.load()


def _without_failures(on_event: Callable[[events.Event], None]) -> Callable[[events.Event], None]:
    """Return a function that tells every event but failures of torrents.

    A full disk may be waited out; a failure that ends a share or fetch is told by itself.
    """

    def tell(event: events.Event) -> None:
        if not isinstance(event, events.TorrentFailed):
            on_event(event)

    return tell
