"""A non-blocking UDP socket that takes and sends datagrams in batches.

On Linux a batch is one system call (recvmmsg(2), sendmmsg(2)). That saves a fifth of the kernel's
time for a short request and its answer. Elsewhere datagrams come and go one by one.
"""

import ctypes
import errno
import os
import socket
import sys
from array import array
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Protocol

from trio_swarm.protocol.trackers.udp import MAX_ANSWER
from trio_swarm.tracker.own_addresses import SocketAddress
from trio_swarm.tracker.udp.batch import (
    BATCH,
    MAX_DATAGRAM,
    DatagramBatch,
    PacketInfo,
)

_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared, not bound

# Errors of reading a UDP socket that the network causes, and no bug of ours.
_PASSING_ERRORS = frozenset(
    {
        errno.EAGAIN,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOBUFS,
        errno.ENOMEM,
    }
)


class DatagramSocket(Protocol):
    """A socket's datagrams, batch by batch."""

    batch: DatagramBatch
    """The datagrams of the latest `receive`."""

    def receive(self) -> int:
        """Fill the batch with datagrams that have come; return their number."""

    def send(self, answers: Sequence[bytes]) -> None:
        """Send answers to the senders of the batch, in its order; b"" is silence.

        A socket bound to all addresses answers from the one that was asked. An answer that cannot
        be sent (no route, a full buffer, an absurd port) is lost, as any datagram may be.
        """


def ask_for_destinations(unbound: socket.socket, host: str) -> None:
    """Have a socket that is about to be bound to all addresses tell where datagrams arrive.

    Where the system cannot tell, it chooses the address that answers come from.
    """
    if sys.platform == "linux" and host in _EVERYWHERE:
        info = PacketInfo(unbound.family)
        with suppress(OSError):
            unbound.setsockopt(info.level, info.option, 1)


def _tells_destinations(bound: socket.socket) -> bool:
    if sys.platform != "linux" or bound.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    info = PacketInfo(bound.family)
    try:
        return bound.getsockopt(info.level, info.option) != 0
    except OSError:
        return False


def open_batches(bound: socket.socket, libc: ctypes.CDLL | None = None) -> DatagramSocket:
    """Return the quickest way there is to use a bound, non-blocking UDP socket."""
    if sys.platform == "linux":
        libc = libc or ctypes.CDLL(None, use_errno=True)
        if _does_batches(libc, bound):
            return BatchedDatagrams(bound, libc)
    return SingleDatagrams(bound)


def send_datagram(
    bound: socket.socket, answer: bytes, address: SocketAddress, destination: bytes = b""
) -> None:
    """Send one datagram; if it cannot be sent it is lost, as any datagram may be.

    `destination`: the address to send from, where the question arrived (see DatagramBatch).
    """
    try:
        if destination:
            info = PacketInfo(bound.family)
            bound.sendmsg([answer], [(info.level, info.kind, destination)], 0, address)
        else:
            bound.sendto(answer, address)
    except OSError:
        return


