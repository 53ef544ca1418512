"""What a tracker takes, counted: calls an announce and bytes a peer, the same on every machine."""

import gc
import random
import socket
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType

import pytest

from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceRequest
from trio_swarm.tracker.store.compact_peers import SWEEP
from trio_swarm.tracker.store.registry import RegistryLimits, TrackerRegistry
from trio_swarm.tracker.udp.datagram_batch import BATCH, DatagramBatch
from trio_swarm.tracker.udp.datagrams import DatagramTracker

A = b"a" * 20
LEASE = 75.0
LIMITS = RegistryLimits(max_peers_per_host=10**6)


def new_registry() -> TrackerRegistry:
    return TrackerRegistry(lease=LEASE, rng=random.Random(1), limits=LIMITS)


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
    (answer,), _ = tracker.answers(batch, 0.0)
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
    registry = new_registry()
    tracker = DatagramTracker(registry, secret=A, interval=30, own_address=lambda asker: None)
    for number in range(others):
        registry.announce(A, number.to_bytes(4, "big") + b"\1\1", 0.0, 5)
    batch = batch_of_announces(tracker, url_data)
    for _ in range(2):
        answers, _ = tracker.answers(batch, 1.0)
    assert len(answers) == BATCH
    return calls_of(lambda: tracker.answers(batch, 2.0))


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
    assert 0 < calls < 1 + most * BATCH + BATCH // 10
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
