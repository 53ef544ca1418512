"""Settings of the whole node that may be set while it runs, and outlive it.

What somebody sets is kept in the state folder, together with what the configuration file said of it
then. It holds until the file says something else than that: then the file counts, and what was set
is forgotten. So whoever acted last is followed, and a restart changes nothing.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import trio
from msgspec import UNSET, UnsetType

from trio_swarm.config.model import PeerConfig
from trio_swarm.errors import StorageError
from trio_swarm.logs import logger_of
from trio_swarm.service.described import queue_in, rates_in, schedule_in
from trio_swarm.service.entries.adding import absolute_path
from trio_swarm.service.entries.entries import Entries
from trio_swarm.service.entries.records import KeptNode, NodeValues, keep_text, kept_text
from trio_swarm.service.rates import RateLimits, Rates

log = logger_of(__name__)


class RunTimeSettings:
    """Has a node run by its file, and by what was set at run time since; kept with its list."""

    def __init__(
        self,
        entries: Entries,
        rates: RateLimits,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._entries = entries
        self._rates = rates
        self._clock = clock
        self._kept = entries.kept_node
        self.download_folder = Path()
        """Where what is added goes, if whoever adds it names no folder."""
        self._file = NodeValues()
        self._changing = trio.Lock()

    async def begin(self, config: PeerConfig) -> None:
        """Begin by a configuration, and by what was set before the last restart."""
        await self.follow(config)
        kept, rates = self._kept, self._rates
        if kept.is_alternative is None or (kept.until is None) != (rates.schedule is None):
            return
        if kept.until is None or self._clock() < kept.until:
            rates.switch(on=kept.is_alternative)

    async def follow(self, config: PeerConfig) -> None:
        """Go on by a configuration: where it says something new, what was set is forgotten."""
        async with self._changing:
            self._file = values_in(config)
            schedule = schedule_in(config)
            kept = _still_holding(self._kept, self._file)
            if schedule != self._rates.schedule:
                self._rates.set_schedule(schedule)
                kept = msgspec.structs.replace(kept, is_alternative=None, until=None)
            if kept != self._kept:
                self._kept = kept
                try:
                    await self._entries.keep_node(kept)
                except StorageError as error:
                    log.warning("%s; what was set at run time may come back", error)
            self._apply()

    async def set(self, wanted: NodeValues, *, is_alternative: bool | UnsetType = UNSET) -> None:
        """Set some values, and perhaps switch to the alternative rates or back.

        The switch holds until the schedule's next change. Raises StorageError if that cannot be
        kept; then nothing is changed.
        """
        async with self._changing:
            kept = _with(self._kept, wanted, self._file)
            if not isinstance(is_alternative, UnsetType):
                until = self._rates.next_change
                kept = msgspec.structs.replace(kept, is_alternative=is_alternative, until=until)
            if kept != self._kept:
                await self._entries.keep_node(kept)
                self._kept = kept
            self._apply()
            if not isinstance(is_alternative, UnsetType):
                self._rates.switch(on=is_alternative)

    def _apply(self) -> None:
        values = {
            name: _first(getattr(self._kept.changed, name), getattr(self._file, name))
            for name in _NAMES
        }
        rates, entries = self._rates, self._entries
        normal = Rates(values["upload_rate"], values["download_rate"])
        if normal != rates.normal:
            rates.set_normal(normal)
        other = Rates(values["alternative_upload_rate"], values["alternative_download_rate"])
        has_other = rates.schedule is not None or other != (None, None)
        if has_other and other != rates.alternative:
            rates.set_alternative(other)
        limits = msgspec.structs.replace(
            entries.limits, **{name: values[name] for name in _OF_LIST}
        )
        if limits != entries.limits:
            entries.set_node_limits(limits)
        place = values["incomplete_folder"]
        entries.set_incomplete_folder(None if place is None else Path(kept_text(place)))
        self.download_folder = Path(kept_text(values["download_folder"]))


_NAMES = NodeValues.__struct_fields__
_OF_LIST = ("max_active_downloads", "max_active_seeds", "seed_ratio")


def values_in(config: PeerConfig) -> NodeValues:
    """Return what a configuration says of all that may be set at run time."""
    rates, schedule, place = rates_in(config), schedule_in(config), config.node.incomplete_folder
    return NodeValues(
        upload_rate=rates.upload,
        download_rate=rates.download,
        alternative_upload_rate=None if schedule is None else schedule.upload_rate,
        alternative_download_rate=None if schedule is None else schedule.download_rate,
        **queue_in(config),
        seed_ratio=None,
        incomplete_folder=None if place is None else kept_folder(place),
        download_folder=kept_folder(config.node.download_folder),
    )


def kept_folder(folder: Path) -> str:
    """Return a folder as a value: it means the same from anywhere."""
    return keep_text(str(absolute_path(folder)))


def _still_holding(kept: KeptNode, file: NodeValues) -> KeptNode:
    """Return what was set at run time of which the file says the same as then."""
    changed = {
        name: value
        for name in _NAMES
        if (value := getattr(kept.changed, name)) is not UNSET
        and getattr(kept.file, name) == getattr(file, name)
    }
    return _kept(kept, changed, file)


def _with(kept: KeptNode, wanted: NodeValues, file: NodeValues) -> KeptNode:
    """Return what was set at run time after some more was; as the file says is not set."""
    both = {name: _first(getattr(wanted, name), getattr(kept.changed, name)) for name in _NAMES}
    changed = {
        name: value
        for name, value in both.items()
        if value is not UNSET and value != getattr(file, name)
    }
    return _kept(kept, changed, file)


def _kept(kept: KeptNode, changed: dict[str, Any], file: NodeValues) -> KeptNode:
    then = {name: getattr(file, name) for name in changed}
    return msgspec.structs.replace(kept, changed=NodeValues(**changed), file=NodeValues(**then))


def _first(value: Any, other: Any) -> Any:
    return other if value is UNSET else value
