"""What a configuration file may hold: one struct per table, with types, limits and defaults.

A file describes one whole peer: a tracker to run, shares, fetches, and how to do it. `reading.py`
checks a file against these structs and `starting.py` writes a first file from their defaults, so a
key, its limits and its default exist in one place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from trio_swarm.config.values import (
    parse_hash_or_prefix,
    parse_listen,
    parse_peer,
    parse_piece_length,
    parse_rate,
    parse_size,
    parse_tracker,
)
from trio_swarm.protocol.addresses import Address
from trio_swarm.settings import NodeSettings
from trio_swarm.tracker.settings import RegistrySettings, TrackerSettings

PATH_PLACEHOLDER = "PATH"
NAME_PLACEHOLDER = "NAME"
"""What `trio-swarm init` writes to be replaced; whoever leaves it there is told so."""

_NODE = NodeSettings()


@dataclass(frozen=True, slots=True)
class Parsed:
    """Marks a type whose TOML form is read by a function (raises `ConfigError`)."""

    parse: Callable[[object], object]
    at_least: int | None = None
    """Least value, where the parsed one is a number."""


@dataclass(frozen=True, slots=True)
class RelativePath:
    """Marks a path: `~` is the home folder, and a relative one starts at the file's folder."""


Rate = Annotated[int | None, Parsed(parse_rate)]
Listen = Annotated[Address, Parsed(parse_listen)]
PeerAddress = Annotated[Address, Parsed(parse_peer)]
TrackerUrl = Annotated[str, Parsed(parse_tracker)]
InfoHash = Annotated[bytes | str, Parsed(parse_hash_or_prefix)]
"""20 bytes, or the beginning in hex digits."""
FilePath = Annotated[Path, RelativePath()]
Text = Annotated[str, Meta(min_length=1, max_length=1000)]
Seconds = Annotated[float, Meta(ge=0, le=10 * 365 * 86_400)]
Options = dict[str, Any]
"""Whatever the strategy takes; checked by building the strategy with it."""


class StrategyConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[scheduler]`, `[uploader]`, `[choker]`: a strategy by name, with `options` for it."""

    name: Text
    options: Options = field(default_factory=dict)


class NodeConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[node]`: where this peer is reached and where it keeps things."""

    listen: Listen = ("", 0)
    state_folder: FilePath | None = None
    """None: `$XDG_STATE_HOME/trio-swarm` or `~/.local/state/trio-swarm`."""
    download_folder: FilePath = Path()
    trackers_for_private: bool = _NODE.trackers_for_private
    """Tell `trackers` of private torrents as well (BEP 27)."""


class LimitsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`: what this peer may use, over all its torrents."""

    connections: Annotated[int, Meta(ge=1, le=100_000)] = _NODE.max_connections
    upload: Rate = None
    download: Rate = None
    upload_slots: Annotated[int, Meta(ge=1, le=10_000)] = _NODE.upload_slots
    piece_memory: Annotated[int, Parsed(parse_size, at_least=1024 * 1024)] = _NODE.piece_memory
    """Bytes of pieces in flight, per download."""


class TrackerConfig(RegistrySettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[tracker]`: its presence runs a tracker; all other keys are those of RegistrySettings."""

    listen: Listen = ("", TrackerSettings().port)

    def settings(self) -> TrackerSettings:
        """Return how to run this tracker."""
        host, port = self.listen
        rest = {name: getattr(self, name) for name in RegistrySettings.__struct_fields__}
        return TrackerSettings(host=host, port=port, **rest)


class ShareConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[share]]`: one file or folder to offer."""

    path: FilePath
    name: Text | None = None
    """None: the name of the file or folder."""
    trackers: tuple[TrackerUrl, ...] | None = None
    """None: those at the top of the file."""
    piece_length: Annotated[int, Parsed(parse_piece_length)] | None = None
    """Bytes, a power of two, at least 16 KiB; None: chosen by size."""


class FetchConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[fetch]]`: one thing to get, and how long to share it afterwards."""

    what: Text
    """A name, a magnet link, an info-hash, or the path of a .torrent file."""
    folder: FilePath | None = None
    """None: `download_folder` of `[node]`."""
    info_hash: InfoHash | None = None
    """Which torrent is meant, where a name stands for several."""
    trackers: tuple[TrackerUrl, ...] | None = None
    peers: tuple[PeerAddress, ...] = ()
    scheduler: StrategyConfig | Text | None = None
    """None: the one of `[scheduler]`."""
    seed: bool = True
    """Go on as a seeder when complete."""
    seed_for: Seconds | None = None
    seed_ratio: Annotated[float, Meta(ge=0, le=1e9)] | None = None


class PluginsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[plugins]`: Python files or folders with strategies, besides the installed packages."""

    paths: tuple[FilePath, ...] = ()


class PeerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole configuration file."""

    trackers: tuple[TrackerUrl, ...] = ()
    """None named: the `[tracker]` of this file, or else the default of the command line."""
    node: NodeConfig = NodeConfig()
    limits: LimitsConfig = LimitsConfig()
    tracker: TrackerConfig | None = None
    share: tuple[ShareConfig, ...] = ()
    fetch: tuple[FetchConfig, ...] = ()
    scheduler: StrategyConfig | Text = StrategyConfig(name=_NODE.scheduler)
    uploader: StrategyConfig | Text = StrategyConfig(name=_NODE.uploader)
    choker: StrategyConfig | Text = StrategyConfig(name=_NODE.choker)
    plugins: PluginsConfig = PluginsConfig()
    labels: dict[Text, dict[Text, str]] = field(default_factory=dict)
    """Facts about peers for strategies: address prefix → label → value."""


def as_strategy(value: StrategyConfig | str) -> StrategyConfig:
    """Return the table form: a strategy may also be given by its name alone."""
    return StrategyConfig(name=value) if isinstance(value, str) else value
