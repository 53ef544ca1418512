"""The tables and keys of a configuration file: one struct per table, with types, limits and words.

A file describes one whole peer: a tracker to run, shares, fetches, and how to do it. A new key is
two edits: the setting with its default (in `trio_swarm.settings` or `trio_swarm.tracker.settings`),
and a line in its table here. All else follows from the line: `reading.py` checks files against it,
`starting.py` writes it into a first file, and `settings_in` hands its value to the setting.
"""

import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from trio_swarm.config.values import (
    parse_command,
    parse_engine,
    parse_glob,
    parse_hash_or_prefix,
    parse_host,
    parse_label,
    parse_listen,
    parse_network,
    parse_networks,
    parse_peer,
    parse_piece_length,
    parse_rate,
    parse_size,
    parse_time,
    parse_tracker,
    shown_command,
    shown_engine,
    write_listen,
    write_networks,
    write_rate,
    write_size,
    write_time,
)
from trio_swarm.identities import TorrentVersion
from trio_swarm.protocol.addresses import Address, format_address
from trio_swarm.protocol.trackers.url_secrets import without_secrets
from trio_swarm.settings import (
    DEFAULT_TRACKER,
    ControlSettings,
    Day,
    FetchSettings,
    HookSettings,
    NodeSettings,
    ScheduleSettings,
    ShareSettings,
    WatchSettings,
)
from trio_swarm.tracker.settings import (
    LEASE_INTERVALS,
    MAX_INTERVAL,
    MAX_WORKERS,
    MIN_INTERVAL,
    RegistrySettings,
    TrackerSettings,
)

PATH_PLACEHOLDER = "PATH"
NAME_PLACEHOLDER = "NAME"
"""Values that `trio-swarm init` writes to be replaced; it is an error to leave them."""

_NODE = NodeSettings()
_TRACKER = TrackerSettings()
_CONTROL = ControlSettings()
_SHARE = ShareSettings(path=Path(PATH_PLACEHOLDER))
_FETCH = FetchSettings(what=NAME_PLACEHOLDER)
_SCHEDULE = ScheduleSettings()
_HOOKS = HookSettings()
_WATCH = WatchSettings(folder=Path())


@dataclass(frozen=True, slots=True)
class Parsed:
    """Marks a type whose TOML form is read by a function (raises `ConfigError`)."""

    parse: Callable[[object], object]
    at_least: int | None = None
    """Least value, where the parsed one is a number."""
    write: Callable[[Any], object] | None = None
    """The way back, for a default that is not written in TOML as it is."""
    show: Callable[[Any], object] | None = None
    """The same without secrets, for messages."""


@dataclass(frozen=True, slots=True)
class RelativePath:
    """Marks a path: `~` is the home folder, and a relative one starts at the file's folder."""


@dataclass(frozen=True, slots=True)
class Key:
    """Marks a key with its words in the starting file, and with the setting that it sets."""

    comment: str
    example: object = None
    """A value that the starting file shows, commented out, in place of the default."""
    sets: str | tuple[str, str] | None = ""
    """The setting, where it has another name than the key; two of them for an address (host, port)
    or a strategy (name, options); None: the key is no setting by itself."""
    live: bool = False
    """Whether a running node takes a new value over; if not, it needs a restart."""


