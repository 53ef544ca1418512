"""The built-in strategies, registered through the same hooks as those of any plugin."""

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
    """Return the built-in download strategies by name."""
    return {
        "round-robin": RoundRobin,
        "rarest-first": RarestFirst,
        "bandwidth-weighted": BandwidthWeighted,
    }


@hookimpl
def trio_swarm_uploaders() -> Mapping[str, UploaderFactory]:
    """Return the built-in upload strategies by name."""
    return {"spread": Spread, "least-sent": LeastSent}


@hookimpl
def trio_swarm_chokers() -> Mapping[str, ChokerFactory]:
    """Return the built-in unchoking strategies by name."""
    return {"tit-for-tat": TitForTat, "round-robin": TakingTurns, "fastest-first": FastestFirst}
