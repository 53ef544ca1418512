"""Answers that go on: events as they happen, torrents as they change, log lines as they come.

Server-sent events (WHATWG HTML, 9.2): `event:` is the name, `data:` one JSON object. A comment
every 15 s where nothing happens, so that both ends notice when the other is gone.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NoReturn

import trio
from msgspec.structs import asdict
from starlette.responses import StreamingResponse

from trio_swarm.control.api.changes import Changes
from trio_swarm.control.api.table import Asked, Operation, Parameter
from trio_swarm.control.asgi import Receive, Scope, Send
from trio_swarm.control.context import ControlContext
from trio_swarm.control.logged_lines import Line, LoggedLines
from trio_swarm.control.problems import RequestError, encoded
from trio_swarm.control.shapes import LogLine
from trio_swarm.events import KINDS, name_of
from trio_swarm.service.service import Service

MAX_STREAMS = 16
"""Streams at once, of 64 connections: one for each page, and one for each log that is followed."""

CHANGES_SECONDS = 1.0
QUIET_SECONDS = 15.0
"""Seconds until a comment."""

MEDIA_TYPE = "text/event-stream"

CHANGES: Final = "torrents"
"""The event that tells which torrents have changed."""
EVENTS: Final = frozenset({CHANGES, *map(name_of, KINDS)})
"""The names of all events."""

_COMMENT = b": still here\n\n"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""The latter: nginx before us is to pass on each event at once."""


def event_bytes(name: str, data: object) -> bytes:
    """Return one event; JSON has no line breaks."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encoded(data))


class Channel:
    """Where events are written to; several tasks may."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lock = trio.Lock()
        self._wrote_at = trio.current_time()

    async def write(self, data: bytes) -> None:
        """Send some bytes, and wait until the system has them."""
        async with self._lock:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            self._wrote_at = trio.current_time()

    async def comment(self) -> NoReturn:
        """Say something wherever nothing was said for a while."""
        while True:
            await trio.sleep_until(self._wrote_at + QUIET_SECONDS)
            if trio.current_time() >= self._wrote_at + QUIET_SECONDS:
                await self.write(_COMMENT)


class EventStream(StreamingResponse):
    """An answer that `tell` writes, until it returns or the client has gone."""

    def __init__(self, context: ControlContext, tell: Callable[[Channel], Awaitable[None]]) -> None:
        super().__init__((), 200, _HEADERS, MEDIA_TYPE)
        self._context = context
        self._tell = tell
        if context.streams >= MAX_STREAMS:
            raise RequestError(503, "too-many", f"{MAX_STREAMS} streams are open already")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; whoever closes the connection cancels this."""
        del receive
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            self._context.streams += 1
            try:
                await self._stream(Channel(send))
            finally:
                self._context.streams -= 1
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(self, channel: Channel) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(channel.comment)
            await self._tell(channel)
            nursery.cancel_scope.cancel()


async def events(asked: Asked) -> EventStream:
    """Return the stream of events."""
    service = await asked.context.open()
    only = _chosen(asked.query["only"])

    async def tell(channel: Channel) -> None:
        subscription = service.entries.subscribe(only)
        try:
            async with trio.open_nursery() as nursery:
                if only is None or CHANGES in only:
                    nursery.start_soon(_tell_changes, service, channel)
                async for event in subscription:
                    await channel.write(event_bytes(event.name, asdict(event)))
        finally:
            subscription.close()

    return EventStream(asked.context, tell)


def _chosen(text: str | None) -> frozenset[str] | None:
    """Return the names of the events that are wanted; None: all. 400 for a name that none has."""
    if text is None:
        return None
    only = frozenset(each.strip() for each in text.split(","))
    if unknown := only - EVENTS:
        message = f"only: no event is called {min(unknown)!r:.100}"
        raise RequestError(400, "wrong-parameter", message)
    return only


async def _tell_changes(service: Service, channel: Channel) -> NoReturn:
    changes = await Changes.since_now(service)
    while True:
        await trio.sleep(CHANGES_SECONDS)
        found = await changes.look()
        if found is not None:
            await channel.write(event_bytes(CHANGES, found))


async def log(asked: Asked) -> EventStream:
    """Return the latest log lines, and those that come."""
    await trio.lowlevel.checkpoint()
    lines = asked.context.lines
    assert lines is not None  # a door is open
    follow = asked.query["follow"]

    async def tell(channel: Channel) -> None:
        await _tell_log(lines, channel, follow=follow)

    return EventStream(asked.context, tell)


async def _tell_log(lines: LoggedLines, channel: Channel, *, follow: bool) -> None:
    follower = lines.follow()  # before what is kept is read: no line is missed
    try:
        kept = list(lines.kept)
        await channel.write(_logged(kept) or _COMMENT)
        if not follow:
            return
        told = set(kept[-100:])
        while True:
            line = await follower.receive()
            if line not in told:
                await channel.write(_logged([line]))
    finally:
        follower.close()


def _logged(lines: Iterable[Line]) -> bytes:
    return b"".join(event_bytes("logged", LogLine(**line._asdict())) for line in lines)


OPERATIONS = (
    Operation(
        method="GET",
        path="/events",
        words="What happens, as it happens: server-sent events, those of --json, and `torrents`"
        " each second for what changed.",
        query=(
            Parameter(
                name="only",
                words="Only the events of these names, parted by commas: a download"
                " has one for each piece.",
            ),
        ),
        answer=events,
        gives=None,
        kind=MEDIA_TYPE,
        errors={503: "Too many streams are open."},
    ),
    Operation(
        method="GET",
        path="/log",
        words="The latest log lines, and those that come: server-sent events `logged`.",
        query=(
            Parameter(
                name="follow", kind=bool, default=True, words="False: only the latest lines."
            ),
        ),
        answer=log,
        gives=None,
        kind=MEDIA_TYPE,
        errors={503: "Too many streams are open."},
    ),
)
