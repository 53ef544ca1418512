"""Questions to UDP trackers: BEP 15, with names.

BEP 15 lets a try wait 15, 30, 60 ... seconds. A swarm on a LAN wants to know sooner that a tracker
is gone, so tries wait 2, 4, 8 and 16 seconds by default; that still waits half a minute in all for
a slow one. A try that the network refuses (ICMP) ends at once.
"""

import ipaddress
import math
import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

import trio
from msgspec import Struct

from trio_swarm.announcing.lookups import Lookups, SocketAddress, family_of
from trio_swarm.announcing.racing import all_answers, first_answer
from trio_swarm.announcing.udp_socket import TrackerSocket
from trio_swarm.errors import (
    RemoteProtocolError,
    TrackerRefusedError,
    TrackerUnreachableError,
)
from trio_swarm.protocol.trackers.announces import NO_NAMES
from trio_swarm.protocol.trackers.udp import (
    Action,
    connect_request,
    is_bare_refusal,
    parse_answer_header,
    parse_connect_answer,
    parse_error_answer,
)
from trio_swarm.protocol.trackers.url_secrets import without_echo
from trio_swarm.protocol.trackers.urls import TrackerUrl, what_to_check

CONNECTION_LIFE = 60.0
"""Seconds a client may use a connection id (BEP 15, "UDP connections / spoofing")."""

MAX_CONNECTIONS = 256
"""Connection ids remembered: more trackers than a node talks to."""

UNANSWERED_NAMES = 2
"""Tries in which a tracker lets us connect and is silent about names, until it is taken for one
that knows none; opentracker is (0.0~git20210823)."""

T = TypeVar("T")


class Question(Struct, Generic[T], frozen=True):
    """A request, from `build(connection id, transaction id)`, and the parser of its answer.

    `parse(datagram, ipv6)` raises RemoteProtocolError for an answer that is none.
    """

    action: Action
    build: Callable[[bytes, int], bytes]
    parse: Callable[[bytes, bool], T]


