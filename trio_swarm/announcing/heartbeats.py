"""When the trackers of all torrents of a node are asked: one task that wakes for many at once.

A torrent that rests has no task of its own for its trackers, but a `Beat` for each of their tiers,
which asks when it is due: without a task, as long as the tracker answers as it should. Beats that
are due at about the same time share a wake-up, and those of one tracker begin a few at a time: a
node that starts with thousands of torrents sends as fast as the tracker answers, and one that does
not answer is not flooded.
"""

import heapq
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Never

import trio

LEAST_PAUSE: Final = 0.5
"""Seconds from one wake-up for what is due to the next: beats of a second share two. No tracker
wants to hear more often than every second (`politeness.MIN_INTERVAL`)."""

AT_ONCE: Final = 64
"""Beats of one tracker that wait for its answer at once. Their datagrams fit the least buffer that
a system gives a socket, and over a round trip of 100 ms that is 640 a second."""

SLOW: Final = 0.5
"""Seconds after which a beat that still waits makes room for the next one: a lost datagram holds up
nobody, and a silent tracker hears of 128 torrents a second."""

LATE: Final = 1.0
"""Seconds after which an answer that no task waits for counts as lost: a task asks again."""


class Beat(ABC):
    """Something to ask a tracker, now and again: one for each tier of each torrent.

    `at` says when; it is asked at most once at a time.
    """

    __slots__ = ("_due", "_give_up", "_hearts", "_is_queued", "_scope")

    def __init__(self) -> None:
        self._give_up: Callable[[], None] | None = None
        """Ends what is asked without a task."""
        self._hearts: Heartbeats | None = None
        self._due = math.inf
        self._is_queued = False
        self._scope: trio.CancelScope | None = None

    @property
    @abstractmethod
    def tracker(self) -> str:
        """The URL of the tracker that is asked first; those of one URL begin a few at a time."""

    @abstractmethod
    async def run(self) -> None:
        """Ask, and say by `at` when to ask again."""

    def run_quickly(
        self,
        answered: Callable[[], None],  # noqa: ARG002 - for those who can
        failed: Callable[[], None],  # noqa: ARG002 - the same
    ) -> Callable[[], None] | None:
        """Ask without a task, and return what gives that up; None if it cannot be done so.

        Once there is an answer, say by `at` when to ask again, and call `answered`. `failed` has
        `run` try it. Neither is called before this returns.
        """
        return None

    @property
    def due(self) -> float:
        """When it is asked next; inf while it is asked, and if nothing was said."""
        return self._due

    def begin(self, hearts: "Heartbeats") -> None:
        """Ask at once, and from now on whenever it is due."""
        self._hearts = hearts
        self.at(-math.inf)

    def at(self, due: float) -> None:
        """Ask at a time, or at once if that has passed; instead of any other time that was said.

        Said while it is asked, it counts unless `run` says another. inf: not by itself.
        """
        self._due = due
        is_asked = self._scope is not None or self._give_up is not None
        if self._hearts is not None and not is_asked and not self._is_queued:
            self._hearts.schedule(self, due)

    def end(self) -> None:
        """Ask no more, and give up what is being asked."""
        hearts, self._hearts = self._hearts, None
        if hearts is not None:
            hearts.forget_one()
        if self._scope is not None:
            self._scope.cancel()
        if self._give_up is not None:
            self._give_up()

    def is_left_out(self) -> bool:
        """Whether it was ended while it was queued; it is not queued any more then."""
        if self._hearts is not None:
            return False
        self._is_queued = False
        return True

    def is_due(self, due: float) -> bool:
        """Whether this is the time that was said last, and it still is to be asked."""
        return self._due == due and self._hearts is not None

    def queued(self) -> None:
        """Note that its time has come: it is asked as soon as its tracker has room."""
        self._due = math.inf
        self._is_queued = True

    def ask_quickly(self, over: Callable[[], None]) -> bool:
        """Ask once without a task, if that can be done; `over` is called when it is over.

        What is not answered as it should be is asked again by `ask`.
        """
        hearts = self._hearts
        assert hearts is not None  # it has begun, and not ended

        def end() -> None:
            self._give_up = None
            alarm.off()
            over()

        def answered() -> None:
            end()
            if self._hearts is not None:
                self._hearts.schedule(self, self._due)

        def failed() -> None:
            end()
            self._is_queued = True
            hearts.start(self.ask, name=f"ask {self.tracker}")

        give_up = self.run_quickly(answered, failed)
        if give_up is None:
            return False

        def end_early() -> None:
            give_up()
            end()

        def late() -> None:
            give_up()
            failed()

        self._is_queued = False
        self._give_up = end_early
        alarm = hearts.alarm(LATE, late)
        return True

    async def ask(self) -> None:
        """Ask once, unless it was ended meanwhile."""
        self._is_queued = False
        if self._hearts is None:
            return
        self._scope = trio.CancelScope()
        try:
            with self._scope:
                await self.run()
        finally:
            self._scope = None
        if self._hearts is not None:
            self._hearts.schedule(self, self._due)


class Alarm:
    """Calls a function at a time, unless it is `off` before."""

    __slots__ = ("at", "call")

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call: Callable[[], None] | None = call

    def off(self) -> None:
        """Do not call it any more."""
        self.call = None


