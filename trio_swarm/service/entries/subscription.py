"""Events for whoever listens, as fast as each can: a slow listener loses the oldest ones."""

from collections import deque
from collections.abc import Callable, Collection
from typing import Final

import trio

from trio_swarm import events

MOST_WAITING: Final = 1000
"""Events that wait for one listener; a progress of minutes, and about a megabyte."""


class Subscription(trio.abc.ReceiveChannel[events.Event]):
    """Gives the events that happen from now on; `async for` them, and close it afterwards.

    With `names` only the events that are called so: a download has one for each piece, and whoever
    wants none of them is not woken for them. Of a listener that is too slow the oldest events are
    dropped; an `EventsLost` in their place says how many.
    """

    def __init__(
        self,
        closed: Callable[["Subscription"], None],
        *,
        names: Collection[str] | None = None,
        most: int = MOST_WAITING,
    ) -> None:
        self._closed = closed
        self._names = names
        self._waiting: deque[events.Event] = deque(maxlen=most)
        self._lost = 0
        self._is_closed = False
        self._told = trio.Event()

    def tell(self, event: events.Event) -> None:
        """Let the listener have an event; never waits."""
        if self._names is not None and event.name not in self._names:
            return
        self._lost += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(event)
        self._told.set()

    async def receive(self) -> events.Event:
        """Return the next event; raises `trio.EndOfChannel` once it is closed."""
        await trio.lowlevel.checkpoint()
        while not self._waiting and not self._lost:
            if self._is_closed:
                raise trio.EndOfChannel
            self._told = trio.Event()
            await self._told.wait()
        if self._lost:
            lost, self._lost = self._lost, 0
            return events.EventsLost(count=lost)
        return self._waiting.popleft()

    def close(self) -> None:
        """Take no more events; the listener still gets those that wait."""
        self._is_closed = True
        self._closed(self)
        self._told.set()

    async def aclose(self) -> None:
        """Close it; see `close`."""
        self.close()
        await trio.lowlevel.checkpoint()
