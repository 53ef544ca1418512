"""Serves the TCP listeners of a tracker: connections answered many at once, the slow in tasks.

Nearly all clients connect, ask, and are done. The system hands a connection over when its first
bytes are there (TCP_DEFER_ACCEPT). So the common way takes no task and no waiting: take what
waits, read, answer all, close. Only who is slow, or is to be kept, gets a task, of which there are
few in all and fewer for one host. Who finds no place for one is let go, and can ask again.
"""

import socket
from contextlib import suppress
from typing import Final, NoReturn

import trio

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.logs import logger_of
from trio_swarm.tracker.host_places import HostPlaces
from trio_swarm.tracker.http.answering import Asked, HttpTracker
from trio_swarm.tracker.http.answers import fault_answer, not_now_answer
from trio_swarm.tracker.http.connections import (
    ACCEPTED_AT_ONCE,
    accept_waiting,
    linger,
    receive,
    receive_waiting,
    send,
    send_last,
)
from trio_swarm.tracker.http.forwarded import TrustedProxies
from trio_swarm.tracker.http.heads import BadRequestError, NotHttpError, RequestHead, read_head
from trio_swarm.tracker.own_addresses import SocketAddress, packed_host
from trio_swarm.tracker.store.interface import TrackerStore

MAX_CONNECTIONS: Final = 512
"""Connections of strangers that are kept or waited for: half of the files that a process may have
open by default."""

MAX_PER_HOST: Final = 32
"""The same of one IPv4 address or IPv6 /64."""

MAX_PROXY_CONNECTIONS: Final = 256
"""Connections of trusted proxies that are kept or waited for, whatever their address."""

HEAD_SECONDS: Final = 10.0
"""From the first bytes of a request to the end of its head."""

IDLE_SECONDS: Final = 15.0
"""A kept connection waits so long for another request: a client of many torrents has it soon."""

PROXY_IDLE_SECONDS: Final = 75.0
"""The same for proxies: longer than nginx keeps its connections (60 s), so that it closes them."""

SEND_SECONDS: Final = 10.0
"""For an answer to leave."""

_ACCEPT_AGAIN: Final = 0.1
"""Seconds after which it is tried again to accept, when there were too many open files."""

_BATCHES: Final = 2
"""Answered before other tasks get their turn: 128 connections, about 3 ms."""

_ENDED_PER_WAKE_UP: Final = 2 * _BATCHES * ACCEPTED_AT_ONCE
"""As in `udp.server`."""

_BUSY: Final = "too many connections"

_logger = logger_of(__name__)


class _Arrival:
    """A connection that gets a task, and what it has sent that is not answered yet."""

    __slots__ = ("data", "host", "is_proxy", "socket", "source")

    def __init__(
        self,
        connection: socket.SocketType,
        source: SocketAddress,
        host: bytes,
        data: bytes,
        *,
        is_proxy: bool,
    ) -> None:
        self.socket = connection
        self.source = source
        self.host = host
        """Packed, of the other end."""
        self.data = data
        self.is_proxy = is_proxy


