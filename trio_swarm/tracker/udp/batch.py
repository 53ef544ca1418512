"""Datagrams in one block of memory, in slots, as recvmmsg leaves them.

A slot holds the sender's socket address and then the data. The addresses are the system's own
(sockaddr_in, sockaddr_in6; see ip(7), ipv6(7)): to make a tuple with a text in it for a datagram
takes longer than to answer it.

A second block says to which of our addresses each datagram was sent (pktinfo). A host with several
addresses must answer from the same one: a client hears no other.
"""

import socket
import struct

from trio_swarm.tracker.own_addresses import SocketAddress

MAX_DATAGRAM = 2048
"""Bytes read of one datagram: longer than any request we know."""

BATCH = 64
"""Datagrams taken from a socket at once: enough that their system calls cost next to nothing, few
enough (0.5 ms) that the first does not wait for the last."""

IP_PKTINFO = 8
"""Linux' option and control message (ip(7)); the socket module has no name for it."""

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
    """Return the socket address that `pack_socket_address` packed."""
    if len(packed) == _ADDRESS4.size:
        port, host = _ADDRESS4.unpack(packed)
        return socket.inet_ntoa(host), port
    port, flow, host = _ADDRESS6.unpack_from(packed)
    (scope,) = _SCOPE6.unpack_from(packed, _ADDRESS6.size)
    return socket.inet_ntop(socket.AF_INET6, host), port, flow, scope


class PacketInfo:
    """How a family's control message says at which address a datagram arrived, and leaves from.

    in_pktinfo: interface, our address, destination. in6_pktinfo: our address, interface.
    """

    def __init__(self, family: int) -> None:
        is_v4 = family == socket.AF_INET
        self.level = socket.IPPROTO_IP if is_v4 else socket.IPPROTO_IPV6
        self.kind = IP_PKTINFO if is_v4 else getattr(socket, "IPV6_PKTINFO", 50)
        self.option = IP_PKTINFO if is_v4 else getattr(socket, "IPV6_RECVPKTINFO", 49)
        """The option of a socket that asks for such messages."""
        self.size = 12 if is_v4 else 20
        self.head = socket.CMSG_LEN(0)
        """Bytes before it: length, level and kind."""
        self.space = socket.CMSG_SPACE(self.size)
        """Bytes of the whole message."""
        self.interface_at = self.head + (0 if is_v4 else 16)
        """Where the number of the interface is, 4 bytes: 0 leaves the way to the routing table."""


class DatagramBatch:
    """Up to `capacity` datagrams of one address family."""

    def __init__(self, family: int, capacity: int = BATCH) -> None:
        self.is_v4 = family == socket.AF_INET
        self.capacity = capacity
        self.address_size = 16 if self.is_v4 else 28
        self.slot_size = self.address_size + MAX_DATAGRAM
        """Bytes from one datagram's address to the next one's; data follows the address."""
        self.memory = bytearray(capacity * self.slot_size)
        """Slots one after another. Beyond its data, a slot holds rests of earlier datagrams."""
        self.lengths: list[int] = []
        """Bytes of each datagram there is."""
        self.packet_info = PacketInfo(family)
        self.control = bytearray(capacity * self.packet_info.space)
        """Control messages of PacketInfo.space bytes, one after another; zeros where none came."""

    def put(self, index: int, source: SocketAddress, data: bytes) -> None:
        """Place a datagram as the system does; `lengths` is up to the caller."""
        at = index * self.slot_size
        slot = pack_socket_address(source) + data[:MAX_DATAGRAM]
        self.memory[at : at + len(slot)] = slot

    def source(self, index: int) -> SocketAddress:
        """Return the socket address of a datagram's sender."""
        at = index * self.slot_size
        return unpack_socket_address(bytes(self.memory[at : at + self.address_size]))

    def host(self, index: int) -> bytes:
        """Return the packed IP address of a datagram's sender."""
        at = index * self.slot_size + (4 if self.is_v4 else 8)
        return bytes(self.memory[at : at + (4 if self.is_v4 else 16)])

    def destination(self, index: int) -> bytes:
        """Return the pktinfo of a datagram, by which to answer it; b"" if there is none."""
        info = self.packet_info
        at = index * info.space + info.head
        found = bytes(self.control[at : at + info.size])
        return found if any(found) else b""

    def put_destination(self, index: int, packet_info: bytes) -> None:
        """Note the pktinfo of a datagram, b"" if there is none, without the interface."""
        info = self.packet_info
        at = index * info.space
        self.control[at : at + info.space] = bytes(info.space)
        found = packet_info[: info.size]
        self.control[at + info.head : at + info.head + len(found)] = found
        self.control[at + info.interface_at : at + info.interface_at + 4] = bytes(4)

    def data(self, index: int, skip: int = 0) -> bytes:
        """Return a datagram, without its first `skip` bytes."""
        at = index * self.slot_size + self.address_size
        return bytes(self.memory[at + skip : at + self.lengths[index]])
