"""The tracker as a whole: its settings, its sockets, and what answers at them."""

import random
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

import trio

from trio_swarm.events import Event, TrackerListening
from trio_swarm.tracker.binding import bind_sockets
from trio_swarm.tracker.handle import TrackerHandle
from trio_swarm.tracker.journal import TrackerJournal
from trio_swarm.tracker.process import TrackerProcess, open_store
from trio_swarm.tracker.settings import TrackerSettings

__all__ = ["TrackerHandle", "serve_tracker"]


async def serve_tracker(
    settings: TrackerSettings,
    *,
    on_event: Callable[[Event], None] | None = None,
    rng: random.Random | None = None,
    task_status: trio.TaskStatus[TrackerHandle] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Serve until cancelled; `task_status` is given a TrackerHandle once it can be asked.

    ConfigError if a setting is impossible, a list file is wrong, or the port is taken. Nothing that
    comes by the network ends it. It keeps no files: peers fill a new tracker with their next
    heartbeats. `on_event` gets
    one TrackerListening per address, then changes and sums of them (see `tracker.journal`).
    """
    settings.check()
    journal = TrackerJournal(on_event) if on_event is not None else None
    watch = None if journal is None else journal.note
    store, lists = await open_store(settings, rng=rng, watch=watch)
    process = TrackerProcess(
        settings, store, secret=secrets.token_bytes(32), journal=journal, lists=lists
    )
    with ExitStack() as stack:
        sockets = await bind_sockets(settings.host, settings.port, http=settings.http)
        for bound in (*sockets.datagram, *sockets.listeners):
            stack.enter_context(bound)
        handle = TrackerHandle(sockets, process)
        async with trio.open_nursery() as nursery:
            await nursery.start(process.serve, sockets)
            if on_event is not None:
                _tell_addresses(on_event, handle, settings)
            task_status.started(handle)
    raise AssertionError("the process above never ends by itself")


def _tell_addresses(
    on_event: Callable[[Event], None], handle: TrackerHandle, settings: TrackerSettings
) -> None:
    for host, port in handle.addresses:
        on_event(
            TrackerListening(
                host=host,
                port=port,
                interval=settings.interval,
                lease=settings.lease_seconds,
                http=settings.http,
            )
        )
