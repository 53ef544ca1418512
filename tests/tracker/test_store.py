"""A tracker and its store: batches of questions, and a store that takes its time."""

import socket
from collections.abc import Sequence

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from local_swarm import LIMIT
from tracker_stores import at_once, new_store
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceRequest
from trio_swarm.tracker.binding import bind_sockets
from trio_swarm.tracker.store.in_memory import InMemoryStore
from trio_swarm.tracker.store.interface import (
    Announce,
    AnnounceRefusedError,
    SwarmAnswer,
    TrackerStore,
)
from trio_swarm.tracker.udp.answering import DatagramTracker
from trio_swarm.tracker.udp.batch import BATCH, DatagramBatch
from trio_swarm.tracker.udp.server import serve_socket

HASH, OTHER = b"h" * 20, b"o" * 20
NAME = "x.iso"
ASKER = ("192.0.2.9", 5000)


def new_tracker(store: TrackerStore) -> DatagramTracker:
    own = {(f"192.0.2.{number}", 5000): bytes((10, 0, 0, number)) for number in range(BATCH)}
    return DatagramTracker(store, secret=b"s" * 32, interval=30, own_address=own.get)


def request(connection: bytes, number: int, kind: str) -> bytes:
    """Return a datagram of a kind; its number is its transaction id and its peer's port."""
    peer = AnnounceRequest(info_hash=HASH, peer_id=HASH, port=7000 + number, left=5, key=1)
    announce = udp_tracker.announce_request(connection, number, peer)
    hashes = [HASH, OTHER][: 1 + number % 2]
    return {
        "announce": announce,
        "bad options": announce + b"\2\xff",
        "stranger": bytes(8) + announce[8:],
        "connect": udp_tracker.connect_request(number),
        "scrape": udp_tracker.scrape_request(connection, number, hashes),
        "resolve": udp_tracker.name_request(connection, number, NAME, is_glob=False),
        "search": udp_tracker.name_request(connection, number, NAME, is_glob=True),
        "claim": udp_tracker.claim_request(connection, number, NAME, HASH),
        "rubbish": b"rubbish",
    }[kind]


ACTIONS = {
    "announce": 1, "bad options": 3, "stranger": 3, "connect": 0, "scrape": 2,
    "resolve": udp_tracker.Action.NAME, "claim": udp_tracker.Action.NAME,
}  # fmt: skip
SILENT = ["search", "rubbish"]


def connect(tracker: DatagramTracker, host: str) -> bytes:
    batch = DatagramBatch(socket.AF_INET, capacity=1)
    batch.put(0, (host, 5000), udp_tracker.connect_request(1))
    batch.lengths = [16]
    (answer,), _ = at_once(tracker.answers(batch, 0.0))
    return udp_tracker.parse_connect_answer(answer)


@given(st.lists(st.sampled_from([*ACTIONS, *SILENT, "announce"]), max_size=BATCH))
def test_every_datagram_of_a_batch_gets_its_own_answer(kinds: list[str]) -> None:
    store, registry = new_store()
    # A peer on the tracker's machine, which each asker is to get under another address.
    registry.announce(HASH, b"\x7f\0\0\1\0\1", 0.0, 0)
    tracker = new_tracker(store)
    batch = DatagramBatch(socket.AF_INET)
    lengths = []
    for number, kind in enumerate(kinds):
        host = f"192.0.2.{number}"
        data = request(connect(tracker, host), number, kind)
        batch.put(number, (host, 5000), data)
        lengths.append(len(data))
    batch.lengths = lengths
    answers, searches = at_once(tracker.answers(batch, 1.0))
    assert len(answers) == len(kinds)
    assert len(searches) == kinds.count("search")
    assert registry.counts().peers == 1 + kinds.count("announce")
    for number, (kind, answer) in enumerate(zip(kinds, answers, strict=True)):
        if kind in SILENT:
            assert answer == b""
            continue
        assert udp_tracker.parse_answer_header(answer) == (ACTIONS[kind], number)
        if kind == "announce":
            peers = udp_tracker.parse_announce_answer(answer, ipv6=False).peers
            assert (f"10.0.0.{number}", 1) in peers
            assert (f"192.0.2.{number}", 7000 + number) not in peers
        if kind == "scrape":
            assert len(udp_tracker.parse_scrape_answer(answer, 1 + number % 2)) == 1 + number % 2
    assert tracker.announces == kinds.count("announce") + kinds.count("bad options")


