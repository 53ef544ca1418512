"""The tracker as a whole: its settings, its sockets, and what answers at them."""

import random
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

import trio
from msgspec.structs import replace

from trio_swarm.events import Event
from trio_swarm.logs import logger_of
from trio_swarm.tracker.binding import bind_sockets
from trio_swarm.tracker.handle import TrackerHandle
from trio_swarm.tracker.journal import TrackerJournal
from trio_swarm.tracker.process import TrackerProcess, open_store
from trio_swarm.tracker.secret import kept_secret
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.udp.steering import steering_fault

__all__ = ["TrackerHandle", "serve_tracker"]

_logger = logger_of(__name__)


async def serve_tracker(
    settings: TrackerSettings,
    *,
    on_event: Callable[[Event], None] | None = None,
    rng: random.Random | None = None,
    task_status: trio.TaskStatus[TrackerHandle] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Serve until cancelled; `task_status` is given a TrackerHandle once it can be asked.

    ConfigError if a setting is impossible, a list file is wrong, or the port is taken. Nothing that
    comes by the network ends it. It keeps no peers on disk: they fill a new tracker with their next
    heartbeats. `on_event` gets one TrackerListening per address, then changes and sums of them (see
    `tracker.journal`). With `shared_url` it begins with what other trackers list. With several
    `workers` it starts that many processes, which draw their own random numbers; WorkersDieError if
    they cannot live. A program whose tracker has many swarms does well to have Python collect all
    garbage less often, as our commands do (`tracker.collecting.collect_seldom`).
    """
    settings.check()
    if settings.workers > 1 and (fault := steering_fault()) is not None:
        _logger.warning(
            "the tracker runs with one worker, not %d: the system steers no datagrams to workers "
            "(%s)",
            settings.workers,
            fault,
        )
        settings = replace(settings, workers=1)
    if settings.workers > 1:
        from trio_swarm.tracker.workers.parent import serve_workers  # noqa: PLC0415 - few trackers

        await serve_workers(settings, on_event=on_event, task_status=task_status)
    journal = TrackerJournal(on_event)
    own, store, lists, shared = await open_store(
        settings, rng=rng, watch=journal.note, on_event=on_event
    )
    secret = kept_secret(settings.state_folder)
    if shared is not None:
        secret = await shared.secret(secret)
    process = TrackerProcess(
        settings, store, own=own, secret=secret, journal=journal, lists=lists, shared=shared
    )
    with ExitStack() as stack:
        sockets = await bind_sockets(settings.host, settings.port, http=settings.http)
        for bound in (*sockets.datagram, *sockets.listeners):
            stack.enter_context(bound)
        handle = TrackerHandle(sockets, process)
        async with trio.open_nursery() as nursery:
            await nursery.start(process.serve, sockets)
            if on_event is not None:
                for event in handle.listening(settings):
                    on_event(event)
            task_status.started(handle)
    raise AssertionError("the process above never ends by itself")
