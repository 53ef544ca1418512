"""What a scenario file may hold: a swarm to simulate, written by a person.

`Scenario` is what is simulated; this is its TOML: groups of peers rather than peers, sizes and
rates as people write them, links as they are sold (headers included).
"""

import math
import random
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from trio_swarm.config.model import Parsed, Seconds
from trio_swarm.config.reading import read_table
from trio_swarm.config.values import parse_piece_length, parse_rate, parse_size
from trio_swarm.errors import ConfigError
from trio_swarm.simulator.scenario import Network, PeerSpec, Role, Scenario

_NETWORK = Network()
_PEER = PeerSpec(up=math.inf)

Rate = Annotated[int | None, Parsed(parse_rate)]
Size = Annotated[int, Parsed(parse_size, at_least=1)]
MAX_PEERS = 100_000


class NetworkTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[network]`: what all connections have in common."""

    efficiency: Annotated[float, Meta(gt=0, le=1)] = 0.955
    """The payload's part of a link: 0.955 for TCP over Ethernet."""
    unevenness: Annotated[float, Meta(ge=0, lt=1)] = _NETWORK.unevenness
    quantum: Size = _NETWORK.quantum
    send_buffer: Size = _NETWORK.send_buffer
    max_request: Annotated[int, Parsed(parse_piece_length)] = _NETWORK.max_request
    verify_seconds: Seconds = _NETWORK.verify_seconds
    allowed_fast: Annotated[int, Meta(ge=0, le=1000)] = _NETWORK.allowed_fast


class PeerGroup(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[peers]]`: some peers alike, but for what a list of values or chance makes different."""

    up: Rate | tuple[Rate, ...]
    """Of one peer after the other, if it is a list; from the start again when it ends."""
    down: Rate | tuple[Rate, ...] = None
    """None: unlimited."""
    count: Annotated[int, Meta(ge=1, le=MAX_PEERS)] = 1
    role: Role = "leecher"
    latency: Seconds = _PEER.latency
    joins_at: Seconds = 0.0
    """When the first joins."""
    joins_every: Seconds = 0.0
    """Between two that join; the mean, if at random."""
    joins_at_random: bool = False
    """The times between two are exponential: they come as a Poisson process."""
    leaves_at: Seconds | None = None
    dies_at: Seconds | None = None
    leaves_after_copies: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    seeds_for: Seconds | None = None


class ScenarioFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole scenario file."""

    size: Size
    peers: tuple[PeerGroup, ...]
    piece_length: Annotated[int, Parsed(parse_piece_length)] = 256 * 1024
    neighbours: Annotated[int, Meta(ge=1, le=MAX_PEERS)] | None = None
    """None: each peer connects to all."""
    gives_up_after: Annotated[float, Meta(gt=0, le=1e9)] = 86_400.0
    """Seconds of the swarm's time."""
    network: NetworkTable = NetworkTable()

    def scenario(self, seed: int) -> Scenario:
        """Return the swarm; `seed` decides when those come that come at random."""
        network = self.network
        rng = random.Random(f"{seed}/arrivals")
        return Scenario(
            size=self.size,
            piece_length=self.piece_length,
            peers=tuple(
                peer for group in self.peers for peer in _peers(group, network.efficiency, rng)
            ),
            neighbours=self.neighbours,
            network=Network(
                unevenness=network.unevenness,
                quantum=network.quantum,
                send_buffer=network.send_buffer,
                max_request=network.max_request,
                verify_seconds=network.verify_seconds,
                allowed_fast=network.allowed_fast,
            ),
            max_seconds=self.gives_up_after,
        )


def read_scenario(file: Path) -> ScenarioFile:
    """Return what `file` holds.

    Raises `ConfigProblems` (a `ConfigError`), which names every key that is wrong, or `ConfigError`
    when it cannot be read, is no TOML, or describes no swarm.
    """
    found = read_table(file, ScenarioFile)
    groups = found.peers
    if not any(group.role == "seeder" for group in groups):
        raise ConfigError('has no seeder: one with role = "seeder"', file=file, key="peers")
    if all(group.role == "seeder" for group in groups):
        raise ConfigError("has nobody who fetches", file=file, key="peers")
    return found


def _peers(group: PeerGroup, efficiency: float, rng: random.Random) -> list[PeerSpec]:
    peers = []
    joins_at = group.joins_at
    for index in range(group.count):
        peers.append(
            PeerSpec(
                up=_rate(group.up, index) * efficiency,
                down=_rate(group.down, index) * efficiency,
                role=group.role,
                latency=group.latency,
                joins_at=joins_at,
                leaves_at=_or_never(group.leaves_at),
                dies_at=_or_never(group.dies_at),
                leaves_after_copies=_or_never(group.leaves_after_copies),
                seeds_for=_or_never(group.seeds_for),
            )
        )
        joins_at += (
            rng.expovariate(1.0 / group.joins_every)
            if group.joins_at_random and group.joins_every
            else group.joins_every
        )
    return peers


def _rate(rates: int | tuple[int | None, ...] | None, index: int) -> float:
    rate = rates[index % len(rates)] if isinstance(rates, tuple) and rates else rates
    return rate if isinstance(rate, int) else math.inf


def _or_never(value: float | None) -> float:
    return math.inf if value is None else value