class CountingStore(InMemoryStore):
    """Counts how often it is asked, and how much."""

    def __init__(self) -> None:
        registry = new_store()[1]
        super().__init__(registry, pause=trio.lowlevel.checkpoint)
        self.asked: list[tuple[str, int]] = []

    async def announce(
        self, announces: Sequence[Announce], now: float
    ) -> list[SwarmAnswer | AnnounceRefusedError]:
        self.asked.append(("announce", len(announces)))
        return await super().announce(announces, now)

    async def scrape(self, info_hashes: Sequence[bytes]) -> list[udp_tracker.ScrapeCounts]:
        self.asked.append(("scrape", len(info_hashes)))
        return await super().scrape(info_hashes)


@pytest.mark.parametrize(
    ("kinds", "asked"),
    [
        (["announce"] * BATCH, [("announce", BATCH)]),
        (["connect"] * BATCH, []),
        # Two hashes in every other scrape.
        (["announce", "scrape"] * (BATCH // 2), [("announce", BATCH // 2), ("scrape", BATCH)]),
    ],
)
def test_a_store_is_asked_once_a_batch_for_each_kind_of_question(
    kinds: list[str], asked: list[tuple[str, int]]
) -> None:
    store = CountingStore()
    tracker = new_tracker(store)
    connection = connect(tracker, ASKER[0])
    batch = DatagramBatch(socket.AF_INET)
    lengths = []
    for number, kind in enumerate(kinds):
        data = request(connection, number, kind)
        batch.put(number, ASKER, data)
        lengths.append(len(data))
    batch.lengths = lengths
    at_once(tracker.answers(batch, 1.0))
    assert store.asked == asked


class SlowStore(CountingStore):
    """Answers announces of OTHER when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.may_answer = trio.Event(), trio.Event()

    async def announce(
        self, announces: Sequence[Announce], now: float
    ) -> list[SwarmAnswer | AnnounceRefusedError]:
        if any(announce[0] == OTHER for announce in announces):
            self.waits.set()
            await self.may_answer.wait()
        return await super().announce(announces, now)


async def test_a_batch_waits_for_its_store_while_other_sockets_are_served() -> None:
    store = SlowStore()
    tracker = new_tracker(store)
    served = [
        (await bind_sockets(host, 0, http=False)).datagram[0] for host in ("127.0.0.1", "127.0.0.2")
    ]
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            askers = []
            for bound in served:
                nursery.start_soon(serve_socket, bound, tracker, store)
                asker = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                await asker.connect(bound.getsockname())
                await asker.send(udp_tracker.connect_request(1))
                askers.append((asker, udp_tracker.parse_connect_answer(await asker.recv(99))))
            (slow, slow_id), (quick, quick_id) = askers
            peer = AnnounceRequest(info_hash=OTHER, peer_id=HASH, port=7000, left=5, key=1)
            await slow.send(udp_tracker.announce_request(slow_id, 2, peer))
            await store.waits.wait()
            # What comes to the same socket meanwhile waits in it, and is not lost.
            await slow.send(request(slow_id, 3, "scrape"))
            for number in range(3):
                await quick.send(request(quick_id, number, "announce"))
                header = udp_tracker.parse_answer_header(await quick.recv(999))
                assert header == (1, number)
            store.may_answer.set()
            headers = [udp_tracker.parse_answer_header(await slow.recv(999)) for _ in range(2)]
            assert headers == [(1, 2), (2, 3)]
            nursery.cancel_scope.cancel()
    for asker, _ in askers:
        asker.close()
    for bound in served:
        bound.close()
