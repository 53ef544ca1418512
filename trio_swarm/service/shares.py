"""A file or folder that is offered until it is removed."""

from collections.abc import Callable, Sequence

import trio

from trio_swarm import events
from trio_swarm.errors import TooManyFilesError
from trio_swarm.logs import logger_of
from trio_swarm.node import Node
from trio_swarm.peer.torrent import Torrent
from trio_swarm.service.supervised import NO_CARE, Care, Supervised
from trio_swarm.service.waiting import DISK_LAST_LOOK, DISK_LOOK
from trio_swarm.settings import ShareSettings

log = logger_of(__name__)


class Share(Supervised):
    """Hashes a path, offers it, and fails when its files can no longer be read."""

    def __init__(
        self,
        settings: ShareSettings,
        node: Node,
        *,
        emit: Callable[[events.Event], None],
        on_progress: Callable[[int, int], None] | None,
        care: Care = NO_CARE,
    ) -> None:
        super().__init__(settings.name or str(settings.path), "hashing", node, emit, care)
        self.settings = settings
        self._on_progress = on_progress

    async def _keep(self) -> None:
        terms = self._terms
        self.torrent = torrent = await self._offered()
        if self._terms != terms:  # it was told otherwise while it was hashed
            await self._go_on()
        self._completed()
        limit = await self._care.seed(torrent)
        if limit is None:
            await torrent.wait_over()
            await torrent.wait_complete()  # raises what ended it
            self._become("removed")
        else:
            log.info("%s: seeding ends: %s", self.name, limit or "it was removed")
            await torrent.remove()
            self._become("done")

    async def _offered(self) -> Torrent:
        """Return the torrent; while too many files are open, it is tried again and again."""
        settings, delay = self.settings, DISK_LOOK
        while True:
            try:
                return await self._node.share(
                    settings.path,
                    name=settings.name,
                    trackers=self._urls,
                    piece_length=settings.piece_length,
                    on_progress=self._on_progress,
                )
            except TooManyFilesError as error:
                reason = f"{error}; it goes on when others are closed"
                self._emit(events.Waiting(info_hash="", share_name=self.name, reason=reason))
            await trio.sleep(delay)
            delay = min(DISK_LAST_LOOK, delay * 2)

    async def change(self, settings: ShareSettings) -> None:
        """Go on by other settings; path, name and length of pieces must be the same."""
        self.settings = settings
        await self._go_on()

    async def _go_on(self) -> None:
        """Let the torrent, if there is one, go on by the settings that there are now."""
        if self.torrent is not None:
            self.torrent.set_trackers(self._urls)
        await self._use_scheduler(None, {})

    @property
    def _terms(self) -> tuple[object, ...]:
        """What it is offered by now, of its own settings and the node's."""
        node = self._node.settings
        return self._urls, node.scheduler, node.scheduler_options

    @property
    def _urls(self) -> Sequence[str]:
        """The trackers to announce it to, as its settings and the node's are now."""
        named = self.settings.trackers
        return self._node.trackers if named is None else named
