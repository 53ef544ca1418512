"""What came of a run, in numbers."""

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from trio_swarm.lab.simulator.playback import Audience, Playback, audience_of, watch
from trio_swarm.lab.simulator.scenario import Role

if TYPE_CHECKING:
    from trio_swarm.lab.simulator.peer import SimulatedPeer
    from trio_swarm.lab.simulator.swarm import SimulatedSwarm


class PeerResult(Struct, frozen=True, kw_only=True):
    """One peer; times in seconds from the start of the run, amounts in bytes."""

    role: Role
    finished_at: float | None
    """None if it never was complete; 0.0 for a seeder."""
    seconds: float | None
    """From joining to completion."""
    first_byte: float | None
    """From joining to the first block."""
    sent: int
    """By its uplink, of blocks."""
    received: int
    """Of blocks that arrived, those in vain included."""
    duplicate: int
    """Of those, in vain."""
    accepted: int
    has_left: bool = False
    """It went or died before the end."""
    playback: Playback | None = None
    """How it was to watch, of leechers where the scenario says so."""

    @property
    def has_given_up(self) -> bool:
        """Whether it went before it was complete."""
        return self.has_left and self.finished_at is None


class SwarmResult(Struct, frozen=True, kw_only=True):
    """The swarm; `digest` is the same if and only if the same happened."""

    peers: tuple[PeerResult, ...]
    unfinished: int
    """Leechers that stayed and never were complete."""
    gave_up: int
    """Leechers that went before they were complete. No time counts them."""
    last: float
    """Seconds until the last leecher was complete; infinite if one never was."""
    p50: float
    p95: float
    bound: float
    """Least possible by Kumar and Ross, seconds."""
    ratio: float
    """`last` to `bound`."""
    copies: float
    """Times the torrent that those sent who had it from the start."""
    utilisation: float
    """Of all uplinks that serve, until the end or until their peer left."""
    duplicate: int
    """Bytes of blocks that arrived in vain."""
    crossed: int
    """Bytes of blocks that went from one rack to another."""
    crossed_copies: float
    """The same, in times the torrent."""
    audience: Audience | None
    """Of all that watched, if any did."""
    ended_at: float
    transfers: int
    """Requests answered."""
    digest: str


def result_of(swarm: "SimulatedSwarm") -> SwarmResult:
    """Return the result of a run that is over."""
    end = swarm.timeline.now
    results = [_peer_result(peer) for peer in swarm.peers]
    stayed = [each for each in results if each.role != "seeder" and not each.has_given_up]
    times = sorted(math.inf if each.seconds is None else each.seconds for each in stayed)
    gave_up = sum(each.has_given_up for each in results if each.role != "seeder")
    size = swarm.scenario.size
    last = max(
        (math.inf if each.finished_at is None else each.finished_at for each in stayed),
        default=math.inf if gave_up else 0.0,
    )
    bound = swarm.scenario.bound
    crossed = sum(trunk.sent for trunk in swarm.trunks.values())
    watched = [each.playback for each in results if each.playback is not None]
    return SwarmResult(
        peers=tuple(results),
        unfinished=sum(each.finished_at is None for each in stayed),
        gave_up=gave_up,
        last=last,
        p50=_percentile(times, 0.5),
        p95=_percentile(times, 0.95),
        bound=bound,
        ratio=last / bound if bound else math.inf,
        copies=sum(each.sent for each in results if each.role == "seeder") / max(1, size),
        utilisation=_utilisation(swarm, end),
        duplicate=sum(each.duplicate for each in results),
        crossed=crossed,
        crossed_copies=crossed / max(1, size),
        audience=audience_of(watched) if watched else None,
        ended_at=end,
        transfers=swarm.trace.blocks,
        digest=swarm.trace.digest(),
    )


def _peer_result(peer: "SimulatedPeer") -> PeerResult:
    spec = peer.spec
    is_seeder = spec.role == "seeder"
    finished_at = spec.joins_at if is_seeder else peer.finished_at
    first = peer.first_byte_at
    return PeerResult(
        role=spec.role,
        finished_at=finished_at,
        seconds=None if finished_at is None else finished_at - spec.joins_at,
        first_byte=None if first is None else first - spec.joins_at,
        sent=peer.up.sent,
        received=peer.taken,
        duplicate=peer.ledger.duplicate_bytes,
        accepted=peer.ledger.received_bytes,
        has_left=peer.left_at is not None,
        playback=None if is_seeder else _playback(peer),
    )


def _playback(peer: "SimulatedPeer") -> Playback | None:
    swarm = peer.swarm
    scenario = swarm.scenario
    if scenario.playback is None or swarm.piece_times is None:
        return None
    return watch(
        swarm.piece_times.of(peer.index),
        scenario.playback,
        size=scenario.size,
        piece_length=scenario.piece_length,
        joined=peer.spec.joins_at,
        until=swarm.timeline.now if peer.left_at is None else peer.left_at,
    )


def _percentile(ascending: list[float], part: float) -> float:
    """Return the least value that `part` of all do not exceed; 0.0 of nothing."""
    if not ascending:
        return 0.0
    return ascending[max(0, math.ceil(part * len(ascending)) - 1)]


def _utilisation(swarm: "SimulatedSwarm", end: float) -> float:
    could = did = 0.0
    for peer in swarm.peers:
        if peer.serves and peer.spec.up < math.inf:
            until = end if peer.left_at is None else peer.left_at
            could += peer.spec.up * max(0.0, until - peer.spec.joins_at)
            did += peer.up.sent
    return did / could if could else 0.0
