"""One share or fetch: a task that ends by itself, fails or is removed, and ends no other by it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import trio

from trio_swarm import events
from trio_swarm.errors import TrioSwarmError, is_explained, leaves_of
from trio_swarm.logs import logger_of
from trio_swarm.node import Node
from trio_swarm.peer.latch import Latch
from trio_swarm.peer.torrent import Torrent
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo

log = logger_of(__name__)

State = Literal["hashing", "waiting", "fetching", "seeding", "done", "failed", "removed"]
"""A share goes from `hashing` to `seeding`; a fetch from `waiting` (for its name, or for room on
the disk) to `fetching`, `seeding` and `done`. Either may end as `failed` or `removed`."""


class Care:
    """What whoever begins a share or fetch wants to have a hand in; here: nothing."""

    def changed(self) -> None:
        """Take note: its state or its torrent is another."""

    def kept_metainfo(self) -> Metainfo | None:
        """Return what is known of a fetch from an earlier run; None if nothing. Blocking."""
        return None

    async def incomplete_folder(self) -> Path | None:
        """Return where a fetch is until it is complete; None: in its own folder."""
        await trio.lowlevel.checkpoint()
        return None

    async def bring_home(self, info: Info, root: Path) -> None:  # noqa: ARG002 - as `seed`
        """Move the data of a fetch, which is complete and not in use, to its own folder.

        Raises StorageError, and then it is where it was.
        """
        await trio.lowlevel.checkpoint()

    async def is_home(self) -> None:
        """Take note: the data of a fetch is complete, and in its own folder."""
        await trio.lowlevel.checkpoint()

    async def seed(self, torrent: Torrent) -> str | None:  # noqa: ARG002 - for those who have one
        """Wait as long as the complete torrent is seeded, and return in words why it ends.

        None leaves it to the settings.
        """
        await trio.lowlevel.checkpoint()
        return None


NO_CARE = Care()


class Supervised(ABC):
    """A share or a fetch, apart from its work; made and run by `Service`."""

    def __init__(
        self,
        name: str,
        state: State,
        node: Node,
        emit: Callable[[events.Event], None],
        care: Care = NO_CARE,
    ) -> None:
        self.name = name
        """The name that a person gave it."""
        self.state: State = state
        self.waits_for = ""
        """While it is `waiting`: for what, in a line."""
        self.torrent: Torrent | None = None
        """The torrent it became; None until that is known."""
        self._care = care
        self.error: TrioSwarmError | None = None
        """Its failure, or its removal; None while it runs, and when it is done."""
        self._node = node
        self._emit = emit
        self.is_complete = False
        """Whether all of it was here and offered; it stays so when it ends."""
        self._scope = trio.CancelScope()
        self._known = Latch()
        self._complete = Latch()
        self._over = Latch()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return self._over.is_set()

    async def wait_known(self) -> Torrent:
        """Wait until it is a torrent of the node; raises `error` if it ended before."""
        await self._known.wait()
        return self._torrent_or_error()

    async def wait_complete(self) -> Torrent:
        """Wait until all of it is here and offered to others; raises `error` if it ended before."""
        await self._complete.wait()
        return self._torrent_or_error()

    async def wait_over(self) -> None:
        """Wait until it has ended; `state` and `error` tell how."""
        await self._over.wait()

    async def remove(self) -> None:
        """End it: its torrent announces `stopped` and is closed; the data stays where it is."""
        self._scope.cancel()
        await self._over.wait()

    async def run(self) -> None:
        """Do all its work; a failure is told, and raised to waiters only; a bug is raised."""
        try:
            with self._scope:
                await self._keep()
            if self._scope.cancelled_caught:
                await self._end("removed", TrioSwarmError(f"{self.name}: removed"))
                log.debug("%s: ended", self.name)
        except Exception as error:
            if not is_explained(error):
                raise
            await self._fail(error)
        finally:
            self._tell_waiters()

    def _become(self, state: State) -> None:
        self.state = state
        self._care.changed()

    def _began(self, torrent: Torrent, state: State) -> None:
        self.torrent = torrent
        self._become(state)

    async def _use_scheduler(self, name: str | None, options: Mapping[str, object]) -> None:
        """Let the torrent that runs be fetched as it is to be now; None: as the node says."""
        settings, torrent = self._node.settings, self.torrent
        if name is None:
            name, options = settings.scheduler, settings.scheduler_options
        if torrent is not None:
            now = torrent.scheduler_state()
            if (now.name, now.options) != (name, dict(options)):
                await torrent.set_scheduler(name, options)

    def _completed(self) -> None:
        self.is_complete = True
        self._become("seeding")
        self._known.set()
        self._complete.set()

    @abstractmethod
    async def _keep(self) -> None:
        """Bring it from its first state to its last; raises the failure that ends it."""

    async def _fail(self, error: Exception) -> None:
        leaves = list(leaves_of(error))
        torrent = self.torrent
        self._emit(
            events.TorrentFailed(
                info_hash=torrent.info_hash.hex() if torrent is not None else "",
                share_name=(torrent.name if torrent is not None else "") or self.name,
                reason="; ".join(dict.fromkeys(map(str, leaves))),
            )
        )
        assert isinstance(leaves[0], TrioSwarmError)  # `is_explained`
        await self._end("failed", leaves[0])

    async def _end(self, state: State, error: TrioSwarmError) -> None:
        """Let waiters know, and take the torrent, if there is one, out of the node."""
        self.error = error
        self._become(state)
        self._known.set()
        self._complete.set()
        if self.torrent is not None:
            await self.torrent.remove()

    def _tell_waiters(self) -> None:
        """Wake all that wait, the service being closed included."""
        if self.state not in {"done", "failed"}:
            self._become("removed")
        if self.error is None and not self.is_complete:
            self.error = TrioSwarmError(f"{self.name}: ended before it was complete")
        for event in (self._known, self._complete, self._over):
            event.set()

    def _torrent_or_error(self) -> Torrent:
        if self.error is not None:
            raise self.error
        assert self.torrent is not None  # an event without an error follows it
        return self.torrent
