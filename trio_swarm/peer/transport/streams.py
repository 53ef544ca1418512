"""Byte streams to peers: what a connection asks of one, and a plain socket with sendfile.

The connection knows only `PeerStream`. Encryption (MSE) and uTP would be further classes here.
"""

import contextlib
import math
import os
import socket
import sys
from collections.abc import Sequence
from typing import Protocol

import trio

from trio_swarm.announcing import lookups
from trio_swarm.announcing.lookups import LOOKUP_TIMEOUT
from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.peer.transport import send_buffers, tcp_info
from trio_swarm.protocol.addresses import Address

MAX_LOOKUPS = 8
"""Names of peers looked up at once, hung lookups included. Few peers have names."""

_lookups: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("names of peers")

MAX_PARTS = 512
"""Pieces of memory a call sends; the system takes 1,024."""

FAR = 0.032
"""Seconds of a round trip from which on a full send buffer is filled up without being told: nearer
ones carry 1,000 Mbit/s without."""

REFILL_PART = 1 / 32
"""Part of a round trip between two looks at it."""

DRAIN_PART = 1 / 8
"""The same while enough waits to be sent: TCP sends that within a part of a round trip (it paces a
window evenly), and says nothing of it before a third of the buffer is free."""

SENDFILE_CHUNK = 1024 * 1024
"""Bytes per sendfile call: one call cannot hold up the other tasks for long on a cold file."""


class PeerStream(Protocol):
    """What a connection needs of its transport. Errors are OSError or trio.BrokenResourceError."""

    remote: Address

    async def receive_into(self, buffers: Sequence[memoryview]) -> int:
        """Fill `buffers` from the first on; return the byte count, 0 at the end of the stream."""
        ...

    def try_receive_into(self, buffers: Sequence[memoryview]) -> int | None:
        """Do the same without waiting; None: there is nothing now."""
        ...

    async def send_all(self, data: bytes | memoryview, *, more: bool = False) -> None:
        """Send all of `data`; `more` says that further bytes follow at once."""
        ...

    async def send_parts(self, parts: list[bytes | memoryview]) -> None:
        """Send all of several pieces of memory, none empty; the list is used up."""
        ...

    @property
    def can_send_files(self) -> bool:
        """Whether `try_send_file` works; if not, the caller reads the bytes and sends those."""
        ...

    def try_send_file(self, fd: int, offset: int, count: int) -> int:
        """Send up to `count` bytes of a file without waiting; 0: the stream takes none now."""
        ...

    async def wait_writable(self) -> None:
        """Wait until the stream takes bytes again."""
        ...

    def limit_unsent(self, length: int) -> None:
        """Take no further bytes while `length` are waiting to be sent, if that can be had."""
        ...

    def pace(self, rate: float | None) -> None:
        """Send at most `rate` bytes/s, evenly, if that can be had; None: without a limit."""
        ...

    def link_state(self) -> LinkState | None:
        """Return what the transport knows of the link now; None if it knows nothing."""
        ...

    def close(self) -> None:
        """Close at once; idempotent."""
        ...


