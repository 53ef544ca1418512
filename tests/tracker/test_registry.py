"""The tracker's registry: swarms, leases, names, limits; time is a number."""

import math
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.trackers.announces import AnnounceEvent, NameMatch, ScrapeCounts
from trio_swarm.protocol.trackers.share_names import check_glob
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.settings import RegistrySettings
from trio_swarm.tracker.store.compact_peers import TICKS, CompactPeers
from trio_swarm.tracker.store.host_counts import HostCounts
from trio_swarm.tracker.store.interface import (
    Announce,
    AnnounceRefusedError,
    NoRoomError,
    SwarmAnswer,
)
from trio_swarm.tracker.store.leases import MAX_LAPSED, Lapsed, LeaseRule
from trio_swarm.tracker.store.names import MAX_HOLDERS_OF_NAME, MAX_NAMES_PER_SWARM
from trio_swarm.tracker.store.registry import HOSTS_PER_NETWORK, MAX_BEGUN, TrackerRegistry

A, B = b"a" * 20, b"b" * 20
SWARMS = [A, B, b"c" * 20]
LEASE = 75.0


def v4(number: int, port: int = 1000) -> bytes:
    """Return a peer on the Internet, each number in a /24 of its own."""
    return bytes((5, number >> 8 & 255, number & 255, number >> 16)) + port.to_bytes(2, "big")


def v6(number: int, port: int = 1000) -> bytes:
    return bytes((0x20, 1)) + number.to_bytes(14, "big") + port.to_bytes(2, "big")


def new_registry(**limits: int) -> TrackerRegistry:
    return TrackerRegistry(RegistrySettings(lease=LEASE, **limits), rng=random.Random(1))


def split(peers: bytes | bytearray, stride: int = 6) -> list[bytes]:
    return [bytes(peers[at : at + stride]) for at in range(0, len(peers), stride)]


def search(registry: TrackerRegistry, pattern: str, step: int = 3) -> list[NameMatch]:
    found = registry.search(pattern)
    while not found.step(step):
        pass
    return registry.matches(found.matches)


def test_a_leecher_gets_everyone_else_and_a_seeder_of_a_name_gets_leechers_only() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=0)
    registry.announce(A, v4(2), 0, left=5)
    seeders, leechers, peers = registry.announce(A, v4(3), 0, left=5)
    assert (seeders, leechers) == (1, 2)
    assert set(split(peers)) == {v4(1), v4(2)}
    named = registry.announce(A, v4(4), 0, left=0, share=UrlShare("a", 0))
    assert set(split(named[2])) == {v4(2), v4(3)}
    assert registry.announce(B, v4(4), 0, left=5)[2] == b""


@given(
    announces=st.lists(
        st.tuples(
            st.sampled_from([A, B]),
            st.integers(1, 4).map(v4) | st.integers(1, 2).map(v6) | st.just(v4(1, port=0)),
            st.sampled_from([0, 5]),
            st.sampled_from([0, 0, *map(int, AnnounceEvent)]),
            st.just(-1),
            st.sampled_from([None, UrlShare("a", 1)]),
            st.just(b"-XX0000-" + bytes(12)),
            st.just(0),
        ),
        max_size=20,
    )
)
def test_announces_of_one_batch_are_taken_in_their_order(announces: list[Announce]) -> None:
    batched, singly = new_registry(max_peers_per_swarm=4), new_registry(max_peers_per_swarm=4)
    once: list[SwarmAnswer | str] = []
    for info_hash, address, *rest in announces:
        try:
            once.append(singly.announce(info_hash, address, 1.0, *rest))
        except AnnounceRefusedError as refused:
            once.append(str(refused))
    for answer, expected in zip(batched.announce_all(announces, 1.0), once, strict=True):
        if isinstance(answer, AnnounceRefusedError) or isinstance(expected, str):
            assert str(answer) == expected
        else:
            # There are fewer peers than are asked for, so all are told, in the registry's order.
            assert answer == expected


def test_who_misses_nothing_and_gives_no_name_gets_everyone_as_it_may_not_know_its_size() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=0)
    registry.announce(A, v4(2), 0, left=5)
    assert set(split(registry.announce(A, v4(3), 0, left=0)[2])) == {v4(1), v4(2)}


def test_each_address_family_gets_its_own_and_counts_are_of_both() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=0)
    answer = registry.announce(A, v6(1), 0, left=5)
    assert (*answer[:2], bytes(answer[2])) == (1, 1, b"")
    assert split(registry.announce(A, v6(2), 0, left=5)[2], 18) == [v6(1)]


@pytest.mark.parametrize(
    ("num_want", "given_peers"), [(-1, 50), (-9, 50), (0, 0), (7, 7), (10**9, 196)]
)
def test_num_want_is_kept_and_capped_to_one_datagram(num_want: int, given_peers: int) -> None:
    registry = new_registry()
    for number in range(300):
        registry.announce(A, v4(number), 0, left=5)
    peers = split(registry.announce(A, v4(5), 0, left=5, num_want=num_want)[2])
    assert len(peers) == len(set(peers)) == given_peers
    assert v4(5) not in peers
    for number in range(100):
        peers6 = registry.announce(A, v6(number), 0, left=5, num_want=10**9)[2]
    assert len(split(peers6, 18)) == 65


def test_a_leecher_that_completes_is_counted_once_and_becomes_a_seeder() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=5)
    for _ in range(2):
        registry.announce(A, v4(1), 0, left=0, event=AnnounceEvent.COMPLETED)
    assert registry.scrape(A) == ScrapeCounts(seeders=1, completed=1, leechers=0)
    assert registry.scrape(B) == ScrapeCounts(seeders=0, completed=0, leechers=0)


def test_stopped_takes_out_the_peer_and_the_empty_swarm() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=5)
    registry.announce(A, v4(2), 0, left=5)
    answer = registry.announce(A, v4(1), 0, left=5, event=AnnounceEvent.STOPPED)
    assert answer == (0, 1, b"")
    registry.announce(A, v4(2), 0, left=5, event=AnnounceEvent.STOPPED)
    assert registry.announce(A, v4(3), 0, left=5, event=AnnounceEvent.STOPPED) == (0, 0, b"")
    assert registry.counts() == (0, 0, 0)


def test_port_0_gets_an_answer_and_is_never_handed_out() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=0)
    assert split(registry.announce(A, v4(2, port=0), 0, left=5)[2]) == [v4(1)]
    assert registry.announce(B, v4(2, port=0), 0, left=5) == (0, 0, b"")
    assert registry.counts() == (1, 1, 0)


