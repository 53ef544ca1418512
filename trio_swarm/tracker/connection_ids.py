"""Connection ids that need no table (BEP 15, "UDP connections / spoofing")."""

import hmac
from functools import lru_cache
from hashlib import blake2b

SLOT = 60.0
"""Seconds. An id is good in the slot it was given and in the next: for one to two minutes."""

_DIGEST_SIZE = 7

_REMEMBERED = 8192
"""Ids kept, a hundred bytes each: one host's peers announce from one address. Who floods this with
made-up addresses only makes each id be computed again."""


class ConnectionIds:
    """Issues and checks connection ids: a keyed hash of (IP, time slot), after the slot's number.

    Only who receives datagrams at an address can know its id, and nothing need be remembered, so
    there is nothing to fill. The port is left out: a client may send from several sockets.
    """

    def __init__(self, secret: bytes) -> None:
        self._keyed = blake2b(digest_size=_DIGEST_SIZE, key=secret)
        self._made = lru_cache(_REMEMBERED)(self._make)

    def issue(self, host: str, now: float) -> bytes:
        """Return the id (8 bytes) for the IP `host`; `now` in monotonic seconds."""
        return self._make(host, int(now // SLOT))

    def is_valid(self, connection_id: bytes, host: str, now: float) -> bool:
        """Whether `connection_id` was issued to `host` in this time slot or the one before."""
        slot = int(now // SLOT)
        # The first byte says which slot it claims, so one hash decides.
        if connection_id[0] != slot & 0xFF:
            slot -= 1
            if connection_id[0] != slot & 0xFF:
                return False
        return hmac.compare_digest(connection_id, self._made(host, slot))

    def _make(self, host: str, slot: int) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(f"{slot} {host}".encode())
        return bytes((slot & 0xFF,)) + keyed.digest()
