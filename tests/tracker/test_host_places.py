"""How many places a host or network may have of those that there are."""

import socket
from ipaddress import IPv6Address

from trio_swarm.tracker.host_places import HostPlaces
from trio_swarm.tracker.own_addresses import packed_host

MOST = 64
PER_HOST = 8


def v4(number: int) -> bytes:
    return socket.inet_aton(f"192.0.2.{number}")


def v6(text: str, *, prefix: int = 0) -> bytes:
    return (int(IPv6Address(text)) + (prefix << 64)).to_bytes(16, "big")


def taken(places: HostPlaces, hosts: list[bytes]) -> int:
    return sum(places.take(host) for host in hosts)


def test_an_address_has_a_few_places_whatever_its_ports() -> None:
    places = HostPlaces(MOST, per_host=PER_HOST)
    hosts = [packed_host(("192.0.2.9", port)) for port in range(100)]
    assert taken(places, hosts) == PER_HOST
    assert places.take(v4(8))
    places.leave(v4(9))
    assert taken(places, hosts) == 1


def test_an_ipv6_network_does_not_take_all_places_by_its_many_prefixes() -> None:
    """A rented /48 holds 65,536 /64s, and each of them 2**64 addresses."""
    places = HostPlaces(MOST, per_host=PER_HOST)
    one_prefix = [v6(f"2001:db8:1::{number:x}") for number in range(1, 100)]
    assert taken(places, one_prefix) == PER_HOST
    prefixes = [v6("2001:db8:1::", prefix=number) for number in range(1, 1000)]
    assert taken(places, prefixes) == 4 * PER_HOST - PER_HOST
    assert places.take(v6("2001:db8:2::"))
    assert places.take(packed_host(("fe80::1%eth0", 5000, 0, 2)))


def test_places_are_limited_and_come_back() -> None:
    places = HostPlaces(MOST, per_host=PER_HOST)
    hosts = [v4(number) for number in range(100)]
    for _ in range(3):
        assert taken(places, hosts) == MOST
        for host in hosts[:MOST]:
            places.leave(host)
    assert places._counts == {}
