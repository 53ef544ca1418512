"""Connection ids that need no table (BEP 15, "UDP connections / spoofing")."""

import hmac
from hashlib import blake2b

SLOT = 60.0
"""Seconds. An id is good in the slot it was given and in the next: for one to two minutes."""

_DIGEST_SIZE = 7


class ConnectionIds:
    """Issues and checks connection ids: the time slot's number, then a keyed hash of IP and slot.

    A sender knows the id of an address only if it receives datagrams there. Nothing is remembered,
    so strangers can fill nothing. The port is left out: a client may send from several sockets.
    """

    def __init__(self, secret: bytes) -> None:
        self._keyed = blake2b(digest_size=_DIGEST_SIZE, key=secret)

    def issue(self, host: bytes, now: float) -> bytes:
        """Return the id (8 bytes) for the packed IP `host`; `now` in monotonic seconds."""
        return self._make(host, int(now // SLOT))

    def is_valid(self, connection_id: bytes, host: bytes, now: float) -> bool:
        """Whether `connection_id` was issued to `host` in this time slot or the one before."""
        slot = int(now // SLOT)
        # The first byte names the slot, so one hash decides.
        if connection_id[0] != slot & 0xFF:
            slot -= 1
            if connection_id[0] != slot & 0xFF:
                return False
        return hmac.compare_digest(connection_id, self._make(host, slot))

    def _make(self, host: bytes, slot: int) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(slot.to_bytes(8, "big", signed=True) + host)
        return bytes((slot & 0xFF,)) + keyed.digest()
