"""One share or fetch: it ends by itself, fails or is removed, and ends no other by it.

It has a task while there is something to do. While it is only seeded it *rests*: a node may have
thousands, and the task of each would take more memory than its torrent.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

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


class Learned(NamedTuple):
    """What was learned of a fetch by an earlier run."""

    metainfo: Metainfo
    is_certain: bool
    """Whether this is what it means; else a name is asked for again, and may mean another now."""


class Care:
    """What whoever begins a share or fetch wants to have a hand in; here: nothing."""

    __slots__ = ()

    def changed(self) -> None:
        """Take note: its state or its torrent is another."""

    def learned_before(self) -> Learned | None:
        """Return what is known of a fetch from an earlier run; None if nothing. Blocking."""
        return None

    async def incomplete_folder(self) -> Path | None:
        """Return where a fetch is until it is complete; None: in its own folder."""
        await trio.lowlevel.checkpoint()
        return None

    async def bring_home(self, info: Info, root: Path) -> None:  # noqa: ARG002 - as `enough`
        """Move the data of a fetch, which is complete and not in use, to its own folder.

        Raises StorageError, and then it is where it was.
        """
        await trio.lowlevel.checkpoint()

    async def is_home(self) -> None:
        """Take note: the data of a fetch is complete, and in its own folder."""
        await trio.lowlevel.checkpoint()

    def enough(self, torrent: Torrent) -> str | None:  # noqa: ARG002 - for those who have one
        """Return in words why a complete torrent was seeded long enough; empty: it was not.

        Whoever finds out later that it was calls `get_up`. None leaves all of it to the settings.
        """
        return None


NO_CARE = Care()

RunSoon = Callable[["Supervised"], bool]
"""Calls `Supervised.run` in a task; false if the service is ending, and so nothing begins."""


class Supervised(ABC):
    """A share or a fetch, apart from its work; made and run by `Service`."""

    __slots__ = (
        "_care",
        "_complete",
        "_emit",
        "_is_leaving",
        "_known",
        "_node",
        "_over",
        "_rests",
        "_run_soon",
        "_scope",
        "error",
        "is_complete",
        "name",
        "state",
        "torrent",
        "waits_for",
    )

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
        self._run_soon: RunSoon | None = None
        self._scope: trio.CancelScope | None = None
        self._is_leaving = False
        self._rests = False
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
        self._is_leaving = True
        if self._scope is not None:
            self._scope.cancel()
        self.get_up()
        await self._over.wait()

    def begin(self, run_soon: RunSoon) -> None:
        """Begin its work, in tasks that `run_soon` starts."""
        self._run_soon = run_soon
        self._rests = not run_soon(self)

    def get_up(self) -> None:
        """If it rests, have it look whether there is something to do: perhaps it is to end."""
        if self._rests:
            assert self._run_soon is not None  # it has begun
            self._rests = not self._run_soon(self)

    async def run(self) -> bool:
        """Do all its work; a failure is told, and raised to waiters only; a bug is raised.

        Returns earlier, and true, if it rests. It has no task then: `run` is to be called again
        when it calls for that, and `left` if the service ends.
        """
        scope = self._scope = trio.CancelScope()
        if self._is_leaving:
            scope.cancel()
        rests = False
        try:
            with scope:
                rests = await self._keep()
            if scope.cancelled_caught:
                await self._end("removed", TrioSwarmError(f"{self.name}: removed"))
                log.debug("%s: ended", self.name)
        except Exception as error:
            if not is_explained(error):
                raise
            await self._fail(error)
        finally:
            self._scope = None
            if not rests:
                self._tell_waiters()
        self._rests = rests
        return rests

    def left(self) -> None:
        """End while it rests: the service has ended."""
        if self._rests:
            self._rests = False
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
    async def _keep(self) -> bool:
        """Bring it from its state to its last; raises the failure that ends it.

        Returns true if it is to rest until `get_up`, as `_is_seeded_on` says, and is called again
        then.
        """

    async def _is_seeded_on(self, torrent: Torrent, enough: str | None) -> bool:
        """Whether a complete torrent is seeded until `get_up`; `enough` is why not.

        Raises what ended the torrent, if it has failed.
        """
        # Here it is cancelled, or not before somebody else knows that it rests.
        await trio.lowlevel.checkpoint_if_cancelled()
        if torrent.is_over:
            await torrent.wait_complete()
            return False
        if enough:
            return False
        torrent.call_when_over(self.get_up)
        return True

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
