"""Blocking work in a thread that can be told to stop."""

import threading
from collections.abc import Callable
from typing import TypeVar

import trio

from trio_swarm.storage.hashing import HashingStopped

T = TypeVar("T")


async def run_stoppable(work: Callable[[Callable[[], bool]], T]) -> T:
    """Run `work(should_stop)` in a thread; when cancelled, `should_stop` turns true.

    `work` may raise HashingStopped then; it is waited for, so nothing of it is left behind. What
    else it raises comes out as it is.
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
            await trio.lowlevel.checkpoint()  # Raises Cancelled: that is why it stopped.
            raise
        except Exception as raised:  # noqa: BLE001 - raised again below
            # The nursery would wrap it in a group, and the caller's `except` would miss it.
            error = raised
        nursery.cancel_scope.cancel()
    if error is not None:
        raise error
    return result[0]
