"""Something that happens once, and that tasks may wait for."""

import trio


class Latch:
    """A `trio.Event` that takes 48 bytes while nobody waits for it, instead of 300.

    A node may have thousands of torrents with several of them.
    """

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        self._event: trio.Event | None = None
        self._is_set = False

    def set(self) -> None:
        """Let it have happened, and wake all who wait."""
        self._is_set = True
        if self._event is not None:
            self._event.set()
            self._event = None

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._is_set

    async def wait(self) -> None:
        """Return once it has happened; a checkpoint either way."""
        if self._is_set:
            await trio.lowlevel.checkpoint()
            return
        if self._event is None:
            self._event = trio.Event()
        await self._event.wait()
