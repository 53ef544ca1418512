"""How many peers a node may have at once, over all its torrents."""

from collections.abc import Iterator
from contextlib import contextmanager

from trio_swarm.peer.wakeup import Wakeup


class Places:
    """A place for each peer that is connected or being dialled."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._waiting: list[Wakeup] = []

    @property
    def is_full(self) -> bool:
        """No further peer may come in."""
        return self.taken >= self.limit

    def take(self) -> None:
        """Take a place; the caller has seen that there is one."""
        assert not self.is_full
        self.taken += 1

    def release(self) -> None:
        """Give a place back; whoever may want one hears of it if there was none."""
        was_full = self.is_full
        self.taken -= 1
        if was_full:
            for wakeup in self._waiting:
                wakeup.set()

    @contextmanager
    def waking(self, wakeup: Wakeup) -> Iterator[None]:
        """Set `wakeup` whenever a place becomes free, within the context."""
        self._waiting.append(wakeup)
        try:
            yield
        finally:
            self._waiting.remove(wakeup)
