"""Work of many small steps on the event loop, in turns with all other tasks.

A node may have thousands of torrents. Whoever looks at each of them would keep everybody else
waiting: peers, trackers, timers.
"""

import trio

TURN = 0.004
"""Seconds after which others have their turn; peers do not notice ten milliseconds."""


class LoopTurn:
    """The turn of one task, which takes small steps; it begins now."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = trio.current_time() + TURN

    async def step(self) -> None:
        """Let others have their turn, if this one was long; call it before each step.

        What a step looks at may have changed since the step before.
        """
        if trio.current_time() >= self._until:
            await trio.lowlevel.checkpoint()
            self._until = trio.current_time() + TURN
