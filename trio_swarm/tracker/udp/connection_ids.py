"""Connection ids that need no table (BEP 15, "UDP connections / spoofing")."""

import hmac
from hashlib import blake2b

SLOT = 60.0
"""Seconds. An id is good in the slot it was given and in the next: for one to two minutes."""

_DIGEST_SIZE = 7

_STEP = 1.0
"""Seconds by which the wall clock differs from the monotonic one when somebody has set it."""


class IdClock:
    """The times by which ids are judged: the wall clock's, and what it was before it was set.

    Processes of one secret agree on slots by the wall clock, also after a restart. When somebody
    sets that, back by an hour perhaps, the ids that clients hold are of the time as it was before:
    they stay good for as long as they would have been.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._former = 0.0
        self._former_ends = 0.0

    def times(self, now: float, wall: float) -> tuple[float, ...]:
        """Return the times at which an id may be good; `now` is monotonic, both are in seconds."""
        offset = wall - now
        if self._offset is not None and abs(offset - self._offset) > _STEP:
            self._former, self._former_ends = self._offset, now + 2 * SLOT
        self._offset = offset
        return (wall, now + self._former) if now < self._former_ends else (wall,)


class ConnectionIds:
    """Issues and checks connection ids: the time slot's number, then a keyed hash of IP and slot.

    A sender knows the id of an address only if it receives datagrams there. Nothing is remembered,
    so strangers can fill nothing. The port is left out: a client may send from several sockets, and
    libtorrent keeps one id for an IP address, whatever the port of the tracker.
    """

    def __init__(self, secret: bytes) -> None:
        self._keyed = blake2b(digest_size=_DIGEST_SIZE, key=secret)

    def issue(self, host: bytes, now: float) -> bytes:
        """Return the id (8 bytes) for the packed IP `host`; `now` in seconds."""
        return self._make(host, int(now // SLOT))

    def is_valid(self, connection_id: bytes, host: bytes, now: float) -> bool:
        """Whether `connection_id` was issued to `host` in this time slot or the one before.

        In the next one, too: another machine with the same secret may be ahead.
        """
        slot = int(now // SLOT)
        # The first byte names the slot, so one hash decides.
        for issued in (slot, slot - 1, slot + 1):
            if connection_id[0] == issued & 0xFF:
                return hmac.compare_digest(connection_id, self._make(host, issued))
        return False

    def _make(self, host: bytes, slot: int) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(slot.to_bytes(8, "big", signed=True) + host)
        return bytes((slot & 0xFF,)) + keyed.digest()
