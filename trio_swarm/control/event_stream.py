"""A stream of events over HTTP, read as it comes (HTML standard, "Server-sent events")."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from trio_swarm.errors import RemoteProtocolError

MAX_EVENT: Final = 64 * 1024 * 1024
"""Bytes of one event: all torrents of a node with ten thousand of them are a fifth."""


class ServerEvent(NamedTuple):
    """One event of the stream."""

    name: str
    data: bytes


class EventStreamReader:
    """Bytes in, events out. Ids and retry times are left out: a stream that broke is not resumed.

    Lines end with LF or CR LF, as ours do; a lone CR, which the standard knows as well, ends none.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, received: bytes) -> Iterator[ServerEvent]:
        """Yield the events that `received` completes; RemoteProtocolError for one too long."""
        searched = len(self._rest)
        self._rest += received
        while (end := self._rest.find(b"\n", searched)) >= 0:
            line = bytes(self._rest[:end]).removesuffix(b"\r")
            del self._rest[: end + 1]
            searched = 0
            yield from self._take(line)
        if self._size + len(self._rest) > MAX_EVENT:
            raise RemoteProtocolError("an event of its stream is too long")

    def _take(self, line: bytes) -> Iterator[ServerEvent]:
        if not line:
            if self._data:  # the standard drops an event without data
                yield ServerEvent(self._name or "message", b"\n".join(self._data))
            self._name, self._data, self._size = "", [], 0
            return
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if key == b"event":
            self._name = value.decode(errors="replace")
        elif key == b"data":
            self._data.append(value)
            self._size += len(value) + 1
