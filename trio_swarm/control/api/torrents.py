"""Torrents: listed, looked at, changed."""

import trio

from trio_swarm.control.api.table import Asked, Operation, Parameter
from trio_swarm.control.context import ControlContext, Listed
from trio_swarm.control.problems import RequestError
from trio_swarm.control.shapes import Torrent, TorrentList


async def list_torrents(asked: Asked) -> TorrentList:
    """Return the torrents in the node's list."""
    await trio.lowlevel.checkpoint()
    state = asked.query["state"]
    return TorrentList(
        torrents=[
            torrent_of(entry)
            for entry in asked.context.entries
            if state is None or entry.state == state
        ]
    )


async def one_torrent(asked: Asked) -> Torrent:
    """Return one torrent."""
    await trio.lowlevel.checkpoint()
    return torrent_of(found(asked.context, asked.path["id"]))


def found(context: ControlContext, text: str) -> Listed:
    """Return the entry that somebody means; 404 or 409."""
    entries = list(context.entries)
    for is_meant in (
        lambda each: text == str(each.id),
        lambda each: text in {each.name, each.hex_hash},
        lambda each: each.name.startswith(text) or each.hex_hash.startswith(text.lower()),
    ):
        matches = [each for each in entries if text and is_meant(each)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            names = "; ".join(f"{each.id} {each.name}" for each in matches[:10])
            raise RequestError(409, "ambiguous-torrent", f"several are meant: {names}")
    raise RequestError(404, "unknown-torrent", f"there is no torrent {text!r:.100}")


def torrent_of(entry: Listed) -> Torrent:
    """Return what is told of a torrent."""
    torrent = entry.torrent
    progress = None if torrent is None else torrent.progress()
    info = None if torrent is None else torrent.info
    size = 0 if progress is None else progress.size
    have = 0 if progress is None else progress.have
    return Torrent(
        id=entry.id,
        name=entry.name,
        info_hash=entry.hex_hash or None,
        magnet=None if torrent is None else torrent.magnet(),
        kind=entry.kind,
        origin="file",
        state=entry.state,
        error=entry.error,
        path=None if torrent is None or torrent.path is None else str(torrent.path),
        size=size,
        have=have,
        pieces=0 if progress is None else progress.pieces,
        pieces_have=0 if progress is None else progress.pieces_have,
        piece_length=0 if info is None else info.piece_length,
        progress=have / size if size else 0.0,
        download_rate=0.0 if progress is None else progress.download_rate,
        upload_rate=0.0 if progress is None else progress.upload_rate,
        eta=None if progress is None else progress.eta,
        downloaded=0 if progress is None else progress.downloaded,
        uploaded=0 if progress is None else progress.uploaded,
        duplicate=0 if progress is None else progress.duplicate,
        ratio=0.0 if progress is None else progress.ratio,
        peers=0 if progress is None else progress.peers,
        seeders=0 if progress is None else progress.seeders,
        private=info is not None and info.private,
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/torrents",
        words="The torrents in the node's list.",
        query=(Parameter(name="state", words="Only the ones in this state."),),
        answer=list_torrents,
        gives=TorrentList,
    ),
    Operation(
        method="GET",
        path="/torrents/{id}",
        words="One torrent, by id, name, info-hash, or the beginning of either.",
        answer=one_torrent,
        gives=Torrent,
        errors={404: "There is no such torrent.", 409: "Several are meant."},
    ),
)
