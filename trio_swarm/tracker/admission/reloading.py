"""The list files of a tracker: read at the start, and again when they change or somebody asks."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import trio

from trio_swarm.amounts import count_text
from trio_swarm.errors import ConfigError
from trio_swarm.logs import logger_of
from trio_swarm.tracker.admission.checking import CheckingStore
from trio_swarm.tracker.admission.list_files import (
    Stamp,
    read_hashes,
    read_names,
    read_tokens,
    stamp_of,
)
from trio_swarm.tracker.admission.refusals import Refusals
from trio_swarm.tracker.admission.rules import AdmissionRules
from trio_swarm.tracker.admission.store import AdmittingStore
from trio_swarm.tracker.networks import Networks
from trio_swarm.tracker.settings import LIST_FILES, TrackerSettings
from trio_swarm.tracker.store.interface import TrackerStore
from trio_swarm.tracker.store.registry import TrackerRegistry

LOOK_SECONDS: Final = 5.0
"""Between two looks at the files. One that has changed is read at the next look, if it has not
changed again: somebody may still be writing it."""

_READERS: Final[dict[str, Callable[[Path], tuple[Any, Stamp]]]] = {
    "allow": read_hashes,
    "deny": read_hashes,
    "names_allow": read_names,
    "names_deny": read_names,
    "register_tokens": read_tokens,
}
_FIELDS: Final = {"register_tokens": "tokens"}
"""The field of AdmissionRules, where it is called otherwise than the setting."""

_logger = logger_of(__name__)


def check_lists(settings: TrackerSettings) -> Iterator[ConfigError]:
    """Yield what is wrong with the list files of a tracker, one error for each. Blocking.

    The key of an error is the name of the setting, which its text does not repeat.
    """
    for name, path in _files(settings).items():
        try:
            _READERS[name](path)
        except ConfigError as error:
            error.key = name
            yield error


class ListFiles:
    """The lists of a tracker, and when they were read."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._files = _files(settings)
        register = settings.register
        rules = AdmissionRules(register=None if register is None else Networks(register))
        self._refusals = Refusals(rules)
        self._stamps: dict[str, Stamp | None] = {}
        """Of the files as they were read, or found wrong."""
        self._wanted = trio.Event()
        self._guarded: list[AdmittingStore] = []

    @property
    def rules(self) -> AdmissionRules:
        """What the files said when they were read last."""
        return self._refusals.rules

    async def load(self) -> None:
        """Read all files for the first time; ConfigError, with the setting's name as its key."""
        for name in self._files:
            try:
                await self._read(name)
            except ConfigError as error:
                raise ConfigError(str(error), key=name) from None

    def reload_soon(self) -> None:
        """Have all files read again at once, whether or not they have changed."""
        self._wanted.set()

    def guarded(self, store: TrackerStore, registry: TrackerRegistry) -> TrackerStore:
        """Return a store that takes what the lists allow, now and after each reading of them.

        `store` answers from `registry`, from which is taken what is not allowed any more.
        """
        guarded = AdmittingStore(store, self._refusals, registry=registry)
        self._guarded.append(guarded)
        return guarded

    def checked(self, store: TrackerStore) -> TrackerStore:
        """Return a store that shows only what the lists allow of what others answer `store`."""
        return CheckingStore(store, self._refusals)

    async def keep_read(self) -> NoReturn:
        """Read files again when they change; a wrong one is a warning, and changes nothing."""
        seen = dict(self._stamps)
        while True:
            with trio.move_on_after(LOOK_SECONDS):
                await self._wanted.wait()
            is_asked = self._wanted.is_set()
            if is_asked:
                self._wanted = trio.Event()
            if not self._files:
                continue
            now = await trio.to_thread.run_sync(self._look)
            changed = [
                name
                for name in self._files
                if is_asked or (now[name] != self._stamps[name] and now[name] == seen[name])
            ]
            seen = now
            if [name for name in changed if await self._read_again(name, now[name])]:
                for store in self._guarded:
                    await store.settle(trio.lowlevel.checkpoint)

    async def _read_again(self, name: str, stamp: Stamp | None) -> bool:
        """Read a file; return whether it was right."""
        try:
            await self._read(name)
        except ConfigError as error:
            self._stamps[name] = stamp  # until it changes again, once is enough
            _logger.warning("%s; nothing was changed (tracker.%s)", error, name)
            return False
        return True

    async def _read(self, name: str) -> None:
        path = self._files[name]
        found, self._stamps[name] = await trio.to_thread.run_sync(partial(_READERS[name], path))
        self._refusals.rules = self.rules._replace(**{_FIELDS.get(name, name): found})
        for store in self._guarded:
            store.distrust()
        _logger.info("%s: %s (tracker.%s)", path, count_text(len(found), "entry"), name)

    def _look(self) -> dict[str, Stamp | None]:
        return {name: stamp_of(path) for name, path in self._files.items()}


def _files(settings: TrackerSettings) -> dict[str, Path]:
    """Return the files that are set, by the name of the setting."""
    found = {name: getattr(settings, name) for name in LIST_FILES}
    return {name: path for name, path in found.items() if path is not None}
