"""How a tracker is configured. A new bound is one field of RegistrySettings.

Its name, default, limits and description are read from there by the configuration file
(`config.model`), by the file that `init` writes (`config.starting`) and by `check`.
"""

from functools import cache
from ipaddress import ip_network
from pathlib import Path
from re import fullmatch
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import fields

from trio_swarm.errors import ConfigError
from trio_swarm.protocol.trackers.share_names import MAX_NAME_BYTES

MIN_INTERVAL = 1.0
MAX_INTERVAL = 3600.0
"""Seconds between heartbeats; less is a flood, more and a dead seeder is listed for hours."""

LEASE_INTERVALS = 2.5
"""Intervals in a lease unless it is given: room for one lost heartbeat."""

LEAST_LEASE = 1.1
"""Intervals in the shortest lease: with less, a late heartbeat takes a live peer off the list."""

MAX_WORKERS = 32
"""Processes of one tracker: each has a pair of sockets with each other one."""

MOST = 100_000_000
"""No bound is higher: more peers than the memory of one machine holds."""


LIST_FILES = ("allow", "deny", "names_allow", "names_deny", "register_tokens")
"""Settings of TrackerSettings that are files, read again when they change."""


class RegistrySettings(Struct, frozen=True, kw_only=True):
    """How long a tracker lists a peer, and how much strangers may make it remember.

    A peer costs 30 to 180 bytes, most in a swarm of thousands, and a swarm 500. Times are in
    seconds.
    """

    interval: Annotated[float, Meta(ge=MIN_INTERVAL, le=MAX_INTERVAL)] = 30.0
    """How often peers are told to announce; sent as whole seconds."""
    lease: Annotated[float, Meta(ge=MIN_INTERVAL, le=10 * MAX_INTERVAL)] | None = None
    """How long a peer is listed after an announce; None: LEASE_INTERVALS intervals.

    This is for peers that come back when they are asked to: see `trio_swarm.tracker.store.leases`.
    """
    max_swarms: Annotated[
        int, Meta(ge=1, le=MOST, description="What strangers can make it remember, at most.")
    ] = 100_000
    max_peers: Annotated[int, Meta(ge=1, le=MOST, description="In all swarms.")] = 500_000
    max_peers_per_swarm: Annotated[int, Meta(ge=1, le=MOST, description="In one.")] = 50_000
    max_peers_per_host: Annotated[int, Meta(ge=1, le=MOST, description="Of one address.")] = 20_000
    """Ports in swarms of one IPv4 address or IPv6 /64 while the registry is empty. Of what is full
    to nine tenths (peers, swarms, or the one swarm), a host may have a tenth of that. A private
    address may have ten times as many, and a network (IPv4 /24, IPv6 /48) four times."""
    max_names: Annotated[int, Meta(ge=0, le=MOST, description="Names registered at once.")] = 50_000
    max_names_per_host: Annotated[int, Meta(ge=0, le=MOST, description="Of one address.")] = 10_000
    """Names that one IPv4 address or IPv6 /64 (a whole LAN) was the first to announce; ten times as
    many of a private address."""
    max_name_length: Annotated[
        int, Meta(ge=1, le=MAX_NAME_BYTES, description="Bytes of UTF-8.")
    ] = MAX_NAME_BYTES

    @property
    def lease_seconds(self) -> float:
        """Seconds after which a silent peer is forgotten: as given, or by the interval."""
        return LEASE_INTERVALS * self.interval if self.lease is None else self.lease


class Bound(NamedTuple):
    """A limit of RegistrySettings on what strangers may make the tracker remember."""

    name: str
    default: int
    least: int
    most: int
    description: str


@cache
def bounds() -> tuple[Bound, ...]:
    """Return the bounds of RegistrySettings, in their order."""
    return tuple(
        Bound(field.name, field.default, meta.ge, meta.le, meta.description)
        for field in fields(RegistrySettings)
        for meta in getattr(field.type, "__metadata__", ())
        if meta.description is not None
    )


