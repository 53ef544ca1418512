"""Who asks through a reverse proxy: `X-Forwarded-For`, believed of trusted addresses only.

Anybody can write such a field, and would aim peers at a victim by it. A proxy puts the address that
it was asked from behind those that it was told. So the list is read from its end, as far as the
addresses in it are trusted proxies themselves.
"""

import socket
from collections.abc import Iterable
from typing import Final

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.tracker.networks import Networks

MAX_PROXIES: Final = 8
"""Proxies one behind another that are looked through."""

_MAPPED: Final = bytes(10) + b"\xff\xff"
_LONGEST: Final = 64
"""Bytes of an address as text, with brackets, port and an interface's name."""


class TrustedProxies:
    """Networks whose `X-Forwarded-For` is believed; `networks` as `10.0.0.0/8`, `::1`."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = Networks(networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, host: bytes) -> bool:
        """Whether a packed IP address is that of a proxy."""
        return host in self._networks

    def asker(self, host: bytes, forwarded: bytes) -> bytes:
        """Return the packed IP address of who asks; `forwarded` came with a request from `host`.

        It is `host` itself where that is no proxy, or tells of nobody. RemoteProtocolError if a
        proxy tells something else than an address.
        """
        if not forwarded or not self.trusts(host):
            return host
        for told in reversed(forwarded.rsplit(b",", MAX_PROXIES)[-MAX_PROXIES:]):
            host = parse_forwarded(told)
            if not self.trusts(host):
                break
        return host


def parse_forwarded(told: bytes) -> bytes:
    """Return a packed IP address from one entry of `X-Forwarded-For`, with or without a port.

    An IPv4 address inside an IPv6 one is that IPv4 address. Raises RemoteProtocolError.
    """
    text = told.strip(b" \t")[:_LONGEST].decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        host = socket.inet_pton(family, text)
    except (OSError, ValueError):
        raise RemoteProtocolError("X-Forwarded-For holds no IP address") from None
    return host[12:] if host.startswith(_MAPPED) else host
