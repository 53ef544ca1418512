"""Which connection is closed for a new peer when all places are taken.

The choice depends on how many places each host holds, and on whether blocks move. A host must not
keep out all others by holding idle connections. So if a new peer finds no free place, the host that
holds the most places gives up one, if it holds more than a few, and only a connection that is idle
now. A connection over which blocks move is never closed.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv6Address
from typing import Final, NamedTuple

FAIR_PLACES: Final = 4
"""Places that a host keeps even if other hosts want them: several people can share one address."""

JOINING: Final = 2.0
"""Seconds for which a new connection is not closed: time to send a bitfield and to get a first
block."""

SETTLING: Final = 10.0
"""`JOINING` if the new peer's host holds its fair places already: peers of a flash crowd must not
displace each other, and each should have one turn of waiting."""

CROWDING: Final = 0.25
"""`JOINING` for a connection of a host that holds more than half of all places, if the new peer's
host has none: otherwise 300 idle connections could keep it waiting by connecting at once."""

MOVING: Final = 60.0
"""Seconds after the last block in which a connection counts as used: two turns of a seeder with
more leechers than slots."""

QUIET: Final = 5.0
"""Seconds without a byte after which a peer that connects again replaces its old connection."""


class Occupant(NamedTuple):
    """One connected peer; times are seconds."""

    key: int
    host: str
    """The value of `host_of` for its address."""
    joined_at: float
    moved_at: float
    """When the last block was sent or received on the connection; -inf: never."""


def host_of(address: str) -> str:
    """Return the part of an address that stands for its host: IPv4 address, or /64 of IPv6."""
    if ":" not in address:
        return address
    number = IPv6Address(address.partition("%")[0])
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    return str(IPv6Address(int(number) >> 64 << 64))


def fair_places(limit: int) -> int:
    """Return how many of `limit` places a host may keep in any case."""
    return max(1, min(FAIR_PLACES, limit // 4))


def who_leaves(occupants: Sequence[Occupant], newcomer: str, limit: int, now: float) -> int | None:
    """Return the key of the connection to close for a new peer from host `newcomer`, or None.

    Of the host that holds the most places and can spare one: the connection without a block for the
    longest time, and among connections without any block the oldest.
    """
    best: tuple[int, float, float] | None = None
    leaver: int | None = None
    free_at = _free_at(occupants, newcomer, limit)
    for count, each in _crowding(occupants, limit):
        claim = (-count, each.moved_at, each.joined_at)
        if free_at(count, each) <= now and (best is None or claim < best):
            best, leaver = claim, each.key
    return leaver


def room_at(occupants: Sequence[Occupant], newcomer: str, limit: int) -> float:
    """Return when `who_leaves` will return a key if no blocks move; inf if never."""
    free_at = _free_at(occupants, newcomer, limit)
    return min(
        (free_at(count, each) for count, each in _crowding(occupants, limit)), default=math.inf
    )


def is_given_up(*, joined_at: float, heard_at: float, moved_at: float, now: float) -> bool:
    """Whether a new connection of the same peer, from the same host, replaces this one.

    Not if any byte was sent or received lately: peer ids are public, and a stranger that repeats
    one must not end a working connection.
    """
    return now - max(joined_at, heard_at, moved_at) > QUIET


def _crowding(occupants: Sequence[Occupant], limit: int) -> Iterable[tuple[int, Occupant]]:
    """Yield the connections of hosts that hold too many, with the number that the host holds."""
    counts = Counter(each.host for each in occupants)
    fair = fair_places(limit)
    return ((counts[each.host], each) for each in occupants if counts[each.host] > fair)


def _free_at(
    occupants: Sequence[Occupant], newcomer: str, limit: int
) -> Callable[[int, Occupant], float]:
    """Return a function that tells when a connection, of a host holding so many, may be closed."""
    held = sum(each.host == newcomer for each in occupants)
    patience = JOINING if held < fair_places(limit) else SETTLING

    def free_at(count: int, each: Occupant) -> float:
        is_crowd = not held and count > limit // 2
        return max(each.joined_at + (CROWDING if is_crowd else patience), each.moved_at + MOVING)

    return free_at
