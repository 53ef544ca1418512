"""A client of a running node's API: over its Unix socket, or over HTTP with a token.

httpx takes 190 ms to import, so it is imported when the node is asked.
"""

import errno
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from trio_swarm.control import answers
from trio_swarm.control.event_stream import EventStreamReader, ServerEvent
from trio_swarm.errors import ConfigError, RemoteProtocolError, TrioSwarmError
from trio_swarm.foreign_text import error_words, shown

if TYPE_CHECKING:
    import ssl

    import httpx

SOCKET_NAME: Final = "control.sock"
"""In the state folder of the node."""
CONNECT_SECONDS: Final = 10.0
"""Until a connection to a node elsewhere is there."""
ANSWER_SECONDS: Final = 60.0
"""Without a byte of the answer: a node that hashes and serves thousands answers within a second."""
QUIET_SECONDS: Final = 60.0
"""Without a byte of a stream: a node sends a comment every 15 s where nothing happens."""
MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes: ten thousand torrents take a fifth of it."""
_LONGEST_SOCKET_PATH: Final = 107
"""Bytes that Linux takes (unix(7), sun_path)."""
_MAX_MESSAGE: Final = 2_000
"""Characters of a message of the node; one may list torrents to choose from."""
_MAX_TOKEN: Final = 4_096
_UCRED = struct.Struct("=iII")
"""Process, user and group of the other end of a Unix socket (unix(7), SO_PEERCRED)."""

_Answer = TypeVar("_Answer")


class ControlError(TrioSwarmError):
    """A node cannot be asked: none runs there, it may not be asked, or it does not answer."""


class ControlRefusedError(ControlError):
    """The node answered that it does not do it; `code` says why in one word.

    `torrent` is the one that is there already, where the code is `present`.
    """

    def __init__(self, message: str, *, code: str, torrent: answers.Torrent | None = None) -> None:
        super().__init__(shown(message, _MAX_MESSAGE))
        self.code = code
        self.torrent = torrent


class ControlWrongError(ControlRefusedError, ConfigError):
    """The node answered that something that was asked for is no value that there is."""


_WRONG: Final = frozenset({"unknown-parameter", "wrong-body", "wrong-parameter", "wrong-value"})
"""Codes of answers to what was wrong in itself, whatever the node does."""


CONNECTIONS: Final = 32
"""Connections of a client, which it keeps: half of what a node lets in at one door. A Unix socket
with too many that wait refuses further ones in a way that only shows when they are used."""
PAUSES: Final = (1.0, 2.0, 4.0)
"""Seconds to wait when a node says that it was asked too much in a second; it did nothing then."""
_TOO_MANY: Final = 429


class Door:
    """Where a node is asked: `socket` in its state folder, or `url` with a `token`."""

    def __init__(self, *, state_folder: Path | None = None, url: str = "", token: str = "") -> None:
        self.state_folder = state_folder
        self.url = url.rstrip("/")
        self.token = token

    @property
    def socket(self) -> Path | None:
        """The node's Unix socket; None for a URL."""
        return None if self.state_folder is None else self.state_folder / SOCKET_NAME

    def __str__(self) -> str:
        """Return its name in messages."""
        return self.url or str(self.socket)


