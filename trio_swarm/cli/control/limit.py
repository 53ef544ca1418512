"""`trio-swarm limit`: limits of a running node, or of one of its torrents."""

from collections.abc import Callable
from dataclasses import dataclass

from cyclopts import Parameter

from trio_swarm.cli.control import limit_values
from trio_swarm.cli.control.asking import ask_node
from trio_swarm.cli.control.choosing import find_torrent, reference
from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.control.torrent_lines import (
    limits_text,
    node_event,
    node_limits_text,
    torrent_event,
    torrent_name,
)
from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.control.answers import Session, Torrent
from trio_swarm.control.client import Client
from trio_swarm.errors import ConfigError


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TorrentLimits:
    """Limits of one torrent; `none` takes one off."""

    up: str | None = None
    """Most bytes/s to send: 10MiB, 500k, 20Mbit, none."""
    down: str | None = None
    """Most bytes/s to receive."""
    slots: str | None = None
    """Of one torrent: peers that are served at once."""
    ratio: str | None = None
    """Of one torrent: end seeding when so many times its size was given to others."""
    seed_for: str | None = None
    """Of one torrent: end seeding after so many seconds."""

    def values(self) -> dict[str, object]:
        """Return the limits that were given, as the node takes them; None takes one off."""
        typed: tuple[tuple[str, str, str | None, Callable[[str, str], object]], ...] = (
            ("upload_rate", "--up", self.up, limit_values.rate),
            ("download_rate", "--down", self.down, limit_values.rate),
            ("upload_slots", "--slots", self.slots, limit_values.count),
            ("seed_ratio", "--ratio", self.ratio, limit_values.amount),
            ("seed_for", "--seed-for", self.seed_for, limit_values.amount),
        )
        return {key: parse(flag, text) for key, flag, text, parse in typed if text is not None}


async def limit(
    torrent: str | None = None,
    /,
    *,
    limits: TorrentLimits | None = None,
    active_downloads: str | None = None,
    active_seeds: str | None = None,
    alternative: bool | None = None,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Change limits of a running node, or of one of its torrents; without any, tell them.

    They hold at once, and last over restarts; those of the node until its configuration file says
    something else of them than now.

    Parameters
    ----------
    torrent
        Name, info-hash or id of a torrent, or the beginning of either; by default the whole node.
    limits
        The limits.
    active_downloads
        Of the node: downloads that run at once, or none; others wait.
    active_seeds
        Of the node: torrents that are seeded at once, or none.
    alternative
        Of the node: begin or end the alternative limits now, whatever the schedule says.
    node
        Which node is asked.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    changes = (limits or TorrentLimits()).values()
    whole: dict[str, object] = {}
    if active_downloads is not None:
        count = limit_values.count("--active-downloads", active_downloads)
        whole["max_active_downloads"] = count
    if active_seeds is not None:
        whole["max_active_seeds"] = limit_values.count("--active-seeds", active_seeds)
    if alternative is not None:
        whole["alternative_limits"] = alternative
    _check(changes, whole, is_of_torrent=torrent is not None)

    async def body(client: Client) -> int:
        if torrent is None:
            every = changes | whole
            found = await (client.change_session(every) if every else client.session())
            _tell_node(found, reporter)
        else:
            one = await find_torrent(client, torrent)
            if changes:
                one = await client.change(reference(one), {"limits": changes})
            _tell_torrent(one, reporter)
        return 0

    return await ask_node(node or NodeChoice(), reporter, body)


def _check(changes: dict[str, object], whole: dict[str, object], *, is_of_torrent: bool) -> None:
    """Raise ConfigError for limits that a node, or a torrent, does not have."""
    if is_of_torrent and whole:
        flag = {"alternative_limits": "--alternative"}.get(
            next(iter(whole)), next(iter(whole)).replace("max_", "--").replace("_", "-")
        )
        raise ConfigError(f"{flag} is a limit of the whole node: name no torrent")
    if not is_of_torrent:
        flags = {"upload_slots": "--slots", "seed_ratio": "--ratio", "seed_for": "--seed-for"}
        for key, flag in flags.items():
            if key in changes:
                raise ConfigError(
                    f"{flag} is a limit of a torrent: trio-swarm limit TORRENT {flag}"
                )


def _tell_node(session: Session, reporter: Reporter) -> None:
    text = node_limits_text(session) or "no limits"
    alternative = " (the alternative limits)" if session.alternative_limits else ""
    reporter.answer(node_event(session), f"the node: {text}{alternative}")


def _tell_torrent(torrent: Torrent, reporter: Reporter) -> None:
    text = limits_text(torrent.limits) or "no limits of its own"
    reporter.answer(torrent_event(torrent), f"{torrent_name(torrent)}: {text}")
