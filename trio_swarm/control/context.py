"""What requests are answered from: the running peer, and facts about it that do not change."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import trio

from trio_swarm.control.access import SignIns
from trio_swarm.control.logged_lines import LoggedLines
from trio_swarm.errors import TrioSwarmError, is_explained
from trio_swarm.logs import logger_of
from trio_swarm.service.configured import ConfiguredPeer
from trio_swarm.service.service import Service
from trio_swarm.settings import ControlSettings

log = logger_of(__name__)

_Answer = TypeVar("_Answer")

OPEN_SECONDS = 10.0
"""Until a request is told that the node is not open yet: names of trackers may be slow to find."""


class NotOpenError(TrioSwarmError):
    """The node is still being opened."""


@dataclass(kw_only=True)
class ControlContext:
    """A running peer as requests see it."""

    peer: ConfiguredPeer
    settings: ControlSettings
    config_file: Path
    state_folder: Path
    started_at: float
    """Unix seconds."""
    stop: Callable[[], None]
    """Ends the node, as a signal does."""
    nursery: trio.Nursery | None = None
    """Where changes are made, while the doors are served."""
    lines: LoggedLines | None = None
    """The latest log lines, while the doors are served."""
    streams: int = 0
    """Answers that go on without end, at the moment."""
    readers: int = 0
    """Files that are being sent."""
    sign_ins: SignIns = field(default_factory=SignIns)

    @property
    def service(self) -> Service | None:
        """The shares and fetches; None while the node is being opened."""
        return self.peer.service

    async def open(self) -> Service:
        """Return the service once its list has all entries.

        Raises NotOpenError if that takes too long.
        """
        with trio.move_on_after(OPEN_SECONDS):
            return await self.peer.wait_open()
        raise NotOpenError("the node is being opened")

    @property
    def download_folder(self) -> Path:
        """Where torrents that are added go by default."""
        run_time = self.peer.run_time
        return self._configured_folder if run_time is None else run_time.download_folder

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where torrents that are added, or moved, may go."""
        return tuple(
            dict.fromkeys((self.download_folder, self._configured_folder, *self.settings.folders))
        )

    @property
    def _configured_folder(self) -> Path:
        return self.peer.config.node.download_folder.absolute()

    async def finish(self, work: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Do some work to its end, though whoever asked for it may go away meanwhile.

        A move or a removal that ended in the middle would leave a torrent stopped. Only the end of
        the node ends it. Raises what `work` raises; after the asker is gone that is logged.
        """
        assert self.nursery is not None  # requests come through doors
        task = _Work(work)
        self.nursery.start_soon(task.run, name="change what a request asks for")
        return await task.wait()


class _Work(Generic[_Answer]):
    """Some work, and whoever waits for it."""

    def __init__(self, work: Callable[[], Awaitable[_Answer]]) -> None:
        self._work = work
        self._over = trio.Event()
        self._answers: list[_Answer] = []
        self._error: Exception | None = None
        self._is_awaited = True

    async def run(self) -> None:
        """Do it."""
        try:
            self._answers.append(await self._work())
        except Exception as error:
            if not self._is_awaited:
                if not is_explained(error):
                    raise
                log.warning("%s", error)
            self._error = error
        finally:
            self._over.set()

    async def wait(self) -> _Answer:
        """Return what came of it; raises its error."""
        try:
            await self._over.wait()
        finally:
            self._is_awaited = self._over.is_set()
        if self._error is not None:
            raise self._error
        if not self._answers:  # the node is ending
            await trio.sleep_forever()
        return self._answers[0]
