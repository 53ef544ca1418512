"""What a configuration file describes, in a service that runs; and what differs when it changes.

Everything was read and checked before. What the file describes before and after goes on: no
transfer is interrupted. A value that was changed at run time stays, unless the file's own changes.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio
from msgspec.structs import replace

from trio_swarm.config.changes import fetches_between, fetches_of, shares_between
from trio_swarm.config.model import FetchConfig, PeerConfig, ShareConfig
from trio_swarm.errors import ConfigError, TrioSwarmError
from trio_swarm.logs import logger_of
from trio_swarm.service.described import (
    fetch_settings,
    node_settings,
    share_settings,
    watches_in,
)
from trio_swarm.service.run_time import RunTimeSettings
from trio_swarm.service.service import Service
from trio_swarm.service.watching import watch_folder
from trio_swarm.settings import FetchSettings, ShareSettings, WatchSettings, ignore_event

log = logger_of(__name__)

OnHashing = Callable[[Path], Callable[[int, int], None] | None]


_Item = ShareConfig | FetchConfig


class _Named(NamedTuple):
    """A share or fetch of the file, and as what it was put into the list."""

    item: _Item
    settings: ShareSettings | FetchSettings


class Described:
    """Keeps a service as a configuration in `file` describes it, from `begin` on.

    `on_hashing` returns, for the path of a share, a callable for (done, total) bytes. Folders are
    watched in `nursery`.
    """

    def __init__(
        self,
        service: Service,
        run_time: RunTimeSettings,
        file: Path,
        on_hashing: OnHashing,
        nursery: trio.Nursery,
    ) -> None:
        self._service = service
        self._nursery = nursery
        self._watched: dict[WatchSettings, trio.CancelScope] = {}
        self._run_time = run_time
        self._file = file
        self._on_hashing = on_hashing
        self._config = PeerConfig()
        self._named: list[_Named] = []

    def begin(self, config: PeerConfig) -> None:
        """Put the shares and fetches of a configuration into the list."""
        self._config = config
        for share in config.share:
            self._enlist_share(share)
        for fetch in fetches_of(config):
            self._enlist_fetch(fetch)
        self._watch(watches_in(config))

    async def go_on(self, config: PeerConfig, *, trackers: Sequence[str]) -> None:
        """Go on by another configuration; `trackers` are those for all that name none.

        Raises ConfigError, and changes nothing, for a strategy that cannot be made. A share or
        fetch that cannot be changed is a warning.
        """
        was, self._config = self._config, config
        settings = node_settings(config, trackers=trackers, on_event=ignore_event)
        try:
            await self._service.change_settings(settings)
        except ConfigError:
            self._config = was
            raise
        await self._run_time.follow(config)
        shares, fetches = shares_between(was, config), fetches_between(was, config)
        await self._unlist([*shares.removed, *fetches.removed])
        await self._revise([*shares.both, *fetches.both])
        for share in shares.added:
            self._enlist_share(share)
        for fetch in fetches.added:
            self._enlist_fetch(fetch)
        self._watch(watches_in(config))

    def _watch(self, wanted: Sequence[WatchSettings]) -> None:
        """Watch these folders from now on, and no others."""
        for settings in self._watched.keys() - set(wanted):
            self._watched.pop(settings).cancel()
        for settings in wanted:
            if settings not in self._watched:
                scope = self._watched[settings] = trio.CancelScope()
                self._nursery.start_soon(self._watch_in, scope, settings)

    async def _watch_in(self, scope: trio.CancelScope, settings: WatchSettings) -> None:
        with scope:
            await watch_folder(settings, self._service.entries)

    def _enlist_share(self, share: ShareConfig) -> None:
        settings = share_settings(share)
        self._service.entries.enlist(settings, on_progress=self._on_hashing(share.path))
        self._named.append(_Named(share, settings))

    def _enlist_fetch(self, fetch: FetchConfig) -> None:
        settings = fetch_settings(fetch, self._config, self._file)
        self._service.entries.enlist(settings)
        self._named.append(_Named(fetch, settings))

    async def _unlist(self, items: Sequence[_Item]) -> None:
        """Take out what the file names no more, side by side: each says `stopped` for seconds."""
        async with trio.open_nursery() as nursery:
            for item in items:
                settings = self._take(item).settings
                nursery.start_soon(_tried, partial(self._service.entries.unlist_named, settings))

    async def _revise(self, pairs: Sequence[tuple[_Item, _Item]]) -> None:
        """Let what the file names as before go on, perhaps by other settings; and all the rest."""
        entries = self._service.entries
        for before, after in pairs:
            named = self._take(before)
            settings = named.settings
            if isinstance(after, ShareConfig):
                settings = share_settings(after)
            elif isinstance(settings, FetchSettings):
                # Its file may be gone by now.
                found = fetch_settings(after, self._config, self._file)
                settings = replace(found, what=settings.what)
            self._named.append(_Named(after, settings))
            entry = entries.enlisted(settings)
            if entry is not None:
                await _tried(partial(entries.revise, entry, settings))
        for entry in entries:
            if entry.origin == "added":
                await _tried(partial(entries.revise, entry, entry.settings))

    def _take(self, item: _Item) -> _Named:
        """Return what an item became, and forget it."""
        named = next(each for each in self._named if each.item == item)
        self._named.remove(named)
        return named


async def _tried(change: Callable[[], Awaitable[None]]) -> None:
    """Change one share or fetch; what goes wrong is a warning."""
    try:
        await change()
    except TrioSwarmError as error:
        log.warning("%s", error)
