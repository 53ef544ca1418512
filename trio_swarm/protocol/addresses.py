"""Addresses of peers: read from compact bytes (BEP 23, BEP 7), and text, both ways."""

import re
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from trio_swarm.errors import ConfigError, RemoteProtocolError

Address: TypeAlias = tuple[str, int]
"""IP address or host name as text, and port."""

IPV4_SIZE = 6
"""Bytes of a packed IPv4 address: 4 of address, 2 of port (BEP 23)."""
IPV6_SIZE = 18
"""Bytes of a packed IPv6 address: 16 of address, 2 of port (BEP 7)."""

MAX_HOST_LENGTH = 253
"""Most characters of a host name in the DNS."""

_IPV4 = struct.Struct("!BBBBH")
_IPV6 = struct.Struct("!16sH")
_MAPPED = bytes(10) + b"\xff\xff"
# The resolver encodes international names; characters of a URL or an option are refused.
_HOST = re.compile(r"[^\s\x00-\x20\x7f-\x9f\ud800-\udfff/\\@#?%:\[\]\"'<>,;]+")


def unpack_addresses(data: bytes | memoryview, *, ipv6: bool) -> list[Address]:
    """Return the addresses packed in `data`; RemoteProtocolError if the last one is cut.

    An IPv4 address inside an IPv6 one (`::ffff:…`) is returned as IPv4, so that it counts as the
    same peer. Nothing else is checked: port 0 and multicast addresses are returned, too.
    """
    size = IPV6_SIZE if ipv6 else IPV4_SIZE
    if len(data) % size:
        raise RemoteProtocolError(f"{len(data)} bytes of addresses of {size} bytes each")
    if not ipv6:
        return [(f"{a}.{b}.{c}.{d}", port) for a, b, c, d, port in _IPV4.iter_unpack(data)]
    return [
        (
            str(IPv4Address(packed[12:]) if packed.startswith(_MAPPED) else IPv6Address(packed)),
            port,
        )
        for packed, port in _IPV6.iter_unpack(data)
    ]


def parse_host_port(text: str, *, default_port: int | None = None) -> Address:
    """Return the address in a person's text: `1.2.3.4:80`, `[::1]:80`, `host:80` or `:80`.

    The host of `:80` is "". Without a port in the text, `default_port` is used if there is one;
    then `::1` needs no brackets. IPv6 addresses are returned in canonical form. Raises ConfigError
    with the reason.
    """
    text = text.strip()
    shown = text if len(text) <= 100 else f"{text[:100]}..."
    if text.startswith("["):
        inner, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ConfigError(f"not an address: {shown!r} (write [IPv6]:PORT)")
        host, port = _canonical_ipv6(inner, shown), rest[1:] if rest else None
    elif text.count(":") > 1:
        if default_port is None:
            raise ConfigError(f"not an address with a port: {shown!r} (write [IPv6]:PORT)")
        host, port = _canonical_ipv6(text, shown), None
    else:
        host, colon, digits = text.partition(":")
        port = digits if colon else None
        if host:
            _check_host(host, shown)
    if port is None:
        if not host or default_port is None:
            raise ConfigError(f"not an address with a port: {shown!r} (write HOST:PORT)")
        return host, default_port
    # The length first: int() of a long text is slow, or refused. "٣" is a digit to str.isdigit.
    if not (len(port) <= 5 and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ConfigError(f"not a port number in {shown!r} (0 to 65535)")
    return host, int(port)


def host_fault(host: str) -> str | None:
    """Return why `host` cannot be an address or a host name; None if it can.

    For other hosts, resolvers raise errors of many kinds: empty labels, labels above 63 characters,
    names that IDNA cannot encode, NULs.
    """
    shown = repr(host if len(host) <= 100 else f"{host[:100]}...")
    # An IPv6 address may end in a zone.
    name = host.partition("%")[0] if ":" in host else host
    if ":" in name:
        try:
            IPv6Address(name)
        except ValueError:
            return f"not an IPv6 address: {shown}"
        return None
    # The C library takes "*" for all addresses of this machine.
    if len(name) > MAX_HOST_LENGTH + 1 or not _HOST.fullmatch(name) or name == "*":
        return f"not a host name: {shown}"
    try:
        encoded = name.removesuffix(".").encode("idna")
    except UnicodeError:
        encoded = b""
    labels = encoded.split(b".")
    if len(encoded) > MAX_HOST_LENGTH or not all(0 < len(label) <= 63 for label in labels):
        return f"not a host name: {shown} (labels have 1 to 63 characters that IDNA can encode)"
    return None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`: 127.0.0.0/8, ::1 or `localhost`."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"


def format_address(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Return `host:port`, with an IPv6 host in brackets; also for addresses of `socket`."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _canonical_ipv6(text: str, shown: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError as error:
        raise ConfigError(f"not an IPv6 address: {shown!r}") from error


def _check_host(host: str, shown: str) -> None:
    if len(host) > MAX_HOST_LENGTH or not _HOST.fullmatch(host):
        raise ConfigError(f"not a host name: {shown!r}")
    if not host.strip("0123456789."):  # it looks like one
        try:
            IPv4Address(host)
        except ValueError as error:
            raise ConfigError(f"not an IPv4 address: {shown!r}") from error
