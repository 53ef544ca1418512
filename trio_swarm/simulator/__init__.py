"""A deterministic swarm on a virtual clock, of the very ledgers and strategies of real peers."""

from trio_swarm.simulator.recording import Recordings
from trio_swarm.simulator.results import PeerResult, SwarmResult
from trio_swarm.simulator.scenario import Network, PeerSpec, Scenario, StrategySet, strategies
from trio_swarm.simulator.swarm import Swarm, simulate

__all__ = [
    "Network",
    "PeerResult",
    "PeerSpec",
    "Recordings",
    "Scenario",
    "StrategySet",
    "Swarm",
    "SwarmResult",
    "simulate",
    "strategies",
]
