"""Limits of one entry of the list, and of the whole node, that may change while it runs."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace

from trio_swarm.settings import FetchSettings, ShareSettings

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


class LimitChanges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of a torrent; what is left out stays, null is the node's own."""

    upload_rate: Rate | UnsetType | None = UNSET
    download_rate: Rate | UnsetType | None = UNSET
    upload_slots: Annotated[int, Meta(ge=1, le=10_000)] | UnsetType | None = UNSET
    seed_ratio: Goal | UnsetType | None = UNSET
    seed_for: Goal | UnsetType | None = UNSET

    @property
    def has_goals(self) -> bool:
        """Whether they say anew how long the torrent is seeded."""
        return not (self.seed_ratio is UNSET and self.seed_for is UNSET)

    def applied(self, limits: EntryLimits) -> EntryLimits:
        """Return limits with these changes."""
        new = {name: value for name, value in asdict(self).items() if value is not UNSET}
        return replace(limits, **new)


def limits_of(settings: ShareSettings | FetchSettings, own: EntryLimits) -> EntryLimits:
    """Return the limits of an entry: its own, or else those of its settings. Goals are its own."""
    return replace(
        own, **{name: each for name, each in _of(settings).items() if getattr(own, name) is None}
    )


def own_limits(settings: ShareSettings | FetchSettings, wanted: EntryLimits) -> EntryLimits:
    """Return what is to be kept of `wanted`: what the settings do not say anyway."""
    same = [name for name, each in _of(settings).items() if getattr(wanted, name) == each]
    return replace(wanted, **dict.fromkeys(same))


def limits_after(
    own: EntryLimits,
    was: ShareSettings | FetchSettings,
    will_be: ShareSettings | FetchSettings,
) -> EntryLimits:
    """Return the own limits of an entry whose settings change: what they say anew counts."""
    before = _of(was)
    changed = [name for name, each in _of(will_be).items() if before[name] != each]
    return replace(own, **dict.fromkeys(changed))


def _of(settings: ShareSettings | FetchSettings) -> dict[str, int | None]:
    download = settings.download_rate if isinstance(settings, FetchSettings) else None
    return {
        "upload_rate": settings.upload_rate,
        "download_rate": download,
        "upload_slots": settings.upload_slots,
    }


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