Rate = Annotated[int | None, Parsed(parse_rate, write=write_rate)]
Listen = Annotated[Address, Parsed(parse_listen, write=write_listen)]
PeerAddress = Annotated[Address, Parsed(parse_peer, write=format_address)]
TrackerUrl = Annotated[str, Parsed(parse_tracker, show=without_secrets)]
InfoHash = Annotated[bytes | str, Parsed(parse_hash_or_prefix)]
"""20 bytes, or the beginning in hex digits."""
FilePath = Annotated[Path, RelativePath()]
TimeOfDay = Annotated[time, Parsed(parse_time, write=write_time)]
Command = Annotated[tuple[str, ...], Parsed(parse_command, show=shown_command)]
Level = Literal["debug", "info", "warning"]
Text = Annotated[str, Meta(min_length=1, max_length=1000)]
Count = Annotated[int, Meta(ge=1, le=100_000)]
Label = Annotated[str, Parsed(parse_label)]
Glob = Annotated[str, Parsed(parse_glob)]
Network = Annotated[str, Parsed(parse_network)]
Networks = Annotated[tuple[str, ...] | None, Parsed(parse_networks, write=write_networks)]
EngineUrl = Annotated[str, Parsed(parse_engine, show=shown_engine)]
Prefix = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
HostName = Annotated[str, Parsed(parse_host)]
Seconds = Annotated[float, Meta(ge=0, le=10 * 365 * 86_400)]
Patience = Annotated[float, Meta(gt=0, le=86_400)]
Interval = Annotated[float, Meta(ge=MIN_INTERVAL, le=MAX_INTERVAL)]
Lease = Annotated[float, Meta(ge=MIN_INTERVAL, le=10 * MAX_INTERVAL)]
Ratio = Annotated[float, Meta(ge=0, le=1e9)]
PieceMemory = Annotated[int, Parsed(parse_size, at_least=1024 * 1024, write=write_size)]
PieceLength = Annotated[int, Parsed(parse_piece_length)]
Options = dict[str, Any]
"""Options of a strategy; checked by building the strategy with them."""


class StrategyConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[scheduler]`, `[uploader]`, `[choker]`: a strategy by name, with `options` for it."""

    name: Text
    options: Options = field(default_factory=dict)


class SharedConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tracker.shared]`: a Redis or Valkey server by which trackers share peers and names."""

    url: Annotated[
        EngineUrl | None,
        Key(
            "Redis or Valkey. Keep this file to yourself if a password is in it.",
            example="redis://localhost:6379",
            sets="shared_url",
        ),
    ] = _TRACKER.shared_url
    prefix: Annotated[
        Prefix,
        Key("What its keys begin with: trackers with the same one share.", sets="shared_prefix"),
    ] = _TRACKER.shared_prefix


class TrackerConfig(RegistrySettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tracker]`: its presence runs a tracker. The bounds are those of `RegistrySettings`."""

    listen: Annotated[
        Listen,
        Key("UDP and TCP: HOST:PORT, or :PORT for every address.", sets=("host", "port")),
    ] = (_TRACKER.host or "", _TRACKER.port)
    interval: Annotated[Interval, Key("Seconds between the heartbeats asked of peers.")] = (
        _TRACKER.interval
    )
    lease: Annotated[
        Lease | None,
        Key(
            "Seconds after its last heartbeat a peer is forgotten; "
            f"{LEASE_INTERVALS:g} intervals if left out.",
            example=LEASE_INTERVALS * _TRACKER.interval,
        ),
    ] = _TRACKER.lease
    http: Annotated[bool, Key("Answer over HTTP as well, at the same address and port.")] = (
        _TRACKER.http
    )
    proxies: Annotated[
        tuple[Network, ...],
        Key(
            "Networks of reverse proxies, whose X-Forwarded-For says who asks.",
            example=("127.0.0.1", "::1"),
        ),
    ] = _TRACKER.proxies
    status_from: Annotated[
        tuple[Network, ...],
        Key(
            "Networks whose users may look at /status and /metrics, besides this machine.",
            example=("192.168.0.0/16",),
        ),
    ] = _TRACKER.status_from
    allow: Annotated[
        FilePath | None,
        Key("A file of the info-hashes that alone are tracked, one a line.", example="allow.txt"),
    ] = _TRACKER.allow
    deny: Annotated[
        FilePath | None,
        Key("A file of info-hashes that are not tracked.", example="deny.txt"),
    ] = _TRACKER.deny
    names_allow: Annotated[
        FilePath | None,
        Key(
            "A file of names, or patterns, that alone are registered, one a line.",
            example="names.txt",
        ),
    ] = _TRACKER.names_allow
    names_deny: Annotated[
        FilePath | None,
        Key(
            "A file of names, or patterns such as *.exe, that are not registered.",
            example="no-names.txt",
        ),
    ] = _TRACKER.names_deny
    register: Annotated[
        Networks,
        Key(
            'From where names are registered: "anyone", or networks; '
            "if left out: anyone, or with register_tokens nobody else.",
            example=("192.168.0.0/16",),
        ),
    ] = _TRACKER.register
    register_tokens: Annotated[
        FilePath | None,
        Key(
            "A file (mode 600) of tokens, one a line; who has one registers names from anywhere.",
            example="tokens.txt",
        ),
    ] = _TRACKER.register_tokens
    workers: Annotated[
        int, Meta(ge=1, le=MAX_WORKERS), Key("Processes that answer, on as many cores (Linux).")
    ] = _TRACKER.workers
    shared: Annotated[SharedConfig, Key("Sharing peers and names with other trackers.")] = (
        SharedConfig()
    )


class ShareConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[share]]`: one file or folder to offer."""

    path: Annotated[FilePath, Key("A file or folder: put yours here.")]
    name: Annotated[
        Text | None,
        Key(
            "The name to be found by, a part of the torrent; that of the path if left out.",
            example="holiday",
        ),
    ] = _SHARE.name
    piece_length: Annotated[
        PieceLength | None, Key("Chosen by size if left out.", example="1MiB")
    ] = _SHARE.piece_length
    format: Annotated[
        TorrentVersion,
        Key("Version of the torrent: v1, hybrid or v2.", example="hybrid", sets="version"),
    ] = _SHARE.version
    follow_links: Annotated[
        bool, Key("Share what symbolic links in the folder lead to.", example=True)
    ] = _SHARE.follow_links
    links_root: Annotated[FilePath | None, Key("Where they may lead.", example="/srv/store")] = (
        _SHARE.links_root
    )
    trackers: Annotated[
        tuple[TrackerUrl, ...] | None,
        Key("Other than those above.", example=[DEFAULT_TRACKER], live=True),
    ] = _SHARE.trackers
    labels: Annotated[
        tuple[Label, ...], Key("What it is sorted by.", example=["music"], live=True)
    ] = _SHARE.labels
    paused: Annotated[bool, Key("Wait until somebody resumes it.", live=True)] = _SHARE.paused
    upload: Annotated[
        Rate, Key("Bytes/s of it to send.", example="1MB", sets="upload_rate", live=True)
    ] = _SHARE.upload_rate
    upload_slots: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | None,
        Key("Peers of it served at once.", example=4, live=True),
    ] = _SHARE.upload_slots


class FetchConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[fetch]]`: one thing to get, and how long to share it afterwards."""

    what: Annotated[
        Text, Key("Put yours here: a name, a .torrent file, a magnet link or an info-hash.")
    ]
    folder: Annotated[
        FilePath | None, Key("By default download_folder of [node].", example="downloads")
    ] = None
    info_hash: Annotated[
        InfoHash | None,
        Key(
            "Which is meant, where a name stands for several; its first digits will do.",
            example="0" * 40,
        ),
    ] = _FETCH.info_hash
    only: Annotated[
        tuple[Glob, ...],
        Key("The files that are wanted; by default all.", example=["*.json", "docs/"], live=True),
    ] = _FETCH.only
    skip: Annotated[
        tuple[Glob, ...],
        Key("Files that are not wanted.", example=["*.bin"], live=True),
    ] = _FETCH.skip
    trackers: Annotated[
        tuple[TrackerUrl, ...] | None,
        Key("Other than those above.", example=[DEFAULT_TRACKER], live=True),
    ] = _FETCH.trackers
    peers: Annotated[
        tuple[PeerAddress, ...],
        Key("Peers to connect to at once.", example=["192.168.1.5:51413"], live=True),
    ] = _FETCH.peers
    seed: Annotated[bool, Key("Go on sharing it when it is complete.", live=True)] = _FETCH.seed
    seed_for: Annotated[
        Seconds | None, Key("End after so many seconds of seeding.", example=3600, live=True)
    ] = _FETCH.seed_for
    seed_ratio: Annotated[
        Ratio | None, Key("End when so many times the size was given.", example=2.0, live=True)
    ] = _FETCH.seed_ratio
    scheduler: Annotated[
        StrategyConfig | Text | None,
        Key(
            "Other than [scheduler].",
            example="round-robin",
            sets=("scheduler", "scheduler_options"),
            live=True,
        ),
    ] = None
    labels: Annotated[
        tuple[Label, ...], Key("What it is sorted by.", example=["music"], live=True)
    ] = _FETCH.labels
    paused: Annotated[bool, Key("Wait until somebody resumes it.", live=True)] = _FETCH.paused
    upload: Annotated[
        Rate, Key("Bytes/s of it to send.", example="1MB", sets="upload_rate", live=True)
    ] = _FETCH.upload_rate
    download: Annotated[
        Rate, Key("Bytes/s of it to receive.", example="5MB", sets="download_rate", live=True)
    ] = _FETCH.download_rate
    upload_slots: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | None,
        Key("Peers of it served at once.", example=4, live=True),
    ] = _FETCH.upload_slots


class NodeConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[node]`: where this peer is reached and where it keeps things."""

    listen: Annotated[
        Listen,
        Key("TCP, for peers; port 0: any free one.", sets=("listen_host", "listen_port")),
    ] = (_NODE.listen_host, _NODE.listen_port)
    download_folder: Annotated[FilePath, Key("Where fetches go.", sets=None, live=True)] = (
        _FETCH.folder
    )
    incomplete_folder: Annotated[
        FilePath | None,
        Key(
            "Where they are until they are complete; by default where they go.",
            example="incomplete",
            sets=None,
            live=True,
        ),
    ] = None
    state_folder: Annotated[
        FilePath | None, Key("By default ~/.local/state/trio-swarm.", example="state")
    ] = _NODE.state_folder
    trackers_for_private: Annotated[bool, Key("Tell your trackers of private torrents, too.")] = (
        _NODE.trackers_for_private
    )
    """As BEP 27 does not want it."""


class LimitsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`: what this peer may use, over all its torrents."""

    connections: Annotated[
        int, Meta(ge=1, le=100_000), Key("Peers at once.", sets="max_connections", live=True)
    ] = _NODE.max_connections
    upload: Annotated[Rate, Key("Bytes/s to send.", sets="upload_rate", live=True)] = (
        _NODE.upload_rate
    )
    download: Annotated[Rate, Key("Bytes/s to receive.", sets="download_rate", live=True)] = (
        _NODE.download_rate
    )
    upload_slots: Annotated[
        int, Meta(ge=1, le=10_000), Key("Peers of one torrent served at once.", live=True)
    ] = _NODE.upload_slots
    piece_memory: Annotated[PieceMemory, Key("Pieces in flight, per download.")] = (
        _NODE.piece_memory
    )
    """Bytes."""
    max_active_downloads: Annotated[
        Count | None,
        Key(
            "Downloads that run at once, stalled ones apart; others wait for their turn.",
            example=5,
            sets=None,
            live=True,
        ),
    ] = None
    max_active_seeds: Annotated[
        Count | None,
        Key(
            "Complete torrents that are shared at once; others wait for their turn.",
            example=50,
            sets=None,
            live=True,
        ),
    ] = None


class ScheduleConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[schedule]`: other limits at some times of the week; local time of this machine."""

    begin: Annotated[
        TimeOfDay | None,
        Key("When they begin to hold; at midnight if left out.", example="08:00", live=True),
    ] = _SCHEDULE.begin
    end: Annotated[
        TimeOfDay | None,
        Key(
            "When they end, the next day if that is not later than begin; at midnight if left out.",
            example="18:00",
            live=True,
        ),
    ] = _SCHEDULE.end
    days: Annotated[
        tuple[Day, ...],
        Key(
            "Days on which they begin; every day if left out.",
            example=["mon", "tue", "wed", "thu", "fri"],
            live=True,
        ),
    ] = _SCHEDULE.days
    upload: Annotated[
        Rate, Key("Bytes/s to send then.", example="1MiB", sets="upload_rate", live=True)
    ] = _SCHEDULE.upload_rate
    download: Annotated[
        Rate, Key("Bytes/s to receive then.", example="4MiB", sets="download_rate", live=True)
    ] = _SCHEDULE.download_rate


class WatchConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[watch]]`: a folder into which .torrent files and magnet links are dropped."""

    folder: Annotated[
        FilePath,
        Key("Files NAME.torrent and NAME.magnet in it are fetched.", example="drop", live=True),
    ]
    to: Annotated[
        FilePath | None,
        Key("By default download_folder of [node].", example="downloads", live=True),
    ] = _WATCH.to
    labels: Annotated[
        tuple[Label, ...], Key("Labels of what is fetched.", example=["dropped"], live=True)
    ] = _WATCH.labels
    paused: Annotated[bool, Key("Wait until somebody resumes it.", live=True)] = _WATCH.paused


class HooksConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[hooks]`: programs to run when something happened. No shell is between."""

    on_complete: Annotated[
        Command,
        Key(
            "A fetch is complete. What happened is in the environment: TRIO_SWARM_PATH and others.",
            example=["/usr/local/bin/tell", "done"],
            live=True,
        ),
    ] = _HOOKS.on_complete
    on_failed: Annotated[
        Command,
        Key("A share or fetch has failed.", example=["/usr/local/bin/tell", "failed"], live=True),
    ] = _HOOKS.on_failed
    timeout: Annotated[Patience, Key("Seconds until a program is ended.", live=True)] = (
        _HOOKS.timeout
    )


class LogConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what is written about the work of this peer."""

    level: Annotated[
        Level | None,
        Key(
            "Log lines from this level on; by default info, or as --verbose and --quiet say.",
            example="warning",
            live=True,
        ),
    ] = None


class ControlConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[control]`: by HTTP, besides the Unix socket in the state folder."""

    listen: Annotated[
        Listen | None,
        Key("TCP: HOST:PORT. By default only the Unix socket.", example="127.0.0.1:9091"),
    ] = _CONTROL.listen
    token_file: Annotated[
        FilePath | None,
        Key("A file with the token of people who may do everything.", example="control.token"),
    ] = _CONTROL.token_file
    read_token_file: Annotated[
        FilePath | None,
        Key("The same for people who may look, and change nothing.", example="reader.token"),
    ] = _CONTROL.read_token_file
    password_file: Annotated[
        FilePath | None,
        Key("A file with USER:PASSWORD, for programs without tokens.", example="control.password"),
    ] = _CONTROL.password_file
    hosts: Annotated[
        tuple[HostName, ...],
        Key(
            "Names of this machine in browsers, besides its addresses and localhost.",
            example=["nas.example"],
        ),
    ] = _CONTROL.hosts
    folders: Annotated[
        tuple[FilePath, ...],
        Key("Where added torrents may go besides download_folder.", example=["films"]),
    ] = _CONTROL.folders


class PluginsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[plugins]`: Python files or folders with strategies, besides the installed packages."""

    paths: Annotated[
        tuple[FilePath, ...], Key("Python files or folders.", sets="plugins", live=True)
    ] = _NODE.plugins


class PeerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration file, in the order in which the starting file has its tables."""

    trackers: Annotated[
        tuple[TrackerUrl, ...],
        Key(
            "Where names are registered and found. The tracker of another machine: udp://HOST:6969",
            example=[DEFAULT_TRACKER],
            live=True,
        ),
    ] = _NODE.trackers
    """None named: the `[tracker]` of this file, or else the default of the command line."""
    tracker: Annotated[TrackerConfig | None, Key("Its presence runs a tracker.", sets=None)] = None
    share: Annotated[
        tuple[ShareConfig, ...],
        Key("What to share; one table for each file or folder.", sets=None),
    ] = ()
    fetch: Annotated[
        tuple[FetchConfig, ...],
        Key(
            "What to fetch; one table for each. It waits until somebody shares the name.",
            sets=None,
        ),
    ] = ()
    watch: Annotated[
        tuple[WatchConfig, ...],
        Key("Folders whose .torrent files and magnet links are fetched.", sets=None),
    ] = ()
    node: Annotated[NodeConfig, Key("This peer.")] = NodeConfig()
    limits: Annotated[LimitsConfig, Key("What it may use, in all.")] = LimitsConfig()
    schedule: Annotated[
        ScheduleConfig | None,
        Key("Other limits at some times of the week.", sets=None, live=True),
    ] = None
    hooks: Annotated[HooksConfig, Key("Programs to run when something happened.", sets=None)] = (
        HooksConfig()
    )
    log: Annotated[LogConfig, Key("What it writes about its work.", sets=None)] = LogConfig()

    control: Annotated[ControlConfig, Key("Who may control it, and from where.", sets=None)] = (
        ControlConfig()
    )
    scheduler: Annotated[
        StrategyConfig | Text,
        Key(
            "What to fetch from whom. See: trio-swarm schedulers",
            example={"random_first_pieces": 4},
            sets=("scheduler", "scheduler_options"),
            live=True,
        ),
    ] = StrategyConfig(name=_NODE.scheduler)
    uploader: Annotated[
        StrategyConfig | Text,
        Key(
            "What to offer, and in which order to serve.",
            example={"ahead_seconds": 0.5},
            sets=("uploader", "uploader_options"),
            live=True,
        ),
    ] = StrategyConfig(name=_NODE.uploader)
    choker: Annotated[
        StrategyConfig | Text,
        Key(
            "Whom to serve.",
            example={"optimistic_every": 4},
            sets=("choker", "choker_options"),
            live=True,
        ),
    ] = StrategyConfig(name=_NODE.choker)
    plugins: Annotated[PluginsConfig, Key("Strategies of your own.")] = PluginsConfig()
    labels: Annotated[
        dict[Text, dict[Text, str]],
        Key(
            "Facts about peers for strategies, by the beginning of their address.",
            example={"10.0.": {"zone": "attic"}},
            live=True,
        ),
    ] = field(default_factory=dict)
    """Address prefix → label → value."""


def as_strategy(value: StrategyConfig | str) -> StrategyConfig:
    """Return the table form: a strategy may also be given by its name alone."""
    return StrategyConfig(name=value) if isinstance(value, str) else value


@cache
def keys_of(struct: type[Struct]) -> Mapping[str, tuple[Any, Key]]:
    """Return the keys of a table, each with its type (marks but `Key` included) and its `Key`."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return {name: _apart(hint) for name, hint in hints.items()}


def _apart(hint: Any) -> tuple[Any, Key]:
    """Return a type and the `Key` that marks it.

    A table may have its keys from settings that know no `Key`: then it is the description there.
    """
    if typing.get_origin(hint) is not Annotated:
        return hint, Key("")
    others = tuple(mark for mark in hint.__metadata__ if not isinstance(mark, Key))
    inner = hint.__origin__
    keys = [mark for mark in hint.__metadata__ if isinstance(mark, Key)]
    keys += [
        Key(mark.description) for mark in others if isinstance(mark, Meta) and mark.description
    ]
    return Annotated[(inner, *others)] if others else inner, keys[0] if keys else Key("")


def settings_in(table: Struct) -> dict[str, Any]:
    """Return the settings that a table and the tables in it hold, by the names of the settings."""
    return dict(_settings(table))


def _settings(table: Struct) -> Iterator[tuple[str, Any]]:
    for name, (_hint, key) in keys_of(type(table)).items():
        value = getattr(table, name)
        match key.sets:
            case None:
                pass
            case (first, second):
                if value is not None:
                    yield from zip((first, second), _two(value), strict=True)
            case _ if isinstance(value, Struct):
                yield from _settings(value)
            case setting:
                yield setting or name, value


def _two(value: Address | StrategyConfig | str) -> tuple[Any, Any]:
    if isinstance(value, tuple):
        return value
    strategy = as_strategy(value)
    return strategy.name, strategy.options
