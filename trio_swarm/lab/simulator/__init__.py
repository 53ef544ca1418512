"""A deterministic swarm on a virtual clock, of the very ledgers and strategies of real peers."""

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
