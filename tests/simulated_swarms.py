"""The swarms of the benchmark on shaped links, for the simulator."""

from trio_swarm.simulator import PeerSpec, Scenario

MBIT = 125_000.0
MIB = 1024 * 1024

SEEDER_LIMITED, UNEQUAL, SWARM_LIMITED, PARALLEL = "seeder-limited", "unequal", "swarm", "parallel"


def _peers(topology: str) -> list[PeerSpec]:
    if topology == PARALLEL:
        sources = [PeerSpec(up=up * MBIT, role="seeder") for up in (5, 10, 20, 60)]
        return [*sources, PeerSpec(up=100 * MBIT)]
    seeder, leechers = {
        SEEDER_LIMITED: (50, [50] * 7),
        UNEQUAL: (40, [20, 20, 30, 40, 50, 80, 100]),
        SWARM_LIMITED: (100, [20] * 7),
    }[topology]
    return [
        PeerSpec(up=seeder * MBIT, role="seeder"),
        *(PeerSpec(up=up * MBIT, down=100 * MBIT) for up in leechers),
    ]


def shaped(topology: str, *, size: int = 64 * MIB, piece_length: int = 256 * 1024) -> Scenario:
    return Scenario(size=size, piece_length=piece_length, peers=tuple(_peers(topology)))


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