def url_door(url: str, token_file: Path | None) -> Door:
    """Return the door at `url`; ConfigError for what is no URL or token. Blocking."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or brackets around no address
        is_good = False
    if not is_good or parts.query or parts.fragment or parts.username is not None:
        raise ConfigError(f"--url: expected http://HOST:PORT or https://HOST:PORT, got {url!r}")
    return Door(url=url, token="" if token_file is None else _token(token_file))


def _token(file: Path) -> str:
    from trio_swarm.named_paths import read_whole  # noqa: PLC0415 - seldom needed

    try:
        text = read_whole(file, _MAX_TOKEN).decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"--token-file: {file}: cannot be read: {reason}") from error
    if not text or len(text) >= _MAX_TOKEN or not text.isprintable() or " " in text:
        raise ConfigError(f"--token-file: {file}: holds no token, which is one word of ASCII")
    return text


class Client:
    """Asks one node; made by `open_client`. Every method raises `ControlError`.

    A torrent is named by its id, its name, its info-hash or a beginning of either that no other
    has.
    """

    def __init__(self, http: "httpx.AsyncClient", door: Door) -> None:
        self._http = http
        self._door = door

    async def session(self) -> answers.Session:
        """Return what the node tells of itself."""
        return await self._ask("GET", "/session", answers.Session)

    async def change_session(self, changes: Mapping[str, object]) -> answers.Session:
        """Change limits of the whole node."""
        return await self._ask("PATCH", "/session", answers.Session, json=changes)

    async def torrents(self, *, state: str = "", label: str = "") -> list[answers.Torrent]:
        """Return all torrents, or the ones in one state or with one label."""
        chosen = {key: value for key, value in (("state", state), ("label", label)) if value}
        found = await self._ask("GET", "/torrents", answers.Torrents, parameters=chosen)
        return found.torrents

    async def torrent(self, name: str) -> answers.Torrent:
        """Return one torrent."""
        return await self._ask("GET", _of(name), answers.Torrent)

    async def add(self, what: Mapping[str, object]) -> answers.Torrent:
        """Add a torrent; ControlRefusedError with the code `present` if it is there."""
        return await self._ask("POST", "/torrents", answers.Torrent, json=what)

    async def remove(self, name: str, *, delete_data: bool) -> None:
        """Take a torrent off the list; with `delete_data` its files go as well."""
        chosen = {"delete_data": "true"} if delete_data else {}
        await self._answer("DELETE", _of(name), parameters=chosen)

    async def change(self, name: str, changes: Mapping[str, object]) -> answers.Torrent:
        """Change limits, labels or the scheduler of a torrent."""
        return await self._ask("PATCH", _of(name), answers.Torrent, json=changes)

    async def tell(self, name: str, what: str, details: Mapping[str, object] | None = None) -> None:
        """Tell a torrent to `pause`, `resume`, `verify`, `reannounce`, `move` or `rename`."""
        # A move to another file system takes as long as it takes.
        patience = None if what == "move" else ANSWER_SECONDS
        await self._answer("POST", f"{_of(name)}/{what}", json=details, patience=patience)

    async def files(self, name: str) -> list[answers.File]:
        """Return the files of a torrent."""
        return (await self._ask("GET", f"{_of(name)}/files", answers.Files)).files

    async def peers(self, name: str) -> list[answers.Peer]:
        """Return the connected peers of a torrent."""
        return (await self._ask("GET", f"{_of(name)}/peers", answers.Peers)).peers

    async def trackers(self, name: str) -> list[answers.TrackerState]:
        """Return the trackers of a torrent, and what they said last."""
        return (await self._ask("GET", f"{_of(name)}/trackers", answers.Trackers)).trackers

    async def decisions(self, name: str, *, limit: int, since: int = 0) -> list[answers.Decision]:
        """Return the latest decisions of a download, oldest first, after the one numbered `since`.

        The first call begins to keep them.
        """
        chosen = {"limit": str(limit), "since": str(since)}
        path = f"{_of(name)}/decisions"
        return (await self._ask("GET", path, answers.Decisions, parameters=chosen)).decisions

    async def reload(self, *, dry_run: bool) -> answers.Reload:
        """Read the configuration file anew, or only tell what that would change."""
        chosen = {"dry_run": "true"} if dry_run else {}
        return await self._ask("POST", "/reload", answers.Reload, parameters=chosen)

    async def stop(self) -> None:
        """Tell the node to end; it answers before it does."""
        await self._answer("POST", "/stop")

    @asynccontextmanager
    async def events(self, only: str) -> AsyncIterator[AsyncIterator[ServerEvent]]:
        """Open the stream of the events that are called so; it ends when the node does."""
        async with self._stream("/events", {"only": only}) as events:
            yield events

    @asynccontextmanager
    async def log(self, *, follow: bool) -> AsyncIterator[AsyncIterator[ServerEvent]]:
        """Open the stream of log lines: the kept ones, and with `follow` those to come."""
        async with self._stream("/log", {} if follow else {"follow": "false"}) as events:
            yield events

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[_Answer],
        *,
        parameters: Mapping[str, str] | None = None,
        json: Mapping[str, object] | None = None,
    ) -> _Answer:
        body = await self._answer(method, path, parameters=parameters, json=json)
        return self._decoded(body, kind)

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        json: Mapping[str, object] | None = None,
        patience: float | None = ANSWER_SECONDS,
    ) -> bytes:
        content = b"" if json is None else msgspec.json.encode(json)
        headers = {} if json is None else {"Content-Type": "application/json"}
        import trio  # noqa: PLC0415 - `explain` of a recording needs none

        for seconds in (*PAUSES, 0):
            async with self._asked(
                method, path, parameters, content=content, headers=headers, patience=patience
            ) as response:
                body = await self._body(response)
            if response.status_code != _TOO_MANY or not seconds:
                break
            await trio.sleep(seconds)
        if response.is_error:
            raise self._refusal(response.status_code, body)
        return body

    @asynccontextmanager
    async def _stream(
        self, path: str, parameters: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[ServerEvent]]:
        headers = {"Accept": "text/event-stream"}
        async with self._asked(
            "GET", path, parameters, headers=headers, patience=QUIET_SECONDS
        ) as response:
            if response.is_error:
                raise self._refusal(response.status_code, await self._body(response))
            yield self._events(response)

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None,
        *,
        content: bytes = b"",
        headers: Mapping[str, str],
        patience: float | None,
    ) -> AsyncIterator["httpx.Response"]:
        import httpx  # noqa: PLC0415 - see above

        with self._translated():
            request = self._http.build_request(
                method,
                f"/api/v1{path}",
                params=parameters,
                content=content,
                headers=headers,
                timeout=httpx.Timeout(patience, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            )
            response = await self._http.send(request, stream=True)
        try:
            if response.is_redirect:
                raise self._no_node()
            yield response
        finally:
            await response.aclose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Make errors of the connection ControlErrors."""
        import httpx  # noqa: PLC0415 - see above

        try:
            yield
        except httpx.TimeoutException as error:
            raise ControlError(f"{self._door}: no answer; does the node hang?") from error
        except httpx.ConnectError as error:
            raise _unreachable(self._door, _system_error(error)) from error
        # RemoteProtocolError, ReadError: mostly a node that ended. ValueError (UnicodeError in it)
        # and InvalidURL: hosts that cannot be asked.
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise ControlError(f"{self._door}: the connection broke: {_why(error)}") from error

    async def _parts(self, response: "httpx.Response") -> AsyncIterator[bytes]:
        parts = response.aiter_bytes()
        while True:
            with self._translated():
                try:
                    part = await anext(parts)
                except StopAsyncIteration:
                    return
            yield part

    async def _body(self, response: "httpx.Response") -> bytes:
        import trio  # noqa: PLC0415 - `explain` of a recording needs none

        body = bytearray()
        with trio.CancelScope() as enough:
            async for part in self._parts(response):
                body += part
                if len(body) > MAX_ANSWER:
                    # Not `break`: only an exception at the socket closes all the generators that
                    # httpx has between it and us.
                    enough.cancel()
        if len(body) > MAX_ANSWER:
            raise ControlError(f"{self._door}: its answer is too long")
        return bytes(body)

    async def _events(self, response: "httpx.Response") -> AsyncIterator[ServerEvent]:
        reader = EventStreamReader()
        parts = self._parts(response)
        while True:
            try:
                part = await anext(parts)
            except StopAsyncIteration:
                return
            except ControlError as error:
                if self._has_ended(error.__cause__):
                    return
                raise
            try:
                events = list(reader.feed(part))
            except RemoteProtocolError as error:
                raise ControlError(f"{self._door}: {error}") from error
            for event in events:
                yield event

    def _has_ended(self, error: BaseException | None) -> bool:
        """Whether the node has ended: it closes its doors without a last word."""
        import httpx  # noqa: PLC0415 - see above

        is_here = self._door.state_folder is not None
        ends = (
            (httpx.RemoteProtocolError, httpx.ReadError) if is_here else httpx.RemoteProtocolError
        )
        return isinstance(error, ends)

    def decoded(self, event: ServerEvent, kind: type[_Answer]) -> _Answer:
        """Return what an event of a stream holds."""
        return self._decoded(event.data, kind)

    def _decoded(self, body: bytes, kind: type[_Answer]) -> _Answer:
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._no_node(f": {error_words(error)}") from error

    def _no_node(self, why: str = "") -> ControlError:
        return ControlError(f"{self._door}: this is no answer of a trio-swarm node{why}")

    def _refusal(self, status: int, body: bytes) -> ControlError:
        try:
            refusal = msgspec.json.decode(body, type=answers.Refusal)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._no_node(f" (HTTP status {status})")
        code, message = refusal.error.code, refusal.error.message
        match status:
            case 401:
                need = "is wrong" if self._door.token else "is needed: --token-file FILE"
                return ControlError(f"{self._door}: the token {need}")
            case 404 | 405 if code in {"unknown-path", "unknown-method"}:
                return ControlError(f"{self._door}: the node is older than this command")
        kind = ControlWrongError if code in _WRONG else ControlRefusedError
        return kind(message, code=code, torrent=refusal.torrent)


