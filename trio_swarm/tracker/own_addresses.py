"""The address of this machine at which an asker reaches it.

A seeder on the tracker's own machine announces over the loopback interface, and 127.0.0.1 is of no
use to another machine. Askers get, instead, the address at which they reach the tracker.
"""

import socket
from collections import OrderedDict
from typing import TypeAlias

from trio_swarm.tracker.store.compact_peers import LOOPBACK6, is_loopback

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""As the socket module has it: (IP, port), for IPv6 with flow and scope."""

_CACHE_SIZE = 1024
"""Askers remembered; a miss costs three system calls."""

_DISCARD_PORT = 9


def packed_host(address: SocketAddress) -> bytes:
    """Return the packed IP address, without the interface of a link-local one."""
    if len(address) == 2:
        return socket.inet_aton(address[0])
    return socket.inet_pton(socket.AF_INET6, address[0].partition("%")[0])


def has_loopback(peers: bytes | bytearray, *, ipv6: bool) -> bool:
    """Whether compact peers may hold a loopback address: quick, and never wrong to say no."""
    # IPv4: the first byte of each address.
    return LOOPBACK6 in peers if ipv6 else 0x7F in peers[::6]


def replace_loopback(
    peers: bytes | bytearray, own: bytes | None, *, ipv6: bool
) -> bytes | bytearray:
    """Return compact peers with every loopback address replaced by `own` (packed IP).

    None: our address is unknown, and such peers are left out.
    """
    stride = 18 if ipv6 else 6
    replaced = bytearray()
    for at in range(0, len(peers), stride):
        peer = peers[at : at + stride]
        if is_loopback(peer[:-2]):
            if own is not None:
                replaced += own + peer[-2:]
        else:
            replaced += peer
    return replaced


class OwnAddresses:
    """The address of this machine that an asker sees, from the routing table; remembered."""

    def __init__(self) -> None:
        self._known: OrderedDict[SocketAddress, bytes | None] = OrderedDict()

    def facing(self, asker: SocketAddress) -> bytes | None:
        """Return our packed IP towards the IP of `asker`, None if there is no way there."""
        # Connecting a UDP socket only looks up the route: it sends nothing and never blocks. The
        # scope is the interface of a link-local address.
        probed = (asker[0], _DISCARD_PORT, *asker[2:])
        if probed in self._known:
            self._known.move_to_end(probed)
            return self._known[probed]
        if len(self._known) >= _CACHE_SIZE:
            self._known.popitem(last=False)
        own = self._known[probed] = _route_to(probed)
        return own


def _route_to(probed: SocketAddress) -> bytes | None:
    family = socket.AF_INET if len(probed) == 2 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(probed)
            return socket.inet_pton(family, probe.getsockname()[0].partition("%")[0])
    except OSError:
        return None
