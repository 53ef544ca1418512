"""A flag one task waits for and any other sets."""

import trio


class Wakeup:
    """Level-triggered: `set` any number of times wakes the one waiter once, never loses a call.

    A `trio.Event` cannot be cleared and must be replaced; a memory channel can be full. Only one
    task may wait.
    """

    __slots__ = ("_is_set", "_waiter")

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: trio.lowlevel.Task | None = None

    def set(self) -> None:
        """Wake the waiter, now or when it next waits."""
        self._is_set = True
        if self._waiter is not None:
            trio.lowlevel.reschedule(self._waiter)
            self._waiter = None

    async def wait(self) -> None:
        """Return once `set` was called since the last return; a checkpoint either way."""
        if self._is_set:
            await trio.lowlevel.checkpoint()
        else:
            self._waiter = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        self._is_set = False

    def _abort(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._waiter = None
        return trio.lowlevel.Abort.SUCCEEDED
