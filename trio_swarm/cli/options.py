"""Flags that several commands share, and how what was typed becomes settings.

A wrong value is a `ConfigError` that names its flag: exit code 2.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Group, Parameter

from trio_swarm.config.values import (
    parse_listen,
    parse_option,
    parse_rate,
    parse_tracker,
    parse_tracker_list,
)
from trio_swarm.errors import ConfigError
from trio_swarm.events import Event
from trio_swarm.schedulers.loading import Axis, Strategies, load_strategies
from trio_swarm.schedulers.options import convert_options
from trio_swarm.settings import DEFAULT_TRACKER, NodeSettings

_Value = TypeVar("_Value")

TRACKER_VARIABLE = "TRIO_SWARM_TRACKER"
OUTPUT = Group("Output", sort_key=30)
LIMITS = Group("Node", sort_key=20)

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Words = Annotated[tuple[str, ...], Parameter(negative="", show_default=False)]
"""A flag that may be given several times."""
Trackers = Annotated[Words, Parameter(name=("--tracker", "-t"))]


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How a command talks."""

    json: Flag = False
    """Print one JSON object a line on stdout, for programs."""
    quiet: Annotated[Flag, Parameter(name=("--quiet", "-q"))] = False
    """Print only warnings, errors and what was asked for."""
    verbose: Annotated[Flag, Parameter(name=("--verbose", "-v"))] = False
    """Print everything that happens, peers coming and going included."""


@Parameter(name="*", group=LIMITS)
@dataclass(frozen=True, kw_only=True)
class NodeOptions:
    """How the node of `get` and `seed` works."""

    listen: str | None = None
    """Where to accept peers: HOST:PORT, :PORT or PORT; by default any free port everywhere."""
    upload_limit: str | None = None
    """Most bytes/s to send in all: 10MiB, 500k, 20Mbit."""
    download_limit: str | None = None
    """Most bytes/s to receive in all."""
    max_connections: int = 250
    """Most peers connected at once."""
    uploader: str = "least-sent"
    """Strategy for what to offer, see `trio-swarm schedulers`."""
    choker: str = "tit-for-tat"
    """Strategy for whom to serve."""
    plugin: Words = ()
    """A Python file or folder with strategies of your own."""
    state_dir: Path | None = None
    """Where resume state is kept. By default ~/.local/state/trio-swarm."""


def flagged(flag: str, parse: Callable[[object], _Value], value: object) -> _Value:
    """Return `parse(value)`; its ConfigError names `flag`."""
    try:
        return parse(value)
    except ConfigError as error:
        raise ConfigError(f"{flag}: {error}") from error


def expanded(path: Path | None) -> Path | None:
    """Return `path` with `~` as the home folder; ConfigError if there is no such user."""
    if path is None:
        return None
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path}: {error}") from error


def positive(flag: str, value: float | None) -> None:
    """Raise ConfigError unless `value` is None or a number above zero (NaN is not)."""
    if value is not None and not value > 0:
        raise ConfigError(f"{flag}: must be more than 0, got {value:g}")


def trackers_given(flags: Sequence[str]) -> tuple[str, ...]:
    """Return the trackers a person named by `--tracker`, else by `TRIO_SWARM_TRACKER`."""
    if flags:
        return tuple(flagged("--tracker", parse_tracker, url) for url in flags)
    return flagged(
        TRACKER_VARIABLE, lambda _: parse_tracker_list(os.environ.get(TRACKER_VARIABLE, "")), ""
    )


def trackers_or_default(flags: Sequence[str]) -> tuple[str, ...]:
    """Return the trackers a person named, else the one on this machine."""
    return trackers_given(flags) or (DEFAULT_TRACKER,)


def plugin_paths(plugins: Iterable[str]) -> tuple[Path, ...]:
    """Return the paths of `--plugin` flags, `~` expanded."""
    return tuple(path for each in plugins if (path := expanded(Path(each))))


def strategy_options(
    strategies: Strategies, axis: Axis, name: str, typed: Sequence[str]
) -> Mapping[str, object]:
    """Return the values of `--option KEY=VALUE` flags, converted to the strategy's own types."""
    pairs = [flagged("--option", lambda text: parse_option(str(text)), each) for each in typed]
    offer = strategies.offer(axis, name)
    where = f"{axis} {name!r}"
    return convert_options(offer.options, dict(pairs), text_values=True, where=where)


def node_settings(
    node: NodeOptions,
    *,
    trackers: Sequence[str],
    on_event: Callable[[Event], None],
    scheduler: str = "rarest-first",
    options: Sequence[str] = (),
) -> NodeSettings:
    """Return the settings that the flags of `get` or `seed` ask for.

    Raises ConfigError for a value that cannot be meant, unknown strategies and options included.
    """
    host, port = flagged("--listen", parse_listen, node.listen) if node.listen else ("", 0)
    positive("--max-connections", node.max_connections)
    paths = plugin_paths(node.plugin)
    strategies = load_strategies(paths)
    strategies.offer("uploader", node.uploader)
    strategies.offer("choker", node.choker)
    scheduler_options = strategy_options(strategies, "scheduler", scheduler, options)
    return NodeSettings(
        listen_host=host,
        listen_port=port,
        trackers=tuple(trackers),
        state_folder=expanded(node.state_dir),
        scheduler=scheduler,
        scheduler_options=scheduler_options,
        uploader=node.uploader,
        choker=node.choker,
        plugins=paths,
        max_connections=node.max_connections,
        upload_rate=_rate("--upload-limit", node.upload_limit),
        download_rate=_rate("--download-limit", node.download_limit),
        on_event=on_event,
    )


def _rate(flag: str, value: str | None) -> int | None:
    return None if value is None else flagged(flag, parse_rate, value)