def test_a_peer_is_listed_until_exactly_its_lease_ends() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=0)
    registry.announce(A, v4(2), 10, left=0)
    assert registry.expire(74.9, 100) == 75.0
    assert registry.scrape(A).seeders == 2
    registry.announce(A, v4(2), 74.9, left=0)
    assert 74.9 + LEASE <= registry.expire(75.0, 100) <= 75 + LEASE
    assert registry.scrape(A).seeders == 1
    assert registry.expire(200.0, 100) is None
    assert registry.counts() == (0, 0, 0)


def test_a_mass_death_is_worked_off_in_bounded_steps() -> None:
    registry = new_registry()
    for number in range(100):
        registry.announce(A, v4(number), 0, left=0)
    assert registry.expire(80, 30) == LEASE
    assert registry.counts().peers == 70
    assert registry.expire(80, 1000) is None


def test_a_full_registry_refuses_newcomers_and_keeps_who_is_listed() -> None:
    registry = new_registry(max_peers_per_swarm=2, max_swarms=2)
    registry.announce(A, v4(1), 0, left=0)
    registry.announce(A, v4(2), 0, left=0)
    with pytest.raises(AnnounceRefusedError, match="no room for another peer of this torrent"):
        registry.announce(A, v4(3), 0, left=0)
    registry.announce(A, v4(2), 1, left=0)
    registry.announce(B, v4(3), 0, left=0)
    with pytest.raises(AnnounceRefusedError, match="no room for another torrent"):
        registry.announce(b"c" * 20, v4(3), 0, left=0)
    registry.announce(B, v4(3), 0, left=0, event=AnnounceEvent.STOPPED)
    registry.announce(b"c" * 20, v4(3), 0, left=0)
    assert registry.counts() == (2, 3, 0)
    small = new_registry(max_peers=1)
    small.announce(A, v4(1), 0, left=0)
    with pytest.raises(AnnounceRefusedError, match="no room for another peer"):
        small.announce(A, v4(2), 0, left=0)


def test_one_host_cannot_fill_the_registry() -> None:
    registry = new_registry(max_peers_per_host=2)
    registry.announce(A, v4(1, port=1), 0, left=0)
    registry.announce(A, v4(1, port=2), 0, left=0)
    with pytest.raises(AnnounceRefusedError, match="too many announces from this address"):
        registry.announce(B, v4(1, port=3), 0, left=0)
    registry.announce(A, v4(2, port=3), 0, left=0)
    registry.announce(A, v4(1, port=1), 0, left=0, event=AnnounceEvent.STOPPED)
    registry.announce(B, v4(1, port=3), 0, left=0)
    # Whoever has one IPv6 address has 2**64 of them.
    registry.announce(A, v6(1), 0, left=0)
    registry.announce(A, v6(2), 0, left=0)
    with pytest.raises(AnnounceRefusedError):
        registry.announce(A, v6(3), 0, left=0)
    # Next door.
    registry.announce(A, v6(1 << 64), 0, left=0)


@given(
    seeders=st.integers(0, 16),
    leechers=st.integers(0, 16),
    count=st.integers(0, 40),
    seed=st.integers(),
    leechers_only=st.booleans(),
)
def test_a_choice_holds_distinct_others_of_the_right_kind(
    *, seeders: int, leechers: int, count: int, seed: int, leechers_only: bool
) -> None:
    table = CompactPeers(6)
    peers = [v4(n) for n in range(seeders + leechers)]
    order = list(enumerate(peers))
    random.Random(seed).shuffle(order)
    for number, peer in order:
        table.set_seeder(table.add(peer, 0.0), is_seeder=number < seeders)
    fitting = {peer for n, peer in enumerate(peers) if n >= seeders or not leechers_only}
    for asker in [b"nobody", *peers]:
        chosen = split(
            table.choose(
                count,
                random.Random(seed).getrandbits(32),
                asker=table.find(asker),
                first=table.seeders if leechers_only else 0,
            )
        )
        others = fitting - {asker}
        assert len(chosen) == len(set(chosen)) == min(count, len(others))
        assert set(chosen) <= others


@pytest.mark.parametrize("leechers_only", [False, True])
@pytest.mark.parametrize("asker", [None, 0, 6, 7, 13, 19])
@pytest.mark.parametrize("count", [1, 5, 11])
def test_everybody_is_chosen_equally_often(
    *, count: int, asker: int | None, leechers_only: bool
) -> None:
    table = CompactPeers(6)
    for number in range(20):
        table.set_seeder(table.add(v4(number), 0.0), is_seeder=number % 3 == 0)
    assert table.seeders == 7
    first = table.seeders if leechers_only else 0
    rng = random.Random(7)
    rounds = 1000
    times = Counter(
        address
        for _ in range(rounds)
        for address in split(
            table.choose(
                count, rng.getrandbits(32), asker=-1 if asker is None else asker, first=first
            )
        )
    )
    fitting = {table.address(at) for at in range(first, 20) if at != asker}
    assert set(times) == fitting
    expected = rounds * count / len(fitting)
    # Four times the spread that chance alone gives.
    assert all(abs(each - expected) < 4 * expected**0.5 for each in times.values())


@given(when=st.floats(0, 2**27))
def test_a_lease_ends_when_it_says_or_up_to_a_tick_later(when: float) -> None:
    table = CompactPeers(6)
    table.renew(table.add(v4(1), 0.0), when, 0)
    assert when <= table.end(0) <= when + 1 / TICKS
    assert table.sweep(table.end(0) - 1 / TICKS / 2, 9)[0] == []
    assert [ended.address for ended in table.sweep(table.end(0), 9)[0]] == [v4(1)]


@given(when=st.floats(2**28, allow_nan=False, allow_infinity=False))
def test_a_clock_that_has_run_for_ages_breaks_no_list(when: float) -> None:
    table = CompactPeers(6)
    table.renew(table.add(v4(1), 0.0), when, 0)
    assert [ended.address for ended in table.sweep(when, 9)[0]] == [v4(1)]


def test_a_peer_without_a_lease_is_never_swept() -> None:
    table = CompactPeers(6)
    table.renew(table.add(v4(1), 0.0), math.inf, 0)
    assert table.end(0) == math.inf
    assert table.sweep(1e12, 9) == ([], math.inf)