class Heartbeats:
    """All beats of a node; `run` is the one task that begins them."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Beat]] = []
        """A heap; the numbers are in the order in which times were said."""
        self._count = 0
        self._forgotten = 0
        self._queues: dict[str, _Queue] = {}
        self._alarms: dict[float, deque[Alarm]] = {}
        """By how long after they were set they call, so the first of each is the next."""
        self._changed = trio.Event()
        self._nursery: trio.Nursery | None = None

    def schedule(self, beat: Beat, due: float) -> None:
        """Have a beat begin at a time; inf: not at all."""
        if due == math.inf:
            return
        self._count += 1
        heapq.heappush(self._due, (due, self._count, beat))
        if self._due[0][2] is beat or due <= trio.current_time():
            self._changed.set()

    def forget_one(self) -> None:
        """Note that a beat has ended: its torrent is not kept for when it would have been due."""
        self._forgotten += 1
        if self._forgotten > len(self._due) // 2:
            self._forgotten = 0
            self._due = [entry for entry in self._due if entry[2].is_due(entry[0])]
            heapq.heapify(self._due)

    def alarm(self, seconds: float, call: Callable[[], None]) -> Alarm:
        """Call a function in so many seconds, of which there are few different ones."""
        alarm = Alarm(trio.current_time() + seconds, call)
        alarms = self._alarms.setdefault(seconds, deque())
        alarms.append(alarm)
        if len(alarms) == 1:
            self._changed.set()
        return alarm

    def start(self, work: Callable[[], Awaitable[object]], name: str) -> None:
        """Do something for a tracker now; it is cancelled when the node ends."""
        if self._nursery is not None:
            self._nursery.start_soon(work, name=name)

    async def run(self) -> Never:
        """Begin what is due, and call the alarms, until cancelled."""
        timed_at = -math.inf
        try:
            async with trio.open_nursery() as self._nursery:
                while True:
                    now = trio.current_time()
                    self._ring(now)
                    room_at = self._begin_due(now)
                    due = self._due[0][0] if self._due else math.inf
                    wake_at = min(max(due, timed_at + LEAST_PAUSE), room_at, self._next_alarm())
                    self._changed = trio.Event()
                    with trio.move_on_at(wake_at) as scope:
                        await self._changed.wait()
                    if scope.cancelled_caught:
                        timed_at = trio.current_time()
        finally:
            self._nursery = None
            for queue in self._queues.values():
                queue.close()

    def _ring(self, now: float) -> None:
        for alarms in self._alarms.values():
            while alarms and alarms[0].at <= now:
                call = alarms.popleft().call
                if call is not None:
                    call()

    def _next_alarm(self) -> float:
        for alarms in self._alarms.values():
            while alarms and alarms[0].call is None:
                alarms.popleft()
        return min((alarms[0].at for alarms in self._alarms.values() if alarms), default=math.inf)

    def _begin_due(self, now: float) -> float:
        """Begin what is due, as far as there is room; returns when there is room for the rest."""
        assert self._nursery is not None
        while self._due and self._due[0][0] <= now:
            due, _, beat = heapq.heappop(self._due)
            if beat.is_due(due):
                beat.queued()
                url = beat.tracker
                if url not in self._queues:
                    self._queues[url] = _Queue(self)
                self._queues[url].add(beat)
        room_at = math.inf
        for url, queue in list(self._queues.items()):
            room_at = min(room_at, queue.go_on(now))
            if queue.is_idle:
                del self._queues[url]
        return room_at


class _Queue:
    """The beats of one tracker whose time has come; those that wait for its answer take room."""

    __slots__ = ("_asking", "_count", "_hearts", "_waiting")

    def __init__(self, hearts: Heartbeats) -> None:
        self._hearts = hearts
        self._waiting: deque[Beat] = deque()
        self._asking: dict[int, float] = {}
        """When each began that still takes room, by a number of its own; the first began first."""
        self._count = 0

    @property
    def is_idle(self) -> bool:
        """Whether no beat waits, and none takes room."""
        return not self._waiting and not self._asking

    def add(self, beat: Beat) -> None:
        """Let a beat begin when all before it have."""
        self._waiting.append(beat)

    def close(self) -> None:
        """Begin none of those that wait: nobody asks any more."""
        self._waiting.clear()

    def go_on(self, now: float) -> float:
        """Begin as many as there is room for; returns when there is room for more: inf if none."""
        while self._waiting:
            while self._asking and next(iter(self._asking.values())) <= now - SLOW:
                del self._asking[next(iter(self._asking))]
            if len(self._asking) >= AT_ONCE:
                return next(iter(self._asking.values())) + SLOW
            self._begin(self._waiting.popleft(), now)
        return math.inf

    def _begin(self, beat: Beat, now: float) -> None:
        if beat.is_left_out():
            return
        number = self._take_room(now)
        if not beat.ask_quickly(partial(self._over, number)):
            self._hearts.start(partial(self._ask, beat, number), name=f"ask {beat.tracker}")

    def _take_room(self, now: float) -> int:
        self._count += 1
        self._asking[self._count] = now
        return self._count

    def _over(self, number: int) -> None:
        self._asking.pop(number, None)
        if self._waiting:
            self.go_on(trio.current_time())

    async def _ask(self, beat: Beat, number: int) -> None:
        await beat.ask()
        self._over(number)