class HttpServer:
    """Answers what is asked at TCP listeners; `proxies` may say for whom they ask."""

    def __init__(
        self, tracker: HttpTracker, store: TrackerStore, *, proxies: TrustedProxies
    ) -> None:
        self._tracker = tracker
        self._store = store
        self._proxies = proxies
        self._has_proxies = bool(proxies)
        self._places = HostPlaces(MAX_CONNECTIONS, per_host=MAX_PER_HOST)
        self._proxy_places = HostPlaces(MAX_PROXY_CONNECTIONS, per_host=MAX_PROXY_CONNECTIONS)

    async def serve(self, listener: socket.socket) -> None:
        """Answer at a listening, non-blocking socket until cancelled."""
        async with trio.open_nursery() as nursery:
            await self._accept(listener, nursery)

    async def _accept(self, listener: socket.socket, nursery: trio.Nursery) -> NoReturn:
        is_refused = False
        while True:
            await trio.lowlevel.wait_readable(listener.fileno())
            now = trio.current_time()
            await self._store.end_leases(now, _ENDED_PER_WAKE_UP)
            fault: OSError | None = None
            for _ in range(_BATCHES):
                connections, fault = accept_waiting(listener)
                if connections:
                    await self._answer_all(connections, now, nursery)
                if len(connections) < ACCEPTED_AT_ONCE:
                    break
            if fault is not None:
                if not is_refused:
                    _logger.warning("no further HTTP connections for a moment: %s", fault)
                await trio.sleep(_ACCEPT_AGAIN)
            is_refused = fault is not None

    async def _answer_all(
        self,
        connections: list[tuple[socket.SocketType, SocketAddress]],
        now: float,
        nursery: trio.Nursery,
    ) -> None:
        """Answer connections that were just accepted; each is closed, or has a task, after that."""
        ready: list[socket.SocketType] = []
        asked: list[Asked] = []
        try:
            for connection, source in connections:
                request = self._read_first(connection, source, nursery)
                if request is not None:
                    ready.append(connection)
                    asked.append(request)
            answers = await self._tracker.answers(asked, now) if asked else []
        except BaseException:
            for connection, _ in connections:
                connection.close()
            raise
        for connection, request, answer in zip(ready, asked, answers, strict=True):
            try:
                sent = send_last(connection, answer)
            except OSError:
                connection.close()  # nobody is there to read it
                continue
            if answer and sent == len(answer):
                connection.close()
            else:
                self._answer_later(connection, request, answer[sent:], nursery)

    def _read_first(
        self, connection: socket.SocketType, source: SocketAddress, nursery: trio.Nursery
    ) -> Asked | None:
        """Return what a connection asks, if it is to be answered at once and closed."""
        try:
            data = receive_waiting(connection)
        except OSError:
            data = b""
        if data == b"":
            connection.close()
            return None
        host = packed_host(source)
        is_proxy = self._has_proxies and self._proxies.trusts(host)
        try:
            head = read_head(data or b"")
            request = None if head is None else self._asked(host, source, head, is_proxy=is_proxy)
        except NotHttpError:
            connection.close()
            return None
        except (BadRequestError, RemoteProtocolError):
            request = None  # a task says so: it may have to wait for the rest
        if request is not None and not request.keeps:
            return request
        arrival = _Arrival(connection, source, host, data or b"", is_proxy=is_proxy)
        if self._take_place(arrival):
            nursery.start_soon(self._talk, arrival)
            return None
        if request is None:
            connection.close()
            return None
        return request._replace(keeps=False)

    def _answer_later(
        self,
        connection: socket.SocketType,
        request: Asked,
        answer: bytes,
        nursery: trio.Nursery,
    ) -> None:
        """Answer in a task: what is left of an answer, or a page if there is none yet."""
        arrival = _Arrival(connection, request.source, request.host, b"", is_proxy=False)
        if self._take_place(arrival):
            nursery.start_soon(self._finish, arrival, request, answer)
            return
        if not answer:
            with suppress(OSError):
                send_last(
                    connection, not_now_answer(request.head, _BUSY, retry_after=1, keeps=False)
                )
        connection.close()

    async def _talk(self, arrival: _Arrival) -> None:
        """Serve a connection that has a place until it ends; it ends with its first error."""
        try:
            await self._serve_requests(arrival)
        except OSError:
            return  # whoever asked has gone
        finally:
            arrival.socket.close()
            self._leave_place(arrival)

    async def _serve_requests(self, arrival: _Arrival) -> None:
        """Answer one request after the other; raises OSError."""
        patience = HEAD_SECONDS
        while True:
            try:
                head = await self._next_head(arrival, patience)
                if head is None:
                    return
                request = self._asked(arrival.host, arrival.source, head, is_proxy=arrival.is_proxy)
            except NotHttpError:
                return
            except BadRequestError as fault:
                await self._refuse(arrival, fault)
                return
            except RemoteProtocolError as error:
                await self._refuse(arrival, BadRequestError(400, str(error)))
                return
            if not await self._serve(arrival, request, b"") or not head.keeps:
                return
            arrival.data = arrival.data[head.size :]
            patience = PROXY_IDLE_SECONDS if arrival.is_proxy else IDLE_SECONDS
            if arrival.data:
                # Who sends many requests at once lets others have their turn.
                await trio.lowlevel.checkpoint()

    async def _finish(self, arrival: _Arrival, request: Asked, answer: bytes) -> None:
        """Answer a request of a connection that has a place, and end it."""
        try:
            await self._serve(arrival, request, answer)
        except OSError:
            return  # whoever asked has gone
        finally:
            arrival.socket.close()
            self._leave_place(arrival)

    async def _serve(self, arrival: _Arrival, request: Asked, answer: bytes) -> bool:
        """Send an answer, made if there is none yet; return whether it left in time."""
        now = trio.current_time()
        if not answer:
            (answer,) = await self._tracker.answers([request], now)
        if not answer:
            answer = await self._tracker.page(request, now)
        return await send(arrival.socket, answer, trio.current_time() + SEND_SECONDS)

    async def _next_head(self, arrival: _Arrival, patience: float) -> RequestHead | None:
        """Return the next head that comes; None if none does.

        `patience`: seconds until its first bytes; raises as `read_head`, and OSError.
        """
        began = bool(arrival.data)
        deadline = trio.current_time() + (HEAD_SECONDS if began else patience)
        while (head := read_head(arrival.data)) is None:
            more = await receive(arrival.socket, deadline)
            if not more:
                return None
            if not began:
                began = True
                deadline = trio.current_time() + HEAD_SECONDS
            arrival.data += more
        return head

    async def _refuse(self, arrival: _Arrival, fault: BadRequestError) -> None:
        deadline = trio.current_time() + SEND_SECONDS
        if await send(arrival.socket, fault_answer(fault), deadline):
            await linger(arrival.socket)

    def _asked(
        self, host: bytes, source: SocketAddress, head: RequestHead, *, is_proxy: bool
    ) -> Asked:
        """Return a request and who asks; RemoteProtocolError if a proxy says that wrongly."""
        if not (is_proxy and head.forwarded):
            return Asked(head, host, source, head.keeps)
        host = self._proxies.asker(host, head.forwarded)
        if len(host) == 4:
            return Asked(head, host, (socket.inet_ntop(socket.AF_INET, host), 0), head.keeps)
        text = socket.inet_ntop(socket.AF_INET6, host)
        return Asked(head, host, (text, 0, 0, 0), head.keeps)

    def _places_of(self, arrival: _Arrival) -> HostPlaces:
        return self._proxy_places if arrival.is_proxy else self._places

    def _take_place(self, arrival: _Arrival) -> bool:
        return self._places_of(arrival).take(arrival.host)

    def _leave_place(self, arrival: _Arrival) -> None:
        self._places_of(arrival).leave(arrival.host)