class SocketStream:
    """A TCP socket: receives into the caller's buffer, sends files without copying them."""

    def __init__(self, sock: socket.socket, remote: Address) -> None:
        sock.settimeout(0.0)  # non-blocking
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tcp_info.pace(sock, None)
        self._socket = sock
        self._is_closed = False
        self._most_unsent = sys.maxsize
        self._acknowledged = 0
        self._buffer_limited = 0.0
        self._is_far = True
        """As far as is known."""
        self.remote = remote

    @classmethod
    def from_trio(cls, sock: trio.socket.SocketType) -> "SocketStream":
        """Take over a connected Trio socket; it is detached and must not be used any more."""
        family, kind, proto = sock.family, sock.type, sock.proto
        remote = sock.getpeername()
        raw = socket.socket(family, kind, proto, fileno=sock.detach())
        return cls(raw, plain_address(remote))

    async def receive_into(self, buffers: Sequence[memoryview]) -> int:
        """Fill `buffers` from the first on; return the byte count, 0 at the end of the stream."""
        # Waiting first: who calls has most likely just emptied the socket, and one turn of the
        # event loop is enough even if there is something.
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            count = self.try_receive_into(buffers)
            if count is not None:
                return count

    def try_receive_into(self, buffers: Sequence[memoryview]) -> int | None:
        """Do the same without waiting; None: there is nothing now."""
        try:
            if len(buffers) == 1:
                return self._socket.recv_into(buffers[0])
            return self._socket.recvmsg_into(buffers)[0]
        except (BlockingIOError, InterruptedError):
            return None

    async def send_all(self, data: bytes | memoryview, *, more: bool = False) -> None:
        """Send all of `data`; with `more` the kernel may wait to fill a segment."""
        flags = socket.MSG_MORE if more and hasattr(socket, "MSG_MORE") else 0
        rest = memoryview(data)
        while rest:
            try:
                sent = self._socket.send(rest, flags)
            except (BlockingIOError, InterruptedError):
                await self.wait_writable()
                continue
            rest = rest[sent:]

    async def send_parts(self, parts: list[bytes | memoryview]) -> None:
        """Send all of several pieces of memory, none empty; the list is used up."""
        while parts:
            try:
                sent = self._socket.sendmsg(parts[:MAX_PARTS])
            except (BlockingIOError, InterruptedError):
                await self.wait_writable()
                continue
            whole = 0
            while whole < len(parts) and sent >= len(parts[whole]):
                sent -= len(parts[whole])
                whole += 1
            del parts[:whole]
            if sent:
                parts[0] = memoryview(parts[0])[sent:]

    @property
    def can_send_files(self) -> bool:
        """True: the kernel copies from the page cache to the socket."""
        return True

    def try_send_file(self, fd: int, offset: int, count: int) -> int:
        """Send up to `count` bytes by sendfile: no byte of the file enters Python."""
        try:
            sent = os.sendfile(self._socket.fileno(), fd, offset, min(count, SENDFILE_CHUNK))
        except (BlockingIOError, InterruptedError):
            return 0
        if sent == 0:
            raise TruncatedFileError
        return sent

    async def wait_writable(self) -> None:
        """Wait until the socket's buffer has room, or may have."""
        # To ask for the state each time costs a near link some percent of a seeder's time.
        state = self.link_state() if self._is_far else None
        if state is None:
            await trio.lowlevel.wait_writable(self._socket)
            return
        # A link on which nothing moves is not asked again and again.
        moves = state.acknowledged > self._acknowledged
        self._acknowledged = state.acknowledged
        self._is_far = not 0.0 < state.least_round_trip < FAR
        if self._is_far and state.buffer_limited > self._buffer_limited:
            self._buffer_limited = state.buffer_limited
            send_buffers.widen(self._socket, send_buffers.limits())
        with trio.move_on_after(refill_pause(state, self._most_unsent) if moves else math.inf):
            await trio.lowlevel.wait_writable(self._socket)

    def limit_unsent(self, length: int) -> None:
        """Have the kernel take no further bytes while `length` were not sent once yet.

        Without a limit it takes megabytes, and what is said later, a HAVE, waits behind them.
        """
        self._most_unsent = length
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, length)

    def pace(self, rate: float | None) -> None:
        """Have TCP send at most `rate` bytes/s; evenly, not in bursts, with a limit or without."""
        tcp_info.pace(self._socket, rate)

    def link_state(self) -> LinkState | None:
        """Return what TCP knows of the link; None if it is closed, or the system does not tell."""
        return None if self._is_closed else tcp_info.link_state(self._socket)

    def close(self) -> None:
        """Close at once; tasks that wait on the socket get ClosedResourceError."""
        if not self._is_closed:
            self._is_closed = True
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


def refill_pause(state: LinkState, most_unsent: int) -> float:
    """Return after how many seconds to try a full send buffer again, though nothing is told.

    Linux tells of room once a third of a buffer is free (`sk_stream_is_writeable`). A buffer holds
    all that is not acknowledged, and its size limits a long fat link (`send_buffers`); a sixth of
    it would lie idle. `most_unsent`: bytes that may wait to be sent. inf: there is no need.
    """
    if state.least_round_trip < FAR:
        return math.inf
    waits = state.unsent >= most_unsent * 3 // 4
    return state.least_round_trip * (DRAIN_PART if waits else REFILL_PART)


class TruncatedFileError(Exception):
    """A shared file ended before the bytes that were promised: it was cut while being served."""


def plain_address(sockaddr: tuple[object, ...]) -> Address:
    """Return (host, port) of a socket address; IPv4-mapped IPv6 becomes plain IPv4."""
    host, port = str(sockaddr[0]), int(str(sockaddr[1]))
    return host.removeprefix("::ffff:") if "." in host else host, port


async def connect(address: Address, patience: float, *, source_host: str = "") -> SocketStream:
    """Open a TCP connection to the IP address `address`, from `source_host` if that is given.

    `patience` is how many seconds that may take. Raises OSError (refused, unreachable) or
    trio.TooSlowError.
    """
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with trio.fail_after(patience):
        sock = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            if source_host and (":" in source_host) == (family == socket.AF_INET6):
                await sock.bind((source_host, 0))
            await sock.connect((host, port))
            return SocketStream.from_trio(sock)
        except ValueError as error:
            sock.close()
            raise OSError(f"not an address: {error}") from error
        except BaseException:
            sock.close()
            raise


async def look_up(address: Address) -> list[Address]:
    """Return the IP addresses of a host by name; raises OSError if it has none, or asked too often.

    A tracker can name thousands of hosts that no name server answers for: beyond MAX_LOOKUPS at
    once they fail, so that they keep no place of a peer that can be dialled.
    """
    host, port = address
    try:
        limiter = _lookups.get()
    except LookupError:
        limiter = trio.CapacityLimiter(MAX_LOOKUPS)
        _lookups.set(limiter)
    if limiter.available_tokens == 0:
        raise OSError("too many names of peers are being looked up")
    try:
        with trio.fail_after(LOOKUP_TIMEOUT):
            found = await lookups.look_up(host, port, socket.SOCK_STREAM, limiter)
    except trio.TooSlowError:
        raise OSError(f"no answer of a name server in {LOOKUP_TIMEOUT:g} seconds") from None
    except (ValueError, OverflowError) as error:
        raise OSError(f"not a host name: {error}") from error
    return list(dict.fromkeys((sockaddr[0], port) for sockaddr in found))
