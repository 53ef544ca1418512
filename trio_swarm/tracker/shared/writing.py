"""What a tracker writes to the engine: its stream of changes, and its snapshots."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NoReturn

import trio

from trio_swarm.tracker.shared.engine import EngineKeys
from trio_swarm.tracker.shared.publishing import Entry, Publisher

if TYPE_CHECKING:
    from coredis import Redis

COLLECT_SECONDS: Final = 0.05
"""Seconds that changes are collected before they are written: a call costs the same for one and for
a thousand."""

HEARTBEAT_SECONDS: Final = 1.0
"""Seconds between two entries at most: an empty one says that the tracker is alive."""

KEPT_ENTRIES: Final = 2_400
"""Entries that a stream keeps: two minutes of changes, four times a round of snapshots."""

KEPT_SECONDS: Final = 120
"""Seconds that the engine keeps what a silent tracker wrote: it may be restarted meanwhile."""

ROUND_SECONDS: Final = 30.0
"""Seconds in which a whole snapshot is written, while all is well."""

_GROUPS = 32
_GROUP_SHARDS = 32
_GROUP_BYTES = 512 * 1024
_FAST_PAUSE = 0.02
"""Seconds between two groups of shards of a snapshot that others wait for."""

MARK: Final = b"mark"
"""The field of a snapshot that says that it is whole; the others are numbers of shards."""


class StreamWriter:
    """Writes the stream of a tracker, and that the tracker is there.

    `card` is what others are told of it; `news` waits until something changed.
    """

    def __init__(
        self,
        keys: EngineKeys,
        publisher: Publisher,
        *,
        name: str,
        card: bytes,
        news: Callable[[], Awaitable[None]],
    ) -> None:
        self._keys = keys
        self._publisher = publisher
        self._name = name
        self._card = card
        self._news = news
        self.secret = b""
        """Of connection ids; offered to an engine that has none."""

    async def run(self, client: "Redis[bytes]") -> NoReturn:
        """Write until the client fails."""
        beat = trio.current_time() - HEARTBEAT_SECONDS
        while True:
            with trio.move_on_at(beat + HEARTBEAT_SECONDS):
                await self._news()
                await trio.sleep(COLLECT_SECONDS)
            is_due = trio.current_time() >= beat + HEARTBEAT_SECONDS
            if is_due:
                beat = trio.current_time()
                await self._show(client)
            entry = self._publisher.next_entry(is_heartbeat=is_due)
            while entry is not None:
                await self._write(client, entry)
                self._publisher.written()
                # A few are collected again: there may be some at every moment.
                entry = self._publisher.next_entry() if self._publisher.has_batch else None

    async def offer_secret(self, client: "Redis[bytes]") -> None:
        """Give the engine the secret, if there is one and the engine has none."""
        from coredis.tokens import PureToken  # noqa: PLC0415  most trackers share nothing

        if self.secret:
            await client.set(self._keys.secret, self.secret, condition=PureToken.NX)

    async def _show(self, client: "Redis[bytes]") -> None:
        """Tell that this tracker is there, and keep what it has written."""
        await client.hset(self._keys.trackers, {self._name: self._card})
        await self.offer_secret(client)
        await client.expire(self._keys.changes(self._name), KEPT_SECONDS)
        await client.expire(self._keys.snapshot(self._name), KEPT_SECONDS)

    async def _write(self, client: "Redis[bytes]", entry: Entry) -> None:
        from coredis.exceptions import ResponseError  # noqa: PLC0415  most trackers share nothing
        from coredis.tokens import PureToken  # noqa: PLC0415

        try:
            await client.xadd(
                self._keys.changes(self._name),
                {b"b": entry.batch},
                identifier=entry.position.text(),
                trim_strategy=PureToken.MAXLEN,
                trim_operator=PureToken.APPROXIMATELY,
                threshold=KEPT_ENTRIES,
            )
        except ResponseError as error:
            # It was written before, and the answer was lost.
            if "equal or smaller" not in str(error):
                raise


class SnapshotWriter:
    """Writes the snapshots of a tracker, a quick one for a new engine, then slowly."""

    def __init__(self, keys: EngineKeys, publisher: Publisher, *, name: str) -> None:
        self._key = keys.snapshot(name)
        self._publisher = publisher
        self._is_whole = False
        """The engine has a whole snapshot."""

    async def run(self, client: "Redis[bytes]") -> NoReturn:
        """Write until the client fails."""
        self._is_whole = False
        pause = _FAST_PAUSE
        while True:
            pause = await self._round(client, pause)

    async def _round(self, client: "Redis[bytes]", pause: float) -> float:
        """Write one snapshot; return how long to pause between the groups of the next one."""
        group: dict[bytes | str, bytes | str | int | float] = {}
        size = 0
        slow = ROUND_SECONDS / _GROUPS
        for step in self._publisher.snapshot():
            if isinstance(step, tuple):
                group[str(step[0]).encode()] = step[1]
                size += len(step[1])
            elif step is not None:
                group[MARK] = step
            if len(group) >= _GROUP_SHARDS or size > _GROUP_BYTES or MARK in group:
                added = await client.hset(self._key, group)
                # Fields that are new again: the engine has forgotten the snapshot.
                is_lost = self._is_whole and added > 0
                self._is_whole = not is_lost and (self._is_whole or MARK in group)
                group, size = {}, 0
                if is_lost:
                    return _FAST_PAUSE
                await trio.sleep(pause)
                if self._publisher.lacks_snapshot and pause == slow:
                    return _FAST_PAUSE
            else:
                await trio.lowlevel.checkpoint()
        return _FAST_PAUSE if self._publisher.lacks_snapshot else slow
