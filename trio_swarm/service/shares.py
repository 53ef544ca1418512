"""A file or folder that is offered until it is removed."""

from collections.abc import Callable, Sequence
from functools import partial

import trio

from trio_swarm import events
from trio_swarm.errors import TooManyFilesError
from trio_swarm.logs import logger_of
from trio_swarm.node import Node
from trio_swarm.peer.torrent import Torrent
from trio_swarm.service.supervised import NO_CARE, Care, RunSoon, Supervised
from trio_swarm.service.waiting import DISK_LAST_LOOK, DISK_LOOK
from trio_swarm.settings import ShareSettings
from trio_swarm.share_plans import Opening

log = logger_of(__name__)


class Share(Supervised):
    """Hashes a path, offers it, and fails when its files can no longer be read."""

    __slots__ = ("_begun_by", "_on_progress", "_opening", "settings")

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
        self._opening: Opening | None = None
        self._begun_by: tuple[object, ...] = ()
        """The terms by which it was begun to be offered."""

    def begin(self, run_soon: RunSoon) -> None:
        """Have it opened; that needs no task, unless it is to be hashed."""
        settings = self.settings
        self._run_soon = run_soon
        self._rests = True
        self._begun_by = self._terms
        self._opening = self._node.open_share(
            settings.path,
            name=settings.name,
            trackers=self._urls,
            piece_length=settings.piece_length,
            version=settings.version,
            on_progress=self._on_progress,
            on_open=self._opened,
        )

    def _opened(self) -> None:
        """Go on with what was opened; in a task if that takes time, or has failed."""
        assert self._opening is not None
        if not self._rests:
            return  # it was removed meanwhile
        torrent = None
        if self._terms == self._begun_by:
            torrent = self._node.offer_at_once(self._opening)
        if torrent is None:
            self.get_up()
        else:
            self.torrent = torrent
            self._is_offered()
            torrent.call_when_over(self.get_up)

    async def _keep(self) -> bool:
        torrent = self.torrent
        if torrent is None:
            self.torrent = torrent = await self._offered()
            if self._terms != self._begun_by:  # it was told otherwise while it was hashed
                await self._go_on()
            self._is_offered()
        enough = self._care.enough(torrent)
        if await self._is_seeded_on(torrent, enough):
            return True
        if enough is None:
            self._become("removed")
        else:
            log.info("%s: seeding ends: %s", self.name, enough or "it was removed")
            await torrent.remove()
            self._become("done")
        return False

    def _is_offered(self) -> None:
        self._opening, self._begun_by = None, ()
        self._completed()

    async def _offered(self) -> Torrent:
        """Return the torrent; while too many files are open, it is tried again and again."""
        opening, settings, delay = self._opening, self.settings, DISK_LOOK
        assert opening is not None  # it has begun
        if not opening.is_open:
            opening.is_given_up = True
            await trio.sleep_forever()  # it is removed: nothing else has it get up before
        offer = partial(self._node.offer, opening)
        while True:
            try:
                return await offer()
            except TooManyFilesError as error:
                reason = f"{error}; it goes on when others are closed"
                self._emit(events.Waiting(info_hash="", share_name=self.name, reason=reason))
            await trio.sleep(delay)
            delay = min(DISK_LAST_LOOK, delay * 2)
            offer = partial(
                self._node.share,
                settings.path,
                name=settings.name,
                trackers=self._urls,
                piece_length=settings.piece_length,
                version=settings.version,
                on_progress=self._on_progress,
            )

    async def change(self, settings: ShareSettings) -> None:
        """Go on by other settings; path, name, length of pieces and version must be the same."""
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
