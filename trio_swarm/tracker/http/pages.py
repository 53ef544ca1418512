"""What else than announces and scrapes is served: pages, one function for each path."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeAlias

from trio_swarm.errors import TrioSwarmError
from trio_swarm.tracker.http.answers import TEXT


class NotNowError(TrioSwarmError):
    """A page that is refused for the moment: HTTP 503."""


class ForbiddenError(TrioSwarmError):
    """A page that is not for who asks: HTTP 403."""


class PageRequest(NamedTuple):
    """What is asked of a page."""

    path: bytes
    query: bytes
    """As sent, escapes and all."""
    host: bytes
    """The packed IP address of who asks."""
    now: float


class Page(NamedTuple):
    """The body that answers, and its Content-Type."""

    body: bytes
    kind: bytes = TEXT


AnswerPage: TypeAlias = Callable[[PageRequest], Awaitable[Page]]
"""Answers a request; raises RemoteProtocolError (which becomes a `failure reason`), NotNowError or
ForbiddenError. It may wait: a task of its own asks it, of which a host has only a few."""

Pages: TypeAlias = Mapping[bytes, AnswerPage]
"""Pages by path. What lies below the path of one is its as well, but "/" is itself only."""


def page_at(pages: Pages, path: bytes) -> AnswerPage | None:
    """Return the page that answers a path, None if there is none."""
    found = pages.get(path)
    if found is None:
        head, slash, _ = path[1:].partition(b"/")
        found = pages.get(b"/" + head) if slash and head else None
    return found
