"""What a torrent consists of, and whom it deals with."""

from typing import Annotated

from msgspec import Meta

from trio_swarm.control.api.table import Asked, Operation, Parameter
from trio_swarm.control.api.telling import decisions_of, files_of, pieces_of
from trio_swarm.control.api.torrents import OF_ONE, meant
from trio_swarm.control.shapes import Decisions, Files, Peers, Pieces, Trackers

MAX_LIMIT = 100_000
_Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
_From = Annotated[int, Meta(ge=0, le=2**53)]


async def peers(asked: Asked) -> Peers:
    """Return the connected peers."""
    _, entry = await meant(asked)
    found = [] if entry.torrent is None else entry.torrent.peers()
    return Peers(peers=found[: asked.query["limit"]])


async def trackers(asked: Asked) -> Trackers:
    """Return the trackers."""
    _, entry = await meant(asked)
    found = [] if entry.torrent is None else entry.torrent.tracker_states()
    return Trackers(trackers=found[: asked.query["limit"]])


async def files(asked: Asked) -> Files:
    """Return the files."""
    _, entry = await meant(asked)
    return Files(files=files_of(entry, asked.query["first"], asked.query["limit"]))


async def pieces(asked: Asked) -> Pieces:
    """Return the map of all pieces."""
    _, entry = await meant(asked)
    return pieces_of(entry)


async def decisions(asked: Asked) -> Decisions:
    """Return the latest decisions of a download."""
    _, entry = await meant(asked)
    torrent = entry.torrent
    if torrent is None or torrent.download is None:
        return Decisions(decisions=[], recording=False)
    told = torrent.decisions(asked.query["since"], asked.query["limit"])
    found = [one for each in told for one in decisions_of(each)]
    return Decisions(decisions=found, recording=True)


_LIMIT = Parameter(name="limit", kind=_Limit, default=MAX_LIMIT, words="At most so many.")

OPERATIONS = (
    Operation(
        method="GET",
        path="/torrents/{id}/peers",
        words="The connected peers, with what they give and take.",
        query=(_LIMIT,),
        answer=peers,
        gives=Peers,
        errors=OF_ONE,
    ),
    Operation(
        method="GET",
        path="/torrents/{id}/trackers",
        words="The trackers, and what each said last.",
        query=(_LIMIT,),
        answer=trackers,
        gives=Trackers,
        errors=OF_ONE,
    ),
    Operation(
        method="GET",
        path="/torrents/{id}/files",
        words="The files, with how much of each is here.",
        query=(
            _LIMIT,
            Parameter(name="first", kind=_From, default=0, words="From this number on."),
        ),
        answer=files,
        gives=Files,
        errors=OF_ONE,
    ),
    Operation(
        method="GET",
        path="/torrents/{id}/pieces",
        words="All pieces: which are here, and who holds which.",
        answer=pieces,
        gives=Pieces,
        errors=OF_ONE,
    ),
    Operation(
        method="GET",
        path="/torrents/{id}/decisions",
        words="Why this piece was asked of that peer; kept while somebody asks for it.",
        query=(
            Parameter(name="limit", kind=_Limit, default=100, words="At most so many plans."),
            Parameter(name="since", kind=_From, default=0, words="After the plan of this number."),
        ),
        answer=decisions,
        gives=Decisions,
        errors=OF_ONE,
    ),
)
