"""Swarms on shaped links: played for real by the benchmark, simulated by it and by tests."""

from collections.abc import Sequence
from typing import NamedTuple

MBIT = 1_000_000 / 8
"""Bytes."""

SEEDER_LIMITED, UNEQUAL, SWARM_LIMITED, PARALLEL = "seeder-limited", "unequal", "swarm", "parallel"


class Link(NamedTuple):
    """A peer's link in Mbit/s, headers included; None where nothing limits it."""

    up: float | None
    down: float | None = 100


class ShapedSwarm(NamedTuple):
    """Who is in a swarm, by their links."""

    seeders: Sequence[Link]
    leechers: Sequence[Link]


SHAPED = {
    SEEDER_LIMITED: ShapedSwarm((Link(50),), (Link(50),) * 7),
    UNEQUAL: ShapedSwarm((Link(40),), tuple(map(Link, (20, 20, 30, 40, 50, 80, 100)))),
    SWARM_LIMITED: ShapedSwarm((Link(100),), (Link(20),) * 7),
    PARALLEL: ShapedSwarm(tuple(map(Link, (5, 10, 20, 60))), (Link(100, None),)),
}
