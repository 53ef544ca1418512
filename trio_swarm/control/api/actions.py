"""What a torrent is told to do."""

from functools import partial

import trio

from trio_swarm.control.api.table import Asked, Operation, Parameter
from trio_swarm.control.api.telling import torrent_of
from trio_swarm.control.api.torrents import OF_ONE, meant
from trio_swarm.control.folders import allowed_path
from trio_swarm.control.shapes import Move, Rename, Torrent


async def pause(asked: Asked) -> Torrent:
    """End its work until it is resumed."""
    service, entry = await meant(asked)
    await service.entries.pause(entry)
    return torrent_of(entry, service.node.settings)


async def resume(asked: Asked) -> Torrent:
    """Let it work again."""
    service, entry = await meant(asked)
    await service.entries.resume(entry, at_once=asked.query["at_once"])
    return torrent_of(entry, service.node.settings)


async def verify(asked: Asked) -> Torrent:
    """Begin to hash its data again."""
    service, entry = await meant(asked)
    await service.entries.verify(entry)
    return torrent_of(entry, service.node.settings)


async def reannounce(asked: Asked) -> Torrent:
    """Ask its trackers now."""
    service, entry = await meant(asked)
    service.entries.reannounce(entry)
    return torrent_of(entry, service.node.settings)


async def move(asked: Asked) -> Torrent:
    """Bring its data to another folder."""
    service, entry = await meant(asked)
    wanted = asked.body
    assert isinstance(wanted, Move)
    check = partial(allowed_path, wanted.folder, asked.context.folders)
    folder = await trio.to_thread.run_sync(check)
    await service.entries.move(entry, folder, move_data=wanted.move_data)
    return torrent_of(entry, service.node.settings)


async def rename(asked: Asked) -> Torrent:
    """Give a file or folder of it another name."""
    service, entry = await meant(asked)
    wanted = asked.body
    assert isinstance(wanted, Rename)
    await service.entries.rename_listed(entry, wanted.path, wanted.name)
    return torrent_of(entry, service.node.settings)


OPERATIONS = (
    Operation(
        method="POST",
        path="/torrents/{id}/pause",
        words="Ends its work until it is resumed, over restarts.",
        answer=pause,
        gives=Torrent,
        errors=OF_ONE,
    ),
    Operation(
        method="POST",
        path="/torrents/{id}/resume",
        words="Lets it work again; one that failed is tried again.",
        query=(
            Parameter(name="at_once", kind=bool, default=False, words="Whatever the queue says."),
        ),
        answer=resume,
        gives=Torrent,
        errors=OF_ONE,
    ),
    Operation(
        method="POST",
        path="/torrents/{id}/verify",
        words="Begins to hash its data again.",
        answer=verify,
        gives=Torrent,
        errors=OF_ONE,
    ),
    Operation(
        method="POST",
        path="/torrents/{id}/reannounce",
        words="Asks its trackers now.",
        answer=reannounce,
        gives=Torrent,
        errors=OF_ONE,
    ),
    Operation(
        method="POST",
        path="/torrents/{id}/move",
        words="Brings its data to another folder; answered when it is there.",
        takes=Move,
        answer=move,
        gives=Torrent,
        errors=OF_ONE,
    ),
    Operation(
        method="POST",
        path="/torrents/{id}/rename",
        words="Gives a file or folder of it another name on the disk; peers never see it.",
        takes=Rename,
        answer=rename,
        gives=Torrent,
        errors=OF_ONE,
    ),
)
