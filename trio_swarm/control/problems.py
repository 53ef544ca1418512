"""How a request is told that it cannot be done: one shape for all of them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from trio_swarm.control.access import Refusal
from trio_swarm.control.context import NotOpenError
from trio_swarm.control.folders import FolderRefusedError
from trio_swarm.control.shapes import Problem, ProblemAnswer
from trio_swarm.errors import (
    ConfigError,
    EntryAmbiguousError,
    EntryPresentError,
    EntryUnknownError,
    MetainfoError,
    NotHereError,
    StorageError,
    TrioSwarmError,
)
from trio_swarm.foreign_text import shown

MAX_MESSAGE = 2000
"""Characters of a message; one may list torrents to choose from."""

_KINDS: tuple[tuple[type[TrioSwarmError], int, str], ...] = (
    (NotOpenError, 503, "opening"),
    (EntryUnknownError, 404, "unknown-torrent"),
    (EntryAmbiguousError, 409, "ambiguous-torrent"),
    (EntryPresentError, 409, "present"),
    (FolderRefusedError, 403, "wrong-folder"),
    (MetainfoError, 400, "wrong-torrent"),
    (ConfigError, 400, "wrong-value"),
    (NotHereError, 409, "not-here"),
    (StorageError, 409, "storage"),
)
"""How errors are told, the first that fits."""


class RequestError(Exception):
    """A request that cannot be done; becomes the answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(status, code, message)


def refusal_of(error: TrioSwarmError) -> Refusal:
    """Return how an error is told: one that nothing is known of is a conflict with what is so."""
    status, code = next(
        ((status, code) for kind, status, code in _KINDS if isinstance(error, kind)),
        (409, "not-possible"),
    )
    return Refusal(status, code, shown(str(error), MAX_MESSAGE))


def encoded(content: object) -> bytes:
    """Return a struct as JSON; odd bytes of paths that are not UTF-8 become escapes."""
    try:
        return msgspec.json.encode(content)
    except UnicodeEncodeError:
        return msgspec.json.encode(_readable(msgspec.to_builtins(content)))


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {_readable(key): _readable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_readable(each) for each in value]
    return value


class JSON(Response):
    """An answer that is JSON: of a struct, or of bytes that are JSON already."""

    def __init__(
        self, content: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        named = {"cache-control": "no-store", **(headers or {})}
        body = content if isinstance(content, bytes) else encoded(content)
        super().__init__(body, status, named, media_type="application/json")


def problem(refusal: Refusal) -> Response:
    """Return the answer that tells why not."""
    told = Problem(code=refusal.code, message=refusal.message)
    return JSON(ProblemAnswer(error=told), refusal.status, refusal.headers)
