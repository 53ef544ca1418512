"""Several torrents of a node at once: one that takes its time holds up no other."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import trio

from trio_swarm.control.answers import Torrent
from trio_swarm.control.client import CONNECTIONS
from trio_swarm.errors import TrioSwarmError

AT_ONCE: Final = CONNECTIONS
"""Requests at once. A torrent that is stopped waits for its trackers, and a silent one takes two
seconds."""

T = TypeVar("T")


async def for_each(
    torrents: Sequence[Torrent],
    ask: Callable[[Torrent], Awaitable[T]],
    tell: Callable[[Torrent, T], None],
) -> None:
    """Ask something about each torrent, and tell what came of it in the order of the list.

    All are asked, whatever comes of the others; then the failures are raised.
    """
    outcomes: dict[int, T | TrioSwarmError] = {}
    failures: list[TrioSwarmError] = []
    places = trio.CapacityLimiter(AT_ONCE)
    told = 0

    def tell_in_order() -> None:
        nonlocal told
        while told in outcomes:
            outcome = outcomes.pop(told)
            if isinstance(outcome, TrioSwarmError):
                failures.append(outcome)
            else:
                tell(torrents[told], outcome)
            told += 1

    async def one(index: int) -> None:
        async with places:
            try:
                outcomes[index] = await ask(torrents[index])
            except TrioSwarmError as error:
                outcomes[index] = error
        tell_in_order()

    async with trio.open_nursery() as nursery:
        for index in range(len(torrents)):
            nursery.start_soon(one, index)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ExceptionGroup("several torrents", failures)
