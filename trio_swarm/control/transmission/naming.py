"""One name in its three spellings: `snake_case` (4.1), `kebab-case` and `camelCase` (before it).

The snake-case name is the one that this package uses. What a client sends is read in any spelling,
for the old dialect mixes them.
"""

import re
from typing import Final

MAX_NAME: Final = 64
"""Most characters of a name that is looked at: the longest of the protocol has 38."""

_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake(name: str) -> str:
    """Return a name in snake case; a name that is too long to be known stays as it is."""
    if len(name) > MAX_NAME:
        return name
    return _BORDER.sub("_", name).replace("-", "_").lower()


def camel(name: str) -> str:
    """Return a name in camel case: `hash_string` is `hashString`."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def kebab(name: str) -> str:
    """Return a name in kebab case: `session_get` is `session-get`."""
    return name.replace("_", "-")


_OLD: Final = {
    **{
        name: camel(name)
        for name in (
            *("seed_ratio_limit", "seed_ratio_limited"),
            *("active_torrent_count", "paused_torrent_count", "torrent_count"),
            *("download_speed", "upload_speed"),
        )
    },
    **{name: name for name in ("total_size", "ip_protocol", "preferred_transports")},
    "cache_size_mib": "cache-size-mb",
}
"""What a result's argument is called in the old dialect, where it is not kebab case."""


def old_key(name: str) -> str:
    """Return what an argument of a result is called in the old dialect."""
    return _OLD.get(name) or kebab(name)