class TrackerSettings(RegistrySettings, frozen=True, kw_only=True):
    """All settings of `serve_tracker`."""

    host: str | None = None
    """IP address or host name to listen at; None or "": all IPv4 and IPv6 addresses."""
    port: int = 6969
    """UDP and TCP; 0: any that is free for both, the same for IPv4 and IPv6."""
    http: bool = True
    """Whether announces and scrapes are answered over HTTP as well, at the same address and port.
    Over TLS, a reverse proxy does it."""
    proxies: tuple[str, ...] = ()
    """Networks (`10.0.0.0/8`, `::1`) of reverse proxies: their `X-Forwarded-For` says who asks."""
    status_from: tuple[str, ...] = ()
    """Networks whose users may look at `/status` and `/metrics`, besides those of this machine."""
    allow: Path | None = None
    """A file of the info-hashes that alone are tracked, one a line."""
    deny: Path | None = None
    """A file of info-hashes that are not tracked, whatever `allow` holds."""
    names_allow: Path | None = None
    """A file of names, or patterns of them, that alone are registered, one a line."""
    names_deny: Path | None = None
    """A file of names, or patterns of them, that are not registered."""
    register: tuple[str, ...] | None = None
    """Networks from which names are registered; None: all, or none where there are tokens."""
    register_tokens: Path | None = None
    """A file of tokens with which names are registered from anywhere, one a line."""
    shared_url: str | None = None
    """A Redis or Valkey server by which trackers share peers and names; None: this one is alone."""
    shared_prefix: str = "trio-swarm"
    """What the keys there begin with; trackers with the same one share."""

    @property
    def is_selective(self) -> bool:
        """Whether not everything is taken of everybody."""
        return self.register is not None or any(getattr(self, name) for name in LIST_FILES)

    workers: int = 1
    """Processes that answer, for which Linux steers datagrams by info-hash."""
    state_folder: Path | None = None
    """Where the secret for connection ids is kept; None: a new one at each start."""

    def check(self) -> None:
        """Raise ConfigError, with the setting's name as its key, for an impossible value."""
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"not a port: {self.port}", key="port")
        if not 1 <= self.workers <= MAX_WORKERS:
            raise ConfigError(f"must be 1 to {MAX_WORKERS}, not {self.workers}", key="workers")
        if not MIN_INTERVAL <= self.interval <= MAX_INTERVAL:
            raise ConfigError(
                f"must be {MIN_INTERVAL:g} to {MAX_INTERVAL:g} seconds, not {self.interval:g}",
                key="interval",
            )
        for key, networks in (
            ("proxies", self.proxies),
            ("status_from", self.status_from),
            ("register", self.register or ()),
        ):
            for network in networks:
                try:
                    ip_network(network)
                except ValueError as error:
                    raise ConfigError(f"not a network: {error}", key=key) from None
        if not fullmatch(r"[A-Za-z0-9._-]{1,64}", self.shared_prefix):
            raise ConfigError(
                "must be 1 to 64 letters, digits, dots, dashes or underscores", key="shared.prefix"
            )
        lease = self.lease_seconds
        if not LEAST_LEASE * self.interval <= lease <= 10 * MAX_INTERVAL:
            raise ConfigError(
                f"must be at least {LEAST_LEASE * self.interval:g} seconds, a tenth more than the "
                f"interval ({self.interval:g} s), and at most {10 * MAX_INTERVAL:g} seconds, not "
                f"{lease:g}; left out, it is {LEASE_INTERVALS:g} intervals",
                key="lease",
            )
        for bound in bounds():
            value = getattr(self, bound.name)
            if not bound.least <= value <= bound.most:
                raise ConfigError(
                    f"must be {bound.least:,} to {bound.most:,}, not {value:,}", key=bound.name
                )
