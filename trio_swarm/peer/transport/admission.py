"""Which peers that dial us may shake hands, and when: handshakes at once, places, waits by host."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from trio_swarm.engine.idle_talk import TalkativeHosts
from trio_swarm.engine.known_peers.crowding import JOINING, host_of
from trio_swarm.peer.transport.handshaking import HANDSHAKE_TIMEOUT

PENDING_HANDSHAKES = 128
"""Incoming connections that may be in their handshake at once."""

ADMISSIONS_PER_HOST = 16
"""Peers of one host that may wait for admission at once; more are sent away. So one host cannot
take all of `PENDING_HANDSHAKES`."""

PLACE_PATIENCE = JOINING
"""Seconds a peer waits for a place that another has to give up; its next dial would be later."""

HURRIED_HANDSHAKE = 0.3
"""Seconds a handshake may take while others wait to begin theirs; then the oldest gives way. Silent
strangers must not keep peers out, and peers of a flash crowd must not push each other out."""


class Admission:
    """Counts the handshakes of all peers that dial a node, over any transport.

    `room_for` tells from when on a peer at an IP address may come in; a time that is past: now.
    """

    def __init__(self, talkative: TalkativeHosts, room_for: Callable[[str], float]) -> None:
        self._talkative = talkative
        self._room_for = room_for
        self._handshakes: dict[trio.CancelScope, float] = {}
        """When each began, oldest first."""
        self._handshake_over = trio.Event()
        self._waiting: Counter[str] = Counter()
        """Peers that wait for admission, by host."""

    async def wait_for_room(self) -> None:
        """Return when another handshake may begin; end one for that which takes long."""
        while len(self._handshakes) >= PENDING_HANDSHAKES:
            oldest, began = next(iter(self._handshakes.items()))
            with trio.move_on_at(began + HURRIED_HANDSHAKE) as patience:
                await self._handshake_over.wait()
            if patience.cancelled_caught:
                self._handshakes.pop(oldest, None)
                oldest.cancel()

    @contextmanager
    def limited_handshake(self) -> Iterator[trio.CancelScope]:
        """Count a handshake, which ends within; the scope is cancelled if it takes too long."""
        try:
            with trio.move_on_after(HANDSHAKE_TIMEOUT) as scope:
                self._handshakes[scope] = trio.current_time()
                yield scope
        finally:
            self._handshakes.pop(scope, None)
            self._handshake_over.set()
            self._handshake_over = trio.Event()

    async def wait_for_turn(self, address: str) -> bool:
        """Let a peer at an IP address wait until it may shake hands; returns whether it may."""
        now = trio.current_time()
        host = host_of(address)
        pause = self._talkative.arrive(host, now)
        until = max(now + pause, self._room_for(address))
        if until <= now:
            return True
        if until - now > PLACE_PATIENCE or self._waiting[host] >= ADMISSIONS_PER_HOST:
            return False
        self._waiting[host] += 1
        try:
            await trio.sleep_until(until)
        finally:
            self._waiting[host] -= 1
            if not self._waiting[host]:
                del self._waiting[host]
        return True
