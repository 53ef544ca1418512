"""What a tracker reads at the engine: who is there, their snapshots, and the streams."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

import trio

from trio_swarm.tracker.shared.engine import BLOCK_SECONDS, EngineKeys
from trio_swarm.tracker.shared.following import Follower, Place
from trio_swarm.tracker.shared.snapshot import SHARDS, Position, unpack_mark
from trio_swarm.tracker.shared.writing import MARK

if TYPE_CHECKING:
    from coredis import Redis

MEET_SECONDS: Final = 1.0
"""Seconds between two looks at who is there."""

MAX_LISTED: Final = 1_000
"""Names in the list of trackers that are looked at; more are no list of trackers."""

MAX_NAME: Final = 64
"""Bytes of a tracker's name."""

_MOST_ENTRIES = 256
"""Entries read at once, of all streams; of one at least 8 and at most 64."""

_GROUP_SHARDS = 16

COLLECT_SECONDS: Final = 0.02
"""Seconds between two reads at least: one costs the same for the news of one tracker and of all."""

_NEVER = float("-inf")


class Reader:
    """Reads what others write, and has a Follower take it over.

    `drop` ends the claims of a bit. `on_read` is called each time that the engine has answered.
    """

    def __init__(
        self,
        keys: EngineKeys,
        follower: Follower,
        *,
        name: str,
        machine: str,
        drop: Callable[[int], Awaitable[None]],
        on_read: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._follower = follower
        self._name = name
        self._machine = machine.encode()
        self._drop = drop
        self._on_read = on_read

    async def run(self, client: "Redis[bytes]") -> NoReturn:
        """Read until the client fails."""
        follower = self._follower
        met = _NEVER
        while True:
            now = trio.current_time()
            if now - met >= MEET_SECONDS:
                met = now
                await self._meet(client)
            for place in follower.due_loads(trio.current_time()):
                await self._load(client, place)
            await self._forget(client)
            self._on_read()
            now = trio.current_time()
            await self._read(client, max(0.01, follower.next_load(now, met + MEET_SECONDS) - now))

    async def tend(self) -> None:
        """End the claims that are over, without the engine."""
        now = trio.current_time()
        self._follower.silences(now)
        for bit in self._follower.ended_bits(now):
            await self._drop(bit)
            self._follower.free(bit)

    async def _meet(self, client: "Redis[bytes]") -> None:
        """Look who is there."""
        if await client.hlen(self._keys.trackers) > MAX_LISTED:
            self._follower.skipped["too many trackers"] += 1
            return
        listed = await client.hgetall(self._keys.trackers)
        found = {}
        for name, card in listed.items():
            version, _, machine = card.partition(b" ")
            if version != b"1" or len(name) > MAX_NAME or not name.isascii():
                self._follower.skipped["tracker of another version"] += 1
            elif name.decode() != self._name:
                found[name.decode()] = machine == self._machine
        self._follower.meet(found, trio.current_time())

    async def _load(self, client: "Redis[bytes]", place: Place) -> None:
        """Load a tracker's snapshot if it is of use; else follow its stream as far as it goes."""
        follower, key = self._follower, self._keys.snapshot(place.name)
        mark = unpack_mark(await client.hget(key, MARK))
        now = trio.current_time()
        if mark is None or not follower.is_useful(place, mark):
            oldest = await client.xrange(self._keys.changes(place.name), count=1)
            position = _position(oldest[0].identifier) if oldest else None
            if position is None or place.bit is not None:
                place.look_again(now)
            else:
                follower.begin_at(place, position, now)
            return
        bit = follower.begin_load(place, mark, now)
        if bit is None:
            return
        for first in range(0, SHARDS, _GROUP_SHARDS):
            numbers = range(first, first + _GROUP_SHARDS)
            for blob in await client.hmget(key, [str(number) for number in numbers]):
                await _in_turns(follower.take_shard(place, bit, blob, trio.current_time()))

    async def _read(self, client: "Redis[bytes]", seconds: float) -> None:
        """Wait so long for news at most, and take them over."""
        follower = self._follower
        places = follower.to_read()
        seconds = min(seconds, BLOCK_SECONDS)
        if not places:
            await trio.sleep(seconds)
            return
        keys = {self._keys.changes(name).encode(): name for name in places}
        most = min(64, max(8, _MOST_ENTRIES // len(places)))
        # Who has just begun asks without waiting for news, and answers when it has seen all.
        is_settled = follower.is_settled(trio.current_time())
        found = await client.xread(
            {key: places[name].text() for key, name in keys.items()},
            count=most,
            block=max(1, int(seconds * 1000)) if is_settled else None,
        )
        for key, name in keys.items():
            entries = (found or {}).get(key, ())
            for entry in entries:
                position = _position(entry.identifier)
                fields: Mapping[Any, Any] = entry.field_values or {}
                blob = fields.get(b"b", b"")
                if position is not None:
                    now = trio.current_time()
                    await _in_turns(follower.take(name, position, blob, now))
            if len(entries) < most:
                follower.at_the_end(name, trio.current_time())
        if found and is_settled:
            await trio.sleep(COLLECT_SECONDS)

    async def _forget(self, client: "Redis[bytes]") -> None:
        """End claims that are over, and take trackers that are gone from the list."""
        for place in self._follower.silences(trio.current_time()):
            if not await client.exists([self._keys.changes(place.name)]):
                await client.hdel(self._keys.trackers, [place.name])
        await self.tend()


async def _in_turns(steps: Iterator[None]) -> None:
    """Take steps, and let others have their turn after each."""
    for _ in steps:
        await trio.lowlevel.checkpoint()


def _position(text: bytes | str) -> Position | None:
    """Read the id of an entry, None if it is none."""
    raw = text.encode() if isinstance(text, str) else text
    first, _, second = raw.partition(b"-")
    if not (first.isdigit() and second.isdigit() and len(raw) < 42):
        return None
    incarnation, sequence = int(first), int(second)
    if max(incarnation, sequence) > 2**63 - 1:
        return None
    return Position(incarnation, sequence)
