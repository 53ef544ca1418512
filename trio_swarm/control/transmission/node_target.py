"""A running node as target of the methods."""

import shutil
from collections.abc import Sequence
from datetime import time
from pathlib import Path
from time import time as unix_time
from typing import TypeVar

import trio
from msgspec import UnsetType
from msgspec.structs import replace
from starlette.routing import Route

from trio_swarm._version import __version__
from trio_swarm.control.context import ControlContext
from trio_swarm.control.folders import FolderRefusedError, allowed_path
from trio_swarm.control.transmission.calling import CallError, Code, one_line
from trio_swarm.control.transmission.entry_facts import EntryFacts
from trio_swarm.control.transmission.facts import SessionFacts, SpeedSchedule, TorrentFacts
from trio_swarm.control.transmission.routes import new_session_id, routes
from trio_swarm.control.transmission.rpc_session import RpcSession
from trio_swarm.control.transmission.target import (
    Added,
    Addition,
    SessionChanges,
    TorrentChanges,
)
from trio_swarm.control.transmission.torrent_urls import fetch_torrent
from trio_swarm.errors import EntryPresentError, MetainfoError, StorageError, TrioSwarmError
from trio_swarm.metainfo_files import MAX_TORRENT_FILE
from trio_swarm.named_paths import read_whole
from trio_swarm.service.entries.changing import EntryChanges
from trio_swarm.service.entries.entries import Entries
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.limits import LimitChanges
from trio_swarm.service.rates import RateLimits, Rates
from trio_swarm.service.service import Service
from trio_swarm.settings import DAYS, FetchSettings, ScheduleSettings
from trio_swarm.wanted import WantedTorrent, parse_wanted

_T = TypeVar("_T")

_CANNOT = "its files cannot be renamed"


_BY_FILE = "a .torrent file"
"""What a fetch is called until its metadata is read."""


def rpc_routes(context: ControlContext) -> list[Route]:
    """Return the routes of Transmission's RPC to a node."""
    target = NodeTarget(context)
    session = RpcSession(target, now=unix_time, session_id=new_session_id())
    return routes(session, finish=context.finish)