class SingleDatagrams:
    """One system call for each datagram: works everywhere."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self.batch = DatagramBatch(bound.family)
        self._sources: list[SocketAddress] = []
        self._tells_destinations = _tells_destinations(bound)

    def receive(self) -> int:
        """As DatagramSocket."""
        lengths: list[int] = []
        self._sources.clear()
        for index in range(self.batch.capacity):
            try:
                data, source = self._take(index)
            except OSError as error:
                if error.errno not in _PASSING_ERRORS:
                    raise
                break
            self.batch.put(index, source, data)
            self._sources.append(source)
            lengths.append(len(data))
        self.batch.lengths = lengths
        return len(lengths)

    def send(self, answers: Sequence[bytes]) -> None:
        """As DatagramSocket."""
        for index, (answer, source) in enumerate(zip(answers, self._sources, strict=True)):
            if answer:
                destination = self.batch.destination(index) if self._tells_destinations else b""
                send_datagram(self._socket, answer, source, destination)

    def _take(self, index: int) -> tuple[bytes, SocketAddress]:
        """Return one datagram and its sender; note where it arrived."""
        if not self._tells_destinations:
            data, source = self._socket.recvfrom(MAX_DATAGRAM)
            return data, source
        info = self.batch.packet_info
        data, control, _, source = self._socket.recvmsg(MAX_DATAGRAM, info.space)
        arrived = [
            told for level, kind, told in control if (level, kind) == (info.level, info.kind)
        ]
        self.batch.put_destination(index, arrived[0] if arrived else b"")
        return data, source


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Head(ctypes.Structure):
    """struct mmsghdr: where a datagram goes, and how long it was."""

    _fields_ = (("message", _Message), ("length", ctypes.c_uint))


_LENGTH = _Head.length.offset // ctypes.sizeof(ctypes.c_uint)
_STRIDE = ctypes.sizeof(_Head) // ctypes.sizeof(ctypes.c_uint)
_WIDE_STRIDE = ctypes.sizeof(_Head) // ctypes.sizeof(ctypes.c_size_t)
_CONTROL_LENGTH = _Message.control_length.offset // ctypes.sizeof(ctypes.c_size_t)


class BatchedDatagrams:
    """One system call for a batch, by ctypes: Linux.

    All structures are made once and describe the same memory ever after: the slots for datagrams
    and their senders' addresses, and the answers, which go to the same addresses.
    """

    def __init__(self, bound: socket.socket, libc: ctypes.CDLL) -> None:
        self._number = bound.fileno()
        self._receive, self._send = libc.recvmmsg, libc.sendmmsg
        self.batch = batch = DatagramBatch(bound.family)
        start = _address_of(batch.memory)
        slots = [start + index * batch.slot_size for index in range(BATCH)]
        self._incoming_vectors = (_Vector * BATCH)(
            *(_Vector(slot + batch.address_size, MAX_DATAGRAM) for slot in slots)
        )
        info = batch.packet_info
        tells = _tells_destinations(bound)
        first_control = _address_of(batch.control) if tells else None
        self._incoming = _heads(
            slots, batch.address_size, self._incoming_vectors, first_control, info.space
        )
        self._lengths = memoryview(self._incoming).cast("B").cast("I")[_LENGTH::_STRIDE]
        answers = bytearray(BATCH * MAX_ANSWER)
        self._answers = memoryview(answers)
        self._answers_at = _address_of(answers)
        self._outgoing_vectors = (_Vector * BATCH)()
        self._outgoing = _heads(
            slots, batch.address_size, self._outgoing_vectors, first_control, info.space
        )
        self._outgoing_at = ctypes.addressof(self._outgoing)
        # unsigned long is as wide as a pointer and as size_t on every Linux.
        self._vectors = memoryview(self._outgoing_vectors).cast("B").cast("L")
        self._control_room = memoryview(array("L", [info.space] * BATCH)) if tells else None
        wide = slice(_CONTROL_LENGTH, None, _WIDE_STRIDE)
        self._control_in = memoryview(self._incoming).cast("B").cast("L")[wide]
        self._control_out = memoryview(self._outgoing).cast("B").cast("L")[wide]
        words = memoryview(batch.control).cast("I")
        self._interfaces = words[info.interface_at // 4 :: info.space // 4]
        self._no_interfaces = memoryview(array("I", [0] * BATCH))

    def receive(self) -> int:
        """As DatagramSocket."""
        count: int = self._receive(self._number, self._incoming, BATCH, 0, None)
        if count < 0:
            number = ctypes.get_errno()
            if number not in _PASSING_ERRORS:
                raise OSError(number, os.strerror(number))
            count = 0
        self.batch.lengths = self._lengths[:count].tolist()
        if self._control_room is not None:
            # Answers go by the same control messages, without the interface: the way back may be
            # another. A datagram without such a message (length 0) is answered without one.
            self._control_out[:] = self._control_in
            self._control_in[:] = self._control_room
            self._interfaces[:] = self._no_interfaces
        return count

    def send(self, answers: Sequence[bytes]) -> None:
        """As DatagramSocket."""
        joined = b"".join(answers)
        self._answers[: len(joined)] = joined
        lengths = array("L", map(len, answers))
        count = len(lengths)
        starts = array("L", accumulate(lengths, initial=self._answers_at))
        self._vectors[: 2 * count : 2] = memoryview(starts)[:count]
        self._vectors[1 : 2 * count : 2] = memoryview(lengths)
        first = 0
        while first < count:
            end = count
            if 0 in lengths[first:]:
                end = lengths.index(0, first)
                if end == first:
                    first += 1
                    continue
            at = ctypes.c_void_p(self._outgoing_at + first * ctypes.sizeof(_Head))
            # One that cannot be sent ends the call before it or, if it is the first, is skipped.
            first += max(1, self._send(self._number, at, end - first, 0))


def _does_batches(libc: ctypes.CDLL, bound: socket.socket) -> bool:
    """Whether the C library and the kernel know the calls and nothing (seccomp) forbids them."""
    if bound.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    nothing = (_Head * 1)()
    try:
        received: int = libc.recvmmsg(bound.fileno(), nothing, 0, 0, None)
        sent: int = libc.sendmmsg(bound.fileno(), nothing, 0, 0)
    except AttributeError:
        return False
    return received == sent == 0


def _heads(
    names: Sequence[int],
    name_length: int,
    vectors: "ctypes.Array[_Vector]",
    control: int | None,
    control_size: int,
) -> "ctypes.Array[_Head]":
    """Return heads whose control messages lie one after another from `control` on, None: none."""
    at = ctypes.addressof(vectors)
    size = ctypes.sizeof(_Vector)
    return (_Head * len(names))(
        *(
            _Head(
                _Message(name, name_length, at + index * size, 1)
                if control is None
                else _Message(
                    name,
                    name_length,
                    at + index * size,
                    1,
                    control + index * control_size,
                    control_size,
                )
            )
            for index, name in enumerate(names)
        )
    )


def _address_of(memory: bytearray) -> int:
    """Return where a bytearray lies: it can neither be resized nor move as long as that is used."""
    return ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))