@given(
    changes=st.lists(
        st.tuples(st.binary(min_size=4, max_size=4) | st.just(b"aaaa"), st.booleans())
    ),
    most=st.sampled_from([1, 1000]),
)
def test_hosts_are_counted_however_alike_they_are(
    changes: list[tuple[bytes, bool]], most: int
) -> None:
    counts, model = HostCounts(4, most), Counter()
    # With one bucket for all, an address is found across the ends of two others as well.
    for host in [b"aaab", b"baaa", b"aa\0\0"] + [host for host, _ in changes]:
        counts.add(host, 1)
        model[host] += 1
    for host, leaves in changes:
        if leaves and model[host]:
            counts.add(host, -1)
            model[host] -= 1
    for host in [*model, b"\0\0\0\1", b"\0\1aa", b"none"]:
        assert counts[host] == model[host]


def test_a_name_is_known_while_a_live_peer_announces_it() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=0, share=UrlShare("x.iso", 7))
    registry.announce(A, v4(2), 50, left=9, share=UrlShare("x.iso", 0))
    (match,) = registry.resolve("x.iso").matches
    assert (match.info_hash, match.size, match.seeders, match.leechers) == (A, 7, 1, 1)
    registry.expire(80, 100)
    assert registry.resolve("x.iso").matches[0].seeders == 0
    registry.announce(A, v4(2), 81, left=9, event=AnnounceEvent.STOPPED)
    assert registry.resolve("x.iso").matches == []
    assert registry.counts().names == 0


def test_a_peer_that_changes_its_mind_moves_its_name() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=0, share=UrlShare("old", 7))
    registry.announce(A, v4(1), 1, left=0, share=UrlShare("new", 7))
    assert registry.resolve("old").matches == []
    assert len(registry.resolve("new").matches) == 1


def test_a_heartbeat_without_the_name_lets_it_end_with_its_lease() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=0, share=UrlShare("x", 7))
    registry.announce(A, v4(1), 30, left=0)
    registry.announce(A, v4(1), 60, left=0)
    assert registry.resolve("x").matches
    registry.announce(A, v4(1), 90, left=0)
    assert registry.resolve("x").matches == []
    assert registry.counts() == (1, 1, 0)


def test_of_torrents_with_one_name_most_seeders_come_first_then_the_oldest() -> None:
    registry = new_registry()
    hashes = [bytes([number]) * 20 for number in range(4)]
    for number, info_hash in enumerate(hashes):
        registry.announce(info_hash, v4(number), 0, left=0, share=UrlShare("x", 7))
    registry.announce(hashes[2], v4(9), 0, left=0)
    assert [match.info_hash[0] for match in registry.resolve("x").matches] == [2, 0, 1, 3]
    assert [match.info_hash[0] for match in search(registry, "x*")] == [2, 0, 1, 3]


def test_names_are_bounded_and_a_refused_announce_changes_nothing() -> None:
    registry = new_registry(max_names=2, max_name_length=5)
    with pytest.raises(AnnounceRefusedError, match="longer than 5 bytes"):
        registry.announce(A, v4(1), 0, left=0, share=UrlShare("sixsix", 7))
    with pytest.raises(AnnounceRefusedError, match="control character"):
        registry.announce(A, v4(1), 0, left=0, share=UrlShare("a\n", 7))
    assert registry.counts() == (0, 0, 0)
    registry.announce(A, v4(1), 0, left=0, share=UrlShare("one", 7))
    registry.announce(B, v4(1), 0, left=0, share=UrlShare("one", 7))
    registry.announce(A, v4(2), 0, left=0, share=UrlShare("one", 7))
    assert registry.counts() == (2, 3, 2)


def names_of(registry: TrackerRegistry) -> Counter[str]:
    return Counter(match.name for match in search(registry, "*"))


def test_a_network_of_many_ipv6_prefixes_has_a_few_shares() -> None:
    registry = new_registry(max_peers_per_host=10)
    for prefix in range(100):
        for number in range(10):
            with suppress(AnnounceRefusedError):
                registry.announce(A, v6((prefix << 64) + number), 0, left=0)
    assert registry.counts().peers == HOSTS_PER_NETWORK * 10
    # The next /48.
    registry.announce(A, v6(1 << 80), 0, left=0)
    registry.expire(1000, 1000)
    for prefix in range(4):
        registry.announce(A, v6(prefix << 64), 1000, left=0)


def test_an_ipv4_network_has_a_few_shares_too() -> None:
    registry = new_registry(max_peers_per_host=10)
    said = set()
    for host in range(256):
        for port in range(1, 11):
            try:
                registry.announce(A, bytes((5, 6, 7, host, 0, port)), 0, left=0)
            except AnnounceRefusedError as refused:
                said.add(str(refused))
    assert registry.counts().peers == HOSTS_PER_NETWORK * 10
    assert said == {
        (
            "too many announces from this /24 network: 40 are listed, 4 times what an address may "
            "have (max_peers_per_host)"
        )
    }
    registry.announce(A, bytes((5, 6, 8, 1, 0, 1)), 0, left=0)
    registry.expire(1000, 1000)
    assert not any(registry._networks4)
    registry.announce(A, bytes((5, 6, 7, 9, 0, 1)), 1000, left=0)


@pytest.mark.parametrize(
    "host",
    [bytes((10, 0, 0, 1)), bytes((127, 0, 0, 1)), b"\xfd" + bytes(15), bytes(15) + b"\1"],
    ids=["10/8", "127/8", "fc00::/7", "::1"],
)
def test_a_private_address_has_ten_shares_and_no_bound_of_its_network(host: bytes) -> None:
    registry = new_registry(max_peers_per_host=3, max_names_per_host=2)
    for port in range(1, 40):
        share = UrlShare(f"n{port}", 7)
        with suppress(NoRoomError):
            registry.announce(
                b"%020d" % port, host + port.to_bytes(2, "big"), 0, left=0, share=share
            )
    assert registry.counts() == (30, 30, 20)
    if host[0] in {10, 0xFD}:
        for number in range(2, 7):
            neighbour = (
                host[:-1] + bytes((number,))
                if len(host) == 4
                else host[:7] + bytes((number,)) + host[8:]
            )
            for port in range(1, 31):
                registry.announce(A, neighbour + port.to_bytes(2, "big"), 0, left=0)


