"""The fields of `session-get`, one table, and which of them `session-set` can change.

| field | value | why |
|---|---|---|
| altSpeedTime…, blocklist…, cache-size | off, 0, "" | the node has none, or its file owns it |
| dht, lpd, pex, utp, port-forwarding -enabled | false | not spoken here |
| encryption | tolerated (4.1: allowed) | connections are never encrypted |
| idle-seeding-limit | off | seeding does not end by idleness |
| queue-stalled | on, 30 min | so long a stalled download keeps its place |
| incomplete-dir | while it is off, the one last set, or download-dir | as for limits |
| peer-limit-per-torrent | that of the node | there is one limit |
| script-…, trash-original-torrent-files | off | hooks are the configuration's |
| start-added-torrents | true | unless `paused` says otherwise |
"""

from collections.abc import Callable
from typing import Final

from trio_swarm.control.transmission.calling import Dialect
from trio_swarm.control.transmission.facts import SessionFacts
from trio_swarm.control.transmission.naming import kebab, snake
from trio_swarm.control.transmission.remembered_limits import COUNT, RATE, RATIO, Unit
from trio_swarm.control.transmission.rpc_session import NODE_LIMITS, RpcSession
from trio_swarm.control.transmission.torrent_fields import text

RPC_VERSION: Final = 18
RPC_VERSION_MINIMUM: Final = 14
RPC_VERSION_SEMVER: Final = "6.0.0"
"""The protocol of Transmission 4.1.0, the first with JSON-RPC; 14 is that of 2.40."""

SPOKEN_VERSION: Final = "4.1.0"
"""The Transmission whose protocol this is. transmission-remote-gtk 1.5.1 reads the version's first
number, and shows no torrents below 2.0."""

Read = Callable[[RpcSession, SessionFacts], object]

_NAMES_OF_SIZES: Final = ["B", "kB", "MB", "GB", "TB"]


def version_text(version: str) -> str:
    """Return the version as clients want it, Transmission's number first."""
    return f"{SPOKEN_VERSION} (trio-swarm {version})"


def session_values(
    session: RpcSession, facts: SessionFacts, dialect: Dialect, free_space: int
) -> dict[str, object]:
    """Return all fields by their snake-case names; `free_space` is that of the download folder."""
    values = {name: read(session, facts) for name, read in FIELDS.items()}
    values["download_dir_free_space"] = free_space
    values["encryption"] = "tolerated" if dialect is Dialect.OLD else "allowed"
    values["units"] = _units(dialect)
    return values


def named_values(values: dict[str, object], names: list[object] | None) -> dict[str, object]:
    """Return the values that were asked for; all, if none was named."""
    if names is None:
        return values
    wanted = [snake(name) for name in names[: 4 * len(values)] if isinstance(name, str)]
    return {name: values[name] for name in wanted if name in values}


def _units(dialect: Dialect) -> dict[str, object]:
    units: dict[str, object] = {
        "speed_units": [f"{unit}/s" for unit in _NAMES_OF_SIZES],
        "speed_bytes": RATE.size,
        "size_units": _NAMES_OF_SIZES,
        "size_bytes": 1000,
        "memory_units": ["B", "KiB", "MiB", "GiB", "TiB"],
        "memory_bytes": 1024,
    }
    if dialect is Dialect.OLD:
        return {kebab(name): value for name, value in units.items()}
    return units


def _always(value: object) -> Read:
    return lambda _session, _facts: value


def _fact(read: Callable[[SessionFacts], object]) -> Read:
    return lambda _session, facts: read(facts)


def _limit(name: str, read: Callable[[SessionFacts], float | None], unit: Unit) -> Read:
    key = (NODE_LIMITS, name)
    return lambda session, facts: session.limits.shown(key, read(facts), unit)


