"""What a tracker takes, counted: calls an announce and bytes a peer, the same on every machine."""

import gc
import random
import socket
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import pytest

from tracker_stores import at_once, new_store
from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceRequest
from trio_swarm.protocol.trackers.urls import UrlShare, parse_url_data
from trio_swarm.tracker.store.compact_peers import SWEEP
from trio_swarm.tracker.store.interface import AnnounceRefusedError
from trio_swarm.tracker.store.names import MAX_HOLDERS_OF_NAME, MAX_TWINS
from trio_swarm.tracker.store.registry import TrackerRegistry
from trio_swarm.tracker.udp.answering import DatagramTracker
from trio_swarm.tracker.udp.batch import BATCH, DatagramBatch

A = b"a" * 20
LEASE = 75.0


def new_registry() -> TrackerRegistry:
    return new_store(max_peers_per_host=10**6)[1]


def calls_of(function: Callable[[], object]) -> int:
    """Return how many calls of Python functions one call causes, without itself."""
    count = -1

    def event(_frame: FrameType, kind: str, _argument: object) -> None:
        nonlocal count
        count += kind == "call"

    # Hypothesis has a function called at each collection, which is none of ours.
    gc.disable()
    sys.setprofile(event)
    try:
        function()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def batch_of_announces(tracker: DatagramTracker, url_data: bytes = b"") -> DatagramBatch:
    """Return a full batch of announces by as many peers on one host."""
    source = ("192.0.2.9", 5000)
    batch = DatagramBatch(socket.AF_INET)
    batch.put(0, source, udp_tracker.connect_request(1))
    batch.lengths = [16]
    (answer,), _ = at_once(tracker.answers(batch, 0.0))
    connection = udp_tracker.parse_connect_answer(answer)
    lengths = []
    for index in range(BATCH):
        request = AnnounceRequest(info_hash=A, peer_id=A, port=7000 + index, left=5, key=1)
        data = udp_tracker.announce_request(connection, index, request, url_data)
        batch.put(index, source, data)
        lengths.append(len(data))
    batch.lengths = lengths
    return batch


def calls_of_heartbeats(others: int, url_data: bytes) -> int:
    """Return what a batch of announces takes in a swarm of so many others."""
    store, registry = new_store(max_peers_per_host=10**6)
    tracker = DatagramTracker(store, secret=A, interval=30, own_address=lambda asker: None)
    for number in range(others):
        registry.announce(A, number.to_bytes(4, "big") + b"\1\1", 0.0, 5)
    batch = batch_of_announces(tracker, url_data)
    for _ in range(2):
        answers, _ = at_once(tracker.answers(batch, 1.0))
    assert len(answers) == BATCH
    return calls_of(lambda: at_once(tracker.answers(batch, 2.0)))


@pytest.mark.parametrize(
    ("url_data", "most"),
    [
        # The registry's announce, the choice of peers, the answer; and one to spare.
        (b"", 4),
        # Its options taken from the batch, and the name kept; and one to spare.
        (b"/announce?name=x.iso", 6),
    ],
)
def test_a_heartbeat_takes_as_few_calls_in_a_small_swarm_as_in_a_large_one(
    url_data: bytes, most: int
) -> None:
    calls = calls_of_heartbeats(0, url_data)
    assert 0 < calls < 10 + most * BATCH + BATCH // 10
    assert calls_of_heartbeats(1000, url_data) == calls


@pytest.mark.parametrize(
    ("swarms", "peers", "most"),
    [(2_000, 10, 115), (400, 50, 72), (20, 1_000, 166), (1, 30_000, 174)],
)
def test_a_peer_on_a_host_of_its_own_takes_few_bytes(swarms: int, peers: int, most: int) -> None:
    registry = new_registry()
    tracemalloc.start()
    try:
        for number in range(swarms * peers):
            host = (number * 2654435761 % 2**32).to_bytes(4, "big")
            registry.announce((number % swarms).to_bytes(20, "big"), host + b"\1\1", 0.0, 5)
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert registry.counts() == (swarms, swarms * peers, 0)
    assert used / (swarms * peers) <= most


def steps_until_done(registry: TrackerRegistry, now: float, limit: int) -> int:
    """Let leases end in steps of at most `limit`; return how many it took."""
    steps = 1
    while (due := registry.expire(now, limit)) is not None and due <= now:
        steps += 1
    return steps


def test_looking_through_a_huge_swarm_that_lost_nobody_is_done_in_bounded_steps() -> None:
    registry = new_registry()
    peers = [number.to_bytes(4, "big") + b"\1\1" for number in range(40 * SWEEP)]
    for peer in peers:
        registry.announce(A, peer, 0.0, 5)
    for peer in peers:
        registry.announce(A, peer, 10.0, 5)
    # 40 looks at SWEEP leases each, none of which has ended.
    assert steps_until_done(registry, LEASE + 1, limit=3) == 14
    assert registry.counts().peers == len(peers)


