"""A call's arguments, read with care, and the failures that a call can end with.

What a client sends is hostile: every value is looked at before it is used.
"""

import math
from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Any, Final

from trio_swarm.errors import TrioSwarmError
from trio_swarm.foreign_text import SHOWN_LENGTH, shown

MAX_INTEGER: Final = 2**53
"""The largest whole number that every JSON reader keeps exactly (RFC 8259, "Numbers")."""


class Dialect(Enum):
    """Which protocol a call is in."""

    OLD = "3.00"
    """`method`, `arguments`, `tag`; names in kebab and camel case."""
    JSON_RPC = "4.1"
    """JSON-RPC 2.0; names in snake case."""


class Code(IntEnum):
    """Codes of failures (JSON-RPC 2.0, "Error object"; those from 1 are Transmission 4.1's)."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    BAD_TRACKER_LIST = 2
    PATH_NOT_ABSOLUTE = 3
    SYSTEM_ERROR = 5
    HTTP_ERROR = 8
    CORRUPT_TORRENT = 9


MESSAGES: Final = {
    Code.PARSE_ERROR: "Parse error",
    Code.INVALID_REQUEST: "Invalid Request",
    Code.METHOD_NOT_FOUND: "Method not found",
    Code.INVALID_PARAMS: "Invalid params",
    Code.INTERNAL_ERROR: "Internal error",
    Code.BAD_TRACKER_LIST: "Trackers cannot be set",
    Code.PATH_NOT_ABSOLUTE: "Path is not absolute",
    Code.SYSTEM_ERROR: "Not done",
    Code.HTTP_ERROR: "HTTP error",
    Code.CORRUPT_TORRENT: "Not a torrent",
}
"""What each code means; those below zero have the words of JSON-RPC 2.0."""


class CallError(TrioSwarmError):
    """A call cannot be done; `reason` is one line for a person, `arguments` what is told anyway."""

    def __init__(
        self,
        reason: str,
        code: Code = Code.INVALID_PARAMS,
        arguments: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.arguments = dict(arguments or {})


class Arguments:
    """The arguments of a call, by their snake-case names; each getter raises CallError."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def raw(self, name: str) -> Any:
        """Return a value as it came; None if it is not there."""
        return self._values.get(name)

    def text(self, name: str) -> str | None:
        """Return a text; None if it is not there, or null."""
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        raise CallError(f"{name} must be a text")

    def flag(self, name: str) -> bool | None:
        """Return true or false; None if it is not there. Old clients write 1 and 0."""
        value = self._values.get(name)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float) and value in {0, 1}:
            return bool(value)
        raise CallError(f"{name} must be true or false")

    def whole(self, name: str, *, least: int = 0, most: int = MAX_INTEGER) -> int | None:
        """Return a whole number; None if it is not there. `5.0` is one."""
        value = self.number(name, least=least, most=most)
        if value is None:
            return None
        if int(value) != value:
            raise CallError(f"{name} must be a whole number")
        return int(value)

    def number(self, name: str, *, least: float = 0, most: float = MAX_INTEGER) -> float | None:
        """Return a number; None if it is not there."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise CallError(f"{name} must be a number")
        if not least <= value <= most:
            raise CallError(f"{name} must be from {least} to {most}")
        return value

    def listed(self, name: str) -> list[Any] | None:
        """Return a list; None if it is not there, or null."""
        value = self._values.get(name)
        if value is None or isinstance(value, list):
            return value
        raise CallError(f"{name} must be a list")

    def texts(self, name: str, *, most: int) -> tuple[str, ...] | None:
        """Return a list of at most `most` texts; None if it is not there, or null."""
        values = self.listed(name)
        if values is None:
            return None
        if len(values) > most:
            raise CallError(f"{name} has more than {most} entries")
        if not all(isinstance(value, str) for value in values):
            raise CallError(f"{name} must be a list of texts")
        return tuple(values)


def one_line(error: Exception) -> str:
    """Return what went wrong as one line for a person."""
    return shown(str(error), 4 * SHOWN_LENGTH)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond any float: the limits say so
        return True