def test_errors_of_limits_name_the_limit_its_value_and_its_setting() -> None:
    def refusal(registry: TrackerRegistry, swarm: bytes, peer: bytes) -> str:
        with pytest.raises(NoRoomError) as caught:
            registry.announce(swarm, peer, 0, left=5)
        assert len(str(caught.value)) <= 200  # an error message of BEP 15, "Errors"
        return str(caught.value)

    registry = new_registry(max_peers_per_host=2)
    for port in (1, 2):
        registry.announce(A, v4(1, port), 0, left=5)
    assert refusal(registry, A, v4(1, 3)) == (
        "too many announces from this address: 2 are listed (max_peers_per_host)"
    )
    full = new_registry(max_peers=400)
    for port in range(1, 101):
        with suppress(NoRoomError):
            full.announce(A, v4(1, port), 0, left=5)
    listed = full.counts().peers
    assert 64 <= listed < 100
    assert refusal(full, A, v4(1, 200)) == (
        f"too many announces from this address: {listed} are listed (the tracker fills up, "
        "max_peers)"
    )
    small = new_registry(max_swarms=1)
    small.announce(A, v4(1), 0, left=5)
    assert refusal(small, B, v4(2)) == (
        "the tracker has no room for another torrent: it has 1 (max_swarms)"
    )


def test_a_peer_for_whose_name_there_is_no_room_is_listed_without_it_and_may_ask_why() -> None:
    registry = new_registry(max_names=2)
    registry.announce(A, v4(1), 0, left=0, share=UrlShare("one", 7))
    registry.announce(B, v4(2), 0, left=0, share=UrlShare("two", 7))
    registry.announce(A, v4(3), 0, left=0, share=UrlShare("three", 7))
    assert registry.scrape(A).seeders == 2
    assert registry.name_refusal("three", A, v4(3)) == (
        "the tracker has no room for another name: it has 2 (max_names)"
    )
    # Somebody else has it for this torrent, so it can be found.
    assert registry.name_refusal("one", A, v4(3)) is None
    registry.announce(B, v4(2), 1, left=0, event=AnnounceEvent.STOPPED)
    assert registry.name_refusal("three", A, v4(3)) is None
    # The next heartbeat gets the room.
    registry.announce(A, v4(3), 30, left=0, share=UrlShare("three", 7))
    assert names_of(registry) == Counter(["one", "three"])


def test_a_name_makes_room_for_that_of_a_host_that_has_fewer() -> None:
    registry = new_registry(max_names=20)
    for number in range(20):
        share = UrlShare(f"n{number}", 7)
        registry.announce(A + bytes([number]), v4(number % 2, number + 1), 0, left=0, share=share)
    for number in range(100):
        share = UrlShare(f"honest {number}", 7)
        registry.announce(B + bytes([number]), v4(100 + number), 0, left=0, share=share)
    # Two hosts with ten names each gave way until every host had one or two; then nobody did.
    names = names_of(registry)
    assert names.total() == 20
    assert sum(name.startswith("honest") for name in names) >= 16
    # Those that lost a name are listed still, and announce as before.
    for number in range(20):
        share = UrlShare(f"n{number}", 7)
        registry.announce(A + bytes([number]), v4(number % 2, number + 1), 9, left=0, share=share)
    assert names_of(registry) == names
    assert registry.counts().peers == 120


@pytest.mark.parametrize("host", [v4, lambda _, port: v6(port, port)], ids=["IPv4", "IPv6 /64"])
def test_a_host_has_a_share_of_the_names(host: Callable[[int, int], bytes]) -> None:
    registry = new_registry(max_names_per_host=3)
    for number in range(10):
        share = UrlShare(f"n{number}", 7)
        registry.announce(A + bytes([number]), host(1, number + 1), 0, left=0, share=share)
    assert names_of(registry).total() == 3
    assert registry.counts().peers == 10
    assert registry.name_refusal("n9", A + b"\t", host(1, 10)) == (
        "this address has 3 names already (max_names_per_host)"
    )


def test_peers_from_several_hosts_cannot_take_what_is_left_of_peers_swarms_or_a_swarm() -> None:
    limits = {"max_peers": 10_000, "max_peers_per_host": 4_000, "max_swarms": 10_000}
    for bound in ("max_peers", "max_swarms", "max_peers_per_swarm"):
        registry = new_registry(**(limits | {bound: 2_000}))
        for host in range(10):
            for port in range(1, 4_000):
                swarm = A if bound == "max_peers_per_swarm" else b"%020d" % (host * 4_000 + port)
                with suppress(AnnounceRefusedError):
                    registry.announce(swarm, v4(host, port), 0, left=5)
        for newcomer in range(100, 105):
            swarm = A if bound == "max_peers_per_swarm" else b"!%019d" % newcomer
            registry.announce(swarm, v4(newcomer), 0, left=0)
        # Nor is a host with less than its share refused.
        assert registry.counts().peers > 1_700


def test_one_torrent_cannot_hold_all_names_nor_one_name_all_torrents() -> None:
    registry = new_registry()
    for number in range(MAX_NAMES_PER_SWARM):
        registry.announce(A, v4(number), 0, left=0, share=UrlShare(f"n{number}", 7))
    registry.announce(A, v4(999), 0, left=0, share=UrlShare("one more", 7))
    assert registry.resolve("one more").matches == []
    assert "names already" in (registry.name_refusal("one more", A, v4(999)) or "")
    registry = new_registry()
    for number in range(MAX_HOLDERS_OF_NAME):
        swarm = number.to_bytes(20, "big")
        registry.announce(swarm, v4(number), 0, left=0, share=UrlShare("x", 7))
    registry.announce(B, v4(999), 0, left=0, share=UrlShare("x", 7))
    assert len(registry.resolve("x").matches) == MAX_HOLDERS_OF_NAME
    assert "torrents already" in (registry.name_refusal("x", B, v4(999)) or "")
    assert registry.scrape(B).seeders == 1