FIELDS: Final[dict[str, Read]] = {
    "alt_speed_down": _limit("alternative_download", lambda f: f.alternative_download_limit, RATE),
    "alt_speed_enabled": _fact(lambda f: f.is_alternative),
    "alt_speed_time_begin": _fact(lambda f: f.speed_schedule.begin if f.speed_schedule else 0),
    "alt_speed_time_day": _fact(lambda f: f.speed_schedule.days if f.speed_schedule else 127),
    "alt_speed_time_enabled": _fact(lambda f: f.speed_schedule is not None),
    "alt_speed_time_end": _fact(lambda f: f.speed_schedule.end if f.speed_schedule else 0),
    "alt_speed_up": _limit("alternative_upload", lambda f: f.alternative_upload_limit, RATE),
    "anti_brute_force_enabled": _always(True),  # noqa: FBT003 - the value of a field
    "blocklist_enabled": _always(False),  # noqa: FBT003 - the same
    "blocklist_size": _always(0),
    "blocklist_url": _always(""),
    "cache_size_mib": _always(0),
    "config_dir": _fact(lambda f: text(f.state_folder)),
    "default_trackers": _fact(lambda f: text("\n\n".join(f.trackers))),
    "dht_enabled": _always(False),  # noqa: FBT003 - the same
    "download_dir": _fact(lambda f: text(f.download_folder)),
    "download_queue_enabled": _fact(lambda f: f.max_active_downloads is not None),
    "download_queue_size": _limit("downloads", lambda f: f.max_active_downloads, COUNT),
    "idle_seeding_limit": _always(30),
    "idle_seeding_limit_enabled": _always(False),  # noqa: FBT003 - the same
    "incomplete_dir": lambda session, facts: text(session.incomplete_folder(facts)),
    "incomplete_dir_enabled": _fact(lambda f: f.incomplete_folder is not None),
    "lpd_enabled": _always(False),  # noqa: FBT003 - the same
    "peer_limit_global": _fact(lambda f: f.max_peers),
    "peer_limit_per_torrent": _fact(lambda f: f.max_peers),
    "peer_port": _fact(lambda f: f.peer_port),
    "peer_port_random_on_start": _always(False),  # noqa: FBT003 - the same
    "pex_enabled": _always(False),  # noqa: FBT003 - the same
    "port_forwarding_enabled": _always(False),  # noqa: FBT003 - the same
    "preferred_transports": _always(["tcp"]),
    "queue_stalled_enabled": _always(True),  # noqa: FBT003 - the same
    "queue_stalled_minutes": _always(30),
    "rename_partial_files": _always(True),  # noqa: FBT003 - the same
    "reqq": _always(2000),
    "rpc_version": _always(RPC_VERSION),
    "rpc_version_minimum": _always(RPC_VERSION_MINIMUM),
    "rpc_version_semver": _always(RPC_VERSION_SEMVER),
    "script_torrent_added_enabled": _always(False),  # noqa: FBT003 - the same
    "script_torrent_added_filename": _always(""),
    "script_torrent_done_enabled": _always(False),  # noqa: FBT003 - the same
    "script_torrent_done_filename": _always(""),
    "script_torrent_done_seeding_enabled": _always(False),  # noqa: FBT003 - the same
    "script_torrent_done_seeding_filename": _always(""),
    "seed_queue_enabled": _fact(lambda f: f.max_active_seeds is not None),
    "seed_queue_size": _limit("seeds", lambda f: f.max_active_seeds, COUNT),
    "seed_ratio_limit": _limit("ratio", lambda f: f.seed_ratio, RATIO),
    "seed_ratio_limited": _fact(lambda f: f.seed_ratio is not None),
    "sequential_download": _always(False),  # noqa: FBT003 - the same
    "session_id": lambda session, _facts: session.id,
    "speed_limit_down": _limit("download", lambda f: f.download_limit, RATE),
    "speed_limit_down_enabled": _fact(lambda f: f.download_limit is not None),
    "speed_limit_up": _limit("upload", lambda f: f.upload_limit, RATE),
    "speed_limit_up_enabled": _fact(lambda f: f.upload_limit is not None),
    "start_added_torrents": _always(True),  # noqa: FBT003 - the same
    "tcp_enabled": _always(True),  # noqa: FBT003 - the same
    "trash_original_torrent_files": _always(False),  # noqa: FBT003 - the same
    "utp_enabled": _always(False),  # noqa: FBT003 - the same
    "version": _fact(lambda f: version_text(f.version)),
}
"""Every field but those that depend on the dialect or the disk, by its snake-case name."""
