"""One connection of somebody who asks by HTTP: Hypercorn's Trio server, in bounds of our own.

Hypercorn parses and writes HTTP. What it leaves to its caller is here: how many connections there
are, that a request which trips it ends that connection only, that nobody holds a connection by not
reading, and that a body which nobody reads blocks nothing.
"""

from collections import deque
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from trio_swarm.control.asgi import App, Message, Receive, Scope, Send
from trio_swarm.control.listening import Door
from trio_swarm.errors import leaves_of
from trio_swarm.logs import logger_of

log = logger_of(__name__)

MAX_CONNECTIONS = 64
"""At one door. A browser keeps six, a remote one or two; each costs some 50 KiB."""

KEEP_ALIVE = 60.0
"""Seconds without a request until a connection ends: remotes ask every few seconds. It is also the
longest that the head of a request may take."""

MAX_HEAD = 32 * 1024
"""Bytes of a request's head."""

SEND_PATIENCE = 120.0
"""Seconds until somebody who takes nothing of an answer is left: a player may pause so long."""

BODY_PATIENCE = 30.0
"""Seconds until the next part of a body must have come."""

BODY_AHEAD = 256 * 1024
"""Bytes of a body that wait for whoever reads it."""


class Visitors:
    """The connections of one node's doors."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._config = _config()
        self._visits: dict[Door, list[_Visit]] = {}

    def welcome(self, stream: trio.SocketStream, door: Door, nursery: trio.Nursery) -> None:
        """Begin to serve a connection; where too many are open, one that is idle makes way."""
        visits = self._visits.setdefault(door, [])
        if len(visits) >= MAX_CONNECTIONS:
            idle = [each for each in visits if not each.is_busy]
            if not idle:
                log.warning(
                    "%s: %d connections are busy; one more is refused", door.name, len(visits)
                )
                stream.socket.close()
                return
            min(idle, key=lambda each: each.used_at).part()
        visit = _Visit(stream, door, self._app)
        visits.append(visit)
        nursery.start_soon(self._serve, visit, visits, name=f"control {door.name}")

    def part(self, door: Door) -> None:
        """Close every connection of a door at once."""
        for visit in self._visits.get(door, ()):
            visit.part()

    async def _serve(self, visit: "_Visit", visits: "list[_Visit]") -> None:
        try:
            await visit.serve(self._config)
        finally:
            visits.remove(visit)


def _config() -> Config:
    config = Config()
    config.errorlog = log
    config.accesslog = None
    config.include_server_header = False
    config.keep_alive_timeout = KEEP_ALIVE
    config.h11_max_incomplete_size = MAX_HEAD
    return config


class _Visit:
    """One connection. To Hypercorn it is the stream, and the application."""

    def __init__(self, stream: trio.SocketStream, door: Door, app: App) -> None:
        self._stream = stream
        self._door = door
        self._app = app
        self.socket = stream.socket
        self.is_busy = False
        """Whether a request is being answered."""
        self.used_at = trio.current_time()

    def part(self) -> None:
        """Close it at once."""
        self.socket.close()

    async def serve(self, config: Config) -> None:
        """Answer its requests until it ends."""
        try:
            await TCPServer(self.answer, config, WorkerContext(None), {}, self)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - Hypercorn's own faults have no list
            # Some malformed requests trip it, and it has no bounds of its own around a connection.
            found = "; ".join(f"{type(leaf).__name__}: {leaf}" for leaf in leaves_of(error))
            log.warning("%s: a connection ended by a fault: %s", self._door.name, found)
        finally:
            self.part()

    # --- what Hypercorn asks of a stream --------------------------------------------------------

    async def send_all(self, data: bytes) -> None:
        """Send, for a bounded time: Hypercorn shields it from being cancelled."""
        with trio.move_on_after(SEND_PATIENCE):
            await self._stream.send_all(data)
            return
        self.part()
        raise trio.BrokenResourceError("nothing is read at the other end")

    async def receive_some(self, max_bytes: int) -> bytes:
        """Receive some bytes."""
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_eof(self) -> None:
        """Tell that no more comes."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    # --- what it asks of an application ---------------------------------------------------------

    async def answer(
        self, scope: Any, receive: Receive, send: Send, _spawn: object, _call: object
    ) -> None:
        """Answer one request, as an ASGI application."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if not scope["http_version"].startswith("1."):
            await send({"type": "http.response.start", "status": 505, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        scope["state"]["is_local"] = self._door.is_local
        self.is_busy = True
        try:
            await _Exchange(receive, send).run(self._app, scope)
        finally:
            self.is_busy = False
            self.used_at = trio.current_time()


class _Exchange:
    """A request and its answer.

    Hypercorn hands over a body by a short queue, and the news that the answer is out or the client
    gone by the same queue: whoever reads no body would block it for ever. So it is always emptied
    here, and a client that goes cancels what answers it.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._waiting: deque[Message] = deque()
        self._ahead = 0
        self._changed = trio.Event()
        self._is_gone = False
        self._is_answering = False
        self._is_answered = False
        self._scope = trio.CancelScope()

    async def run(self, app: App, scope: Scope) -> None:
        """Answer a request by an application."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take_in)
            with self._scope:
                await app(scope, self._next, self._answer)
            if not self._is_answered:
                nursery.cancel_scope.cancel()

    async def _take_in(self) -> None:
        """Take in what comes, until Hypercorn tells the end."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                break
            self._waiting.append(message)
            self._ahead += len(message.get("body", b""))
            self._tell()
            while self._ahead > BODY_AHEAD and not self._is_answering:
                await self._changed.wait()
            if self._is_answering:
                self._forget()
        self._is_gone = True
        self._tell()
        if not self._is_answered:
            self._scope.cancel()

    async def _next(self) -> Message:
        with trio.move_on_after(BODY_PATIENCE):
            while not self._waiting and not self._is_gone:
                await self._changed.wait()
        if not self._waiting:
            return {"type": "http.disconnect"}
        message = self._waiting.popleft()
        self._ahead -= len(message.get("body", b""))
        self._tell()
        return message

    async def _answer(self, message: Message) -> None:
        if not self._is_answering:
            self._is_answering = True
            self._forget()
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_answered = True
        await self._send(message)

    def _forget(self) -> None:
        """Drop what nobody reads any more."""
        self._waiting.clear()
        self._ahead = 0
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
