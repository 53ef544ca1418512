"""The addresses of hosts: found in threads of their own, within a time limit."""

import ipaddress
import math
import socket

import trio

from trio_swarm.errors import TrackerUnreachableError
from trio_swarm.protocol.addresses import host_fault
from trio_swarm.protocol.trackers.urls import TrackerUrl

LOOKUP_TIMEOUT = 10.0
"""Seconds a name server gets: the C library gives two of them 5 seconds each."""

MAX_LOOKUPS = 32
"""Lookups at once, hung ones included. They are apart from the threads that read and hash files,
all of which the trackers of one torrent could keep busy."""

MAX_ADDRESSES = 4
"""Addresses of one host and family that are used."""

FRESH = 10.0
"""Seconds for which what was found for a host counts: thousands of torrents announce to one tracker
within a moment, and its name is looked up once."""

MAX_FOUND = 256
"""Hosts of which it is known: more trackers than a node talks to."""

SocketAddress = tuple[str, int] | tuple[str, int, int, int]

_Place = tuple[str, int, socket.SocketKind]

_NOTHING: tuple[list[SocketAddress], float] = ([], -math.inf)


class _Lookup:
    """One that is under way; it was cancelled if it is over without an error, and nothing found."""

    __slots__ = ("error", "over")

    def __init__(self) -> None:
        self.over = trio.Event()
        self.error: TrackerUnreachableError | None = None


class Lookups:
    """Finds the addresses of hosts; one for all tracker clients of a node."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(MAX_LOOKUPS)
        self._found: dict[_Place, tuple[list[SocketAddress], float]] = {}
        self._under_way: dict[_Place, _Lookup] = {}

    async def find(
        self, url: str, tracker: TrackerUrl, kind: socket.SocketKind
    ) -> list[SocketAddress]:
        """Return the addresses of a tracker's host and port, in the system's order; at least one.

        What is asked for by several at once is looked up once. Raises TrackerUnreachableError, for
        a host that no name server can know with `retry_in` inf.
        """
        place = (tracker.host, tracker.port, kind)
        while True:
            addresses = self.known(tracker, kind)
            if addresses:
                return addresses
            other = self._under_way.get(place)
            if other is None:
                break
            await other.over.wait()
            if other.error is not None:
                error = other.error
                raise TrackerUnreachableError(error.reason, tracker=url, retry_in=error.retry_in)
        lookup = self._under_way[place] = _Lookup()
        try:
            addresses = await self._find(url, tracker, kind)
        except TrackerUnreachableError as error:
            lookup.error = error
            raise
        else:
            self._remember(place, addresses)
            return addresses
        finally:
            del self._under_way[place]
            lookup.over.set()

    def known(self, tracker: TrackerUrl, kind: socket.SocketKind) -> list[SocketAddress]:
        """Return what was found of late for a tracker; nothing if nothing was."""
        addresses, until = self._found.get((tracker.host, tracker.port, kind), _NOTHING)
        return addresses if trio.current_time() < until else []

    def _remember(self, place: "_Place", addresses: list[SocketAddress]) -> None:
        self._found.pop(place, None)
        if len(self._found) >= MAX_FOUND:
            del self._found[next(iter(self._found))]
        # What stands for itself does not change.
        fresh = math.inf if is_ip_address(place[0]) else FRESH
        self._found[place] = addresses, trio.current_time() + fresh

    async def _find(
        self, url: str, tracker: TrackerUrl, kind: socket.SocketKind
    ) -> list[SocketAddress]:
        # RFC 6874 writes the "%" before a zone as "%25".
        host = tracker.host.replace("%25", "%")
        if fault := host_fault(host):
            raise TrackerUnreachableError(fault, tracker=url, retry_in=float("inf"))
        try:
            with trio.fail_after(LOOKUP_TIMEOUT):
                found = await look_up(host, tracker.port, kind, self._limiter)
        except trio.TooSlowError:
            raise TrackerUnreachableError(
                f"cannot find {host}: no answer of a name server in {LOOKUP_TIMEOUT:g} seconds",
                tracker=url,
            ) from None
        except (OSError, ValueError, OverflowError) as error:
            # ValueError includes UnicodeError: what the resolver cannot encode.
            reason = error.strerror if isinstance(error, OSError) else None
            raise TrackerUnreachableError(
                f"cannot find {host}: {reason or error}", tracker=url
            ) from error
        addresses: list[SocketAddress] = []
        for length in (2, 4):
            addresses += [each for each in found if len(each) == length][:MAX_ADDRESSES]
        if not addresses:
            raise TrackerUnreachableError(f"{host} has no address", tracker=url)
        return sorted(addresses, key=found.index)


async def look_up(
    host: str, port: int, kind: socket.SocketKind, limiter: trio.CapacityLimiter
) -> list[SocketAddress]:
    """Return the addresses of a host in the system's order, found in one of `limiter`'s threads.

    Cancelled, it leaves the thread to end when the name server lets it. Raises OSError, ValueError
    (UnicodeError in it) and OverflowError.
    """
    is_number = is_ip_address(host)

    def ask() -> list[SocketAddress]:
        flags = socket.AI_NUMERICHOST if is_number else 0
        entries = socket.getaddrinfo(host, port, type=kind, flags=flags)
        return list(dict.fromkeys(entry[4] for entry in entries))  # type: ignore[misc]  # (host, port, ...)

    if is_number:
        return ask()  # it asks nobody
    return await trio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=limiter)


def is_ip_address(host: str) -> bool:
    """Whether `host` is an IP address, with a zone or without."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def family_of(address: SocketAddress) -> socket.AddressFamily:
    """Return the family that a socket address is of."""
    return socket.AF_INET6 if len(address) == 4 else socket.AF_INET
