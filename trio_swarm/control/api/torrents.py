"""Torrents: listed, looked at, changed, removed."""

from msgspec import UNSET, UnsetType
from starlette.responses import Response

from trio_swarm.control.api.table import Asked, Operation, Parameter
from trio_swarm.control.api.telling import torrent_of
from trio_swarm.control.problems import JSON, encoded
from trio_swarm.control.shapes import Torrent, TorrentChange, TorrentList
from trio_swarm.loop_turn import LoopTurn
from trio_swarm.service.entries.changing import EntryChanges, SchedulerChange
from trio_swarm.service.entries.entry import Entry, EntryState
from trio_swarm.service.service import Service

OF_ONE = {404: "There is no such torrent.", 409: "Several are meant, or its state does not fit."}
"""What a request about one torrent can be told."""


async def list_torrents(asked: Asked) -> Response:
    """Return the torrents in the node's list, as a TorrentList."""
    service = await asked.context.open()
    state, label = asked.query["state"], asked.query["label"]
    settings = service.node.settings
    turn = LoopTurn()
    found: list[bytes] = []  # all at once they would be encoded in some 20 ms
    for entry in service.entries:
        await turn.step()
        if entry.is_gone:
            continue
        if (state is None or entry.state == state) and (label is None or label in entry.labels):
            found.append(encoded(torrent_of(entry, settings)))
    return JSON(b'{"torrents":[%b]}' % b",".join(found))


async def one_torrent(asked: Asked) -> Torrent:
    """Return one torrent."""
    service, entry = await meant(asked)
    return torrent_of(entry, service.node.settings)


async def meant(asked: Asked) -> tuple[Service, Entry]:
    """Return the service, and the entry that somebody means; raises the errors of `find`."""
    service = await asked.context.open()
    return service, service.entries.find(asked.path["id"])


async def change_torrent(asked: Asked) -> Torrent:
    """Change what is told of a torrent, all that is asked for or nothing."""
    service, entry = await meant(asked)
    wanted = asked.body
    assert isinstance(wanted, TorrentChange)
    chosen = wanted.scheduler
    scheduler: SchedulerChange | UnsetType = UNSET
    if not isinstance(chosen, UnsetType):
        scheduler = SchedulerChange(chosen.name, chosen.options, text_values=True)
    changes = EntryChanges(
        limits=wanted.limits,
        labels=wanted.labels,
        queue_position=wanted.queue_position,
        scheduler=scheduler,
    )
    await service.entries.change(entry, changes)
    return torrent_of(entry, service.node.settings)


async def remove_torrent(asked: Asked) -> None:
    """Take a torrent out of the list."""
    service, entry = await meant(asked)
    await service.entries.remove(entry, delete_data=asked.query["delete_data"])


OPERATIONS = (
    Operation(
        method="GET",
        path="/torrents",
        words="The torrents in the node's list.",
        query=(
            Parameter(name="state", kind=EntryState, words="Only the ones in this state."),
            Parameter(name="label", words="Only the ones with this label."),
        ),
        answer=list_torrents,
        gives=TorrentList,
    ),
    Operation(
        method="GET",
        path="/torrents/{id}",
        words="One torrent, by id, name, info-hash, or the beginning of either.",
        answer=one_torrent,
        gives=Torrent,
        errors=OF_ONE,
    ),
    Operation(
        method="PATCH",
        path="/torrents/{id}",
        words="Changes limits, labels, the place in the queue, the strategy: all or nothing.",
        takes=TorrentChange,
        answer=change_torrent,
        gives=Torrent,
        errors=OF_ONE,
    ),
    Operation(
        method="DELETE",
        path="/torrents/{id}",
        words="Takes it out of the list.",
        query=(
            Parameter(
                name="delete_data",
                kind=bool,
                default=False,
                words="Delete its files, too: those of this torrent only.",
            ),
        ),
        answer=remove_torrent,
        gives=None,
        status=204,
        errors=OF_ONE,
    ),
)
