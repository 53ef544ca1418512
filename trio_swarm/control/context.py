"""What requests are answered from: the running peer, and facts about it that do not change."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import trio

from trio_swarm.control.access import SignIns
from trio_swarm.control.logged_lines import LoggedLines
from trio_swarm.errors import TrioSwarmError
from trio_swarm.service.configured import ConfiguredPeer
from trio_swarm.service.service import Service
from trio_swarm.settings import ControlSettings

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
    download_folder: Path
    started_at: float
    """Unix seconds."""
    stop: Callable[[], None]
    """Ends the node, as a signal does."""
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
    def folders(self) -> tuple[Path, ...]:
        """Where torrents that are added may go."""
        return self.settings.folders or (self.download_folder,)
