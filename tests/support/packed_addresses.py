"""Addresses as trackers and peers send them: 6 bytes for IPv4 (BEP 23), 18 for IPv6 (BEP 7)."""

from collections.abc import Sequence
from ipaddress import ip_address

from trio_swarm.protocol.addresses import Address


def packed(addresses: Sequence[Address]) -> bytes:
    """Return all `addresses`, joined, in network byte order."""
    return b"".join(ip_address(host).packed + port.to_bytes(2) for host, port in addresses)
