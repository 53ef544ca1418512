"""What somebody changes of an entry: several things by one call, all of them or none."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import UNSET, Struct, UnsetType

from trio_swarm.service.entries.limits import LimitChanges


class SchedulerChange(Struct, frozen=True):
    """Another download strategy; `text_values`: the options' values are text as typed."""

    name: str
    options: Mapping[str, object] = {}
    text_values: bool = False


class EntryChanges(Struct, frozen=True, kw_only=True):
    """What is to change; UNSET is left as it is."""

    limits: LimitChanges | UnsetType = UNSET
    """Rates, slots, and goals of its own."""
    labels: Sequence[str] | UnsetType = UNSET
    """What it is sorted by."""
    queue_position: int | UnsetType = UNSET
    """Its place in the queue, from 0; beyond the end it is the last."""
    scheduler: SchedulerChange | UnsetType = UNSET
    """The strategy that chooses what is fetched from whom."""
    moving_to: Path | UnsetType = UNSET
    """The folder that its data goes to: begun then, and not waited for."""
