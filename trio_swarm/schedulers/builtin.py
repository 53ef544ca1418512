"""What trio-swarm itself offers, through the same hooks as anybody's plugin."""

from collections.abc import Mapping

from trio_swarm.schedulers.api import ChokerFactory, SchedulerFactory, UploaderFactory
from trio_swarm.schedulers.bandwidth_weighted import BandwidthWeighted
from trio_swarm.schedulers.choking.fastest_first import FastestFirst
from trio_swarm.schedulers.choking.taking_turns import TakingTurns
from trio_swarm.schedulers.choking.tit_for_tat import TitForTat
from trio_swarm.schedulers.hookspecs import hookimpl
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.round_robin import RoundRobin
from trio_swarm.schedulers.uploading.least_sent import LeastSent
from trio_swarm.schedulers.uploading.spread import Spread


@hookimpl
def trio_swarm_schedulers() -> Mapping[str, SchedulerFactory]:
    """Offer the download strategies."""
    return {
        "round-robin": RoundRobin,
        "rarest-first": RarestFirst,
        "bandwidth-weighted": BandwidthWeighted,
    }


@hookimpl
def trio_swarm_uploaders() -> Mapping[str, UploaderFactory]:
    """Offer the seeding orders."""
    return {"spread": Spread, "least-sent": LeastSent}


@hookimpl
def trio_swarm_chokers() -> Mapping[str, ChokerFactory]:
    """Offer the unchoking strategies."""
    return {"tit-for-tat": TitForTat, "round-robin": TakingTurns, "fastest-first": FastestFirst}
