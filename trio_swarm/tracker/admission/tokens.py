"""Tokens of those who may register names."""

import re
import secrets
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from trio_swarm.protocol.trackers.urls import MAX_TOKEN_BYTES

MIN_TOKEN_BYTES: Final = 16
"""Shorter ones can be guessed; as many as for the token of a node's control."""

_TOKEN: Final = re.compile(rb"[0-9A-Za-z._~-]{%d,%d}" % (MIN_TOKEN_BYTES, MAX_TOKEN_BYTES))


class Tokens:
    """Some tokens, of which only keyed digests are kept.

    Digests are looked up, not tokens compared: nobody knows the key, so how long that takes tells
    nothing of how much of a token was right.
    """

    __slots__ = ("_digests", "_key")

    def __init__(self, tokens: Iterable[bytes]) -> None:
        self._key = secrets.token_bytes(32)
        self._digests = frozenset(map(self._digest, tokens))

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, token: bytes) -> bool:
        return self._digest(token) in self._digests

    def _digest(self, token: bytes) -> bytes:
        return blake2b(token, digest_size=32, key=self._key).digest()


def is_token(text: bytes) -> bool:
    """Whether a text may be a token: long enough, and the same in a URL."""
    return _TOKEN.fullmatch(text) is not None
