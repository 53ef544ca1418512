"""Adding a torrent to the list: something to fetch, or to share."""

from pathlib import Path

import trio
from starlette.responses import Response

from trio_swarm.config.values import parse_peer, parse_tracker
from trio_swarm.control.access import Refusal
from trio_swarm.control.api.table import Asked, Operation
from trio_swarm.control.api.telling import torrent_of
from trio_swarm.control.context import ControlContext
from trio_swarm.control.folders import allowed_path
from trio_swarm.control.problems import JSON, RequestError, refusal_of
from trio_swarm.control.shapes import Addition, PresentAnswer, Problem, Torrent
from trio_swarm.errors import EntryPresentError
from trio_swarm.foreign_text import shown
from trio_swarm.protocol.metainfo.torrent import MAX_TORRENT_SIZE
from trio_swarm.service.service import Service
from trio_swarm.settings import FetchSettings, ShareSettings
from trio_swarm.wanted import WantedTorrent, parse_wanted

MAX_ADDITION = MAX_TORRENT_SIZE // 3 * 4 + 1024 * 1024
"""Bytes of a body with the largest .torrent in base64, and all else."""

BY_FILE = "a .torrent file"
"""What a fetch is called until its metadata is read."""


async def add_torrent(asked: Asked) -> Torrent | Response:
    """Add a torrent; 409 with the one that is there already."""
    service = await asked.context.open()
    wanted = asked.body
    assert isinstance(wanted, Addition)
    settings = await _settings(asked.context, service, wanted)
    try:
        entry = await service.entries.add(
            settings,
            paused=wanted.paused,
            labels=wanted.labels,
            limits=wanted.limits,
            metainfo=wanted.metainfo,
        )
    except EntryPresentError as error:
        return _present(service, error)
    return torrent_of(entry, service.node.settings)


def _present(service: Service, error: EntryPresentError) -> Response:
    refusal: Refusal = refusal_of(error)
    there = torrent_of(service.entries.by_id(error.id), service.node.settings)
    told = Problem(code=refusal.code, message=refusal.message)
    return JSON(PresentAnswer(error=told, torrent=there), refusal.status)


async def _settings(
    context: ControlContext, service: Service, wanted: Addition
) -> ShareSettings | FetchSettings:
    """Return the settings of what is to be added, checked as far as that can be refused."""
    named = [each for each in (wanted.what, wanted.metainfo, wanted.path) if each is not None]
    if len(named) != 1:
        raise RequestError(400, "wrong-body", "say one of what, metainfo and path")
    trackers = None if wanted.trackers is None else tuple(map(parse_tracker, wanted.trackers))
    if wanted.path is not None:
        _refuse_for_shares(wanted)
        path = await trio.to_thread.run_sync(_shared, wanted.path)
        return ShareSettings(path=path, name=wanted.name, trackers=trackers)
    if wanted.name is not None:
        raise RequestError(400, "wrong-body", "name is what a share is found by")
    if wanted.what is not None:
        await trio.to_thread.run_sync(_refuse_file, wanted.what)
    folder = context.download_folder
    if wanted.folder is not None:
        folder = await trio.to_thread.run_sync(allowed_path, wanted.folder, context.folders)
    chosen, options = wanted.scheduler, None
    if chosen is not None:
        options = await service.node.checked_scheduler(
            chosen.name, chosen.options, text_values=True
        )
    return FetchSettings(
        what=wanted.what or BY_FILE,
        folder=folder,
        trackers=trackers,
        peers=tuple(map(parse_peer, wanted.peers)),
        scheduler=None if chosen is None else chosen.name,
        scheduler_options=options or {},
        wait=True,
        seed=wanted.seed,
    )


def _refuse_for_shares(wanted: Addition) -> None:
    given = wanted.folder, wanted.scheduler
    if given != (None, None) or wanted.peers:
        message = "folder, peers and scheduler are for something that is fetched, not for a share"
        raise RequestError(400, "wrong-body", message)


def _shared(text: str) -> Path:
    """Return a path to share: whoever may control the node decides what it gives away. Blocking."""
    path = Path(text)
    try:
        is_there = path.is_absolute() and path.exists()
    except (OSError, ValueError):
        is_there = False
    if not is_there:
        raise RequestError(400, "wrong-path", f"{shown(text)} is no absolute path of what is there")
    return path


def _refuse_file(what: str) -> None:
    """Refuse a word that happens to be a file in the node's working folder. Blocking."""
    try:
        is_file = isinstance(parse_wanted(what), WantedTorrent)
    except ValueError:
        is_file = True
    if is_file:
        message = f"{shown(what)} is a file: send its content as metainfo"
        raise RequestError(400, "wrong-value", message)


OPERATIONS = (
    Operation(
        method="POST",
        path="/torrents",
        words="Adds something to fetch or to share; it comes back after a restart.",
        takes=Addition,
        most=MAX_ADDITION,
        answer=add_torrent,
        gives=Torrent,
        status=201,
        errors={409: "It is in the list already: `torrent` is the one."},
    ),
)
