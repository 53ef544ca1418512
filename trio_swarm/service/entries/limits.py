"""Limits of one entry of the list, and of the whole node, that may change while it runs."""

from typing import Annotated, Final

from msgspec import Meta, Struct

NO_GOAL: Final = 1e9
"""As `seed_ratio` or `seed_for`: seed without end, whatever the node's own goal is."""

MAX_RATE: Final = 1 << 50
"""Most bytes/s that a limit may be: far beyond any link, and exact in every JSON reader."""

Rate = Annotated[int, Meta(ge=1, le=MAX_RATE)]
Goal = Annotated[float, Meta(ge=0, le=NO_GOAL)]
Count = Annotated[int, Meta(ge=1, le=100_000)]


class EntryLimits(Struct, frozen=True, kw_only=True):
    """What one torrent may use, and how long it is seeded; None: as its settings or the node say.

    Rates are bytes/s. `seed_ratio` counts everything that was ever uploaded and `seed_for` all
    seconds of seeding, over restarts; whichever is reached first ends it.
    """

    upload_rate: Rate | None = None
    download_rate: Rate | None = None
    upload_slots: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    seed_ratio: Goal | None = None
    seed_for: Goal | None = None


class NodeLimits(Struct, frozen=True, kw_only=True):
    """What the node may use over all its torrents; None: unlimited.

    Its rates are those of `service.rates.RateLimits`. The goals are those of fetches that have none
    of their own.
    """

    max_active_downloads: Count | None = None
    """Most downloads that run at once; stalled ones are not counted."""
    max_active_seeds: Count | None = None
    seed_ratio: Goal | None = None
    seed_for: Goal | None = None
