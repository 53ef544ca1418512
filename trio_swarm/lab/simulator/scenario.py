"""What is simulated: the peers of one torrent, their links, when they come and go, and the network.

Rates are bytes/s of payload, times seconds, lengths bytes.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from trio_swarm.engine.lengths import BLOCK_LENGTH
from trio_swarm.lab.simulator.playback import PlaybackSpec
from trio_swarm.schedulers.api import Choker, Scheduler, Uploader
from trio_swarm.schedulers.loading import Axis, Strategies, load_strategies
from trio_swarm.settings import NodeSettings

FINE = 250_000
"""Requests of a run up to which each is as short as a real peer's: about half a minute's worth."""

COARSEST = 256 * 1024
"""Bytes of the shortest request at most: several pieces must not become one event."""

MANY = 250
"""Peers from which on HAVEs are heard together: of the events of a large swarm most are HAVEs."""

HAVE_INTERVAL = 0.05
"""Seconds: HAVEs that arrive within it are heard together then, at its end. 200 x 256 ended
after 17.47 ± 0.23 s with it, and after 17.22 ± 0.24 s with each heard at its time (12 seeds)."""

Role = Literal["seeder", "leecher", "free-rider"]

Sharing = Literal["fair", "first-come"]
"""How the connections of one uplink share it: see `pipes` and `first_come`."""

_LETTERS: Mapping[Role, str] = MappingProxyType({"seeder": "S", "leecher": "L", "free-rider": "F"})

NO_OPTIONS: Mapping[Axis, Mapping[str, object]] = MappingProxyType({})


class PeerSpec(Struct, frozen=True, kw_only=True):
    """One peer: a seeder has everything, a free rider fetches and never serves."""

    up: float
    """Rate of its uplink; infinite if it is never the bottleneck."""
    down: float = math.inf
    role: Role = "leecher"
    latency: float = 0.0005
    """Its part of the one-way delay: between two peers it is the sum of both."""
    joins_at: float = 0.0
    leaves_at: float = math.inf
    """When it goes, telling its peers (it closes its connections)."""
    dies_at: float = math.inf
    """When it falls silent, telling nobody."""
    leaves_after_copies: float = math.inf
    """It goes when its uplink has sent so many times the torrent."""
    seeds_for: float = math.inf
    """It goes so long after it is complete."""
    sharing: Sharing | None = None
    """How the connections of its uplink share it; None: as those of the network do."""
    buffer: float | None = None
    """Seconds of bytes that the queue of its uplink takes; None: as in the network."""
    rack: str = ""
    """Where it is, if that matters: see `CrossLink`."""
    labels: Mapping[str, str] = {}
    """What strategies of other peers are told of it."""


def address_of(index: int) -> str:
    """Return by which address peers know one of them."""
    return f"peer-{index:06d}:6881"


class CrossLink(Struct, frozen=True, kw_only=True):
    """What all peers of two racks share when they talk to those of the other."""

    between: tuple[str, str]
    rate: float
    """In each direction."""
    latency: float = 0.0
    """One way, besides that of the peers."""


class Network(Struct, frozen=True, kw_only=True):
    """What lies between peers, and what a host does with it."""

    quantum: int | None = None
    """Bytes an uplink sends of one connection before the next gets its turn; None: half of the
    shortest request, and at least a block."""
    unevenness: float = 0.3
    """How far the shares of one uplink's connections are apart: each is drawn once, from 1 less
    this to 1 plus this. TCP connections over one link are seldom equal for long."""
    sharing: Sharing = "fair"
    """How the connections of an uplink share it."""
    buffer: float = 0.05
    """Seconds of bytes that the queue of an uplink takes, where sharing is not fair."""
    shares_uplink: bool = True
    """Peers keep that queue short, and their connections take turns, as those of a node do."""
    send_buffer: int = 256 * 1024
    """Bytes a connection's socket takes ahead of the link: in their order for good, and before
    whatever is said later."""
    max_request: int = 1024 * 1024
    """Longest request; foreign clients keep to 16 KiB."""
    least_request: int | None = None
    """Shortest request, but for what is left of a piece; None: as `Scenario.least_request` says.
    The larger, the coarser and the faster to simulate."""
    have_interval: float | None = None
    """Seconds: HAVEs are heard at multiples of it only, so that those which arrive within it are
    heard together; 0: each at its time. None: 0, or `HAVE_INTERVAL` with more than `MANY` peers.
    """
    verify_seconds: float = 0.002
    """From the last block of a piece until it is verified."""
    allowed_fast: int = 10
    """Pieces each peer may fetch while it is choked (BEP 6)."""
    pair_latency: Mapping[tuple[int, int], float] = {}
    """One-way delay between two peers (lower index first) where it is not the sum of theirs."""
    cross_links: tuple[CrossLink, ...] = ()
    """Between racks; two without one have no bottleneck between them."""


class StrategySet(Struct, frozen=True, kw_only=True):
    """What every peer is made with: a fresh strategy of each axis."""

    scheduler: Callable[[], Scheduler]
    uploader: Callable[[], Uploader]
    choker: Callable[[], Choker]
    slots: int = NodeSettings().upload_slots
    piece_memory: int = NodeSettings().piece_memory


def strategies(
    *,
    scheduler: str | None = None,
    uploader: str | None = None,
    choker: str | None = None,
    options: Mapping[Axis, Mapping[str, object]] = NO_OPTIONS,
    loaded: Strategies | None = None,
) -> StrategySet:
    """Return strategies by name; those not named are the defaults of a node. Raises ConfigError.

    `options` has the options of each axis.
    """
    settings = NodeSettings()
    found = loaded if loaded is not None else load_strategies(())

    def of(axis: Axis) -> Mapping[str, object]:
        return options.get(axis, {})

    return StrategySet(
        scheduler=lambda: found.scheduler(scheduler or settings.scheduler, of("scheduler")),
        uploader=lambda: found.uploader(uploader or settings.uploader, of("uploader")),
        choker=lambda: found.choker(choker or settings.choker, of("choker")),
    )


class Scenario(Struct, frozen=True, kw_only=True):
    """One swarm, complete: with its strategies and a seed the outcome is determined."""

    size: int
    piece_length: int
    peers: tuple[PeerSpec, ...]
    neighbours: int | None = None
    """Peers that each one that joins connects to, chosen at random; None for all."""
    network: Network = Network()
    max_seconds: float = 86400.0
    """When to give up."""
    playback: PlaybackSpec | None = None
    """Leechers watch it while they fetch it."""

    @property
    def names(self) -> list[str]:
        """What people call each peer, by its role: S1, S2, L1 and so on."""
        numbers: Counter[str] = Counter()
        names = []
        for peer in self.peers:
            numbers[peer.role] += 1
            names.append(f"{_LETTERS[peer.role]}{numbers[peer.role]}")
        return names

    @property
    def least_request(self) -> int:
        """Bytes of the shortest request.

        If it is not given: a block, as for real, unless that makes a run of more than `FINE`
        requests; then the least power of two that does not, up to `COARSEST` or a piece.
        """
        given = self.network.least_request
        if given is not None:
            return given
        leechers = sum(peer.role != "seeder" for peer in self.peers)
        length = BLOCK_LENGTH
        while length < min(COARSEST, self.piece_length) and leechers * self.size > FINE * length:
            length *= 2
        return length

    @property
    def piece_count(self) -> int:
        """How many pieces there are."""
        return -(-self.size // self.piece_length)

    @property
    def have_interval(self) -> float:
        """Seconds within which HAVEs are heard together; 0: each at its time."""
        given = self.network.have_interval
        return (HAVE_INTERVAL if len(self.peers) > MANY else 0.0) if given is None else given

    @property
    def quantum(self) -> int:
        """Bytes an uplink sends of one connection before the next gets its turn."""
        given = self.network.quantum
        return max(BLOCK_LENGTH, self.least_request // 2) if given is None else given

    @property
    def bound(self) -> float:
        """Least seconds in which all leechers can finish if all come at the start, and stay.

        max(F/u_s, F/d_min, N·F/(u_s + Σu_i)), by Kumar and Ross: for any scheme whatever. Free
        riders count as leechers without an uplink. Where peers come later or leave sooner, it is
        true, too, but out of reach. And into a rack that has no seeder one copy must come.
        """
        seeding = sum(peer.up for peer in self.peers if peer.role == "seeder")
        leechers = [peer for peer in self.peers if peer.role != "seeder"]
        helping = sum(peer.up for peer in leechers if peer.role == "leecher")
        if not leechers or not seeding:
            return 0.0 if not leechers else math.inf
        slowest = min(peer.down for peer in leechers)
        return max(
            self.size / seeding,
            self.size / slowest,
            len(leechers) * self.size / (seeding + helping),
            *(self.size / rate for rate in self._rates_into_racks()),
        )

    def _rates_into_racks(self) -> Iterator[float]:
        """Yield the rate at which a rack can be reached, of each that lacks a seeder."""
        racks = {peer.rack for peer in self.peers}
        seeding = {peer.rack for peer in self.peers if peer.role == "seeder"}
        for rack in racks - seeding:
            rates = {
                other: link.rate
                for link in self.network.cross_links
                for one, other in (link.between, link.between[::-1])
                if one == rack
            }
            if rates.keys() >= racks - {rack}:
                yield sum(rates[other] for other in racks - {rack})
