"""A pair of SOCK_SEQPACKET sockets between two processes: questions, answers and words, both ways.

Neither end ever waits for the other to read: what finds no room is kept up to a bound, and then is
lost, as a datagram may be. So two processes that ask each other at once cannot wait for each other.
Each question has a deadline.
"""

import random
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import trio

from trio_swarm.logs import logger_of
from trio_swarm.tracker.workers.messages import (
    MAX_MESSAGE,
    Answer,
    AskAnnounces,
    AskClaims,
    AskNames,
    AskScrapes,
    AskSearch,
    AskSeen,
    Message,
    Question,
    Word,
    decode,
    encode,
)

MOST_QUEUED: Final = 256
"""Messages that wait for room in a socket: 16 MB if each is as long as they get."""

MOST_SEARCHES: Final = 64
"""Searches of the other end that are answered at once, each in a task."""

AWAY_SECONDS: Final = 1.0
"""An end that missed a deadline is not asked for so long: each question to it is a wait."""

_READ_AT_ONCE: Final = 32
"""Messages taken before others have their turn."""

_QUESTIONS: Final = (AskAnnounces, AskScrapes, AskNames, AskClaims, AskSearch, AskSeen)
_logger = logger_of(__name__)


def open_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected, non-blocking sockets; raises OSError."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in pair:
        end.settimeout(0)
        # One long message must fit; the system may give less than is asked for.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * MAX_MESSAGE)
    return pair


class _Awaited:
    """An answer that somebody waits for."""

    __slots__ = ("answer", "came")

    def __init__(self) -> None:
        self.came = trio.Event()
        self.answer: Answer | None = None


class Link:
    """One end of a pair, in this process.

    `answer` answers the other end's questions, `hear` gets all else that it says of itself.
    """

    def __init__(
        self,
        end: socket.socket,
        *,
        answer: Callable[[Question], Awaitable[Answer]] | None = None,
        hear: Callable[[Word], None] | None = None,
    ) -> None:
        self._end = end
        self.answer = answer
        self.hear = hear
        self._next = random.getrandbits(62)
        self._awaited: dict[int, _Awaited] = {}
        self._queue: deque[bytes] = deque()
        self._has_queued = trio.Event()
        self._away_until = 0.0
        self._searches = 0

    def tell(self, message: Message) -> bool:
        """Send a message at once, or as soon as there is room; return False if it is lost."""
        data = encode(message)
        if len(data) > MAX_MESSAGE or len(self._queue) >= MOST_QUEUED:
            return False
        if self._queue or not self._sent(data):
            self._queue.append(data)
            self._has_queued.set()
        return True

    async def ask(self, ask: Callable[[int], Question], seconds: float) -> Answer | None:
        """Return the answer to what `ask` makes with a number; None if there is none in time."""
        now = trio.current_time()
        if now < self._away_until:
            return None
        number, self._next = self._next, self._next + 1
        awaited = self._awaited[number] = _Awaited()
        try:
            if self.tell(ask(number)):
                with trio.move_on_at(now + seconds):
                    await awaited.came.wait()
        finally:
            del self._awaited[number]
        if awaited.answer is None:
            self._away_until = trio.current_time() + AWAY_SECONDS
        return awaited.answer

    async def run(self) -> None:
        """Read and write until the other end is closed for good."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            await self._read(nursery)
            nursery.cancel_scope.cancel()

    async def _read(self, nursery: trio.Nursery) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._end)
            for _ in range(_READ_AT_ONCE):
                try:
                    data = self._end.recv(MAX_MESSAGE)
                except BlockingIOError:
                    break
                except OSError:
                    return  # the other end was killed with something unread
                if not data:
                    return
                await self._take(data, nursery)

    async def _take(self, data: bytes, nursery: trio.Nursery) -> None:
        try:
            message = decode(data)
        except msgspec.MsgspecError as error:
            _logger.warning("a message of another worker makes no sense: %s", error)
            return
        self._away_until = 0.0
        if isinstance(message, AskSearch | AskSeen):  # these take long
            if self._searches < MOST_SEARCHES:
                self._searches += 1
                nursery.start_soon(self._search, message)
        elif isinstance(message, _QUESTIONS):
            if self.answer is not None:
                self.tell(await self.answer(message))
        elif isinstance(message, Word):
            if self.hear is not None:
                self.hear(message)
        elif (awaited := self._awaited.get(message.number)) is not None:
            awaited.answer = message
            awaited.came.set()

    async def _search(self, question: AskSearch | AskSeen) -> None:
        try:
            if self.answer is not None:
                self.tell(await self.answer(question))
        finally:
            self._searches -= 1

    async def _write(self) -> None:
        while True:
            await self._has_queued.wait()
            while self._queue:
                await trio.lowlevel.wait_writable(self._end)
                while self._queue and self._sent(self._queue[0]):
                    self._queue.popleft()
            self._has_queued = trio.Event()

    def _sent(self, data: bytes) -> bool:
        """Send if there is room; what the other end can never get counts as sent."""
        try:
            self._end.send(data)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True
