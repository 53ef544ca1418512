"""How a tracker is configured."""

from dataclasses import dataclass

from trio_swarm.errors import ConfigError
from trio_swarm.protocol.trackers.share_names import MAX_NAME_BYTES
from trio_swarm.tracker.store.registry import RegistryLimits

MIN_INTERVAL = 1.0
MAX_INTERVAL = 3600.0
"""Seconds between heartbeats; less is a flood, more and a dead seeder is listed for hours."""

LEASE_INTERVALS = 2.5
"""Intervals in a lease unless it is given: room for one lost heartbeat."""

LEAST_LEASE = 1.1
"""Intervals in the shortest lease: with less, a late heartbeat takes a live peer off the list."""

_LIMITS = RegistryLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSettings:
    """All settings of `serve_tracker`; times in seconds. See RegistryLimits for the bounds."""

    host: str | None = None
    """IP address or host name to listen at; None or "": all IPv4 and IPv6 addresses."""
    port: int = 6969
    """UDP; 0: any free one, the same for IPv4 and IPv6."""
    interval: float = 30.0
    """How often peers are told to announce; sent as whole seconds."""
    lease: float | None = None
    """How long a peer is listed after an announce; None becomes LEASE_INTERVALS intervals.

    This is for peers that come back when they are asked to: see `trio_swarm.tracker.store.leases`.
    """
    max_swarms: int = _LIMITS.max_swarms
    max_peers: int = _LIMITS.max_peers
    max_peers_per_swarm: int = _LIMITS.max_peers_per_swarm
    max_peers_per_host: int = _LIMITS.max_peers_per_host
    max_names: int = _LIMITS.max_names
    max_names_per_host: int = _LIMITS.max_names_per_host
    max_name_length: int = _LIMITS.max_name_length

    def __post_init__(self) -> None:
        if self.lease is None:
            object.__setattr__(self, "lease", LEASE_INTERVALS * self.interval)

    @property
    def lease_seconds(self) -> float:
        """The lease, given or not."""
        assert self.lease is not None
        return self.lease

    def check(self) -> None:
        """Raise ConfigError, with the setting's name as its key, for an impossible value."""
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"not a port: {self.port}", key="port")
        if not MIN_INTERVAL <= self.interval <= MAX_INTERVAL:
            raise ConfigError(
                f"must be {MIN_INTERVAL:g} to {MAX_INTERVAL:g} seconds, not {self.interval:g}",
                key="interval",
            )
        lease = self.lease_seconds
        if not LEAST_LEASE * self.interval <= lease <= 10 * MAX_INTERVAL:
            raise ConfigError(
                f"must be at least {LEAST_LEASE * self.interval:g} seconds, a tenth more than the "
                f"interval ({self.interval:g} s), and at most {10 * MAX_INTERVAL:g} seconds, not "
                f"{lease:g}; left out, it is {LEASE_INTERVALS:g} intervals",
                key="lease",
            )
        for key in ("max_swarms", "max_peers", "max_peers_per_swarm", "max_peers_per_host"):
            if getattr(self, key) < 1:
                raise ConfigError("must be at least 1", key=key)
        for key in ("max_names", "max_names_per_host"):
            if getattr(self, key) < 0:
                raise ConfigError("must not be negative", key=key)
        if not 1 <= self.max_name_length <= MAX_NAME_BYTES:
            raise ConfigError(f"must be 1 to {MAX_NAME_BYTES} bytes", key="max_name_length")

    def limits(self) -> RegistryLimits:
        """Return the bounds of the tracker's memory."""
        return RegistryLimits(
            max_swarms=self.max_swarms,
            max_peers=self.max_peers,
            max_peers_per_swarm=self.max_peers_per_swarm,
            max_peers_per_host=self.max_peers_per_host,
            max_names=self.max_names,
            max_names_per_host=self.max_names_per_host,
            max_name_length=self.max_name_length,
        )