def test_a_host_that_holds_all_of_a_name_or_of_a_torrent_makes_room_there() -> None:
    registry = new_registry()
    for number in range(MAX_HOLDERS_OF_NAME):
        swarm = number.to_bytes(20, "big")
        registry.announce(swarm, v4(1, number + 1), 0, left=0, share=UrlShare("ubuntu.iso", 7))
    registry.announce(B, v4(2), 0, left=0, share=UrlShare("ubuntu.iso", 7))
    assert B in [match.info_hash for match in registry.resolve("ubuntu.iso").matches]
    for number in range(MAX_NAMES_PER_SWARM):
        registry.announce(A, v4(3, number + 1), 0, left=0, share=UrlShare(f"bad {number}", 7))
    registry.announce(A, v4(4), 0, left=0, share=UrlShare("good", 7))
    assert [match.info_hash for match in registry.resolve("good").matches] == [A]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["Debian.iso", "a[1].txt", "debian-12.iso", "debian-13.iso", "ubuntu.iso"]),
        ("debian*", ["debian-12.iso", "debian-13.iso"]),
        ("debian-1?.iso", ["debian-12.iso", "debian-13.iso"]),
        ("debian-1[!2].iso", ["debian-13.iso"]),
        ("*.ISO", []),
        ("[Dd]ebian*iso", ["Debian.iso", "debian-12.iso", "debian-13.iso"]),
        ("*u*u*u*", ["ubuntu.iso"]),
        ("a[[]1].txt", ["a[1].txt"]),
        ("ubuntu.iso", ["ubuntu.iso"]),
        ("z*", []),
    ],
)
def test_a_glob_finds_names_in_order(pattern: str, found: list[str]) -> None:
    registry = new_registry()
    names = ["ubuntu.iso", "debian-13.iso", "Debian.iso", "debian-12.iso", "a[1].txt"]
    for number, name in enumerate(names):
        registry.announce(bytes([number]) * 20, v4(number), 0, left=0, share=UrlShare(name, 1))
    for step in (1, 2, 100):
        assert [match.name for match in search(registry, pattern, step)] == found


@given(pattern=st.text(alphabet="ab*?[]!-^\\&~|\n", max_size=30) | st.text(max_size=30))
def test_any_pattern_is_searched_or_refused(pattern: str) -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=0, share=UrlShare("ab[]", 1))
    try:
        search(registry, pattern)
    except RemoteProtocolError as error:
        assert "wildcards" in str(error)  # noqa: PT017  most patterns do not raise


def test_a_nasty_pattern_costs_no_more_than_a_pass_per_wildcard() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, left=0, share=UrlShare("a" * 255, 1))
    # With backtracking this takes longer than the universe has.
    assert search(registry, "*a" * 15 + "*b") == []
    with pytest.raises(RemoteProtocolError, match="16 wildcards"):
        check_glob("?" * 17)
    check_glob("*" * 200)
    assert len(search(registry, "*" * 200)) == 1