class NodeTarget:
    """The node that a context is of.

    Where content goes if a client names no folder may be changed by clients (`session-set
    download-dir`); it is so until the node ends, for the configuration file is never written.
    """

    def __init__(self, context: ControlContext) -> None:
        self._context = context
        self._download_folder = context.download_folder.absolute()

    def torrents(self) -> Sequence[TorrentFacts]:
        """Return the entries of the list; none while the node is being opened."""
        service = self._context.service
        if service is None:
            return []
        most = service.settings.max_connections
        return [EntryFacts(entry, max_peers=most) for entry in service.entries]

    def session(self) -> SessionFacts:
        """Return what is told of the node."""
        service = self._service()
        rates = self._rates()
        upload, download = rates.alternative or (None, None)
        limits = service.entries.limits
        return SessionFacts(
            version=__version__,
            state_folder=str(self._context.state_folder.absolute()),
            download_folder=str(self._download_folder),
            peer_port=service.node.port,
            max_peers=service.settings.max_connections,
            upload_limit=rates.normal.upload,
            download_limit=rates.normal.download,
            alternative_upload_limit=upload,
            alternative_download_limit=download,
            is_alternative=rates.is_alternative,
            speed_schedule=None if rates.schedule is None else _speed_schedule(rates.schedule),
            seed_ratio=limits.seed_ratio,
            max_active_downloads=limits.max_active_downloads,
            max_active_seeds=limits.max_active_seeds,
            trackers=service.trackers,
            seconds_active=unix_time() - self._context.started_at,
        )

    async def allowed_folder(self, text: str) -> Path:
        """Return a folder that a client named, if it is allowed."""
        return await trio.to_thread.run_sync(allowed_path, text, self._folders)

    async def free_space(self, folder: Path) -> tuple[int, int]:
        """Return free and all bytes of a file system; of one that the folder will be in."""
        return await trio.to_thread.run_sync(_space, folder)

    async def read_torrent(self, text: str) -> bytes:
        """Return the bytes of a .torrent file in an allowed folder."""
        return await trio.to_thread.run_sync(_read_torrent, text, self._folders)

    async def fetch_torrent(self, url: str, cookies: str) -> bytes | str:
        """Return what is at an address."""
        return await fetch_torrent(url, cookies)

    async def add(self, addition: Addition) -> Added:
        """Add a torrent to the list."""
        entries = self._service().entries
        if addition.metainfo is None:
            await trio.to_thread.run_sync(_refuse_file, addition.what)
        settings = FetchSettings(
            what=addition.what or _BY_FILE,
            folder=addition.folder or self._download_folder,
            wait=True,
        )
        try:
            entry = await entries.add(
                settings,
                paused=addition.is_paused,
                labels=addition.labels,
                metainfo=addition.metainfo,
            )
        except EntryPresentError as error:
            return _added(entries.by_id(error.id), is_new=False)
        except MetainfoError as error:
            raise CallError(one_line(error), Code.CORRUPT_TORRENT) from error
        return _added(entry, is_new=True)

    async def start(self, torrent: TorrentFacts, *, at_once: bool) -> None:
        """Go on with an entry."""
        await self._entries().resume(self._entry(torrent), at_once=at_once)

    async def pause(self, torrent: TorrentFacts) -> None:
        """Pause an entry."""
        await self._entries().pause(self._entry(torrent))

    async def verify(self, torrent: TorrentFacts) -> None:
        """Begin to hash the data of an entry again."""
        await self._entries().verify(self._entry(torrent))

    async def reannounce(self, torrent: TorrentFacts) -> None:
        """Ask the trackers of an entry."""
        running = self._entry(torrent).torrent
        if running is not None:
            running.reannounce()
        await trio.lowlevel.checkpoint()

    async def remove(self, torrent: TorrentFacts, *, delete_data: bool) -> None:
        """Take an entry out of the list."""
        await self._entries().remove(self._entry(torrent), delete_data=delete_data)

    async def move(self, torrent: TorrentFacts, folder: Path, *, move_data: bool) -> None:
        """Begin to move the data of an entry, or have it looked for in a folder."""
        entries, entry = self._entries(), self._entry(torrent)
        if move_data:
            await entries.change(entry, EntryChanges(moving_to=folder))
        else:
            await entries.move(entry, folder, move_data=False)

    async def rename(self, torrent: TorrentFacts, path: str, name: str) -> None:  # noqa: ARG002 - nothing can
        """Say that it cannot be done."""
        raise CallError(f"{torrent.name}: {_CANNOT}", Code.SYSTEM_ERROR)

    async def set_queue_position(self, torrent: TorrentFacts, position: int) -> None:
        """Give an entry another place."""
        entries, entry = self._entries(), self._entry(torrent)
        await entries.change(entry, EntryChanges(queue_position=position))

    async def change(self, torrent: TorrentFacts, changes: TorrentChanges) -> None:
        """Change the settings of an entry, all or none."""
        limits = LimitChanges(
            upload_rate=changes.upload_limit,
            download_rate=changes.download_limit,
            seed_ratio=changes.seed_ratio,
        )
        await self._entries().change(
            self._entry(torrent),
            EntryChanges(
                limits=limits,
                labels=changes.labels,
                queue_position=changes.queue_position,
                moving_to=changes.folder,
            ),
        )

    async def change_session(self, changes: SessionChanges) -> None:
        """Change the limits of the node, and where new content goes."""
        service = self._service()
        limits = service.entries.limits
        wanted = replace(
            limits,
            max_active_downloads=_new(changes.max_active_downloads, limits.max_active_downloads),
            max_active_seeds=_new(changes.max_active_seeds, limits.max_active_seeds),
            seed_ratio=_new(changes.seed_ratio, limits.seed_ratio),
        )
        self._change_rates(changes)
        service.entries.set_node_limits(wanted)
        if not isinstance(changes.download_folder, UnsetType):
            self._download_folder = changes.download_folder
        await trio.lowlevel.checkpoint()

    def _change_rates(self, changes: SessionChanges) -> None:
        """Change the limits that RateLimits owns."""
        rates = self._rates()
        upload, download = rates.alternative or (None, None)
        alternative = Rates(
            _new(changes.alternative_upload_limit, upload),
            _new(changes.alternative_download_limit, download),
        )
        has_alternative = rates.alternative is not None or alternative != (None, None)
        normal = Rates(
            _new(changes.upload_limit, rates.normal.upload),
            _new(changes.download_limit, rates.normal.download),
        )
        if normal != rates.normal:
            rates.set_normal(normal)
        if has_alternative and alternative != rates.alternative:
            rates.set_alternative(alternative)
        if not isinstance(changes.is_alternative, UnsetType):
            rates.switch(on=changes.is_alternative)

    def stop(self) -> None:
        """End the node."""
        self._context.stop()

    @property
    def _folders(self) -> tuple[Path, ...]:
        return self._context.folders

    def _service(self) -> Service:
        service = self._context.service
        if service is None:
            raise CallError("the node is being opened", Code.SYSTEM_ERROR)
        return service

    def _rates(self) -> RateLimits:
        rates = self._context.peer.rates
        assert rates is not None  # it is there as soon as the service is
        return rates

    def _entries(self) -> Entries:
        return self._service().entries

    def _entry(self, torrent: TorrentFacts) -> Entry:
        """Return the entry that facts are of; raises EntryUnknownError if it is gone."""
        return self._entries().by_id(torrent.id)


def _added(entry: Entry, *, is_new: bool) -> Added:
    return Added(entry.id, (entry.info_hash or b"").hex(), entry.name, is_new=is_new)


def _new(changed: _T | UnsetType, before: _T) -> _T:
    return before if isinstance(changed, UnsetType) else changed


def _speed_schedule(schedule: ScheduleSettings) -> SpeedSchedule:
    """Return a schedule in minutes of the day, and a bit for each day: 1 is Sunday."""
    begin, end = schedule.begin or time(), schedule.end or time()
    days = [1 << (DAYS.index(day) + 1) % len(DAYS) for day in schedule.days or DAYS]
    return SpeedSchedule(_minutes(begin), _minutes(end), sum(days))


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute


def _refuse_file(what: str) -> None:
    """Raise CallError for a word that happens to be a file in the node's working folder."""
    if isinstance(parse_wanted(what), WantedTorrent):
        raise CallError("not an absolute path", Code.PATH_NOT_ABSOLUTE)


def _read_torrent(text: str, folders: Sequence[Path]) -> bytes:
    try:
        path = allowed_path(text, folders)
        data = read_whole(path, MAX_TORRENT_FILE)
    except FolderRefusedError as error:
        raise CallError(f"{one_line(error)}; or send the content of the .torrent") from error
    except OSError as error:
        reason = f"{text[:200]}: {error.strerror or error}"
        raise CallError(reason, Code.SYSTEM_ERROR) from error
    if len(data) > MAX_TORRENT_FILE:
        raise CallError("that is no .torrent file: it is too large", Code.CORRUPT_TORRENT)
    return data


def _space(folder: Path) -> tuple[int, int]:
    for place in (folder, *folder.parents):
        try:
            usage = shutil.disk_usage(place)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(error.strerror or str(error), path=place) from error
        return usage.free, usage.total
    raise TrioSwarmError(f"{folder}: no such folder")
