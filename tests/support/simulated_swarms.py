"""Swarms for the simulator, among them those of the benchmark on shaped links."""

import math
from collections.abc import Sequence

from shaped_links import MBIT, SHAPED, Link
from trio_swarm.lab.simulator import PeerSpec, Scenario

MIB = 1024 * 1024


def of_links(
    seeders: Sequence[Link],
    leechers: Sequence[Link],
    *,
    size: int,
    piece_length: int,
    efficiency: float = 1.0,
) -> Scenario:
    """Return a swarm of these; `efficiency` is the payload's part of a link."""

    def rate(mbit: float | None) -> float:
        return math.inf if mbit is None else efficiency * MBIT * mbit

    return Scenario(
        size=size,
        piece_length=piece_length,
        peers=(
            *(PeerSpec(up=rate(up), down=rate(down), role="seeder") for up, down in seeders),
            *(PeerSpec(up=rate(up), down=rate(down)) for up, down in leechers),
        ),
    )


def shaped(topology: str, *, size: int = 64 * MIB, piece_length: int = 256 * 1024) -> Scenario:
    """Return one of `SHAPED` whose links carry nothing but payload."""
    return of_links(*SHAPED[topology], size=size, piece_length=piece_length)


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
