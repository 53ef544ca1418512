"""Who makes room when all places are taken: by what each host holds, and what connections move.

One host must not keep all others out by holding connections over which nothing is said. So when a
peer wants in and there is no place, the host that holds the most gives one up, if it holds more
than a few, and only one that is of no use now. Where blocks move, nobody is ever sent away.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv6Address
from typing import Final, NamedTuple

FAIR_PLACES: Final = 4
"""Places that a host keeps whatever others want: people behind one address are several."""

JOINING: Final = 2.0
"""Seconds in which nobody's place is taken: time to say what one has, and to get a first block."""

SETTLING: Final = 10.0
"""The same while others of a host that has its few places already want in: peers of a flash crowd
must not push each other out, and those who wait for their turn are to try it once."""

CROWDING: Final = 0.25
"""The same as JOINING for one of a host that holds more than half of all places, when one wants in
whose host has none: 300 connections that say nothing would keep it waiting by coming at once."""

MOVING: Final = 60.0
"""Seconds since the last block in which a connection counts as one that is used: two turns of a
seeder with more leechers than slots."""

QUIET: Final = 5.0
"""Seconds without a byte after which a peer that comes again takes the place of its connection."""


class Occupant(NamedTuple):
    """One connected peer; times in seconds."""

    key: int
    host: str
    """As `host_of` tells it."""
    joined_at: float
    moved_at: float
    """When the last block went over it, in either direction; -inf: none ever did."""


def host_of(address: str) -> str:
    """Return what stands for one host: an IPv4 address, or the /64 of an IPv6 one."""
    if ":" not in address:
        return address
    number = IPv6Address(address.partition("%")[0])
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    return str(IPv6Address(int(number) >> 64 << 64))


def fair_places(limit: int) -> int:
    """Return how many of `limit` places no host has to give up."""
    return max(1, min(FAIR_PLACES, limit // 4))


def who_leaves(occupants: Sequence[Occupant], newcomer: str, limit: int, now: float) -> int | None:
    """Return the key of the connection that makes room for one from host `newcomer`, or None.

    Of the host that holds the most and has one to give: the one over which nothing moved for the
    longest, and of those without any block the oldest.
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
    """Return when `who_leaves` will find somebody if nothing moves; inf: nobody has to leave."""
    free_at = _free_at(occupants, newcomer, limit)
    return min(
        (free_at(count, each) for count, each in _crowding(occupants, limit)), default=math.inf
    )


def is_given_up(*, joined_at: float, heard_at: float, moved_at: float, now: float) -> bool:
    """Whether a connection makes way for a new one of the same peer, from the same host.

    Not if anything came or went over it of late: peer ids are no secret, and whoever repeats one
    must not end a connection that works.
    """
    return now - max(joined_at, heard_at, moved_at) > QUIET


def _crowding(occupants: Sequence[Occupant], limit: int) -> Iterable[tuple[int, Occupant]]:
    """Yield the connections of hosts that hold too many, each with how many its host holds."""
    counts = Counter(each.host for each in occupants)
    fair = fair_places(limit)
    return ((counts[each.host], each) for each in occupants if counts[each.host] > fair)


def _free_at(
    occupants: Sequence[Occupant], newcomer: str, limit: int
) -> Callable[[int, Occupant], float]:
    """Return what tells when a connection may be taken from its host, which holds so many."""
    held = sum(each.host == newcomer for each in occupants)
    patience = JOINING if held < fair_places(limit) else SETTLING

    def free_at(count: int, each: Occupant) -> float:
        is_crowd = not held and count > limit // 2
        return max(each.joined_at + (CROWDING if is_crowd else patience), each.moved_at + MOVING)

    return free_at