class RegistryMachine(RuleBasedStateMachine):
    """Any sequence of announces and expiry agrees with a plain dictionary."""

    settings = RegistrySettings()

    def __init__(self) -> None:
        super().__init__()
        self.registry = TrackerRegistry(self.settings, rng=random.Random(1))
        self.model = {}
        self.now = 0.0

    @rule(
        swarm=st.sampled_from(SWARMS),
        peer=st.sampled_from([*map(v4, range(4)), v4(0, 1), v4(0, 2), *map(v6, range(3))]),
        left=st.sampled_from([0, 1]),
        event=st.sampled_from([0, 1, 2, 3, 4, 2**32 - 1]),
        share=st.sampled_from([None, *(UrlShare(name, 1) for name in ("x", "y", "zzz"))]),
        num_want=st.integers(-1, 4),
    )
    def announce(
        self,
        *,
        swarm: bytes,
        peer: bytes,
        left: int,
        event: int,
        share: UrlShare | tuple[str, int] | None,
        num_want: int,
    ) -> None:
        self.expire()
        if event != 3 and self.must_refuse(swarm, peer, share):
            with pytest.raises(AnnounceRefusedError):
                self.registry.announce(swarm, peer, self.now, left=left, event=event, share=share)
            return
        answer = self.registry.announce(
            swarm, peer, self.now, left=left, event=event, num_want=num_want, share=share
        )
        others = {
            address
            for (in_swarm, address), (_, their_left, *_) in self.model.items()
            if in_swarm == swarm
            and address != peer
            and len(address) == len(peer)
            and (left or their_left or share is None)
        }
        chosen = split(answer[2], len(peer))
        assert set(chosen) <= others
        if event == 3:
            self.model.pop((swarm, peer), None)
            assert not chosen
            return
        assert len(chosen) == len(set(chosen)) == min(50 if num_want < 0 else num_want, len(others))
        _, _, name, name_expires = self.model.get((swarm, peer), (0, 0, None, 0))
        if share is not None:
            name, name_expires = share.name, self.now + LEASE
        elif name_expires <= self.now:
            name = None
        self.model[swarm, peer] = (self.now + LEASE, left, name, name_expires)
        self.forget_crowded_names(swarm, share)

    def forget_crowded_names(self, swarm: bytes, share: UrlShare | None) -> None:
        """Take the word of the registry on which name had to make room, if it is one at most."""
        held = {(match.info_hash, match.name) for match in search(self.registry, "*")}
        lost = self.names() - held
        assert len(lost) <= (0 if share is None else 1)
        assert not lost or len(held) == self.settings.max_names
        for key, (expires, left, name, _) in self.model.items():
            if (key[0], name) in lost:
                self.model[key] = (expires, left, None, 0)

    def names(self) -> set[tuple[bytes, str]]:
        return {(key[0], value[2]) for key, value in self.model.items() if value[2]}

    def must_refuse(self, swarm: bytes, peer: bytes, share: UrlShare | None) -> bool:
        """Whether a limit is reached that this announce would exceed."""
        limits = self.settings
        if share is not None and len(share.name) > limits.max_name_length:
            return True
        if (swarm, peer) in self.model:
            return False
        swarms = Counter(key[0] for key in self.model)
        # Whoever has one IPv6 address has its /64.
        host = len(peer), peer[: 4 if len(peer) == 6 else 8]
        of_host = sum((len(key[1]), key[1][: len(host[1])]) == host for key in self.model)
        return (
            len(self.model) >= limits.max_peers
            or of_host >= limits.max_peers_per_host
            or swarms[swarm] >= limits.max_peers_per_swarm
            or (swarm not in swarms and len(swarms) >= limits.max_swarms)
        )

    @rule(seconds=st.sampled_from([1.0, 30.0, 74.0, 76.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.expire()

    def expire(self) -> None:
        self.registry.expire(self.now, 100)
        self.model = {key: value for key, value in self.model.items() if value[0] > self.now}

    @invariant()
    def counts_agree(self) -> None:
        for swarm in SWARMS:
            lefts = [value[1] for key, value in self.model.items() if key[0] == swarm]
            counts = self.registry.scrape(swarm)
            assert (counts.seeders, counts.leechers) == (lefts.count(0), lefts.count(1))
        names = self.names()
        assert {(m.info_hash, m.name) for m in search(self.registry, "*")} == names
        assert self.registry.counts() == (
            len({key[0] for key in self.model}), len(self.model), len(names)
        )  # fmt: skip

    @invariant()
    def counted_hosts_of_swarms_have_as_many_peers_as_are_listed(self) -> None:
        for swarm in self.registry._swarms.values():
            for counts, peers, size in zip(
                swarm.hosts or (), (swarm.peers4, swarm.peers6), (4, 8), strict=False
            ):
                addresses = split(peers.packed, size + 2 if size == 4 else 18) if peers else []
                hosts = Counter(address[:size] for address in addresses)
                for number in range(4):
                    host = (v4 if size == 4 else v6)(number)[:size]
                    assert counts[host] == hosts[host]


TestRegistryMachine = RegistryMachine.TestCase


class FullRegistryMachine(RegistryMachine):
    """So does a registry at its limits: who must be refused is, and nothing changes by it."""

    settings = RegistrySettings(
        max_swarms=2,
        max_peers=7,
        max_peers_per_swarm=4,
        max_peers_per_host=3,
        max_names=2,
        max_name_length=2,
    )


TestFullRegistryMachine = FullRegistryMachine.TestCase


# --- Leases that fit how a peer comes back ---

LIBTORRENT, RTORRENT, ARIA2 = (
    b"-LT2110-abcdefghijkl",
    b"-lt0D80-abcdefghijkl",
    b"A2-1-36-0-abcdefghij",
)
OURS = b"-tS0100-abcdefghijkl"


def listed(registry: TrackerRegistry, now: float) -> int:
    while (due := registry.expire(now, 100)) is not None and due <= now:
        pass
    counts = registry.scrape(A)
    return counts.seeders + counts.leechers


@pytest.mark.parametrize(
    ("peer_id", "gap"), [(LIBTORRENT, 300.0), (RTORRENT, 600.0), (b"?" * 20, 30.0)]
)
def test_a_client_with_a_least_interval_of_its_own_is_listed_from_its_first_announce_to_its_last(
    peer_id: bytes, gap: float
) -> None:
    """libtorrent 2.1 comes back after 300 s (`min_announce_interval`), rTorrent after 600 s."""
    registry = new_registry()
    for announce in range(5):
        event = AnnounceEvent.NONE if announce else AnnounceEvent.STARTED
        registry.announce(A, v4(1), announce * gap, 0, event, peer_id=peer_id)
        # One of ours comes and goes meanwhile.
        registry.announce(A, v4(2), announce * gap + 5, 0, peer_id=OURS)
        if gap > LEASE:
            assert listed(registry, announce * gap + 5 + LEASE) == 1
        for part in range(1, 100):
            assert listed(registry, announce * gap + gap * part / 100) >= 1
    # It is gone when it is a quarter late.
    assert listed(registry, 4 * gap + max(gap * 1.25, gap + LEASE) + 1) == 0


def test_a_client_that_is_not_ours_has_the_plain_lease_once_it_came_back_when_asked() -> None:
    """aria2 1.36 and Transmission 3.00 come back every 30 s if the tracker says so."""
    registry = new_registry()
    registry.announce(A, v4(1), 0, 0, AnnounceEvent.STARTED, peer_id=ARIA2)
    registry.announce(A, v4(1), 30, 0, peer_id=ARIA2)
    assert listed(registry, 30 + LEASE - 0.1) == 1
    assert listed(registry, 30 + LEASE) == 0


def test_our_own_peers_are_gone_after_the_lease_whatever_others_are_listed() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, 0, peer_id=LIBTORRENT)
    registry.announce(A, v4(2), 1, 0, AnnounceEvent.STARTED, peer_id=OURS)
    registry.announce(A, v6(2), 1, 0, AnnounceEvent.STARTED, peer_id=OURS)
    assert listed(registry, LEASE + 0.9) == 3
    assert listed(registry, LEASE + 1.1) == 1


def test_an_unknown_client_that_comes_again_after_its_lease_is_listed_from_then_on() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, 0, peer_id=b"?" * 20)
    assert listed(registry, 299) == 0
    for announce in range(1, 5):
        registry.announce(A, v4(1), announce * 300, 0, peer_id=b"?" * 20)
        assert listed(registry, announce * 300 + 299) == 1


@pytest.mark.parametrize(
    ("event", "early"),
    [
        *((AnnounceEvent.NONE, early) for early in (1.0, 100.0, 290.0)),
        *((AnnounceEvent.COMPLETED, early) for early in (1.0, 20.0, 100.0, 290.0)),
    ],
)
def test_one_announce_between_two_shortens_no_lease(early: float, event: AnnounceEvent) -> None:
    """A completed download and "force reannounce" come when they like; then 300 s pass again."""
    registry = new_registry()
    times = [0.0, 300.0, 600.0, 600.0 + early, 900.0 + early, 1200.0 + early]
    events = [AnnounceEvent.STARTED, *[AnnounceEvent.NONE] * 2, event, *[AnnounceEvent.NONE] * 2]
    for number, (now, told) in enumerate(zip(times, events, strict=True)):
        registry.announce(A, v4(1), now, int(number < 3), told, peer_id=LIBTORRENT)
        until = times[number + 1] if number + 1 < len(times) else now
        assert listed(registry, until) == 1, now


@pytest.mark.parametrize("early", [15.0, 20.0, 45.0])
def test_one_announce_between_two_that_comes_as_asked_for_begins_the_plain_lease(
    early: float,
) -> None:
    """All are asked to come after 30 s: "force reannounce" cannot be told from that."""
    registry = new_registry()
    for now in (0.0, 300.0, 600.0, 600.0 + early):
        registry.announce(A, v4(1), now, 0, peer_id=LIBTORRENT)
    assert listed(registry, 600.0 + early + LEASE - 0.1) == 1
    assert listed(registry, 600.0 + early + LEASE) == 0


@pytest.mark.parametrize("gap", [60.0, 120.0, 200.0])
def test_a_lease_fits_the_time_between_announces_once_that_was_seen_twice(gap: float) -> None:
    registry = new_registry()
    for announce in range(3):
        registry.announce(A, v4(1), announce * gap, 0, peer_id=LIBTORRENT)
    assert listed(registry, 2 * gap + gap + LEASE - 5) == 1
    assert listed(registry, 2 * gap + gap + LEASE + 6) == 0


def test_stopped_takes_out_a_peer_with_a_long_lease_at_once() -> None:
    registry = new_registry()
    registry.announce(A, v4(1), 0, 0, peer_id=LIBTORRENT)
    registry.announce(A, v4(1), 10, 0, AnnounceEvent.STOPPED, peer_id=LIBTORRENT)
    assert registry.counts() == (0, 0, 0)


def test_a_name_lives_as_long_as_the_peer_that_announces_it() -> None:
    registry = new_registry()
    for announce in range(3):
        registry.announce(A, v4(1), announce * 300, 0, share=UrlShare("x", 1), peer_id=LIBTORRENT)
        assert listed(registry, announce * 300 + 299) == 1
        assert [match.name for match in registry.resolve("x").matches] == ["x"]
    assert listed(registry, 1200) == 0
    assert registry.counts().names == 0


def test_what_is_remembered_of_peers_whose_lease_ended_is_bounded() -> None:
    lapsed = Lapsed(600)
    for number in range(2 * MAX_LAPSED):
        lapsed.add(number.to_bytes(26, "big"), 0)
    assert len(lapsed) == MAX_LAPSED
    assert lapsed.take(bytes(26), 1) is None
    assert lapsed.take((2 * MAX_LAPSED - 1).to_bytes(26, "big"), 301) == 301
    lapsed.add(bytes(26), 0)
    assert lapsed.take(bytes(26), 601) is None


@given(st.data())
def test_a_lease_never_ends_before_it_was_said_to_nor_a_second_after(data: st.DataObject) -> None:
    """With peers of all habits in one swarm, expiry agrees with each peer's own lease."""
    registry = new_registry()
    rule = LeaseRule(lease=LEASE, interval=30)
    ids = [OURS, LIBTORRENT, b"?" * 20]
    model: dict[bytes, tuple[float, int]] = {}
    gone: dict[bytes, float] = {}
    now = 0.0
    for _ in range(data.draw(st.integers(1, 30))):
        number = data.draw(st.integers(0, 5))
        peer, peer_id = v4(number), ids[number % 3]
        event = data.draw(st.sampled_from([0, 0, 0, 1, 2]))
        registry.announce(A, peer, now, 0, event, peer_id=peer_id)
        if peer_id == OURS:
            habit = 0
        elif peer not in model:
            gap = now - gone.pop(peer) if peer in gone else None
            foreign = rule.foreign if peer_id == LIBTORRENT else 0
            habit = foreign if gap is None or gap > 600 else rule.returned(gap)
        elif event == 2:
            habit = rule.foreign if peer_id == LIBTORRENT else 0
        else:
            ends, habit = model[peer]
            habit = habit if event else rule.after(habit, ends - now)
        model[peer] = now + rule.lengths[habit], habit
        now += data.draw(st.sampled_from([0.0, 1.0, 29.0, 46.0, 76.0, 300.0, 601.0]))
        listed(registry, now)
        for address, (ends, of) in list(model.items()):
            if ends <= now:
                del model[address]
                gone[address] = ends - rule.lengths[of]
        assert registry.scrape(A).seeders == len(model)


# --- Hybrid torrents: one torrent with two info-hashes ---

V1, V2 = b"1" * 20, b"2" * 20
X = UrlShare("x", 7)


def hashes_of(registry: TrackerRegistry, name: str = "x") -> list[bytes]:
    found = [match.info_hash for match in registry.resolve(name).matches]
    assert sorted(found) == sorted(match.info_hash for match in search(registry, "*"))
    return found


def test_both_hashes_of_a_hybrid_are_one_entry_as_long_as_the_same_peers_announce_both() -> None:
    """libtorrent 2.1 announces both, with one port, name and key."""
    registry = new_registry()
    for number in range(3):
        for info_hash in (V1, V2):
            registry.announce(info_hash, v4(number), 0, 0, share=X, key=70 + number)
    assert hashes_of(registry) == [V1]
    # Who knows version 1 only is in one of the two swarms.
    registry.announce(V1, v4(9), 0, 5, share=X, key=99)
    registry.announce(V1, v4(8), 0, 0, share=X, key=98)
    assert hashes_of(registry) == [V1]
    # One that announces the other alone makes it a torrent of its own.
    registry.announce(V2, v4(7), 0, 0, share=X, key=97)
    assert hashes_of(registry) == [V1, V2]
    registry.announce(V2, v4(7), 0, 0, AnnounceEvent.STOPPED, share=X, key=97)
    assert hashes_of(registry) == [V1]
    # The twin that is left is listed when the first goes.
    for number in (0, 1, 2, 8, 9):
        registry.announce(V1, v4(number), 1, 0, AnnounceEvent.STOPPED)
    assert hashes_of(registry) == [V2]
    registry.expire(1000, 1000)
    assert registry.counts() == (0, 0, 0)


@pytest.mark.parametrize(("address", "key"), [(v4(1), 2), (v4(1), 0), (v4(1, 1001), 1), (v6(1), 1)])
def test_nobody_hides_a_torrent_without_the_address_and_the_key_of_its_peers(
    address: bytes, key: int
) -> None:
    """A host behind the same address may claim the port of another, but not its key."""
    registry = new_registry()
    registry.announce(V1, v4(1), 0, 0, share=X, key=1)
    for number in range(5):
        registry.announce(V2, v4(50 + number), 0, 0, key=1)  # more seeders
    registry.announce(V2, address, 0, 0, share=X, key=key)
    assert sorted(hashes_of(registry)) == [V1, V2]
    # Nor by announcing the victim's torrent as well.
    for info_hash in (V1, V2):
        registry.announce(info_hash, v4(3), 0, 0, share=X, key=3)
    assert sorted(hashes_of(registry)) == [V1, V2]


def test_two_torrents_of_one_name_from_one_of_our_nodes_are_two() -> None:
    """A node of ours has a key for each torrent."""
    registry = new_registry()
    registry.announce(V1, v4(1), 0, 0, share=X, key=1)
    registry.announce(V2, v4(1), 0, 0, share=X, key=2)
    assert hashes_of(registry) == [V1, V2]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([V1, V2, A]),
            st.integers(0, 3),
            st.sampled_from([1, 1, 2]),
            st.sampled_from([0, 0, 0, 3]),
            st.sampled_from([X, X, UrlShare("y", 1), None]),
        ),
        max_size=40,
    )
)
def test_what_is_known_of_twins_agrees_with_who_announces_what(
    announces: list[tuple[bytes, int, int, int, UrlShare | None]],
) -> None:
    registry = new_registry(max_names=3)
    for now, (info_hash, number, key, event, share) in enumerate(announces):
        registry.announce(info_hash, v4(number), now * 20.0, 0, event, share=share, key=key)
        registry.expire(now * 20.0, 1000)
        announcers: dict[tuple[str, bytes], set[tuple[bytes, int]]] = {}
        for held, swarm in registry._swarms.items():
            for address, sharing in (swarm.names or {}).items():
                if sharing.shared.name:
                    known = announcers.setdefault((sharing.shared.name, held), set())
                    known.add((address, sharing.key))
        for (name, held), mine in announcers.items():
            shared = registry._names._by_name[name][held]
            expected = {
                other: len(mine & theirs)
                for (their_name, other), theirs in announcers.items()
                if their_name == name and other != held and mine & theirs
            }
            assert (shared.twins or {}) == expected
            assert shared.announcers == len(mine)