def _of(name: str) -> str:
    return f"/torrents/{quote(name, safe='')}"


@asynccontextmanager
async def open_client(door: Door) -> AsyncIterator[Client]:
    """Open a client of the node behind `door`, which is not asked yet.

    Raises ControlError if the socket of a node is not there.
    """
    import httpx  # noqa: PLC0415 - see above

    with ExitStack() as stack:
        headers = {"Authorization": f"Bearer {door.token}"} if door.token else {}
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        if door.state_folder is None:
            # No proxy is asked, whatever the environment says: it would read the token.
            verify = _certificates() if door.url.startswith("https:") else False
            transport = httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)
            base = door.url
        else:
            socket_path = _reachable(door, stack)
            transport = httpx.AsyncHTTPTransport(uds=socket_path, verify=False, limits=limits)
            base = "http://localhost"
        async with httpx.AsyncClient(
            transport=transport, base_url=base, headers=headers, trust_env=False
        ) as http:
            yield Client(http, door)


def _certificates() -> "ssl.SSLContext":
    from trio_swarm.announcing import http_environment  # noqa: PLC0415 - only for https

    found = http_environment.load_certificates()
    if found.fault:
        raise ControlError(found.fault)
    return found.context


def _reachable(door: Door, stack: ExitStack) -> str:
    """Return a path to the node's socket that is short enough for the system."""
    folder = door.state_folder
    assert folder is not None  # it is the door of a folder
    path = os.fspath(folder / SOCKET_NAME)
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreachable(door, error) from error
    stack.callback(os.close, descriptor)
    return f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"


