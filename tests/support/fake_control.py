"""A node as its API shows it, without a node: what commands ask is noted, and answered in JSON.

It serves HTTP/1.1 over the Unix socket of a state folder, by h11, in a thread with a Trio of its
own. The torrents are as simple as the API allows.
"""

import json
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import h11
import trio

Answer = tuple[int, Any]


class Asked(NamedTuple):
    """One request."""

    method: str
    path: str
    """Below `/api/v1`, as it was sent."""
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


class Stream(NamedTuple):
    """An answer that goes on: the events to begin with, and whether it ends with them."""

    events: list[bytes]
    has_end: bool


def event_bytes(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def refusal(status: int, code: str, message: str, **more: object) -> Answer:
    return status, {"error": {"code": code, "message": message}, **more}


class FakeNode:
    """What the node knows. Tests change it before a command asks."""

    def __init__(self) -> None:
        self.session: dict[str, Any] = {
            "version": "1.2.3",
            "access": "full",
            "config_file": "/etc/peer.toml",
            "limits": {"upload_rate": None, "download_rate": 1024 * 1024},
            "alternative_limits": False,
            "schedulers": ["rarest-first", "round-robin"],
            "torrents": {},
        }
        self.torrents: list[dict[str, Any]] = []
        self.parts: dict[str, list[dict[str, Any]]] = {}
        self.busy = 0
        """Requests that it refuses first: it was asked too much in a second."""
        self.empty_looks = 0
        """Looks at decisions that find none yet: a node keeps them from the first look on."""
        """`files`, `peers`, `trackers`, `decisions` of each torrent."""
        self.changes: dict[str, Any] = {"changes": [], "errors": []}
        self.log: list[dict[str, Any]] = []
        self.answers: dict[tuple[str, str], Answer] = {}
        """Instead of the answers below, by method and path."""
        self.asked: list[Asked] = []
        self.token = ""
        self.port = 0
        self.has_stopped = False
        self.on_stop: Callable[[], object] = self._end
        self.listening = threading.Event()
        """Set when somebody has a stream open."""
        self._streams: list[trio.MemorySendChannel[bytes]] = []
        self._trio: trio.lowlevel.TrioToken | None = None

    def torrent(self, name: str, **facts: Any) -> dict[str, Any]:
        """Add a torrent."""
        number = len(self.torrents) + 1
        made = {"id": number, "name": name, "info_hash": f"{number:x}" * 40, "state": "seeding"}
        made |= {"size": 3 * 1024**2, "have": 3 * 1024**2} | facts
        self.torrents.append(made)
        return made

    def push(self, name: str, data: object) -> None:
        """Send an event to all who listen."""
        self.run_there(lambda: self._send(event_bytes(name, data)))

    def end_streams(self) -> None:
        """End the streams of events, as a node that ends does."""
        self.run_there(self._end)

    def told(self, method: str) -> list[Asked]:
        """Return the requests of a method."""
        return [each for each in self.asked if each.method == method]

    def _send(self, event: bytes) -> None:
        for stream in self._streams:
            stream.send_nowait(event)

    def _end(self) -> None:
        for stream in self._streams:
            stream.close()
        self._streams.clear()

    def answer(self, asked: Asked) -> Answer | Stream:
        """Return status and JSON."""
        if self.token and asked.headers.get("authorization") != f"Bearer {self.token}":
            return refusal(401, "unauthorized", "a token is needed")
        if self.busy > 0:
            self.busy -= 1
            return refusal(429, "too-many", "too many requests")
        given = self.answers.get((asked.method, asked.path))
        if given is not None:
            return given
        words = unquote(asked.path).strip("/").split("/")  # as Starlette does it
        if words[0] == "torrents" and len(words) > 1:
            return self._of_torrent(asked, words[1], words[2:])
        known: dict[tuple[str, str], Callable[[Asked], Answer | Stream]] = {
            ("GET", "session"): lambda _: (200, self.session),
            ("PATCH", "session"): self._change,
            ("GET", "events"): lambda _: Stream([b": hello\n\n"], has_end=False),
            ("GET", "log"): self._log,
            ("POST", "reload"): lambda _: (200, self.changes),
            ("POST", "stop"): self._stop,
            ("GET", "torrents"): self._list,
            ("POST", "torrents"): self._add,
        }
        found = known.get((asked.method, words[0]))
        return found(asked) if found else refusal(404, "unknown-path", "there is no such path")

    def _change(self, asked: Asked) -> Answer:
        self.session["limits"] |= asked.body
        return 200, self.session

    def _log(self, asked: Asked) -> Stream:
        lines = [event_bytes("logged", line) for line in self.log]
        return Stream(lines, has_end=asked.query.get("follow") == "false")

    def _stop(self, _asked: Asked) -> Answer:
        self.has_stopped = True
        self.on_stop()
        return 202, {}

    def _list(self, asked: Asked) -> Answer:
        state = asked.query.get("state")
        return 200, {"torrents": [each for each in self.torrents if state in {None, each["state"]}]}

    def _add(self, asked: Asked) -> Answer:
        what = asked.body.get("what") or asked.body.get("path") or "from metainfo"
        for each in self.torrents:
            if each["name"] == what:
                return refusal(409, "present", f"{what} is there", torrent=each)
        return 201, self.torrent(what, state="waiting", size=0, have=0)

    def _of_torrent(self, asked: Asked, name: str, rest: list[str]) -> Answer:
        found = [
            each
            for each in self.torrents
            if name in {str(each["id"]), each["name"]} or each["info_hash"].startswith(name)
        ] or [each for each in self.torrents if each["name"].startswith(name)]
        if not found:
            return refusal(404, "unknown-torrent", f"there is no torrent {name!r}")
        if len(found) > 1:
            return refusal(409, "ambiguous-torrent", "several are meant")
        return self._answer_of(asked, found[0], rest)

    def _answer_of(self, asked: Asked, one: dict[str, Any], rest: list[str]) -> Answer:
        if len(rest) > 1:
            return refusal(404, "unknown-path", "there is no such path")
        if asked.method == "POST":
            state = {"pause": "paused", "verify": "checking"}
            one["state"] = state.get(rest[0], "seeding")
            return 204, None
        if asked.method == "DELETE":
            self.torrents.remove(one)
            return 204, None
        if asked.method == "PATCH":
            limits = asked.body.get("limits", {})
            one["limits"] = one.get("limits", {}) | limits
            one |= {key: value for key, value in asked.body.items() if key != "limits"}
        if not rest:
            return 200, one
        since = float(asked.query.get("since", "0"))
        parts = [each for each in self.parts.get(rest[0], []) if each.get("number", 1) > since]
        if rest[0] == "decisions" and self.empty_looks > 0:
            self.empty_looks -= 1
            parts = []
        return 200, {rest[0]: parts}

    def begin(self) -> None:
        """Take note of the Trio that it runs in."""
        self._trio = trio.lowlevel.current_trio_token()

    def run_there(self, call: Callable[[], object]) -> None:
        """Call something in the thread of the node."""
        assert self._trio is not None  # it has begun
        self._trio.run_sync_soon(call)

    async def converse(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        async with stream:
            try:
                while connection.our_state is h11.IDLE:
                    asked = await _read(connection, stream)
                    if asked is None:
                        return
                    self.asked.append(asked)
                    given = self.answer(asked)
                    if isinstance(given, Stream):
                        await self._stream(connection, stream, given)
                    else:
                        await _write(connection, stream, *given)
                    connection.start_next_cycle()
            except (trio.BrokenResourceError, h11.ProtocolError):
                return

    async def _stream(
        self, connection: h11.Connection, stream: trio.SocketStream, given: Stream
    ) -> None:
        sender, receiver = trio.open_memory_channel[bytes](1000)
        if given.has_end:
            sender.close()
        else:
            self._streams.append(sender)
        # Who has the head may count on the next event.
        head = h11.Response(status_code=200, headers=[("content-type", "text/event-stream")])
        await stream.send_all(connection.send(head) or b"")
        for each in given.events:
            await stream.send_all(connection.send(h11.Data(data=each)) or b"")
        self.listening.set()
        async for each in receiver:
            await stream.send_all(connection.send(h11.Data(data=each)) or b"")
        await stream.send_all(connection.send(h11.EndOfMessage()) or b"")


async def _read(connection: h11.Connection, stream: trio.SocketStream) -> Asked | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some())
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            return None
    assert head is not None
    parts = urlsplit(head.target.decode())
    path = re.fullmatch(r"/api/v1(/.*)", parts.path)
    return Asked(
        method=head.method.decode(),
        path=path[1] if path else parts.path,
        query=dict(parse_qsl(parts.query)),
        body=json.loads(body) if body else None,
        headers={name.decode(): value.decode() for name, value in head.headers},
    )


async def _write(
    connection: h11.Connection, stream: trio.SocketStream, status: int, given: Any
) -> None:
    body = given if isinstance(given, bytes) else json.dumps(given).encode()
    body = b"" if given is None else body
    headers = [("content-type", "application/json")]
    headers += [] if status == 204 else [("content-length", str(len(body)))]
    sent = [h11.Response(status_code=status, headers=headers)]
    data = [connection.send(each) or b"" for each in sent]
    data += [connection.send(h11.Data(data=body)) or b""] if body else []
    data.append(connection.send(h11.EndOfMessage()) or b"")
    await stream.send_all(b"".join(data))


@contextmanager
def fake_node(state_folder: Path, *, on_tcp: bool = False) -> Iterator[FakeNode]:
    """A node that answers at the socket of a state folder, or at a port of 127.0.0.1 (`.port`)."""
    node = FakeNode()
    state_folder.mkdir(parents=True, exist_ok=True)
    begun: queue.SimpleQueue[trio.CancelScope] = queue.SimpleQueue()

    async def serve() -> None:
        sock = await _on_tcp() if on_tcp else await _in_folder(state_folder)
        node.port = sock.getsockname()[1] if on_tcp else 0
        node.begin()
        with trio.CancelScope() as scope:
            begun.put(scope)
            await trio.serve_listeners(node.converse, [trio.SocketListener(sock)])

    thread = threading.Thread(target=trio.run, args=(serve,), daemon=True)
    thread.start()
    scope = begun.get(timeout=60)
    try:
        yield node
    finally:
        node.run_there(scope.cancel)
        thread.join(60)


async def _on_tcp() -> trio.socket.SocketType:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    return listener.socket


async def _in_folder(folder: Path) -> trio.socket.SocketType:
    sock = trio.socket.socket(trio.socket.AF_UNIX)
    descriptor = os.open(folder, os.O_PATH)  # the folders of tests have long names
    try:
        await sock.bind(f"/proc/self/fd/{descriptor}/control.sock")
    finally:
        os.close(descriptor)
    sock.listen()
    return sock
