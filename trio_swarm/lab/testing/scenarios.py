"""The standard swarms: small ones, each of which asks something else of a strategy.

They are those of config/scenarios in the repository, half the size, so that all of them are
played in seconds wherever trio-swarm is installed.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

from trio_swarm.lab.simulator import PeerSpec, Scenario

MIB = 1024 * 1024
MBIT = 0.955 * 125_000
"""Bytes/s of payload of a Mbit/s as links are sold: the rest is headers."""

_DOWN = 100 * MBIT


def _scenario(*peers: PeerSpec) -> Scenario:
    return Scenario(size=32 * MIB, piece_length=MIB // 4, peers=peers, max_seconds=600.0)


def _seeder(up: float, *, leaves_after_copies: float = math.inf) -> PeerSpec:
    """Return a seeder; `up` is Mbit/s."""
    return PeerSpec(
        up=up * MBIT, down=_DOWN, role="seeder", leaves_after_copies=leaves_after_copies
    )


def _leechers(*ups: float) -> tuple[PeerSpec, ...]:
    """Return leechers; uplinks are Mbit/s."""
    return tuple(PeerSpec(up=up * MBIT, down=_DOWN) for up in ups)


STANDARD_SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        # The seeder's uplink is the bottleneck: what it sends must not be sent twice.
        "flash-crowd": _scenario(_seeder(50), *_leechers(*[50] * 7)),
        # Some pass on five times as much as others.
        "unequal-uplinks": _scenario(_seeder(40), *_leechers(20, 20, 30, 40, 50, 80, 100)),
        # Leechers cannot pass on what they get: a seeder that holds back does harm.
        "swarm-limited": _scenario(_seeder(100), *_leechers(*[20] * 7)),
        # One leecher, unequal seeders: all should finish together, with nothing asked for twice.
        "parallel-sources": _scenario(
            *(PeerSpec(up=up * MBIT, role="seeder") for up in (5, 10, 20, 60)),
            PeerSpec(up=100 * MBIT),
        ),
        # It goes when it has sent 1.15 copies: pieces sent twice too soon are missing for ever.
        "seeder-leaves": _scenario(_seeder(50, leaves_after_copies=1.15), *_leechers(*[50] * 7)),
        # Three of ten serve nobody.
        "free-riders": _scenario(
            _seeder(50),
            *_leechers(*[50] * 7),
            *(PeerSpec(up=50 * MBIT, down=_DOWN, role="free-rider") for _ in range(3)),
        ),
    }
)
"""By name; the strategies are what a run adds."""
