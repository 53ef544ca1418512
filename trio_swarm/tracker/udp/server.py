"""Serves one UDP socket of a tracker: a loop for datagrams, and one for searches among them."""

import socket
from collections import Counter
from contextlib import suppress
from typing import NoReturn

import trio

from trio_swarm.tracker.store.interface import TrackerStore
from trio_swarm.tracker.udp.answering import DatagramTracker
from trio_swarm.tracker.udp.batch import BATCH, SocketAddress
from trio_swarm.tracker.udp.requests import SearchRequest
from trio_swarm.tracker.udp.sockets import open_batches, send_datagram

_BATCHES = 4
"""Answered before other tasks get their turn: 256 datagrams, about 2 ms."""

ENDED_PER_WAKE_UP = 2 * _BATCHES * BATCH
"""Peers whose leases have ended that are taken out per wake-up, or swarms without such that are
looked at: more than the datagrams of a wake-up can cause, so they cannot pile up."""

_MAX_SEARCHES = 64
"""Searches waiting; one more is met with silence, and its client asks again."""

_MAX_SEARCHES_PER_HOST = 8
"""Of one IPv4 address or IPv6 /64, so that no one host can keep others from searching."""


async def serve_socket(bound: socket.socket, tracker: DatagramTracker, store: TrackerStore) -> None:
    """Answer the datagrams of a bound, non-blocking socket until cancelled."""
    to_search, searches = trio.open_memory_channel[SearchRequest](_MAX_SEARCHES)
    waiting: Counter[bytes] = Counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_answer_searches, bound, tracker, searches, waiting)
        nursery.start_soon(_answer_batches, bound, tracker, store, to_search, waiting)


async def _answer_batches(
    bound: socket.socket,
    tracker: DatagramTracker,
    store: TrackerStore,
    to_search: trio.MemorySendChannel[SearchRequest],
    waiting: Counter[bytes],
) -> NoReturn:
    batches = open_batches(bound)
    while True:
        await trio.lowlevel.wait_readable(bound.fileno())
        await store.end_leases(trio.current_time(), ENDED_PER_WAKE_UP)
        for _ in range(_BATCHES):
            count = batches.receive()
            if count == 0:
                break
            answers, searches = await tracker.answers(batches.batch, trio.current_time())
            batches.send(answers)
            for search in searches:
                host = _host_of(search.source)
                if waiting[host] < _MAX_SEARCHES_PER_HOST:
                    with suppress(trio.WouldBlock):
                        to_search.send_nowait(search)
                        waiting[host] += 1
            if count < BATCH:
                break


async def _answer_searches(
    bound: socket.socket,
    tracker: DatagramTracker,
    searches: trio.MemoryReceiveChannel[SearchRequest],
    waiting: Counter[bytes],
) -> None:
    async for search in searches:
        answer = await tracker.search(search, trio.current_time())
        send_datagram(bound, answer, search.source, search.destination)
        host = _host_of(search.source)
        waiting[host] -= 1
        if not waiting[host]:
            del waiting[host]


def _host_of(asker: SocketAddress) -> bytes:
    """Return the IPv4 address of an asker, or its IPv6 /64."""
    if len(asker) == 2:
        return socket.inet_aton(asker[0])
    return socket.inet_pton(socket.AF_INET6, asker[0].partition("%")[0])[:8]
