"""Blocking work in a thread that can be stopped."""

import threading
from collections.abc import Callable
from typing import TypeVar

import trio

from trio_swarm.storage.hashing import HashingStopped

T = TypeVar("T")


async def run_stoppable(work: Callable[[Callable[[], bool]], T]) -> T:
    """Run `work(should_stop)` in a thread; `should_stop()` is true once the caller is cancelled.

    Cancellation waits for `work` to end, so no thread is left behind; `work` may then raise
    HashingStopped. Any other exception of `work` is raised unchanged.
    """
    stop = threading.Event()
    result: list[T] = []

    async def flag_on_cancel() -> None:
        try:
            await trio.sleep_forever()
        finally:
            stop.set()

    error: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flag_on_cancel)
        try:
            result.append(await trio.to_thread.run_sync(work, stop.is_set))
        except HashingStopped:
            await trio.lowlevel.checkpoint()  # raises Cancelled, for which the work stopped
            raise
        except Exception as raised:  # noqa: BLE001 - raised again below
            # The nursery would wrap it in a group, which the caller's `except` would miss.
            error = raised
        nursery.cancel_scope.cancel()
    if error is not None:
        raise error
    return result[0]
