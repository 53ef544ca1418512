"""Several ways to ask one tracker, none of which may hold up the others."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import trio

from trio_swarm.errors import TrackerError, TrackerRefusedError, TrackerUnreachableError

OTHER_FAMILY_GRACE = 1.0
"""Seconds the slower of IPv4 and IPv6 gets after the other answered."""

ADDRESS_GAP = 1.0
"""Seconds an address of a host has to answer before the next one is asked, too (the idea is that of
RFC 8305; a question over UDP takes two round trips)."""

SILENT_AFTER = 2.0
"""Seconds after which a person is told who has not answered yet."""

T = TypeVar("T")
Ask = Callable[[], Awaitable[T]]


async def all_answers(asks: Sequence[Ask[T]]) -> list[T]:
    """Ask all at once; return what is answered within OTHER_FAMILY_GRACE of the first answer.

    A refusal is an answer, too. If there is no other, raises the TrackerError that tells most.
    """
    if len(asks) == 1:
        return [await asks[0]()]
    answers: list[T] = []
    errors: list[TrackerError] = []
    async with trio.open_nursery() as nursery:

        async def run(ask: Ask[T]) -> None:
            try:
                answers.append(await ask())
            except TrackerUnreachableError as error:
                errors.append(error)
                return
            except TrackerError as error:
                errors.append(error)
            _hurry(nursery.cancel_scope)

        for ask in asks:
            nursery.start_soon(run, ask)
    if not answers:
        raise _worst(errors)
    return answers


async def first_answer(asks: Sequence[Ask[T]], *, gap: float = ADDRESS_GAP) -> T:
    """Ask one after the other, the next after `gap` seconds or when one failed; the first answer.

    Those asked before are still heard, after a refusal for OTHER_FAMILY_GRACE only: the others are
    addresses of the same tracker. If none answers, raises the TrackerError that tells most.
    """
    if len(asks) == 1:
        return await asks[0]()
    answers: list[T] = []
    errors: list[TrackerError] = []
    async with trio.open_nursery() as nursery:

        async def run(ask: Ask[T], has_failed: trio.Event) -> None:
            try:
                answers.append(await ask())
            except TrackerError as error:
                errors.append(error)
                has_failed.set()
                if isinstance(error, TrackerRefusedError):
                    _hurry(nursery.cancel_scope)
            else:
                nursery.cancel_scope.cancel()

        for number, ask in enumerate(asks):
            has_failed = trio.Event()
            nursery.start_soon(run, ask, has_failed)
            with trio.move_on_after(gap if number < len(asks) - 1 else math.inf):
                await has_failed.wait()
    if not answers:
        raise _worst(errors)
    return answers[0]


async def tell_silence(
    ask: Ask[T], tell: Callable[[float], None], *, after: float = SILENT_AFTER
) -> T:
    """Return the answer, however long it takes; call `tell(after)` if it takes so many seconds.

    Raises the TrackerError that `ask` raises.
    """
    answers: list[T] = []
    errors: list[TrackerError] = []

    async def watch() -> None:
        await trio.sleep(after)
        tell(after)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        # Here, or the nursery would wrap it in a group.
        try:
            answers.append(await ask())
        except TrackerError as error:
            errors.append(error)
        nursery.cancel_scope.cancel()
    if errors:
        raise errors[0]
    return answers[0]


def _hurry(scope: trio.CancelScope) -> None:
    scope.deadline = min(scope.deadline, trio.current_time() + OTHER_FAMILY_GRACE)


def _worst(errors: Sequence[TrackerError]) -> TrackerError:
    """Return the error to report: what the tracker said tells more than that it was not reached."""
    return min(errors, key=lambda error: not isinstance(error, TrackerRefusedError))
