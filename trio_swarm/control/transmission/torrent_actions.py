"""The methods about torrents that change none of their settings."""

from functools import partial

import msgspec
import trio

from trio_swarm.control.transmission.adding import (
    decoded,
    labels_of,
    refuse_choice_of_files,
    source_of,
)
from trio_swarm.control.transmission.calling import Arguments, CallError, Code, Dialect
from trio_swarm.control.transmission.choosing import means_recent, moved_in_queue
from trio_swarm.control.transmission.facts import TorrentFacts
from trio_swarm.control.transmission.naming import camel
from trio_swarm.control.transmission.rpc_session import AT_ONCE, MethodCall, Result, Run, for_each
from trio_swarm.control.transmission.target import Addition
from trio_swarm.control.transmission.torrent_fields import fields_asked
from trio_swarm.control.transmission.torrent_settings import refuse_what_is_fixed
from trio_swarm.loop_turn import LoopTurn


async def torrent_get(call: MethodCall) -> Result:
    """Tell the asked fields of torrents, as objects or as a table."""
    names = call.arguments.listed("fields")
    if not names:
        raise CallError("no fields specified")
    torrents = await call.session.chosen(call.arguments)
    asked = fields_asked(names, call.dialect, call.session.limits)
    readers = tuple(asked.values())
    is_table = call.arguments.raw("format") == "table"
    rows: list[object] = [list(asked)] if is_table else []
    turn = LoopTurn()
    for torrent in torrents:
        await turn.step()
        values = [read(torrent) for read in readers]
        row = values if is_table else dict(zip(asked, values, strict=True))
        rows.append(msgspec.Raw(msgspec.json.encode(row)))
    if means_recent(call.arguments):
        return {"torrents": rows, "removed": call.session.removed()}
    return {"torrents": rows}


async def torrent_add(call: MethodCall) -> Result:
    """Add a .torrent, a magnet link, an info-hash or a name."""
    arguments, target = call.arguments, call.session.target
    source = source_of(arguments)
    labels = labels_of(arguments)
    refuse_choice_of_files(arguments, empty_is_all=False)
    refuse_what_is_fixed(arguments)
    is_paused = arguments.flag("paused") or False
    named = arguments.text("download_dir")
    folder = await target.allowed_folder(named) if named else None
    match source.kind:
        case "metainfo":
            found: bytes | str = await trio.to_thread.run_sync(decoded, source.text)
        case "url":
            found = await target.fetch_torrent(source.text, source.cookies)
        case "path":
            found = await target.read_torrent(source.text)
        case "named":
            found = source.text
    added = await target.add(
        Addition(
            what=found if isinstance(found, str) else "",
            metainfo=None if isinstance(found, str) else found,
            folder=folder,
            is_paused=is_paused,
            labels=labels or (),
        )
    )
    told = {"id": added.id, "name": added.name, "hash_string": added.info_hash}
    if call.dialect is Dialect.OLD:
        told = {camel(key): value for key, value in told.items()}
    return {"torrent_added" if added.is_new else "torrent_duplicate": told}


def starting(*, at_once: bool) -> Run:
    """Return the method that goes on with torrents."""

    async def run(call: MethodCall) -> Result:
        target = call.session.target
        torrents = await call.session.chosen(call.arguments)
        return await for_each(torrents, lambda each: target.start(each, at_once=at_once))

    return run


async def torrent_stop(call: MethodCall) -> Result:
    """Pause torrents."""
    torrents = await call.session.chosen(call.arguments)
    return await for_each(torrents, call.session.target.pause, at_once=AT_ONCE)


async def torrent_verify(call: MethodCall) -> Result:
    """Hash the files of torrents again."""
    torrents = await call.session.chosen(call.arguments)
    return await for_each(torrents, call.session.target.verify, at_once=AT_ONCE)


async def torrent_reannounce(call: MethodCall) -> Result:
    """Ask the trackers of torrents now."""
    return await for_each(await call.session.chosen(call.arguments), call.session.target.reannounce)


async def torrent_remove(call: MethodCall) -> Result:
    """Take torrents out of the list, with their data if that is asked for."""
    target = call.session.target
    delete = call.arguments.flag("delete_local_data") or False
    torrents = await call.session.chosen(call.arguments)
    remove = partial(target.remove, delete_data=delete)
    return await for_each(torrents, remove, at_once=AT_ONCE)


async def torrent_set_location(call: MethodCall) -> Result:
    """Move torrents to another folder, or find their files there."""
    location = required(call.arguments, "location")
    move_data = call.arguments.flag("move") or False
    target = call.session.target
    folder = await target.allowed_folder(location)
    torrents = await call.session.chosen(call.arguments)

    async def move(torrent: TorrentFacts) -> None:
        await target.move(torrent, folder, move_data=move_data)

    return await for_each(torrents, move, at_once=AT_ONCE)


async def torrent_rename_path(call: MethodCall) -> Result:
    """Give a file or folder of one torrent another name."""
    path, name = required(call.arguments, "path"), required(call.arguments, "name")
    if name in {".", ".."} or "/" in name or "\0" in name:
        raise CallError("name must be the name of a file, without a folder")
    if path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise CallError("path must lie in the torrent: begin it with the torrent's name")
    torrents = await call.session.chosen(call.arguments)
    if len(torrents) != 1 or "ids" not in call.arguments:
        raise CallError("a path is renamed in one torrent: ids must name it")
    await call.session.target.rename(torrents[0], path, name)
    return {"path": path, "name": name, "id": torrents[0].id}


def queue_move(where: str) -> Run:
    """Return the method that moves torrents in the queue: `top`, `up`, `down` or `bottom`."""

    async def run(call: MethodCall) -> Result:
        torrents = {each.id: each for each in await call.session.look()}
        moved = [each.id for each in await call.session.chosen(call.arguments)]
        positions = {each: torrent.queue_position for each, torrent in torrents.items()}
        for each, position in moved_in_queue(positions, moved, where):
            await call.session.target.set_queue_position(torrents[each], position)
        return {}

    return run


def required(arguments: Arguments, name: str) -> str:
    """Return a text that must be there; raises CallError."""
    value = arguments.text(name)
    if not value:
        code = Code.PATH_NOT_ABSOLUTE if name == "location" else Code.INVALID_PARAMS
        raise CallError(f"{name} is missing", code)
    return value
