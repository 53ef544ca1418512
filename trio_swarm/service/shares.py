"""A file or folder that is offered until it is removed."""

from collections.abc import Callable

from trio_swarm import events
from trio_swarm.node import Node
from trio_swarm.service.supervised import Supervised
from trio_swarm.settings import ShareSettings


class Share(Supervised):
    """Hashes a path, offers it, and fails when its files can no longer be read."""

    def __init__(
        self,
        settings: ShareSettings,
        node: Node,
        *,
        emit: Callable[[events.Event], None],
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        super().__init__(settings.name or str(settings.path), "hashing", node, emit)
        self.settings = settings
        self._on_progress = on_progress

    async def _keep(self) -> None:
        settings = self.settings
        self.torrent = await self._node.share(
            settings.path,
            name=settings.name,
            trackers=settings.trackers,
            piece_length=settings.piece_length,
            on_progress=self._on_progress,
        )
        self._completed()
        await self.torrent.wait_over()
        await self.torrent.wait_complete()  # raises what ended it
        self.state = "removed"
