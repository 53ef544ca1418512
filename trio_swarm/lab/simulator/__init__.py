"""A deterministic swarm on a virtual clock, of the very ledgers and strategies of real peers.

Reading order: `scenario` (what is simulated), `swarm` (peers join, meet and go), `peer` and
`peer_events` (what one peer does when it is time), `neighbour` and `messages` (one connection: it
hands the messages of its `engine.conversation` over), `pipes`, `first_come` and `racks` (links, and
how they are shared), `sharing_out` (how a peer shares out its own), `sender_state` (what a sender
knows of its link), `timeline` and `alarm` (the clock), `results` and `reference` (what came of it,
and the best that is possible), `playback` (watching meanwhile), `trace` (the digest), `recording`.
"""

from trio_swarm.lab.simulator.recording import Recordings
from trio_swarm.lab.simulator.results import PeerResult, SwarmResult
from trio_swarm.lab.simulator.scenario import Network, PeerSpec, Scenario, StrategySet, strategies
from trio_swarm.lab.simulator.swarm import SimulatedSwarm, simulate

__all__ = [
    "Network",
    "PeerResult",
    "PeerSpec",
    "Recordings",
    "Scenario",
    "SimulatedSwarm",
    "StrategySet",
    "SwarmResult",
    "simulate",
    "strategies",
]
