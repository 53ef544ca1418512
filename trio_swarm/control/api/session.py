"""The node itself: looked at, changed, told to read its file again, ended."""

from collections import Counter
from collections.abc import Iterable
from typing import Self, TypeVar

import trio
from msgspec import UNSET, UnsetType
from starlette.background import BackgroundTask
from starlette.responses import Response

from trio_swarm import __version__
from trio_swarm.config.problems import ConfigProblems
from trio_swarm.control.api.table import Asked, Operation, Parameter
from trio_swarm.control.context import ControlContext
from trio_swarm.control.folders import allowed_path
from trio_swarm.control.problems import JSON, RequestError
from trio_swarm.control.shapes import (
    Alternative,
    FileProblem,
    Limits,
    Reloaded,
    Session,
    SessionChange,
    Stopping,
)
from trio_swarm.errors import ConfigError
from trio_swarm.loop_turn import LoopTurn
from trio_swarm.protocol.addresses import format_address
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.records import NodeValues
from trio_swarm.service.rates import RateLimits
from trio_swarm.service.run_time import kept_folder

_T = TypeVar("_T")


async def look(asked: Asked) -> Session:
    """Return what is told of the node."""
    context = asked.context
    service = await context.open()
    node, limits, rates = service.node, service.entries.limits, _rates(asked)
    moved, incomplete = await _Moved.of(service.entries), service.entries.incomplete_folder
    return Session(
        version=__version__,
        peer_id=node.peer_id.hex(),
        port=node.port,
        addresses=[format_address(each) for each in node.addresses],
        started_at=context.started_at,
        state_folder=str(context.state_folder.absolute()),
        download_folder=str(context.download_folder),
        incomplete_folder=None if incomplete is None else str(incomplete),
        config_file=str(context.config_file.absolute()),
        access=asked.level,
        limits=Limits(
            upload_rate=rates.normal.upload,
            download_rate=rates.normal.download,
            max_active_downloads=limits.max_active_downloads,
            max_active_seeds=limits.max_active_seeds,
        ),
        alternative_limits=rates.is_alternative,
        alternative=_alternative(rates),
        trackers=list(node.trackers),
        schedulers=await node.scheduler_names(),
        download_rate=moved.download_rate,
        upload_rate=moved.upload_rate,
        downloaded=moved.downloaded,
        uploaded=moved.uploaded,
        torrents=dict(moved.states),
        tracker=context.peer.has_tracker,
    )


class _Moved:
    """Sums over all entries."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.download_rate = self.upload_rate = 0.0
        self.downloaded = self.uploaded = 0

    @classmethod
    async def of(cls, entries: Iterable[Entry]) -> Self:
        """Return the sums; others have their turns meanwhile."""
        moved = cls()
        turn = LoopTurn()
        for entry in entries:
            await turn.step()
            if not entry.is_gone:
                moved._add(entry)
        return moved

    def _add(self, entry: Entry) -> None:
        self.states[entry.state] += 1
        torrent = entry.torrent
        if torrent is None:
            return
        self.downloaded += torrent.downloaded
        self.uploaded += torrent.uploaded
        if torrent.peer_set.connections:
            progress = torrent.progress()
            self.download_rate += progress.download_rate
            self.upload_rate += progress.upload_rate


def _rates(asked: Asked) -> RateLimits:
    rates = asked.context.peer.rates
    assert rates is not None  # the node is open
    return rates


def _alternative(rates: RateLimits) -> Alternative | None:
    other = rates.alternative
    if other is None:
        return None
    return Alternative(
        active=rates.is_alternative, upload_rate=other.upload, download_rate=other.download
    )


async def change(asked: Asked) -> Session:
    """Change limits of the node, until its file says something else than now."""
    await asked.context.open()
    changes, rates = asked.body, _rates(asked)
    assert isinstance(changes, SessionChange)
    is_slow = _new(changes.alternative_limits, rates.is_alternative)
    if is_slow and rates.alternative is None:
        raise RequestError(409, "no-alternative", "the configuration has no [schedule]")
    incomplete = await _incomplete_folder(asked.context, changes)
    run_time = asked.context.peer.run_time
    assert run_time is not None  # the node is open
    await run_time.set(
        NodeValues(
            upload_rate=changes.upload_rate,
            download_rate=changes.download_rate,
            max_active_downloads=changes.max_active_downloads,
            max_active_seeds=changes.max_active_seeds,
            incomplete_folder=incomplete,
        ),
        is_alternative=UNSET if is_slow == rates.is_alternative else is_slow,
    )
    return await look(asked)


async def _incomplete_folder(
    context: ControlContext, changes: SessionChange
) -> str | UnsetType | None:
    """Return where fetches are to begin; raises FolderRefusedError for a folder of others."""
    named = changes.incomplete_folder
    if not isinstance(named, str):
        return named
    own = context.peer.config.node.incomplete_folder
    folders = context.folders if own is None else (*context.folders, own)
    return kept_folder(await trio.to_thread.run_sync(allowed_path, named, folders))


def _new(changed: _T | UnsetType, before: _T) -> _T:
    return before if isinstance(changed, UnsetType) else changed


async def reload(asked: Asked) -> Reloaded:
    """Read the configuration file again; what is wrong in it is the answer."""
    await asked.context.open()
    try:
        changes = await asked.context.peer.reload(dry_run=asked.query["dry_run"])
    except ConfigProblems as error:
        return Reloaded(changes=[], errors=[_problem(each) for each in error.problems])
    except ConfigError as error:
        return Reloaded(changes=[], errors=[_problem(error)])
    return Reloaded(changes=changes, errors=[])


def _problem(error: ConfigError) -> FileProblem:
    return FileProblem(key=error.key, message=str(error))


async def stop(asked: Asked) -> Response:
    """End the node, once the answer is sent."""
    await trio.lowlevel.checkpoint()
    answer = JSON(Stopping(), 202)
    answer.background = BackgroundTask(_stop, asked)
    return answer


async def _stop(asked: Asked) -> None:
    await trio.lowlevel.checkpoint()
    asked.context.stop()


OPERATIONS = (
    Operation(
        method="GET",
        path="/session",
        words="The node itself: where it is, what it may use, how much it moves.",
        answer=look,
        gives=Session,
    ),
    Operation(
        method="PATCH",
        path="/session",
        words="Changes limits of the node, over restarts, until its file says something new.",
        takes=SessionChange,
        answer=change,
        gives=Session,
        errors={409: "There are no alternative limits."},
    ),
    Operation(
        method="POST",
        path="/reload",
        words="Reads the configuration file again, and applies what differs.",
        query=(
            Parameter(
                name="dry_run", kind=bool, default=False, words="Only tell what would change."
            ),
        ),
        answer=reload,
        gives=Reloaded,
    ),
    Operation(
        method="POST",
        path="/stop",
        words="Ends the node.",
        answer=stop,
        gives=Stopping,
        status=202,
    ),
)
