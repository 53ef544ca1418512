"""Addresses of trackers that only this machine can use, and the ones others can use instead."""

import socket
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from msgspec.structs import replace

import trio_swarm
from trio_swarm.protocol.addresses import format_address

_FAR_AWAY = "192.0.2.1"
"""An address for documentation (RFC 5737): asking which way leads there sends nothing."""


def is_here_only(url: str) -> bool:
    """Whether the tracker's host means another machine on every machine, as 127.0.0.1 does."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761, section 6.3
    # An IPv6 address of a link has a zone, which is this machine's own word for the link.
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified or "%" in host


def address_elsewhere() -> str | None:
    """Return the address of this machine that others reach it at; None if it is on no network.

    Of several, the one of the way out. Blocks for no time: no packet is sent.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_FAR_AWAY, 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if ip_address(address).is_loopback else address


def url_elsewhere(url: str, address: str | None) -> str | None:
    """Return the tracker's URL as other machines use it, if it is this machine's own."""
    if not is_here_only(url):
        return url
    parts = urlsplit(url)
    if address is None or "%" in (parts.hostname or ""):
        return None
    host = format_address((address, parts.port)) if parts.port else address
    return parts._replace(netloc=host).geturl()


def magnet_elsewhere(link: str, address: str | None) -> str:
    """Return the magnet link with the trackers that other machines can use."""
    magnet = trio_swarm.parse_magnet(link)
    urls = [url_elsewhere(url, address) for url in magnet.trackers]
    useful = tuple(dict.fromkeys(url for url in urls if url is not None))
    return replace(magnet, trackers=useful).to_uri()


def warning(urls: Sequence[str], address: str | None, *, has_file: bool = False) -> str | None:
    """Return the warning about trackers that only this machine reaches; None without such.

    `has_file`: they are in a .torrent file as well, which names what the person named.
    """
    here = [url for url in urls if is_here_only(url)]
    if not here:
        return None
    text = f"only this machine reaches {' and '.join(here)}"
    named = [url for url in (url_elsewhere(each, address) for each in here) if url is not None]
    if named:
        text += f"; the magnet link says {' and '.join(named)}, if the tracker listens there"
    else:
        text += "; the magnet link leaves that out"
    if has_file:
        text += "; the .torrent file is of use here only"
    return f"{text}. Name the tracker by an address of the network: --tracker udp://HOST:6969"
