"""From what a configuration file describes to settings of a service and what runs beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from trio_swarm import events
from trio_swarm.config.model import FetchConfig, PeerConfig, ShareConfig, settings_in
from trio_swarm.config.values import found_command
from trio_swarm.named_paths import is_file
from trio_swarm.service.rates import Rates
from trio_swarm.settings import (
    FetchSettings,
    HookSettings,
    NodeSettings,
    ScheduleSettings,
    ShareSettings,
    WatchSettings,
)


def node_settings(
    config: PeerConfig, *, trackers: Sequence[str], on_event: Callable[[events.Event], None]
) -> NodeSettings:
    """Return the settings of the node; `trackers` are used whatever the file names."""
    named = {"trackers": tuple(trackers), "on_event": on_event}
    return NodeSettings(**settings_in(config) | named)


def share_settings(share: ShareConfig) -> ShareSettings:
    """Return what a `[[share]]` describes."""
    return ShareSettings(**settings_in(share))


def fetch_settings(fetch: FetchConfig, config: PeerConfig, file: Path) -> FetchSettings:
    """Return what a `[[fetch]]` of a configuration in `file` describes. Looks for its .torrent."""
    named = {
        "what": _beside(file, fetch.what),
        "folder": fetch.folder or config.node.download_folder,
        "trackers": fetch.trackers or None,
        "wait": True,
    }
    return FetchSettings(**settings_in(fetch) | named)


def schedule_in(config: PeerConfig) -> ScheduleSettings | None:
    """Return the alternative limits and when they hold; None: there are none."""
    return None if config.schedule is None else ScheduleSettings(**settings_in(config.schedule))


def queue_in(config: PeerConfig) -> dict[str, int | None]:
    """Return how many torrents may run at once, by the names of `NodeLimits`."""
    limits = config.limits
    return {
        "max_active_downloads": limits.max_active_downloads,
        "max_active_seeds": limits.max_active_seeds,
    }


def watches_in(config: PeerConfig) -> list[WatchSettings]:
    """Return the watched folders, each with the folder that its finds go to."""
    default = config.node.download_folder
    watches = [WatchSettings(**settings_in(each)) for each in config.watch]
    return [replace(each, to=each.to or default) for each in watches]


def rates_in(config: PeerConfig) -> Rates:
    """Return the limits that hold otherwise."""
    return Rates(config.limits.upload, config.limits.download)


def hooks_in(config: PeerConfig, file: Path) -> HookSettings:
    """Return the programs to run; relative paths of theirs start at the folder of `file`.

    Raises ConfigError for the home of nobody.
    """
    settings = HookSettings(**settings_in(config.hooks))
    return replace(
        settings,
        on_complete=found_command(settings.on_complete, file.parent),
        on_failed=found_command(settings.on_failed, file.parent),
    )


def _beside(file: Path, what: str) -> str:
    """Return what to fetch; a relative path of a .torrent file starts at the folder of `file`."""
    beside = file.parent / what
    return str(beside) if what.endswith(".torrent") and is_file(beside) else what
