"""One UDP socket for all questions to one address of a tracker.

A node with thousands of torrents asks one tracker thousands of questions. Each answer has the
number of its question (BEP 15, "transaction_id"), so one socket does for all of them.
"""

import socket
from collections.abc import Callable
from typing import Final

import trio

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.trackers.udp import parse_answer_header

LINGER: Final = 20.0
"""Seconds without a question after which a socket is closed."""

MAX_DATAGRAM: Final = 65536

AT_ONCE: Final = 64
"""Datagrams taken before others have their turn."""


Take = Callable[[bytes, OSError | None], None]
"""Is called once with the answer to a question, or with why the network refuses it."""


class _Question:
    """One question whose task waits for its answer."""

    __slots__ = ("_task", "answer", "error")

    def __init__(self, task: trio.lowlevel.Task) -> None:
        self._task = task
        self.answer = b""
        self.error: OSError | None = None

    def take(self, answer: bytes, error: OSError | None) -> None:
        """Have the task go on."""
        self.answer, self.error = answer, error
        trio.lowlevel.reschedule(self._task)


class TrackerSocket:
    """Sends questions to one address and hands each answer to its asker; `read` is its one task.

    A connected socket: it takes datagrams from the tracker only, and hears of ICMP errors.
    """

    def __init__(self, udp: socket.socket) -> None:
        self._udp = udp
        self._waiting: dict[int, Take] = {}
        """By transaction id, the oldest first."""
        self._scope = trio.CancelScope(shield=True)
        self.is_ipv6 = udp.family == socket.AF_INET6
        self.is_open = True

    async def ask(self, transaction_id: int, datagram: bytes) -> bytes:
        """Send a question once, and return its answer; the caller sets a deadline.

        An answer too short to tell its question counts as that of the oldest. Raises OSError where
        the network refuses.
        """
        question = _Question(trio.lowlevel.current_task())
        self.ask_soon(transaction_id, datagram, question.take)

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            del self._waiting[transaction_id]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        if question.error is not None:
            raise question.error
        return question.answer

    def ask_soon(self, transaction_id: int, datagram: bytes, take: Take) -> None:
        """Send a question once; `take` gets its answer, if it comes, and must return quickly.

        Whoever asks waits for it as long as it likes, and calls `forget` then. Raises OSError where
        the network refuses.
        """
        self._waiting[transaction_id] = take
        try:
            self._udp.send(datagram)
        except BlockingIOError:
            pass  # as if it was lost on its way: it is sent again
        except OSError:
            del self._waiting[transaction_id]
            raise

    def forget(self, transaction_id: int) -> None:
        """Wait for an answer no longer."""
        self._waiting.pop(transaction_id, None)

    async def read(self) -> None:
        """Hand out answers until nobody has asked for LINGER seconds, or until `close`.

        Shielded: torrents that are cancelled with everything else say by it that they stop.
        """
        try:
            with self._scope:
                while True:
                    with trio.move_on_after(LINGER) as scope:
                        await trio.lowlevel.wait_readable(self._udp)
                    if not scope.cancelled_caught:
                        self._take()
                    elif not self._waiting:
                        return
        finally:
            self.is_open = False
            self._udp.close()

    def close(self) -> None:
        """End `read`; nobody may ask any more."""
        self._scope.cancel()

    def _take(self) -> None:
        for _ in range(AT_ONCE):
            try:
                datagram = self._udp.recv(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # Whose datagram was refused is not told; the others would be, too.
                for transaction_id in list(self._waiting):
                    self._end(transaction_id, error=error)
                return
            self._end(self._asked_by(datagram), datagram)

    def _asked_by(self, datagram: bytes) -> int | None:
        try:
            return parse_answer_header(datagram)[1]
        except RemoteProtocolError:
            return next(iter(self._waiting), None)

    def _end(
        self, transaction_id: int | None, answer: bytes = b"", *, error: OSError | None = None
    ) -> None:
        take = None if transaction_id is None else self._waiting.pop(transaction_id, None)
        if take is not None:  # else the late answer to an earlier question
            take(answer, error)
