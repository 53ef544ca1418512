"""How many peers a node may have at once, over all its torrents, and who makes room for others."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from trio_swarm.engine.known_peers.crowding import Occupant, host_of, room_at, who_leaves
from trio_swarm.peer.wakeup import Wakeup


class Guest(Protocol):
    """What holds a place: a connected peer."""

    key: int
    host: str
    """As `host_of` tells it."""
    joined_at: float
    moved_at: float

    def close(self, reason: str) -> None:
        """End the connection soon; `reason` is for people."""
        ...


class Places:
    """A place for each peer that is connected; dials begin only while there is one for them too."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._guests: dict[int, Guest] = {}
        self._dialling = 0
        self._waiting: list[Wakeup] = []

    def set_limit(self, limit: int) -> None:
        """Change how many there are. Peers beyond a lower limit stay until they leave."""
        was_full = self._is_full
        self.limit = limit
        self._tell(was_full)

    @property
    def taken(self) -> int:
        """How many peers are connected."""
        return len(self._guests)

    def room_for(self, address: str) -> float:
        """Return from when on a peer at this IP address may come in, as it looks now; -inf: now."""
        return self._room_at(self.taken, host_of(address))

    def room_for_dial(self) -> float:
        """Return from when on one more peer may be dialled, as it looks now; -inf: now."""
        return self._room_at(self.taken + self._dialling, "")

    def _room_at(self, taken: int, host: str) -> float:
        if taken < self.limit:
            return -math.inf
        return room_at(self._occupants(), host, self.limit)

    def _occupants(self) -> list[Occupant]:
        return [
            Occupant(guest.key, guest.host, guest.joined_at, guest.moved_at)
            for guest in self._guests.values()
        ]

    def take(self, guest: Guest, now: float) -> bool:
        """Give a peer a place, if need be one that another makes free; False if there is none."""
        if self.taken >= self.limit:
            key = who_leaves(self._occupants(), guest.host, self.limit, now)
            if key is None:
                return False
            # It takes a moment to end, and holds no place meanwhile.
            self._guests.pop(key).close("it moved nothing, and another peer wanted its place")
        self._guests[guest.key] = guest
        return True

    def release(self, guest: Guest) -> None:
        """Give back the place of a peer, if it still has it."""
        was_full = self._is_full
        if self._guests.pop(guest.key, None) is not None:
            self._tell(was_full)

    def begin_dial(self) -> None:
        """Count one more peer that is being dialled."""
        self._dialling += 1

    def end_dial(self) -> None:
        """Count one dial less: it has failed, or became a connection."""
        was_full = self._is_full
        self._dialling -= 1
        self._tell(was_full)

    @property
    def _is_full(self) -> bool:
        return self.taken + self._dialling >= self.limit

    def _tell(self, was_full: bool) -> None:  # noqa: FBT001 - one caller's fact
        if was_full and not self._is_full:
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
