"""The standard swarms: small ones, each with another difficulty for a strategy.

They are the scenarios of config/scenarios in the repository, half as large, so that all of them are
played in seconds wherever trio-swarm is installed.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

from trio_swarm.lab.simulator import PeerSpec, Scenario

MIB = 1024 * 1024
MBIT = 0.955 * 125_000
"""Bytes/s of payload on a link sold as 1 Mbit/s; the rest is headers."""

_DOWN = 100 * MBIT


def _scenario(*peers: PeerSpec) -> Scenario:
    return Scenario(size=32 * MIB, piece_length=MIB // 4, peers=peers, max_seconds=600.0)


def _seeder(up: float, *, leaves_after_copies: float = math.inf) -> PeerSpec:
    """Return a seeder with an uplink of `up` Mbit/s."""
    return PeerSpec(
        up=up * MBIT, down=_DOWN, role="seeder", leaves_after_copies=leaves_after_copies
    )


def _leechers(*ups: float) -> tuple[PeerSpec, ...]:
    """Return one leecher for each uplink, in Mbit/s."""
    return tuple(PeerSpec(up=up * MBIT, down=_DOWN) for up in ups)


STANDARD_SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        # The seeder's uplink is the bottleneck, so it must not send pieces twice.
        "flash-crowd": _scenario(_seeder(50), *_leechers(*[50] * 7)),
        # Some leechers upload five times as much as others.
        "unequal-uplinks": _scenario(_seeder(40), *_leechers(20, 20, 30, 40, 50, 80, 100)),
        # The leechers' uplinks are the bottleneck: a seeder that hides pieces does harm.
        "swarm-limited": _scenario(_seeder(100), *_leechers(*[20] * 7)),
        # One leecher, unequal seeders: all should finish together, without duplicate requests.
        "parallel-sources": _scenario(
            *(PeerSpec(up=up * MBIT, role="seeder") for up in (5, 10, 20, 60)),
            PeerSpec(up=100 * MBIT),
        ),
        # The seeder leaves after 1.15 copies: if it sent pieces twice too soon, others are lost.
        "seeder-leaves": _scenario(_seeder(50, leaves_after_copies=1.15), *_leechers(*[50] * 7)),
        # Three of ten leechers upload nothing.
        "free-riders": _scenario(
            _seeder(50),
            *_leechers(*[50] * 7),
            *(PeerSpec(up=50 * MBIT, down=_DOWN, role="free-rider") for _ in range(3)),
        ),
    }
)
"""By name; a run adds the strategies."""
