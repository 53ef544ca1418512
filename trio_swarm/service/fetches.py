"""A thing to fetch: found, downloaded, and seeded until its limit."""

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import trio
from msgspec.structs import replace

from trio_swarm import events
from trio_swarm.amounts import size_text
from trio_swarm.errors import (
    DiskFullError,
    NameAmbiguousError,
    NameUnknownError,
    StalledError,
    StorageError,
)
from trio_swarm.logs import logger_of
from trio_swarm.named_paths import is_there
from trio_swarm.node import Node
from trio_swarm.peer.torrent import Torrent
from trio_swarm.protocol.metainfo.selection import Selection
from trio_swarm.protocol.metainfo.torrent import Metainfo
from trio_swarm.service.naming import chosen_hash, whole_hash
from trio_swarm.service.seeding import seed_until
from trio_swarm.service.supervised import NO_CARE, Care, Learned, Supervised
from trio_swarm.service.trackers import trackers_for
from trio_swarm.service.waiting import (
    DISK_LAST_LOOK,
    DISK_LOOK,
    Patience,
    complete_or_stalled,
    complete_when_room,
    fetch_when_known,
    has_room,
    make_folder,
    wait_for_room,
)
from trio_swarm.settings import FetchSettings
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.wanted import WantedTorrent, parse_wanted

log = logger_of(__name__)

Choose = Callable[[NameAmbiguousError], Awaitable[bytes]]
"""Asks somebody which of several torrents of one name is meant; returns its info-hash."""


