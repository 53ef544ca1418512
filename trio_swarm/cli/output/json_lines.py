"""How an event becomes a line of `--json`, and what `get`, `seed` and `ls` print.

What other commands print is in `json_events`, which also tells what is common to all.
"""

import functools
import time
from collections.abc import Callable

from trio_swarm.events import Event


def json_line(event: Event, *, clock: Callable[[], float] = time.time) -> str:
    """Return the line for `event`, which happens now, without its line end."""
    fields = event.as_dict()
    return _encoder()({"event": fields.pop("event"), "time": round(clock(), 3), **fields})


@functools.cache
def _encoder() -> Callable[[object], str]:
    import json  # noqa: PLC0415 - only where lines are for programs

    # ASCII only, so that not even a raw control character of a name reaches a terminal.
    return json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


class Progress(Event, frozen=True, kw_only=True):
    """How far one torrent is; see `trio_swarm.Progress` for the fields."""

    info_hash: str
    share_name: str
    state: str
    size: int
    have: int
    pieces: int
    pieces_have: int
    download_rate: float
    upload_rate: float
    eta: float | None
    downloaded: int
    uploaded: int
    duplicate: int
    peers: int
    seeders: int
    ratio: float
    connections: list[dict[str, object]]
    """One object a connected peer: address, client, rates, bytes, its part of the torrent."""


class Hashing(Event, frozen=True, kw_only=True):
    """How much of a path to share has been hashed, in bytes."""

    path: str
    done: int
    total: int


class Listed(Event, frozen=True, kw_only=True):
    """One name on a tracker, as `ls` lists it."""

    share_name: str
    info_hash: str
    size: int
    seeders: int
    leechers: int


class Unlisted(Event, frozen=True, kw_only=True):
    """A name that no tracker knows any more (ls --watch)."""

    share_name: str
    info_hash: str


class Created(Event, frozen=True, kw_only=True):
    """A .torrent file was written."""

    path: str
    share_name: str
    info_hash: str
    info_hash_v2: str | None
    size: int
    pieces: int
    piece_length: int
    magnet: str


class ReachedHereOnly(Event, frozen=True, kw_only=True):
    """Trackers of a share that mean another machine on every machine, as 127.0.0.1 does."""

    trackers: list[str]
    message: str


class Logged(Event, frozen=True, kw_only=True):
    """A log line of this program or of a library."""

    severity: str
    """`debug`, `info`, `warning`; `error` and `critical` of libraries only."""
    logger: str
    """Its module, such as `trio_swarm.service.waiting`."""
    message: str


class Failure(Event, frozen=True, kw_only=True):
    """The command ends with `exit_code`; printed as `error`."""

    level = "warning"
    message: str
    exit_code: int

    @property
    def name(self) -> str:
        """Return `error`, the name of this kind of line."""
        return "error"
