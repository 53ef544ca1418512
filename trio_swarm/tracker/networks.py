"""Which hosts belong to some IP networks, and which to private ones. A host is a packed address."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network


class Networks:
    """IP networks, written as `10.0.0.0/8` or `::1`."""

    def __init__(self, networks: Iterable[str]) -> None:
        parsed = [ip_network(network) for network in networks]
        self._networks = {4: _pairs(parsed, IPv4Network), 16: _pairs(parsed, IPv6Network)}

    def __bool__(self) -> bool:
        return any(self._networks.values())

    def __contains__(self, host: bytes) -> bool:
        number = int.from_bytes(host, "big")
        return any(number & mask == base for base, mask in self._networks[len(host)])


def is_private(host: bytes) -> bool:
    """Whether a packed IP address, or the first 8 bytes of an IPv6 one, is no Internet address.

    Loopback, RFC 1918, RFC 3927 (link-local), RFC 6598 (within a provider's network), RFC 4193
    (unique local) and RFC 4291 (link-local).
    """
    first, second = host[0], host[1]
    if len(host) == 4:
        return (
            first in {10, 127}
            or (first == 192 and second == 168)
            or (first == 172 and 16 <= second < 32)
            or (first == 100 and 64 <= second < 128)
            or (first == 169 and second == 254)
        )
    return first & 0xFE == 0xFC or (first == 0xFE and second & 0xC0 == 0x80) or not any(host[:8])


def _pairs(
    networks: list[IPv4Network | IPv6Network], family: type[IPv4Network | IPv6Network]
) -> list[tuple[int, int]]:
    """Return first address and mask of the networks of a family, as numbers."""
    return [
        (int(network.network_address), int(network.netmask))
        for network in networks
        if isinstance(network, family)
    ]