class Fetch(Supervised):
    """Finds out which torrent is meant, downloads it, and seeds it as long as it was told."""

    __slots__ = ("_choose", "_given", "_incomplete", "_learned", "_urls", "settings")

    def __init__(
        self,
        settings: FetchSettings,
        node: Node,
        *,
        trackers: Sequence[str],
        emit: Callable[[events.Event], None],
        choose: Choose | None,
        care: Care = NO_CARE,
    ) -> None:
        super().__init__(settings.what, "waiting", node, emit, care)
        self.settings = settings
        self._given = tuple(trackers)
        self._urls: tuple[str, ...] = ()
        self._choose = choose
        self._learned: Learned | None = None
        """What an earlier run learned of it."""
        self._incomplete: Path | None = None
        """Where it is until it is complete."""

    async def _keep(self) -> bool:
        if not self.is_complete:
            await self._complete_it()
        torrent = self.torrent
        assert torrent is not None  # it is complete
        settings = self.settings
        enough = self._care.enough(torrent)
        if enough is None and settings.seed:
            enough = await seed_until(torrent, seconds=settings.seed_for, ratio=settings.seed_ratio)
        elif enough is not None and await self._is_seeded_on(torrent, enough):
            return True
        if enough is not None:
            log.info("%s: seeding ends: %s", self.name, enough or "it was removed")
        await torrent.remove()
        self._become("done")
        return False

    async def _complete_it(self) -> None:
        settings = self.settings
        self._learned = await trio.to_thread.run_sync(self._care.learned_before)
        await self._choose_trackers()
        if not settings.metadata_only:
            await trio.to_thread.run_sync(make_folder, settings.folder)
        self._incomplete = await self._care.incomplete_folder()
        if self._incomplete is not None:
            await trio.to_thread.run_sync(make_folder, self._incomplete)
        torrent = await self._find()
        self._known.set()
        torrent = await self._download(torrent)
        if self._incomplete is not None:
            torrent = await self._come_home(torrent)
        self.torrent = torrent
        self._completed()

    async def change(self, settings: FetchSettings, *, trackers: Sequence[str]) -> None:
        """Go on by other settings; what is fetched and where to must be the same.

        `trackers` are those for all that name none. Raises ConfigError for a wrong scheduler.
        """
        self.settings = settings
        self._given = tuple(trackers)
        await self._choose_trackers()
        await self._go_on()

    async def _go_on(self) -> None:
        """Let the torrent, if there is one, go on by the settings that there are now."""
        settings = self.settings
        if self.torrent is not None:  # else the next to be asked for it are these
            self.torrent.set_trackers(self._urls)
            self.torrent.add_peers(settings.peers)
            await self._select(self.torrent)
        await self._use_scheduler(settings.scheduler, settings.scheduler_options)

    async def _select(self, torrent: Torrent) -> None:
        """Have a torrent that runs fetch what is wanted now."""
        chosen, before = selection_of(self.settings), torrent.selection
        if not chosen.numbers:  # a link may choose files itself
            before = replace(before, numbers=())
        if chosen != before:
            await torrent.select(chosen)

    @property
    def _terms(self) -> tuple[object, ...]:
        """What it is fetched by now, of its own settings and the node's."""
        node = self._node.settings
        return self.settings, self._urls, node.scheduler, node.scheduler_options

    async def _choose_trackers(self) -> None:
        """Choose the trackers to use, by the settings that there are at its end."""
        chosen_by: tuple[FetchSettings, tuple[str, ...]] | None = None
        while chosen_by != (self.settings, self._given):
            settings, given = chosen_by = self.settings, self._given
            if settings.trackers is not None:
                self._urls = settings.trackers
            else:
                has_peers = bool(settings.peers)
                self._urls = await trio.to_thread.run_sync(
                    partial(trackers_for, settings.what, given, has_peers=has_peers)
                )

    async def _find(self) -> Torrent:
        """Return the torrent once it is known which it is; StalledError after the timeout."""
        what, timeout = self.settings.what, self.settings.timeout
        if timeout is None:
            return await self._found()
        with trio.move_on_after(timeout):
            return await self._found()
        raise StalledError(f"{what}: nobody told within {timeout:g} s what that is")

    async def _found(self) -> Torrent:
        if not self.settings.wait:
            return await self._start()
        return await fetch_when_known(self._start, self.settings.what, on_event=self._waits)

    async def _download(self, torrent: Torrent) -> Torrent:
        """Return the torrent that is complete, which after a full disk is another."""
        settings = self.settings
        patience = Patience.of(settings.timeout, waits=settings.wait)
        if settings.wait:
            return await complete_when_room(
                torrent, self._found, settings.folder, on_event=self._waits, patience=patience
            )
        await complete_or_stalled(torrent, patience)
        return torrent

    async def _come_home(self, torrent: Torrent) -> Torrent:
        """Return the torrent once its data is in its own folder; until then it is another.

        It is seeded from where it is until there is room, and leaves its swarm to be moved.
        """
        folder, delay = self.settings.folder, DISK_LOOK
        while not await trio.to_thread.run_sync(_is_in, torrent, folder):
            files = torrent.files
            assert files is not None  # it is complete
            await self._wait_for_room(torrent, files, delay)
            self._learned = await trio.to_thread.run_sync(_learned_of, self.settings.what, torrent)
            await torrent.remove()
            self.torrent = None
            self.waits_for = f"complete; it is being moved to {folder}"
            self._become("waiting")
            try:
                await self._care.bring_home(files.info, files.root)
            except StorageError as error:
                self.torrent = torrent  # it is told by its name
                if not isinstance(error, DiskFullError) or not self.settings.wait:
                    raise
                delay = DISK_LAST_LOOK  # though there seemed to be room
            else:
                self._incomplete = None  # what is left there by its name is not its own
            torrent = await self._download(await self._found())
        await self._care.is_home()
        return torrent

    async def _wait_for_room(self, torrent: Torrent, files: TorrentFiles, delay: float) -> None:
        """Wait until a complete torrent can be moved to its own folder, if it is to be waited."""
        # Commands that fetch one thing move nothing, and start sooner without it.
        from trio_swarm.storage.moving import bytes_to_copy  # noqa: PLC0415

        folder = self.settings.folder
        count = partial(bytes_to_copy, files.info, files.root, folder)
        needed = await trio.to_thread.run_sync(count)
        if not needed or not self.settings.wait:
            return
        if delay == DISK_LOOK and await has_room(folder, needed):
            return
        where = files.root.parent
        reason = f"complete in {where}; it is moved when {folder} has room for {size_text(needed)}"
        info_hash, name = torrent.info_hash.hex(), torrent.name
        self._emit(events.Waiting(info_hash=info_hash, share_name=name, reason=reason))
        await wait_for_room(folder, needed, delay)

    def _waits(self, event: events.Waiting) -> None:
        self.waits_for = event.reason
        self._become("waiting")
        self._emit(event)

    async def _start(self) -> Torrent:
        """Begin to fetch the torrent that is meant; raises the errors of `Node.fetch`."""
        settings = self.settings
        what, asked, learned = settings.what, self._urls or self._given, self._learned
        if learned is not None and learned.is_certain:
            return await self._fetch(what, None, known=learned.metainfo)
        try:
            return await self._fetch(what, await chosen_hash(settings.info_hash, what, asked))
        except NameUnknownError as error:
            if learned is not None:
                return await self._go_on_with(learned.metainfo)
            whole = await whole_hash(what, error, asked, is_advised=not settings.wait)
            return await self._fetch(whole, None)
        except NameAmbiguousError as error:
            if learned is not None and learned.metainfo.info.info_hash in error.info_hashes:
                return await self._fetch(what, None, known=learned.metainfo)
            if self._choose is None:
                raise
            meant = await self._choose(error)
        return await self._fetch(what, meant)

    async def _go_on_with(self, known: Metainfo) -> Torrent:
        """Fetch what a name meant before, for nobody shares anything by it now.

        So the peers that have all of it are found by its name again when all were restarted.
        """
        log.info("%s: nobody shares it now; going on with what it was before", self.name)
        return await self._fetch(self.settings.what, None, known=known)

    async def _fetch(
        self, what: str, info_hash: bytes | None, *, known: Metainfo | None = None
    ) -> Torrent:
        settings, urls, terms = self.settings, self._urls, self._terms
        learned = None if self._learned is None else self._learned.metainfo
        torrent = await self._node.fetch(
            what,
            folder=settings.folder,
            incomplete_folder=self._incomplete,
            renamings=settings.renamings,
            trackers=urls,
            peers=settings.peers,
            info_hash=info_hash,
            scheduler=settings.scheduler,
            scheduler_options=settings.scheduler_options,
            record=_unused(settings.record),
            metainfo=known,
            learned=learned,
            selection=selection_of(settings),
            metadata_only=settings.metadata_only,
        )
        self._began(torrent, "fetching")
        if self._terms != terms:  # it was told otherwise while this one was looked for
            await self._go_on()
        return torrent


def selection_of(settings: FetchSettings) -> Selection:
    """Return which files are wanted."""
    return Selection(only=settings.only, skip=settings.skip, numbers=settings.file_numbers)


def _is_in(torrent: Torrent, folder: Path) -> bool:
    """Whether the data of a torrent is in a folder. Blocking."""
    return torrent.path is not None and torrent.path.parent == Path(os.path.realpath(folder))


def _learned_of(what: str, torrent: Torrent) -> Learned | None:
    """Return what is known of a torrent but by its .torrent file, which names more. Blocking."""
    metainfo = None if isinstance(parse_wanted(what), WantedTorrent) else torrent.metainfo
    return None if metainfo is None else Learned(metainfo, is_certain=True)


def _unused(record: Path | None) -> Path | None:
    """Return the file to record to; after a wait for room a new download begins, and a new file."""
    number = 1
    path = record
    while path is not None and record is not None and is_there(path):
        number += 1
        path = record.with_name(f"{record.name}.{number}")
    return path
