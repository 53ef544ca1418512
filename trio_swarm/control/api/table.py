"""What an operation of the API is: all that is known of it, in one place."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from trio_swarm.control.access import Level
from trio_swarm.control.context import ControlContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter in the query."""

    name: str
    words: str
    kind: Any = str
    """A type that msgspec converts text to."""
    default: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was read and found right."""

    context: ControlContext
    level: Level
    port: int
    """Of the door that it came by; 0 for the Unix socket."""
    path: Mapping[str, str]
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    """By names in lower case."""
    body: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that can be asked."""

    method: str
    path: str
    """Below `/api/v1`, with `{names}`."""
    words: str
    """One line."""
    answer: Callable[[Asked], Awaitable[Struct | Response | None]]
    gives: type[Struct] | None
    """The body of a good answer; None: it has none."""
    kind: str = "application/json"
    """The media type of a good answer."""
    status: int = 200
    takes: type[Struct] | None = None
    """The body of the request."""
    most: int = 64 * 1024
    """Bytes of that body."""
    query: tuple[Parameter, ...] = ()
    errors: Mapping[int, str] = field(default_factory=dict)
    """Status → when, besides what any request can be told."""
