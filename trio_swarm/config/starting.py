"""The configuration file a newcomer starts from: every key with its default, explained.

Written once, for a person to edit; the program never writes to a person's file again.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import tomli_w

from trio_swarm.config.model import (
    NAME_PLACEHOLDER,
    PATH_PLACEHOLDER,
    LimitsConfig,
    PeerConfig,
    TrackerConfig,
    as_strategy,
)
from trio_swarm.settings import DEFAULT_TRACKER
from trio_swarm.tracker.settings import LEASE_INTERVALS, bounds

Role = Literal["tracker", "seeder", "leecher"]


class _Key(NamedTuple):
    """One line of a table; with `is_example` it is commented out."""

    name: str
    value: object
    comment: str
    is_example: bool = False


def starting_file(role: Role) -> str:
    """Return the text of a complete configuration for `role`: every key there is.

    What only its owner can know is a placeholder, which `check` and `run` ask to be replaced. The
    tables of the other roles are there, too, commented out.
    """
    tables = (
        _trackers(is_example=role == "tracker"),
        _tracker(is_example=role != "tracker"),
        _share(is_example=role != "seeder"),
        _fetch(is_example=role != "leecher"),
        _node_rest(),
    )
    head = (
        f"# A trio-swarm {role}. Start it:    trio-swarm run FILE\n"
        "# Look for mistakes in this file:     trio-swarm check FILE\n"
        '# Sizes and rates are bytes, or text such as "10MiB", "500k" and, for rates, "20Mbit".\n'
        "# Relative paths start at the folder of this file. Every key may be left out.\n"
        "# A line that begins with # and no blank is an example: take the # away to use it.\n"
    )
    return "\n".join([head, *tables])


def _table(heading: str, comment: str, keys: Sequence[_Key], *, is_example: bool = False) -> str:
    lines = [f"# {line}" for line in comment.splitlines()]
    if heading:
        lines.append(f"#{heading}" if is_example else heading)
    for key in keys:
        lines += [f"# {line}" for line in key.comment.splitlines()]
        text = tomli_w.dumps({key.name: key.value}).rstrip()
        mark = "#" if is_example or key.is_example else ""
        lines += [f"{mark}{line}" for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def _trackers(*, is_example: bool) -> str:
    comment = (
        "Where names are registered and found. The tracker of another machine: udp://HOST:6969"
    )
    return _table("", "", [_Key("trackers", [DEFAULT_TRACKER], comment)], is_example=is_example)


def _tracker(*, is_example: bool) -> str:
    default = TrackerConfig()
    return _table(
        "[tracker]",
        "Its presence runs a tracker.",
        [
            _Key("listen", _listen(default.listen), "UDP: HOST:PORT, or :PORT for every address."),
            _Key("interval", default.interval, "Seconds between the heartbeats asked of peers."),
            _Key(
                "lease",
                LEASE_INTERVALS * default.interval,
                "Seconds after its last heartbeat a peer is forgotten; 2.5 intervals if left out.",
                is_example=True,
            ),
            *(_Key(bound.name, bound.default, bound.description) for bound in bounds()),
        ],
        is_example=is_example,
    )


def _share(*, is_example: bool) -> str:
    return _table(
        "[[share]]",
        "What to share; one table for each file or folder.",
        [
            _Key("path", PATH_PLACEHOLDER, "A file or folder: put yours here."),
            _Key(
                "name",
                "holiday",
                "The name to be found by, a part of the torrent; that of the path if left out.",
                is_example=True,
            ),
            _Key("piece_length", "1MiB", "Chosen by size if left out.", is_example=True),
            _Key("trackers", [DEFAULT_TRACKER], "Other than those above.", is_example=True),
        ],
        is_example=is_example,
    )


def _fetch(*, is_example: bool) -> str:
    return _table(
        "[[fetch]]",
        "What to fetch; one table for each. It waits until somebody shares the name.",
        [
            _Key(
                "what",
                NAME_PLACEHOLDER,
                "Put yours here: a name, a .torrent file, a magnet link or an info-hash.",
            ),
            _Key("folder", "downloads", "By default download_folder of [node].", is_example=True),
            _Key(
                "info_hash",
                "0" * 40,
                "Which is meant, where a name stands for several; its first digits will do.",
                is_example=True,
            ),
            _Key("trackers", [DEFAULT_TRACKER], "Other than those above.", is_example=True),
            _Key("peers", ["192.168.1.5:51413"], "Peers to connect to at once.", is_example=True),
            _Key("seed", value=True, comment="Go on sharing it when it is complete."),
            _Key("seed_for", 3600, "End after so many seconds of seeding.", is_example=True),
            _Key("seed_ratio", 2.0, "End when so many times the size was given.", is_example=True),
            _Key("scheduler", "round-robin", "Other than [scheduler].", is_example=True),
        ],
        is_example=is_example,
    )


def _node_rest() -> str:
    config = PeerConfig()
    limits = LimitsConfig()
    tables = [
        _table(
            "[node]",
            "This peer.",
            [
                _Key(
                    "listen", _listen(config.node.listen), "TCP, for peers; port 0: any free one."
                ),
                _Key("download_folder", ".", "Where fetches go."),
                _Key(
                    "state_folder",
                    "state",
                    "By default ~/.local/state/trio-swarm.",
                    is_example=True,
                ),
                _Key(
                    "trackers_for_private",
                    config.node.trackers_for_private,
                    "Tell your trackers of private torrents, too.",
                ),
            ],
        ),
        _table(
            "[limits]",
            "What it may use, in all.",
            [
                _Key("connections", limits.connections, "Peers at once."),
                _Key("upload", "unlimited", "Bytes/s to send."),
                _Key("download", "unlimited", "Bytes/s to receive."),
                _Key("upload_slots", limits.upload_slots, "Peers of one torrent served at once."),
                _Key("piece_memory", "32MiB", "Pieces in flight, per download."),
            ],
        ),
    ]
    strategies = {
        "scheduler": (
            config.scheduler,
            "What to fetch from whom. See: trio-swarm schedulers",
            _Key("random_first_pieces", 4, ""),
        ),
        "uploader": (
            config.uploader,
            "What to offer, and in which order to serve.",
            _Key("ahead_seconds", 0.5, ""),
        ),
        "choker": (config.choker, "Whom to serve.", _Key("optimistic_every", 4, "")),
    }
    for axis, (strategy, comment, option) in strategies.items():
        name = _Key("name", as_strategy(strategy).name, "")
        tables.append(_table(f"[{axis}]", comment, [name]))
        tables.append(
            _table(f"[{axis}.options]", "What it takes, see there.", [option], is_example=True)
        )
    plugins = _Key("paths", [], "Python files or folders.")
    tables.append(_table("[plugins]", "Strategies of your own.", [plugins]))
    label = _Key("zone", "attic", "")
    about = "Facts about peers for strategies, by the beginning of their address."
    tables.append(_table('[labels."10.0."]', about, [label], is_example=True))
    return "\n".join(tables)


def _listen(address: tuple[str, int]) -> str:
    host, port = address
    return f"{host}:{port}"
