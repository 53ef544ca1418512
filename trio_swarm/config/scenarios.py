"""The tables and keys of a scenario file: a swarm to simulate, written by a person.

`Scenario` is what is simulated; this is its TOML: groups of peers rather than peers, sizes and
rates as people write them, links as they are sold (headers included).
"""

import math
import random
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from trio_swarm.config.model import Parsed, Seconds, Text
from trio_swarm.config.reading import read_table
from trio_swarm.config.values import parse_piece_length, parse_rate, parse_size
from trio_swarm.errors import ConfigError
from trio_swarm.lab.simulator.playback import PlaybackSpec
from trio_swarm.lab.simulator.scenario import (
    CrossLink,
    Network,
    PeerSpec,
    Role,
    Scenario,
    Sharing,
)

_NETWORK = Network()
_PEER = PeerSpec(up=math.inf)

Rate = Annotated[int | None, Parsed(parse_rate)]
Size = Annotated[int, Parsed(parse_size, at_least=1)]
Buffer = Annotated[float, Meta(gt=0, le=60)]
MAX_PEERS = 100_000


class NetworkTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[network]`: properties that all connections have in common."""

    efficiency: Annotated[float, Meta(gt=0, le=1)] = 0.955
    """The payload's part of a link: 0.955 for TCP over Ethernet."""
    unevenness: Annotated[float, Meta(ge=0, lt=1)] = _NETWORK.unevenness
    quantum: Annotated[int | None, Parsed(parse_size, at_least=1)] = _NETWORK.quantum
    sharing: Sharing = _NETWORK.sharing
    """How the connections of one uplink share it."""
    buffer: Buffer = _NETWORK.buffer
    """Seconds of bytes that the queue of an uplink takes."""
    shares_uplink: bool = _NETWORK.shares_uplink
    """Peers have the connections of a first-come uplink take turns, as a node does."""
    send_buffer: Size = _NETWORK.send_buffer
    max_request: Annotated[int, Parsed(parse_piece_length)] = _NETWORK.max_request
    least_request: Annotated[int | None, Parsed(parse_piece_length)] = _NETWORK.least_request
    have_interval: Seconds | None = _NETWORK.have_interval
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
    stays_for: Seconds | None = None
    """After joining, complete or not; the mean, if at random."""
    stays_at_random: bool = False
    """How long they stay is exponential, too."""
    sharing: Sharing | None = None
    """None: as in `[network]`."""
    buffer: Buffer | None = None
    """None: as in `[network]`."""
    rack: Text = ""
    """Where they are; `[[links]]` tells what is between racks."""
    labels: dict[Text, str] = field(default_factory=dict)
    """Facts that strategies of other peers are told about them."""


class LinkTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[links]]`: a link that all peers of two racks share between the racks."""

    between: tuple[Text, ...]
    rate: Rate
    """In each direction."""
    latency: Seconds = 0.0
    """One way, besides that of the peers."""


class PlaybackTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[playback]`: leechers watch the torrent while they fetch it."""

    rate: Rate
    """At which it is played: 8Mbit is 1 MB of the torrent a second."""
    buffer: Annotated[float, Meta(ge=0, le=86_400)] = 2.0
    """Seconds that must be there before it plays, and again when it has stalled."""


class ScenarioFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scenario file: its tables, as they are in TOML."""

    size: Size
    peers: tuple[PeerGroup, ...]
    piece_length: Annotated[int, Parsed(parse_piece_length)] = 256 * 1024
    neighbours: Annotated[int, Meta(ge=1, le=MAX_PEERS)] | None = None
    """None: each peer connects to all."""
    gives_up_after: Annotated[float, Meta(gt=0, le=1e9)] = 86_400.0
    """Seconds of the swarm's time."""
    network: NetworkTable = NetworkTable()
    links: tuple[LinkTable, ...] = ()
    playback: PlaybackTable | None = None

    def scenario(self, seed: int) -> Scenario:
        """Return the swarm; `seed` decides when peers come that come at random."""
        network = self.network
        rng = random.Random(f"{seed}/arrivals")
        stays = random.Random(f"{seed}/stays")
        return Scenario(
            size=self.size,
            piece_length=self.piece_length,
            peers=tuple(
                peer
                for group in self.peers
                for peer in _peers(group, network.efficiency, rng, stays)
            ),
            neighbours=self.neighbours,
            network=Network(
                unevenness=network.unevenness,
                quantum=network.quantum,
                sharing=network.sharing,
                buffer=network.buffer,
                shares_uplink=network.shares_uplink,
                send_buffer=network.send_buffer,
                max_request=network.max_request,
                least_request=network.least_request,
                have_interval=network.have_interval,
                verify_seconds=network.verify_seconds,
                allowed_fast=network.allowed_fast,
                cross_links=tuple(
                    CrossLink(
                        between=(link.between[0], link.between[1]),
                        rate=_rate(link.rate, 0) * network.efficiency,
                        latency=link.latency,
                    )
                    for link in self.links
                ),
            ),
            max_seconds=self.gives_up_after,
            playback=None
            if self.playback is None
            else PlaybackSpec(rate=_rate(self.playback.rate, 0), buffer=self.playback.buffer),
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
    if found.playback is not None and found.playback.rate is None:
        raise ConfigError("nobody plays that fast", file=file, key="playback.rate")
    racks = {group.rack for group in groups if group.rack}
    for index, link in enumerate(found.links):
        key = f"links[{index}].between"
        if len(link.between) != 2 or link.between[0] == link.between[1]:
            raise ConfigError("expected the names of two racks", file=file, key=key)
        for rack in link.between:
            if rack not in racks:
                raise ConfigError(f"there is nobody in rack {rack!r}", file=file, key=key)
        if any(set(link.between) == set(other.between) for other in found.links[:index]):
            raise ConfigError("these racks have a link already", file=file, key=key)
    return found


def _peers(
    group: PeerGroup, efficiency: float, rng: random.Random, stays: random.Random
) -> list[PeerSpec]:
    peers = []
    joins_at = group.joins_at
    leaves_at = _or_never(group.leaves_at)
    for index in range(group.count):
        stay = _or_never(group.stays_for)
        if group.stays_at_random and group.stays_for:
            stay = stays.expovariate(1.0 / group.stays_for)
        peers.append(
            PeerSpec(
                up=_rate(group.up, index) * efficiency,
                down=_rate(group.down, index) * efficiency,
                role=group.role,
                latency=group.latency,
                joins_at=joins_at,
                leaves_at=min(leaves_at, joins_at + stay),
                dies_at=_or_never(group.dies_at),
                leaves_after_copies=_or_never(group.leaves_after_copies),
                seeds_for=_or_never(group.seeds_for),
                sharing=group.sharing,
                buffer=group.buffer,
                rack=group.rack,
                labels=group.labels,
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
