"""What one process of a tracker did since it started, and what it holds: plain, to be added up."""

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field

from trio_swarm.tracker.settings import LIST_FILES, bounds

LISTED: Final = 20
"""Swarms in a list of the biggest."""

OTHER: Final = "other"
"""The reason of a refusal that names no setting."""

_SETTINGS: Final = frozenset(
    (*(bound.name for bound in bounds()), *LIST_FILES, "register", "register_tokens")
)
"""What the reason of a refusal may name; strangers, whose names are in some, add no others."""

REFUSALS: Final = (*sorted(_SETTINGS), OTHER)
"""All kinds of refusals."""

CHANGES: Final = (
    *("registered", "completed", "stopped", "expired", "refused"),
    *("name_taken", "name_refused", "name_dropped"),
)
"""Kinds of `store.interface.Change`."""

_WORD: Final = re.compile(r"[a-z_]+")

_GAUGES: Final = frozenset({"swarms", "peers", "names", "held", "trackers", "waiting"})


class TrackerFigures(Struct, frozen=True, kw_only=True):
    """Sums since the start, and gauges of now."""

    worker: int = 0
    started_at: float = 0.0
    """Unix seconds."""
    announces_udp: int = 0
    """Answered, refused ones among them."""
    announces_http: int = 0
    scrapes_udp: int = 0
    """Requests; each may name several info-hashes."""
    scrapes_http: int = 0
    questions: int = 0
    """Questions for names, searches and claims among them."""
    changes: dict[str, int] = field(default_factory=dict)
    """By kind: `registered`, `completed`, `stopped`, `expired`, `refused`, `name_taken`…"""
    refusals: dict[str, int] = field(default_factory=dict)
    """Refused announces and names, by the setting that says so, or OTHER."""
    swarms: int = 0
    peers: int = 0
    names: int = 0
    is_shared: bool = False
    """Whether peers are exchanged with other trackers; what follows is about that."""
    is_connected: bool = False
    trackers: int = 0
    """Others whose peers are listed."""
    held: int = 0
    """Peers listed for others only."""
    waiting: int = 0
    """Changes that the others cannot have heard of yet."""
    lag: float = 0.0
    """Seconds since news of others came, or since it was seen that there are none."""

    @property
    def announces(self) -> int:
        """Of both kinds."""
        return self.announces_udp + self.announces_http

    @property
    def heartbeats(self) -> int:
        """Announces that changed nothing."""
        changed = sum(
            self.changes.get(kind, 0) for kind in ("registered", "completed", "stopped", "refused")
        )
        return max(0, self.announces - changed)


class TopSwarm(Struct, frozen=True):
    """One of the biggest swarms."""

    info_hash: str
    """Hex digits."""
    name: str
    """One of its names; empty: none."""
    seeders: int
    leechers: int
    completed: int


class Seen(Struct, frozen=True):
    """What is seen of one process."""

    figures: TrackerFigures
    top: list[TopSwarm]


def refusal_kind(reason: str) -> str:
    """Return the setting that the reason of a refusal names, OTHER if it names none."""
    named = [word for word in _WORD.findall(reason) if word in _SETTINGS]
    return named[-1] if named else OTHER


def summed(every: Iterable[TrackerFigures]) -> TrackerFigures:
    """Return figures of several processes as one's: the first's number, and the worst lag."""
    all_figures = list(every)
    first = all_figures[0]
    sums: dict[str, object] = {}
    for name in TrackerFigures.__struct_fields__:
        values = [getattr(each, name) for each in all_figures]
        if isinstance(values[0], dict):
            kinds = dict.fromkeys(kind for value in values for kind in value)
            sums[name] = {kind: sum(value.get(kind, 0) for value in values) for kind in kinds}
        elif name in {"worker", "is_shared"}:
            sums[name] = getattr(first, name)
        elif name == "started_at":
            sums[name] = min((value for value in values if value), default=0.0)
        elif name == "is_connected":
            sums[name] = all(values)
        elif name in {"lag", "trackers"}:
            sums[name] = max(values)
        else:
            sums[name] = sum(values)
    return TrackerFigures(**sums)  # type: ignore[arg-type]  # each by its own name


def without_gauges(figures: TrackerFigures) -> TrackerFigures:
    """Return the sums alone, of a process that has ended."""
    kept = {
        name: getattr(figures, name)
        for name in TrackerFigures.__struct_fields__
        if name not in _GAUGES
    }
    return TrackerFigures(**kept)


def biggest(every: Iterable[TopSwarm]) -> list[TopSwarm]:
    """Return the biggest of some swarms, LISTED at most."""
    return sorted(every, key=lambda swarm: (-swarm.seeders - swarm.leechers, swarm.info_hash))[
        :LISTED
    ]
