"""Datagrams in one block of memory, as recvmmsg leaves them: socket address, data, next slot.

The addresses are the system's own (sockaddr_in, sockaddr_in6; see ip(7), ipv6(7)), because making
a tuple with a text in it for every datagram would take longer than to answer it.
"""

import socket
import struct
from collections.abc import Sequence
from typing import TypeAlias

MAX_DATAGRAM = 2048
"""Bytes read of one datagram: longer than any request we know."""

BATCH = 64
"""Datagrams taken from a socket at once: enough that their system calls cost next to nothing, few
enough (0.5 ms) that the first does not wait for the last."""

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""As the socket module has it: (IP, port), for IPv6 with flow and scope."""

# The family is in the byte order of the machine, port and address are in the network's.
_FAMILY = struct.Struct("=H")
_ADDRESS4 = struct.Struct("!2xH4s8x")
_ADDRESS6 = struct.Struct("!2xHI16s")
_SCOPE6 = struct.Struct("=I")


def pack_socket_address(address: SocketAddress) -> bytes:
    """Return 16 bytes for an IPv4 address, 28 for an IPv6 one; the host must be an IP address."""
    host = address[0].partition("%")[0]
    if len(address) == 2:
        packed = bytearray(_ADDRESS4.pack(address[1], socket.inet_aton(host)))
        _FAMILY.pack_into(packed, 0, socket.AF_INET)
        return bytes(packed)
    _, port, flow, scope = address
    packed = bytearray(_ADDRESS6.pack(port, flow, socket.inet_pton(socket.AF_INET6, host)))
    _FAMILY.pack_into(packed, 0, socket.AF_INET6)
    return bytes(packed) + _SCOPE6.pack(scope)


def unpack_socket_address(packed: bytes) -> SocketAddress:
    """Return what `pack_socket_address` packed."""
    if len(packed) == _ADDRESS4.size:
        port, host = _ADDRESS4.unpack(packed)
        return socket.inet_ntoa(host), port
    port, flow, host = _ADDRESS6.unpack_from(packed)
    (scope,) = _SCOPE6.unpack_from(packed, _ADDRESS6.size)
    return socket.inet_ntop(socket.AF_INET6, host), port, flow, scope


class DatagramBatch:
    """Up to `capacity` datagrams of one address family."""

    def __init__(self, family: int, capacity: int = BATCH) -> None:
        self.is_v4 = family == socket.AF_INET
        self.capacity = capacity
        self.address_size = 16 if self.is_v4 else 28
        self.slot_size = self.address_size + MAX_DATAGRAM
        """Bytes from one datagram's address to the next one's; data follows the address."""
        self.memory = bytearray(capacity * self.slot_size)
        """Slots one after another. What a datagram does not fill is left from others before it."""
        self.lengths: Sequence[int] = ()
        """Bytes of each datagram there is."""

    def put(self, index: int, source: SocketAddress, data: bytes) -> None:
        """Place a datagram as the system does; `lengths` is up to the caller."""
        at = index * self.slot_size
        slot = pack_socket_address(source) + data[:MAX_DATAGRAM]
        self.memory[at : at + len(slot)] = slot

    def source(self, index: int) -> SocketAddress:
        """Return who sent a datagram."""
        at = index * self.slot_size
        return unpack_socket_address(bytes(self.memory[at : at + self.address_size]))

    def host(self, index: int) -> bytes:
        """Return the packed IP address that sent a datagram."""
        at = index * self.slot_size + (4 if self.is_v4 else 8)
        return bytes(self.memory[at : at + (4 if self.is_v4 else 16)])

    def data(self, index: int, skip: int = 0) -> bytes:
        """Return a datagram, without its first `skip` bytes."""
        at = index * self.slot_size + self.address_size
        return bytes(self.memory[at + skip : at + self.lengths[index]])