def _system_error(error: BaseException) -> OSError | None:
    """Return the system's own error, from which a library made others."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.errno):
        cause = cause.__cause__ or cause.__context__
    return cause


_NOBODY: Final = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR})


def _unreachable(door: Door, error: OSError | None) -> ControlError:
    number = error.errno if error is not None else None
    if door.state_folder is None:
        reason = error.strerror if error is not None else "it is not reached"
        return ControlError(f"{door}: {reason}; is a node with `[control] listen` running there?")
    if number in _NOBODY:
        failure = ControlError(f"no node runs with the state folder {door.state_folder}")
        failure.add_note("begin one with `trio-swarm run FILE`, or name another: --state-folder")
        return failure
    if number in {errno.EACCES, errno.EPERM}:
        return ControlError(f"{door}: permission denied: the node is another user's")
    reason = error.strerror if error is not None else "it is not reached"
    return ControlError(f"{door}: {reason}")


def _why(error: BaseException) -> str:
    found = _system_error(error)
    return (found.strerror or str(found)) if found is not None else error_words(error)


def open_process(door: Door) -> int | None:
    """Return a descriptor that can be read once the process of the node has ended (pidfd).

    None where the system does not tell which process it is: elsewhere, in another container, on
    another system than Linux. Raises ControlError if no node runs there.
    """
    if door.state_folder is None:
        return None
    with ExitStack() as stack, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(_reachable(door, stack))
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            pid, _, _ = _UCRED.unpack(credentials)
            return os.pidfd_open(pid) if pid else None
        except (AttributeError, ProcessLookupError):
            return None
        except OSError as error:
            raise _unreachable(door, error) from error
