"""The flags of `get` and `seed` that shape the node they run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Group, Parameter

from trio_swarm.cli.options import Flag, Words, flagged, plugin_paths, positive, state_folder
from trio_swarm.config.values import parse_listen, parse_option, parse_rate
from trio_swarm.events import Event
from trio_swarm.settings import NodeSettings

if TYPE_CHECKING:
    from trio_swarm.schedulers.loading import Axis, Strategies

NODE = Group("Node", sort_key=20)
_DEFAULT = NodeSettings()


@Parameter(name="*", group=NODE)
@dataclass(frozen=True, kw_only=True)
class NodeOptions:
    """How the node of `get` and `seed` works."""

    listen: str | None = None
    """Where to accept peers: HOST:PORT, :PORT or PORT; by default any free port everywhere."""
    upload_limit: str | None = None
    """Most bytes/s to send in all: 10MiB, 500k, 20Mbit."""
    download_limit: str | None = None
    """Most bytes/s to receive in all."""
    max_connections: int = _DEFAULT.max_connections
    """Most peers connected at once."""
    uploader: str = _DEFAULT.uploader
    """Strategy for what to reveal, see `trio-swarm schedulers`."""
    choker: str = _DEFAULT.choker
    """Strategy for whom to serve."""
    plugin: Words = ()
    """A Python file or folder with strategies of your own."""
    tracker_for_private: Flag = False
    """Tell --tracker of private torrents, too, which are otherwise told to their own only."""
    state_dir: Path | None = None
    """Where resume state is kept. By default ~/.local/state/trio-swarm."""


def strategy_options(
    strategies: "Strategies", axis: "Axis", name: str, typed: Sequence[str]
) -> Mapping[str, object]:
    """Return the values of `--option KEY=VALUE` flags, converted to the strategy's own types."""
    from trio_swarm.schedulers.options import convert_options  # noqa: PLC0415 - seldom needed here

    pairs = [flagged("--option", lambda text: parse_option(str(text)), each) for each in typed]
    entry = strategies.entry(axis, name)
    where = f"{axis} {name!r}"
    return convert_options(entry.options, dict(pairs), text_values=True, where=where)


def node_settings(
    node: NodeOptions,
    *,
    trackers: Sequence[str],
    on_event: Callable[[Event], None],
    scheduler: str = _DEFAULT.scheduler,
    options: Sequence[str] = (),
) -> NodeSettings:
    """Return the settings that the flags of `get` or `seed` ask for.

    Raises ConfigError for a value that cannot be meant, unknown strategies and options included.
    """
    host, port = flagged("--listen", parse_listen, node.listen) if node.listen else ("", 0)
    positive("--max-connections", node.max_connections)
    paths = plugin_paths(node.plugin)
    return NodeSettings(
        listen_host=host,
        listen_port=port,
        trackers=tuple(trackers),
        trackers_for_private=node.tracker_for_private,
        state_folder=state_folder(node.state_dir),
        scheduler=scheduler,
        scheduler_options=_checked_strategies(node, scheduler, options, paths),
        uploader=node.uploader,
        choker=node.choker,
        plugins=paths,
        max_connections=node.max_connections,
        upload_rate=_rate("--upload-limit", node.upload_limit),
        download_rate=_rate("--download-limit", node.download_limit),
        on_event=on_event,
    )


def _checked_strategies(
    node: NodeOptions, scheduler: str, options: Sequence[str], plugins: Sequence[Path]
) -> Mapping[str, object]:
    """Return the options of the scheduler; ConfigError for an unknown strategy or option."""
    chosen = scheduler, node.uploader, node.choker
    usual = _DEFAULT.scheduler, _DEFAULT.uploader, _DEFAULT.choker
    if not options and not plugins and chosen == usual:
        return {}  # the node loads them, and may be imported only then
    from trio_swarm.schedulers.loading import load_strategies  # noqa: PLC0415 - see above

    strategies = load_strategies(plugins)
    strategies.entry("uploader", node.uploader)
    strategies.entry("choker", node.choker)
    return strategy_options(strategies, "scheduler", scheduler, options)


def _rate(flag: str, value: str | None) -> int | None:
    return None if value is None else flagged(flag, parse_rate, value)
