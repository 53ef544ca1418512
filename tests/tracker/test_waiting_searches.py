"""How many searches may wait at a tracker's socket."""

from ipaddress import IPv6Address

from trio_swarm.tracker.udp.batch import SocketAddress
from trio_swarm.tracker.udp.waiting_searches import MAX_PER_HOST, MAX_SEARCHES, WaitingSearches


def v6(number: int) -> SocketAddress:
    return (str(IPv6Address(number)), 5000, 0, 0)


def admitted(waiting: WaitingSearches, sources: list[SocketAddress]) -> int:
    return sum(waiting.admit(source) for source in sources)


def test_an_address_has_a_few_places_whatever_its_ports() -> None:
    waiting = WaitingSearches()
    sources: list[SocketAddress] = [("192.0.2.9", port) for port in range(100)]
    assert admitted(waiting, sources) == MAX_PER_HOST
    assert waiting.admit(("192.0.2.8", 5000))
    waiting.answered(("192.0.2.9", 7))
    assert admitted(waiting, sources) == 1


def test_an_ipv6_network_does_not_take_all_places_by_its_many_prefixes() -> None:
    """A rented /48 holds 65,536 /64s, and each of them 2**64 addresses."""
    waiting = WaitingSearches()
    base = int(IPv6Address("2001:db8:1::"))
    one_prefix = [v6(base + number) for number in range(100)]
    assert admitted(waiting, one_prefix) == MAX_PER_HOST
    prefixes = [v6(base + (number << 64)) for number in range(1, 1000)]
    assert admitted(waiting, prefixes) == 4 * MAX_PER_HOST - MAX_PER_HOST
    assert waiting.admit(v6(int(IPv6Address("2001:db8:2::"))))
    assert waiting.admit(("fe80::1%eth0", 5000, 0, 2))


def test_places_are_limited_and_come_back() -> None:
    waiting = WaitingSearches()
    sources: list[SocketAddress] = [(f"192.0.2.{number}", 5000) for number in range(100)]
    for _ in range(3):
        assert admitted(waiting, sources) == MAX_SEARCHES
        for source in sources[:MAX_SEARCHES]:
            waiting.answered(source)
    assert waiting._counts == {}