class UdpTrackerClient:
    """Asks UDP trackers; remembers connection ids, and has one socket, per address.

    `first_timeout` is how many seconds the first of `tries` waits; each further one waits twice as
    long. `source_host`: the address to send from ("": the system chooses), because a tracker lists
    the address that an announce comes from (BEP 7, "Announcing"). `nursery` is for tasks that read.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        lookups: Lookups,
        *,
        first_timeout: float,
        tries: int,
        source_host: str,
    ) -> None:
        self._nursery = nursery
        self._lookups = lookups
        self._first_timeout = first_timeout
        self._tries = tries
        self._source_host = source_host
        self._connections: dict[SocketAddress, tuple[bytes, float]] = {}
        self._connecting: dict[SocketAddress, trio.Event] = {}
        self._sockets: dict[SocketAddress, TrackerSocket] = {}

    async def ask(
        self, url: str, tracker: TrackerUrl, question: Question[T], *, tries: int | None = None
    ) -> T:
        """Return the first answer of the tracker's addresses; each that is slow adds the next one.

        TrackerRefusedError: it answered with an error. TrackerUnreachableError: no address did.
        """
        return await self._ask_first(url, await self._find(url, tracker), question, tries)

    async def ask_each_family(
        self, url: str, tracker: TrackerUrl, question: Question[T], *, tries: int | None = None
    ) -> list[T]:
        """Return the answers over IPv4 and IPv6, as far as the tracker has them; at least one.

        An announce lists us under the address it comes from, so both have to be told (BEP 7).
        Raises as `ask`, if neither answers.
        """
        found = await self._find(url, tracker)
        if len(found) == 1:
            return [await self._ask_at(url, found[0], question, tries)]
        families = ([address for address in found if len(address) == length] for length in (2, 4))
        return await all_answers(
            [
                partial(self._ask_first, url, addresses, question, tries)
                for addresses in families
                if addresses
            ]
        )

    async def greet(self, url: str, tracker: TrackerUrl) -> None:
        """Get the connection ids that the first questions need, one try at one address a family.

        Raises TrackerUnreachableError if it has no address; other failures are told who asks it.
        """
        found = await self._find(url, tracker)
        first = {len(address): address for address in reversed(found)}
        async with trio.open_nursery() as nursery:
            for address in first.values():
                nursery.start_soon(self._greet, url, address)

    async def _greet(self, url: str, address: SocketAddress) -> None:
        with (
            suppress(OSError, RemoteProtocolError, TrackerRefusedError),
            trio.move_on_after(self._first_timeout),
        ):
            await self._connect(url, address, self._socket_to(address))

    def ask_soon(
        self,
        url: str,
        tracker: TrackerUrl,
        question: Question[T],
        answered: Callable[[T], None],
        failed: Callable[[], None],
    ) -> Callable[[], None] | None:
        """Ask once, without waiting, a tracker that has let us connect; a task would cost more.

        None: it cannot be asked so, because it must be found or connected to, or has several
        addresses. Else a function that forgets the question. `answered` gets its answer; `failed`
        is called for any other, and `ask` tells what is wrong then. If neither is called, the
        answer has not come.
        """
        addresses = self._in_reach(self._lookups.known(tracker, socket.SOCK_DGRAM))
        if len(addresses) != 1:
            return None
        (address,) = addresses
        line, connection_id = self._sockets.get(address), self._known(address)
        if line is None or not line.is_open or connection_id is None:
            return None

        def take(datagram: bytes, error: OSError | None) -> None:
            try:
                if error is not None:
                    raise error
                answer = _answer_in(url, line, datagram, question)
            except (RemoteProtocolError, TrackerRefusedError, OSError):
                # If it is a tracker that was restarted, it knows none of its old ids.
                self._forget(address, connection_id)
                failed()
            else:
                answered(answer)

        transaction_id = secrets.randbits(32)
        try:
            line.ask_soon(transaction_id, question.build(connection_id, transaction_id), take)
        except OSError:
            return None
        return partial(line.forget, transaction_id)

    async def _find(self, url: str, tracker: TrackerUrl) -> list[SocketAddress]:
        """Return the tracker's addresses, if possible only those in reach of `source_host`."""
        return self._in_reach(await self._lookups.find(url, tracker, socket.SOCK_DGRAM))

    def _in_reach(self, addresses: list[SocketAddress]) -> list[SocketAddress]:
        if self._source_host:
            length = 4 if ":" in self._source_host else 2
            return [address for address in addresses if len(address) == length] or addresses
        return addresses

    def _forget(self, address: SocketAddress, connection_id: bytes) -> None:
        """Connect anew before the next question, unless another one has done so meanwhile."""
        if self._known(address) == connection_id:
            self._connections.pop(address, None)

    async def _ask_first(
        self,
        url: str,
        addresses: Sequence[SocketAddress],
        question: Question[T],
        tries: int | None,
    ) -> T:
        if len(addresses) == 1:
            return await self._ask_at(url, addresses[0], question, tries)
        return await first_answer(
            [partial(self._ask_at, url, address, question, tries) for address in addresses]
        )

    async def _ask_at(
        self, url: str, address: SocketAddress, question: Question[T], tries: int | None
    ) -> T:
        tries = tries or self._tries
        reason = "not asked"
        unanswered = 0
        for number in range(tries):
            try:
                # `trio.fail_after` does it in twice the time.
                with trio.move_on_after(self._first_timeout * 2**number):
                    return await self._try(url, address, question)
                reason = _silence(self._first_timeout * (2 ** (number + 1) - 1))
                unanswered += question.action == Action.NAME and address in self._connections
                if unanswered >= UNANSWERED_NAMES:
                    raise TrackerRefusedError(NO_NAMES, tracker=url)
            except RemoteProtocolError as error:
                reason = f"bad answer: {error}"
            except OSError as error:
                self._connections.pop(address, None)
                raise TrackerUnreachableError(_network_fault(error), tracker=url) from error
            # It may be another tracker by now, to which the id means nothing.
            self._connections.pop(address, None)
        raise TrackerUnreachableError(reason, tracker=url)

    async def _try(self, url: str, address: SocketAddress, question: Question[T]) -> T:
        line = self._socket_to(address)
        connection_id = self._known(address)
        if connection_id is not None:
            try:
                return await _exchange(url, line, connection_id, question)
            except TrackerRefusedError:
                # A tracker that was restarted knows none of its old ids: ask with a new one.
                self._forget(address, connection_id)
        return await _exchange(url, line, await self._connect(url, address, line), question)

    def _socket_to(self, address: SocketAddress) -> TrackerSocket:
        """Return the socket for one address; a new one if there is none."""
        line = self._sockets.get(address)
        if line is not None and line.is_open:
            return line
        udp = socket.socket(family_of(address), socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)  # noqa: FBT003 - the standard library's signature
            if self._can_send_from_source(address):
                udp.bind((self._source_host, 0))
            udp.connect(address)
        except BaseException:
            udp.close()
            raise
        line = self._sockets[address] = TrackerSocket(udp)
        self._nursery.start_soon(self._read, address, line, name="hear a tracker")
        return line

    async def _read(self, address: SocketAddress, line: TrackerSocket) -> None:
        try:
            await line.read()
        finally:
            if self._sockets.get(address) is line:
                del self._sockets[address]

    def close(self) -> None:
        """Close the sockets; nobody may ask any more."""
        for line in self._sockets.values():
            line.close()

    def _known(self, address: SocketAddress) -> bytes | None:
        """Return the connection id for an address; None if there is none that it would take."""
        connection_id, expires = self._connections.get(address, (b"", -math.inf))
        return connection_id if trio.current_time() < expires else None

    async def _connect(self, url: str, address: SocketAddress, line: TrackerSocket) -> bytes:
        """Return a connection id; of many that want one, one asks."""
        while (asked := self._connecting.get(address)) is not None:
            await asked.wait()
            connection_id = self._known(address)
            if connection_id is not None:
                return connection_id
        asked = self._connecting[address] = trio.Event()
        try:
            connection_id = await _exchange(url, line, b"", _CONNECT)
            self._remember(address, connection_id)
        finally:
            del self._connecting[address]
            asked.set()
        return connection_id

    def _can_send_from_source(self, address: SocketAddress) -> bool:
        """Whether binding to `source_host` can work: from loopback, only loopback is in reach."""
        if not self._source_host or (":" in self._source_host) != (len(address) == 4):
            return False
        source, target = (
            ipaddress.ip_address(host.partition("%")[0]).is_loopback
            for host in (self._source_host, address[0])
        )
        return target or not source

    def _remember(self, address: SocketAddress, connection_id: bytes) -> None:
        now = trio.current_time()
        if len(self._connections) >= MAX_CONNECTIONS:
            oldest = min(self._connections, key=lambda known: self._connections[known][1])
            del self._connections[oldest]
        self._connections[address] = (connection_id, now + CONNECTION_LIFE)


