"""Serves one UDP socket of a tracker: a loop for datagrams, and one for searches among them."""

import socket
from typing import NoReturn

import trio

from trio_swarm.tracker.host_places import MAX_SEARCHES, MAX_SEARCHES_PER_HOST, HostPlaces
from trio_swarm.tracker.own_addresses import packed_host
from trio_swarm.tracker.store.interface import TrackerStore
from trio_swarm.tracker.udp.answering import DatagramTracker
from trio_swarm.tracker.udp.batch import BATCH
from trio_swarm.tracker.udp.requests import SearchRequest
from trio_swarm.tracker.udp.sockets import open_batches, send_datagram

_BATCHES = 8
"""Answered before other tasks get their turn: 512 datagrams, about 3 ms."""

ENDED_PER_WAKE_UP = 2 * _BATCHES * BATCH
"""Peers whose leases have ended that are taken out per wake-up, or swarms without such that are
looked at: more than the datagrams of a wake-up can cause, so they cannot pile up."""


async def serve_socket(bound: socket.socket, tracker: DatagramTracker, store: TrackerStore) -> None:
    """Answer the datagrams of a bound, non-blocking socket until cancelled."""
    to_search, searches = trio.open_memory_channel[SearchRequest](MAX_SEARCHES)
    waiting = HostPlaces(MAX_SEARCHES, per_host=MAX_SEARCHES_PER_HOST)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_answer_searches, bound, tracker, searches, waiting)
        nursery.start_soon(_answer_batches, bound, tracker, store, to_search, waiting)


async def _answer_batches(
    bound: socket.socket,
    tracker: DatagramTracker,
    store: TrackerStore,
    to_search: trio.MemorySendChannel[SearchRequest],
    waiting: HostPlaces,
) -> NoReturn:
    batches = open_batches(bound)
    while True:
        await trio.lowlevel.wait_readable(bound.fileno())
        # One time for all of them: what a store waits is little against a lease.
        now = trio.current_time()
        await store.end_leases(now, ENDED_PER_WAKE_UP)
        for _ in range(_BATCHES):
            count = batches.receive()
            if count == 0:
                break
            answers, searches = await tracker.answers(batches.batch, now)
            batches.send(answers)
            for search in searches:
                if waiting.take(packed_host(search.source)):
                    to_search.send_nowait(search)
            if count < BATCH:
                break


async def _answer_searches(
    bound: socket.socket,
    tracker: DatagramTracker,
    searches: trio.MemoryReceiveChannel[SearchRequest],
    waiting: HostPlaces,
) -> None:
    async for search in searches:
        answer = await tracker.search(search, trio.current_time())
        send_datagram(bound, answer, search.source, search.destination)
        waiting.leave(packed_host(search.source))