# --- Peers of two families (BEP 7) ---

V4, V6 = [v4(number) for number in range(8)], [v6(number) for number in range(8)]
STARTED, STOPPED = int(AnnounceEvent.STARTED), int(AnnounceEvent.STOPPED)
EVENTS = [0, int(AnnounceEvent.STARTED), int(AnnounceEvent.COMPLETED), int(AnnounceEvent.STOPPED)]


def test_a_peer_that_announces_over_both_families_counts_once() -> None:
    """BEP 7; libtorrent 2.1.1 has one peer id and key for both, and shows what a tracker says."""
    registry = new_registry()
    client: dict[str, Any] = {"peer_id": b"-LT2110-" + b"x" * 12, "key": 7}
    registry.announce(A, V4[0], 0.0, 0, STARTED, **client)
    assert registry.announce(A, V6[0], 0.1, 0, STARTED, **client)[:2] == (1, 0)
    assert registry.announce(A, V4[0], 30.0, 0, **client)[:2] == (1, 0)
    assert registry.scrape(A) == ScrapeCounts(seeders=1, completed=0, leechers=0)
    # It is given out under both addresses, of each asker's family one.
    assert registry.announce(A, V4[1], 30.0, 5, key=8) == (1, 1, V4[0])
    assert registry.announce(A, V6[2], 30.0, 5, key=9) == (1, 2, V6[0])
    assert registry.counts().peers == 4
    registry.announce(A, V4[0], 40.0, 0, STOPPED, **client)
    assert registry.scrape(A).seeders == 1
    registry.announce(A, V6[0], 40.0, 0, STOPPED, **client)
    assert registry.scrape(A) == ScrapeCounts(seeders=0, completed=0, leechers=2)