_CONNECT: Question[bytes] = Question(
    Action.CONNECT,
    lambda _connection_id, transaction_id: connect_request(transaction_id),
    lambda datagram, _ipv6: parse_connect_answer(datagram),
)


async def _exchange(
    url: str, line: TrackerSocket, connection_id: bytes, question: Question[T]
) -> T:
    transaction_id = secrets.randbits(32)
    datagram = await line.ask(transaction_id, question.build(connection_id, transaction_id))
    return _answer_in(url, line, datagram, question)


def _answer_in(url: str, line: TrackerSocket, datagram: bytes, question: Question[T]) -> T:
    """Return the answer in a datagram; raises TrackerRefusedError, RemoteProtocolError."""
    action, _ = parse_answer_header(datagram)
    if action == Action.ERROR:
        raise TrackerRefusedError(without_echo(parse_error_answer(datagram), url), tracker=url)
    if is_bare_refusal(datagram) and question.action == Action.ANNOUNCE:
        # opentracker (0.0~git20210823) does not say why: the info-hash is not on its list.
        raise TrackerRefusedError("refused, without saying why", tracker=url)
    if action != question.action and question.action == Action.NAME:
        raise TrackerRefusedError(NO_NAMES, tracker=url)
    if action != question.action:
        raise RemoteProtocolError(f"action {action} answers action {int(question.action)}")
    return question.parse(datagram, line.is_ipv6)


def _silence(seconds: float) -> str:
    return f"no answer in {seconds:g} seconds; {what_to_check('udp')}"


def _network_fault(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{reason}; is this its port?" if isinstance(error, ConnectionRefusedError) else reason
