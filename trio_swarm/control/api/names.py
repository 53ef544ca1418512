"""The tracker that runs here: the names it holds, and its swarms."""

from typing import Annotated

import trio
from msgspec import Meta

from trio_swarm.control.api.table import Asked, Operation, Parameter
from trio_swarm.control.problems import RequestError
from trio_swarm.control.shapes import Names, TrackedName
from trio_swarm.tracker.store.interface import NameQuestion

MAX_NAMES = 10_000
"""Names of one answer, a megabyte or two."""

_Limit = Annotated[int, Meta(ge=1, le=MAX_NAMES)]
_Offset = Annotated[int, Meta(ge=0, le=2**31)]


async def names(asked: Asked) -> Names:
    """Return the names that fit a pattern."""
    tracker = asked.context.peer.tracker
    if tracker is None:
        await trio.lowlevel.checkpoint()
        raise RequestError(404, "no-tracker", "no tracker runs here")
    query = asked.query
    question = NameQuestion(query["pattern"], query["offset"], query["limit"])
    page = await tracker.search(question)
    counts = tracker.counts()
    return Names(
        names=[
            TrackedName(
                name=each.name,
                info_hash=each.info_hash.hex(),
                size=each.size,
                seeders=each.seeders,
                leechers=each.leechers,
            )
            for each in page.matches
        ],
        total=page.total,
        swarms=counts.swarms,
        peers=counts.peers,
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/names",
        words="The names that the tracker here holds.",
        query=(
            Parameter(
                name="pattern",
                kind=Annotated[str, Meta(min_length=1, max_length=1000)],
                default="*",
                words="With `*` and `?`.",
            ),
            Parameter(name="limit", kind=_Limit, default=MAX_NAMES, words="At most so many."),
            Parameter(name="offset", kind=_Offset, default=0, words="After so many."),
        ),
        answer=names,
        gives=Names,
        errors={404: "No tracker runs here."},
    ),
)