def test_a_peer_of_both_families_counts_once_as_what_it_is_now() -> None:
    registry = new_registry()
    for number, left in ((0, 5), (1, 0), (2, 5)):
        registry.announce(A, v4(number), 0.0, left, STARTED, key=number + 1)
        registry.announce(A, v6(number), 0.1, left, STARTED, key=number + 1)
    assert registry.scrape(A) == ScrapeCounts(seeders=1, completed=0, leechers=2)
    registry.announce(A, v4(0), 5.0, 0, int(AnnounceEvent.COMPLETED), key=1)
    registry.announce(A, v6(0), 5.0, 0, key=1)
    assert registry.announce(A, v4(2), 6.0, 5, key=3)[:2] == (2, 1)
    registry.announce(A, v6(1), 7.0, 5, key=2)
    registry.announce(A, v4(1), 7.0, 5, key=2)
    assert registry.announce(A, v4(2), 8.0, 5, key=3)[:2] == (1, 2)
    # One family is gone, and comes back.
    for number in range(3):
        registry.announce(A, v6(number), 9.0, 5, STOPPED)
    assert registry.announce(A, v4(2), 10.0, 5, key=3)[:2] == (1, 2)
    registry.announce(A, v6(5), 11.0, 5, STARTED, key=9)
    assert registry.announce(A, v4(2), 12.0, 5, key=3)[:2] == (1, 3)
    registry.announce(A, v6(2), 13.0, 5, STARTED, key=3)
    assert registry.announce(A, v4(2), 14.0, 5, key=3)[:2] == (1, 3)


@pytest.mark.parametrize("other", [{"key": 0}, {"key": 8}, {"peer_id": b"-LT2110-" + b"y" * 12}])
def test_whoever_does_not_know_a_peers_key_is_not_counted_as_that_peer(
    other: dict[str, Any],
) -> None:
    registry = new_registry()
    client: dict[str, Any] = {"peer_id": b"-LT2110-" + b"x" * 12, "key": 7}
    registry.announce(A, V4[0], 0.0, 5, STARTED, **(client | other))
    registry.announce(A, V6[0], 0.1, 5, STARTED, **client)
    assert registry.scrape(A).leechers == 2


both_families = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from("46"),
        st.sampled_from([0, 5]),
        st.sampled_from(EVENTS),
        st.sampled_from([0.0, 10.0, 80.0]),
    ),
    max_size=60,
)


@given(both_families)
def test_counts_of_both_families_never_leave_out_a_peer(script: list[tuple]) -> None:
    registry, now = new_registry(), 0.0
    for number, family, left, event, later in script:
        now += later
        while (due := registry.expire(now, 5)) is not None and due <= now:
            pass
        address = (V4 if family == "4" else V6)[number]
        answer = registry.announce(A, address, now, left, event, key=number + 1)
        swarm = registry._swarms.get(A)
        counts = registry.scrape(A)
        assert (counts.seeders, counts.leechers) == answer[:2]
        lists = [] if swarm is None else [each for each in (swarm.peers4, swarm.peers6) if each]
        for each in lists:
            assert each.pairs is None or len(each.pairs.marks) == len(each)
        for kind in ("seeders", "leechers"):
            sizes = [getattr(each, kind) for each in lists]
            count = getattr(counts, kind)
            assert max(sizes, default=0) <= count <= sum(sizes)
        if len(lists) == 2 and lists[0].pairs is not None:
            for each in lists:
                assert each.pairs is not None
                marked = [at for at, mark in enumerate(each.pairs.marks) if mark]
                seeders = sum(at < each.seeders for at in marked)
                counted = (each.pairs.seeders, each.pairs.leechers)
                assert counted == (seeders, len(marked) - seeders)


def test_peers_that_begin_are_remembered_up_to_a_bound() -> None:
    registry = new_registry()
    registry.announce(A, v4(7), 0.0, 5, STARTED, key=7)
    for number in range(MAX_BEGUN):
        registry.announce(A, v4(number), 0.0, 5, STARTED, key=number + 8)
    assert len(registry._begun) == MAX_BEGUN
    registry.announce(A, v6(7), 0.0, 5, STARTED, key=7)  # it is forgotten, and counts twice
    assert registry.scrape(A).leechers == MAX_BEGUN + 1
