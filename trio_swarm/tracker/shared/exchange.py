"""Keeps a tracker and the engine in step: a loop for each role, each with a client of its own.

The engine may be slow, gone, emptied or full at any time, and no loop ends by it: the tracker
answers from its memory, and each loop tries again.
"""

import os
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import trio

from trio_swarm.events import Event, TrackerShared, TrackerSharedAlone
from trio_swarm.tracker.shared.engine import EngineKeys, engine_errors, open_client
from trio_swarm.tracker.shared.following import Follower
from trio_swarm.tracker.shared.locations import EngineLocation
from trio_swarm.tracker.shared.publishing import Publisher
from trio_swarm.tracker.shared.reading import Reader
from trio_swarm.tracker.shared.writing import SnapshotWriter, StreamWriter

if TYPE_CHECKING:
    from coredis import Redis

PAUSE: Final = 0.5
"""Seconds between the end of one client and the next one."""

FULL_PAUSE: Final = 2.0
"""The same while the engine has no memory left for what is written."""

FULL_TOLD_SECONDS: Final = 60.0
"""Seconds until it is told again that it has none."""

LOAD_SECONDS: Final = 5.0
"""Seconds that a new tracker loads what others list, at most, before it answers: a million peers
take three. It goes on loading then."""

_REASON_LENGTH = 200


class ExchangeFigures(NamedTuple):
    """How the exchange is getting on."""

    is_connected: bool
    trackers: int
    """Others whose claims are known here."""
    held: int
    """Peers listed for others' claims only."""
    complete: float
    """The part of what the others claim that is listed here."""
    waiting: int
    """Changes here that the engine has not got."""
    gaps: int
    """How often changes were forgotten, as there were too many to keep."""
    refused: int
    """Peers and names of others that found no room."""
    skipped: dict[str, int]
    """What was found at the engine and not understood, by reason."""
    lag: float
    """Seconds since news of others were last asked for with success."""


class Exchange:
    """The loops of one tracker, and what is known of how they get on."""

    def __init__(
        self,
        location: EngineLocation,
        keys: EngineKeys,
        *,
        name: str,
        publisher: Publisher,
        follower: Follower,
        news: Callable[[], Awaitable[None]],
        drop: Callable[[int], Awaitable[None]],
        on_event: Callable[[Event], None] | None,
    ) -> None:
        self._location = location
        self._follower = follower
        self._publisher = publisher
        self._on_event = on_event
        card = f"1 {machine()}".encode()
        self._stream = StreamWriter(keys, publisher, name=name, card=card, news=news)
        self._snapshots = SnapshotWriter(keys, publisher, name=name)
        self._reader = Reader(
            keys, follower, name=name, machine=machine(), drop=drop, on_read=self._has_read
        )
        self._keys = keys
        self._settled = trio.Event()
        """What is live was loaded, or it is known that there is nothing to load from."""
        self._is_alone = True
        self._read_at = trio.current_time()
        self._full_told = float("-inf")

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Exchange until cancelled; it has started once what is live was loaded, or soon after."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep, self._reader.run)
            nursery.start_soon(self._keep, self._stream.run)
            nursery.start_soon(self._keep, self._snapshots.run)
            with trio.move_on_after(LOAD_SECONDS):
                await self._settled.wait()
            if not self._settled.is_set():
                self._tell_alone("what others list is still being loaded")
            task_status.started()
        raise AssertionError("the loops above never end by themselves")

    async def secret(self, own: bytes) -> bytes:
        """Return the secret of all trackers of this engine: `own` if there is none yet.

        `own` as well if the engine cannot be asked; it is offered again each time that the engine
        comes back.
        """
        self._stream.secret = own
        try:
            with trio.move_on_after(LOAD_SECONDS):
                async with open_client(self._location) as client:
                    await self._stream.offer_secret(client)
                    kept = await client.get(self._keys.secret)
                    if isinstance(kept, bytes) and len(kept) == len(own):
                        self._stream.secret = kept
        except* engine_errors():
            pass
        return self._stream.secret

    def load_again(self) -> None:
        """Load once more what others list: more of it is taken now."""
        self._follower.load_again(trio.current_time())

    def figures(self, now: float, *, held: int, refused: int) -> ExchangeFigures:
        """Return how the exchange is getting on."""
        places = self._follower.places.values()
        return ExchangeFigures(
            is_connected=not self._is_alone,
            trackers=sum(place.bit is not None for place in places),
            held=held,
            complete=self._follower.completeness(),
            waiting=self._publisher.waiting,
            gaps=self._publisher.gaps,
            refused=refused,
            skipped=dict(self._follower.skipped),
            lag=now - self._read_at,
        )

    async def _keep(self, work: Callable[["Redis[bytes]"], Awaitable[None]]) -> NoReturn:
        """Do a role's work again and again, with a new client after each error."""
        reads = work == self._reader.run
        while True:
            pause = PAUSE
            try:
                async with open_client(self._location) as client:
                    await work(client)
            except* engine_errors() as errors:
                reason = _first_words(errors)
                if "OOM" in reason:
                    pause = FULL_PAUSE
                if reads:
                    self._tell_alone(reason, is_gone=True)
                elif "OOM" in reason:
                    self._tell_full(reason)
            await trio.sleep(pause)

    def _has_read(self) -> None:
        """Note that the engine answered the reader."""
        now = trio.current_time()
        self._read_at = now
        self._follower.connected(now)
        if self._is_alone and self._follower.is_settled(now):
            self._is_alone = False
            self._settled.set()
            if self._on_event is not None:
                places = self._follower.places.values()
                self._on_event(
                    TrackerShared(
                        engine=str(self._location),
                        trackers=sum(place.bit is not None for place in places),
                        peers=sum(place.told for place in places if place.bit is not None),
                        complete=round(self._follower.completeness(), 4),
                    )
                )

    def _tell_alone(self, reason: str, *, is_gone: bool = False) -> None:
        was_settled = self._settled.is_set()
        if is_gone:
            self._follower.disconnected(trio.current_time())
            self._settled.set()
        if (not self._is_alone or not was_settled) and self._on_event is not None:
            self._on_event(
                TrackerSharedAlone(engine=str(self._location), reason=reason[:_REASON_LENGTH])
            )
        self._is_alone = True

    def _tell_full(self, reason: str) -> None:
        """Tell that the engine takes nothing more, now and then."""
        now = trio.current_time()
        if now - self._full_told >= FULL_TOLD_SECONDS and self._on_event is not None:
            self._full_told = now
            self._on_event(
                TrackerSharedAlone(engine=str(self._location), reason=reason[:_REASON_LENGTH])
            )


def machine() -> str:
    """Return what tells this machine's loopback addresses from those of others."""
    token = b""
    try:
        token = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        token += str(os.stat("/proc/self/ns/net").st_ino).encode()  # noqa: PTH116  no real file
    except OSError:
        token = os.uname().nodename.encode()
    return blake2b(token, digest_size=8).hexdigest()


def _first_words(errors: BaseExceptionGroup[Exception]) -> str:
    """Return what the first of some errors says."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
