"""The node itself: looked at, changed, ended."""

from collections import Counter

import trio

from trio_swarm import __version__
from trio_swarm.control.api.table import Asked, Operation
from trio_swarm.control.api.torrents import torrent_of
from trio_swarm.control.shapes import Session
from trio_swarm.protocol.addresses import format_address


async def look(asked: Asked) -> Session:
    """Return what is told of the node."""
    await trio.lowlevel.checkpoint()
    context = asked.context
    node = None if context.service is None else context.service.node
    torrents = [torrent_of(entry) for entry in context.entries]
    return Session(
        version=__version__,
        peer_id="" if node is None else node.peer_id.hex(),
        port=0 if node is None else node.port,
        addresses=[] if node is None else [format_address(each) for each in node.addresses],
        started_at=context.started_at,
        state_folder=str(context.state_folder),
        download_folder=str(context.download_folder),
        config_file=str(context.config_file),
        access=asked.level,
        trackers=[] if node is None else list(node.trackers),
        download_rate=sum(each.download_rate for each in torrents),
        upload_rate=sum(each.upload_rate for each in torrents),
        downloaded=sum(each.downloaded for each in torrents),
        uploaded=sum(each.uploaded for each in torrents),
        torrents=dict(Counter(each.state for each in torrents)),
        tracker=context.peer.has_tracker,
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/session",
        words="The node itself: where it is, what it may use, how much it moves.",
        answer=look,
        gives=Session,
    ),
)
