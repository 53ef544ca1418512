"""What each of several workers may remember, so that all together keep the tracker's bounds."""

from typing import Final

from msgspec.structs import replace

from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.store.registry import LEAST_SHARE

_SHARED: Final = ("max_swarms", "max_peers", "max_names")
"""Swarms are spread evenly by their info-hashes, and these bounds with them."""

_OF_HOST: Final = ("max_peers_per_host", "max_names_per_host")
"""A host with few torrents may have them all at one worker, so little is not divided."""


def settings_of_worker(settings: TrackerSettings) -> TrackerSettings:
    """Return the settings of each worker: bounds of one swarm are as they were."""
    shares = {name: -(-getattr(settings, name) // settings.workers) for name in _SHARED}
    for name in _OF_HOST:
        whole = getattr(settings, name)
        shares[name] = min(whole, max(LEAST_SHARE, -(-whole // settings.workers)))
    return replace(settings, **shares)
