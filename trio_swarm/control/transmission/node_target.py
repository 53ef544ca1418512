"""A running node as target of the methods."""

import shutil
from collections.abc import Sequence
from datetime import time
from pathlib import Path
from time import time as unix_time
from typing import TypeVar, overload

import trio
from msgspec import UnsetType
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
from trio_swarm.service.entries.records import NodeValues
from trio_swarm.service.rates import RateLimits
from trio_swarm.service.run_time import kept_folder
from trio_swarm.service.service import Service
from trio_swarm.settings import DAYS, FetchSettings, NodeSettings, ScheduleSettings
from trio_swarm.wanted import WantedTorrent, parse_wanted

_T = TypeVar("_T")


_BY_FILE = "a .torrent file"
"""What a fetch is called until its metadata is read."""


def rpc_routes(context: ControlContext) -> list[Route]:
    """Return the routes of Transmission's RPC to a node."""
    target = NodeTarget(context)
    session = RpcSession(target, now=unix_time, session_id=new_session_id())
    return routes(session, finish=context.finish)


class _Listed(Sequence[TorrentFacts]):
    """What is told of entries, made for each look at one.

    Thousands at once would outlive several looks for garbage, and each that looks through
    everything then holds the loop for a tenth of a second.
    """

    def __init__(self, entries: Sequence[Entry], node: NodeSettings) -> None:
        self._entries = entries
        self._node = node

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> TorrentFacts: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[TorrentFacts]: ...
    def __getitem__(self, index: int | slice) -> TorrentFacts | Sequence[TorrentFacts]:
        if isinstance(index, slice):
            return _Listed(self._entries[index], self._node)
        return EntryFacts(self._entries[index], self._node)


class NodeTarget:
    """The node that a context is of."""

    def __init__(self, context: ControlContext) -> None:
        self._context = context

    def torrents(self) -> Sequence[TorrentFacts]:
        """Return the entries of the list; none while the node is being opened."""
        service = self._context.service
        if service is None:
            return []
        return _Listed(list(service.entries), service.node.settings)

    def session(self) -> SessionFacts:
        """Return what is told of the node."""
        service = self._service()
        rates = self._rates()
        upload, download = rates.alternative or (None, None)
        limits, incomplete = service.entries.limits, service.entries.incomplete_folder
        return SessionFacts(
            version=__version__,
            state_folder=str(self._context.state_folder.absolute()),
            download_folder=str(self._context.download_folder),
            incomplete_folder=None if incomplete is None else str(incomplete),
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

    async def known_folder(self, text: str) -> Path:
        """Return the same, or the folder of the configuration for what is not complete."""
        incomplete = self._context.peer.config.node.incomplete_folder
        folders = self._folders if incomplete is None else (*self._folders, incomplete)
        return await trio.to_thread.run_sync(allowed_path, text, folders)

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
            folder=addition.folder or self._context.download_folder,
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

    async def rename(self, torrent: TorrentFacts, path: str, name: str) -> None:
        """Give a file or folder of an entry, or the entry itself, another name."""
        await self._entries().rename(self._entry(torrent), path, name)

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
        self._service()
        run_time = self._context.peer.run_time
        assert run_time is not None  # it is there as soon as the service is
        folder, default = changes.incomplete_folder, changes.download_folder
        await run_time.set(
            NodeValues(
                upload_rate=changes.upload_limit,
                download_rate=changes.download_limit,
                alternative_upload_rate=changes.alternative_upload_limit,
                alternative_download_rate=changes.alternative_download_limit,
                max_active_downloads=changes.max_active_downloads,
                max_active_seeds=changes.max_active_seeds,
                seed_ratio=changes.seed_ratio,
                incomplete_folder=kept_folder(folder) if isinstance(folder, Path) else folder,
                download_folder=kept_folder(default) if isinstance(default, Path) else default,
            ),
            is_alternative=changes.is_alternative,
        )

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
