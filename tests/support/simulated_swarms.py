"""Swarms for the simulator, among them those of the benchmark on shaped links."""

import math
from collections.abc import Sequence

from shaped_links import MBIT, SHAPED, Link
from trio_swarm.lab.simulator import Network, PeerSpec, Scenario
from trio_swarm.lab.simulator.scenario import Sharing

MIB = 1024 * 1024

NAMESPACE_LATENCY = 0.00001
"""Seconds: between two namespaces of one machine a round trip takes 10 to 30 µs."""


def of_links(
    seeders: Sequence[Link],
    leechers: Sequence[Link],
    *,
    size: int,
    piece_length: int,
    efficiency: float = 1.0,
    joins: Sequence[float] = (),
    sharing: Sharing = "fair",
    shares_uplink: bool = True,
) -> Scenario:
    """Return a swarm of these; `efficiency` is the payload's part of a link.

    joins: when each leecher joins; empty: at once. A first-come link is one between namespaces.
    """
    latency = PeerSpec(up=0.0).latency if sharing == "fair" else NAMESPACE_LATENCY

    def rate(mbit: float | None) -> float:
        return math.inf if mbit is None else efficiency * MBIT * mbit

    return Scenario(
        size=size,
        piece_length=piece_length,
        peers=(
            *(
                PeerSpec(up=rate(up), down=rate(down), role="seeder", latency=latency)
                for up, down in seeders
            ),
            *(
                PeerSpec(up=rate(up), down=rate(down), latency=latency, joins_at=joins_at)
                for (up, down), joins_at in zip(
                    leechers, joins or [0.0] * len(leechers), strict=True
                )
            ),
        ),
        network=Network(sharing=sharing, shares_uplink=shares_uplink),
    )


def shaped(
    topology: str,
    *,
    size: int = 64 * MIB,
    piece_length: int = 256 * 1024,
    joins: Sequence[float] = (),
    sharing: Sharing = "fair",
    shares_uplink: bool = True,
) -> Scenario:
    """Return one of `SHAPED` whose links carry nothing but payload."""
    return of_links(
        *SHAPED[topology],
        size=size,
        piece_length=piece_length,
        joins=joins,
        sharing=sharing,
        shares_uplink=shares_uplink,
    )


def crowd(seeder: PeerSpec, leechers: int, riders: int = 0, *, size: int = 16 * MIB) -> Scenario:
    link = {"up": 50 * MBIT, "down": 100 * MBIT}
    return Scenario(
        size=size,
        piece_length=64 * 1024,
        peers=(
            seeder,
            *(PeerSpec(**link) for _ in range(leechers)),
            *(PeerSpec(**link, role="free-rider") for _ in range(riders)),
        ),
        max_seconds=600.0,
    )