def registry_of_one_name(peers_of: Callable[[int], range]) -> TrackerRegistry:
    """Return a registry where a name has as many holders as it may, each with its announcers."""
    registry = new_registry()
    for holder in range(MAX_HOLDERS_OF_NAME):
        for peer in peers_of(holder):
            address = bytes((10, 0, 0, peer, 1, 1))
            share = UrlShare("x.iso", 0)
            registry.announce(bytes((holder,)) * 20, address, 0.0, 5, share=share, key=9)
    return registry


@pytest.mark.parametrize(
    "peers_of",
    [
        lambda holder: range(holder, holder + 1),
        # One peer announces it for all torrents, as a hybrid's does, ...
        lambda _holder: range(1),
        # ... or the first for one, the second for that and the next, and so on: none is hidden.
        lambda holder: range(holder + 1),
    ],
)
def test_to_ask_for_a_name_costs_little_however_strangers_announce_it(
    peers_of: Callable[[int], range],
) -> None:
    registry = registry_of_one_name(peers_of)
    # Its rank (three calls) and its twins (two) for each, the counts and a match for a page of 31.
    assert calls_of(lambda: registry.resolve("x.iso", 0, 31)) <= 500
    holders = registry._names._by_name["x.iso"].values()
    assert all(len(holder.twins or ()) <= MAX_TWINS for holder in holders)


@pytest.mark.parametrize("is_listed", [True, False])
def test_an_announce_to_a_crowded_swarm_costs_little_whoever_crowds_it(is_listed: bool) -> None:  # noqa: FBT001
    registry, _ = new_store(max_peers_per_swarm=8_000, max_peers_per_host=6_000)[::-1]
    for host in range(5):
        for port in range(1, 1001):
            with suppress(AnnounceRefusedError):
                registry.announce(A, bytes((5, 0, host, 0)) + port.to_bytes(2, "big"), 0.0, 5)
    host = bytes((5, 0, 0 if is_listed else 9, 0))

    def announce(port: bytes) -> None:
        with suppress(AnnounceRefusedError):
            registry.announce(A, host + port, 0.0, 5)

    announce(b"\7\7")  # hosts are counted once, if that is needed
    assert calls_of(lambda: announce(b"\7\10")) <= 55


def test_the_hosts_of_a_crowded_swarm_are_counted_until_it_is_crowded_no_longer() -> None:
    registry = new_store(max_peers_per_swarm=8_000, max_peers_per_host=6_000)[1]
    peers = [
        bytes((5, 0, host, 0)) + port.to_bytes(2, "big")
        for host in range(5)
        for port in range(1, 1001)
    ]
    for peer in peers:
        with suppress(AnnounceRefusedError):
            registry.announce(A, peer, 0.0, 5)
    swarm = registry._swarms[A]
    assert swarm.hosts is not None
    for peer in peers[:500]:
        registry.announce(A, peer, 0.0, 5, 3)
    assert swarm.peers_of(peers[0][:4]) == 500
    for peer in peers[:3000]:
        registry.announce(A, peer, 0.0, 5, 3)
    assert swarm.hosts is None


def library_calls_of(function: Callable[[], object]) -> int:
    """Return how many calls of functions not written in Python one call causes."""
    count = 0

    def event(_frame: FrameType, kind: str, _argument: object) -> None:
        nonlocal count
        count += kind == "c_call"

    sys.setprofile(event)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "parse",
    [
        lambda: parse_url_data(b"/announce?" + 1_900 * b"&" + b"name=x"),
        lambda: parse_url_data(b"/announce?" + 300 * b"size=&" + b"name=x"),
        lambda: parse_url_data(b"/announce?name=" + 600 * b"%41"),
        lambda: udp_tracker.parse_options(950 * b"\2\0"),
    ],
)
def test_the_options_of_an_announce_cost_little_however_many_they_are(
    parse: Callable[[], object],
) -> None:
    def read() -> None:
        with suppress(RemoteProtocolError):
            parse()

    assert library_calls_of(read) <= 200


@pytest.mark.parametrize("limit", [1, 100, 1000])
def test_peers_that_renew_between_the_steps_of_a_mass_death_live_on(limit: int) -> None:
    registry = new_registry()
    peers = [number.to_bytes(4, "big") + b"\1\1" for number in range(1000)]
    for number, peer in enumerate(peers):
        registry.announce(A, peer, 0.0, number % 2)
    now = LEASE + 1
    rng = random.Random(limit)
    saved = rng.sample(peers, 100)
    for peer in saved:
        # Those that become seeders change places with others while the sweep is under way.
        registry.announce(A, peer, now, rng.randrange(2))
        before = registry.counts().peers
        registry.expire(now, limit)
        assert before - registry.counts().peers <= limit
    steps_until_done(registry, now, limit)
    assert registry.counts().peers == 100
    asked = registry.announce(A, b"\2\2\2\2\2\2", now, 5, num_want=196)[2]
    assert {bytes(asked[at : at + 6]) for at in range(0, len(asked), 6)} == set(saved)
